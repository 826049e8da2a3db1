// Records of signed pages as rows, each with its entry in the full-text index.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/record.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

struct RecordRow {
  int64_t key = 0;
  Record record;
};

// Columns of table `record`, as `r`, that RecordFrom reads, in its order.
inline constexpr absl::string_view kRecordColumns =
    "r.key, r.kind, r.id, r.size, r.version, r.name, r.attributes, r.addresses";

// The record whose kRecordColumns begin at column 0. Error: CATALOG_CORRUPT.
absl::StatusOr<RecordRow> RecordFrom(const Statement& row, absl::string_view path);

// Error: CATALOG_CORRUPT where there is no such row.
absl::StatusOr<RecordRow> ReadRecord(Connection& db, int64_t key);
// Returns its key. `now_ms`: when the record came.
absl::StatusOr<int64_t> InsertRecord(Connection& db, int64_t page, const Record& record,
                                     int64_t now_ms);
// Touches the row only when the record changed, the index only when its words did, and when it came
// only when its version rose.
absl::Status UpdateRecord(Connection& db, const RecordRow& old, const Record& record,
                          int64_t now_ms);
absl::Status DeleteRecord(Connection& db, const RecordRow& row);

}  // namespace panal::catalog
