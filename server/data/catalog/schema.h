// The tables of the catalog, and how a database is opened.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// PRAGMA user_version of the tables below. A database with a higher one is refused
// (DATA_DIR_TOO_NEW).
inline constexpr int64_t kSchemaVersion = 5;
// PRAGMA application_id: "Panl". Tells a catalog from another program's database.
inline constexpr int64_t kApplicationId = 0x50616e6c;
// Bytes of a database up to which every opening checks it; larger ones only after an unclean stop,
// which their write-ahead log tells. Guess: 50 ms of reading.
inline constexpr int64_t kCheckAlwaysSizeMax = 16 * 1024 * 1024;

// Opens the database for writing: refuses damaged and newer ones, makes the tables of a new one.
// The versions of a new one begin at the milliseconds since 1970: where an earlier catalog of the
// same peer was lost, others still keep its pages, and what is signed from now on must be above
// every version that it gave, which was on average less than one a millisecond. Errors:
// CATALOG_CORRUPT, DATA_DIR_TOO_NEW, STORAGE_FULL, STORAGE_FAILED.
absl::StatusOr<std::unique_ptr<Connection>> OpenDatabase(const std::string& path, int cache_kib);

// A read connection to a database that OpenDatabase has opened.
absl::StatusOr<std::unique_ptr<Connection>> OpenReader(const std::string& path, int cache_kib);

// PRAGMA quick_check. Error: CATALOG_CORRUPT.
absl::Status QuickCheck(Connection& connection);
// PRAGMA integrity_check and the counts that the tables repeat. Error: CATALOG_CORRUPT.
absl::Status CheckTables(Connection& connection);
// The full-text index's own check. Writes nothing, but needs a connection that could. Error:
// CATALOG_CORRUPT.
absl::Status CheckIndex(Connection& connection);

}  // namespace panal::catalog
