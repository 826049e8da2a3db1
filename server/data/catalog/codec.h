// How records, ids and times lie in the tables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/record.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// Attributes and addresses as column values. Decoding: CATALOG_CORRUPT.
std::string EncodeAttributes(const Attributes& attributes);
absl::StatusOr<Attributes> DecodeAttributes(absl::string_view bytes, absl::string_view path);
std::string EncodeAddresses(const std::vector<std::string>& addresses);
absl::StatusOr<std::vector<std::string>> DecodeAddresses(absl::string_view bytes,
                                                         absl::string_view path);

// A whole record as one value. Decoding: CATALOG_CORRUPT.
std::string EncodeRecord(const Record& record);
absl::StatusOr<Record> DecodeRecord(absl::string_view bytes, absl::string_view path);

// Keys of rows in order, as one value. Decoding: CATALOG_CORRUPT.
std::string EncodeKeys(const std::vector<int64_t>& keys);
absl::StatusOr<std::vector<int64_t>> DecodeKeys(absl::string_view bytes, absl::string_view path);

// An id from a column. Error: CATALOG_CORRUPT where it has not 32 bytes.
template <typename Id>
absl::StatusOr<Id> IdFrom(absl::string_view bytes, absl::string_view path) {
  std::optional<Id> id = Id::FromBytes(bytes);
  if (!id) return CorruptError(path, "an id has the wrong length");
  return *id;
}

// What the index holds of a record: its name, attribute keys and values, so that every term and
// every run of terms that a query can ask for is in it.
std::string IndexText(const Record& record);

// Bytes that `record` takes at most in an encoded page body (frames.proto: PageBody).
int64_t EncodedSizeBound(const Record& record);

// All ids whose base32 text begins with a prefix: from `first` to `last`, both included.
struct IdRange {
  std::string first;
  std::string last;
};

// `valid` false: no id begins with `prefix` (a foreign character, or too long).
struct PrefixRange {
  IdRange range;
  bool valid = false;
};

PrefixRange RangeOfPrefix(absl::string_view prefix);

int64_t ToMs(absl::Time time);

}  // namespace panal::catalog
