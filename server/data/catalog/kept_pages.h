// Signed pages, own and kept for others, and the index of their records (catalog.h: Pages kept).
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/model/page.h"
#include "server/data/catalog/catalog.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// Expired pages dropped to make room for one that comes to a full catalog. Guess: the search for
// room stays short.
inline constexpr int kDropForRoomMax = 16;
// Pages dropped in one transaction, so that other writers do not wait long. Guess.
inline constexpr int kDropBatchMax = 64;

struct StoreOutcome {
  StorePageResult result = StorePageResult::kStored;
  // kStale: the version that is kept, and whether it is the same one with another body.
  int64_t kept_version = 0;
  bool conflict = false;
  // Places in the page of the records that are new, or newer.
  std::vector<uint32_t> fresh;
};

// Stores a page where rule C2 allows it. Only records that changed touch the index. No limit on
// pages.
absl::StatusOr<StoreOutcome> ReplacePage(Connection& db, const Page& page, bool has_body, bool own,
                                         int64_t now_ms);

// ReplacePage for another peer's page, within the limits of `options`.
absl::StatusOr<StoredPage> KeepPage(Connection& db, const CatalogOptions& options, const Page& page,
                                    bool has_body, int64_t now_ms);
absl::StatusOr<PagePtr> FindPage(Connection& db, const PageKey& key);

// Drops at most `limit` pages that expired at `now_ms` or before; own pages only when deleted.
// Returns how many.
absl::StatusOr<int64_t> DropExpired(Connection& db, int64_t now_ms, int limit);

}  // namespace panal::catalog
