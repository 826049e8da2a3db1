// Search over own and kept pages (catalog.h: Search).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/model/query.h"
#include "server/data/catalog/catalog.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// Instructions of SQLite's virtual machine between two looks at the clock. Guess: well below 1 ms.
inline constexpr int kStepsPerClockLook = 2000;

absl::StatusOr<SearchResult> Search(Connection& db, const Query& query, int limit,
                                    absl::Duration time_max, int64_t now_ms);
absl::StatusOr<SearchResult> SearchArrivals(Connection& db, const Query& query, int limit,
                                            absl::Duration time_max, int64_t now_ms,
                                            int64_t since_ms);
absl::Status AddAddresses(Connection& db, std::vector<Hit>& hits);

absl::StatusOr<std::vector<uint32_t>> DigestHashes(Connection& db, size_t limit);

}  // namespace panal::catalog
