// The own pages: which record is on which, what is to be signed (catalog.h: Own pages).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/page.h"
#include "server/data/catalog/catalog.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// Bytes that a page keeps free to be `open`, so that any record fits an open page without a second
// try: the largest that ValidateRecord lets through for a file.
inline constexpr int64_t kPageRoomMin =
    128 + kRecordNameSizeMax +
    kRecordAttributesMax * (kAttributeKeySizeMax + kAttributeValueSizeMax + 16);
static_assert(kPageRoomMin < kPageBodySizeMax / 4);

// The next version for own records and pages: one a change, above all before.
absl::StatusOr<int64_t> NextVersion(Connection& db);

// Gives a record of `size_bytes` a place: the first page with room, or a new one, which becomes
// dirty. Returns its number. Cost: constant. Error: STORAGE_FULL when all kPageNumberMax pages are
// full.
absl::StatusOr<int64_t> PlaceRecord(Connection& db, int64_t size_bytes, int64_t version);
// Takes a record of `size_bytes` off its page, which becomes dirty.
absl::Status RemoveFromPage(Connection& db, int64_t page, int64_t size_bytes, int64_t version);
// A record changed from `old_size` to `new_size` bytes: it stays on `page`, or, where that would
// exceed its limit, moves to another. Returns the page it is on now; all pages concerned become
// dirty.
absl::StatusOr<int64_t> ResizeRecord(Connection& db, int64_t page, int64_t old_size,
                                     int64_t new_size, int64_t version);

absl::Status SetPeerRecord(Connection& db, const Record& record);
absl::Status MarkAllPagesDirty(Connection& db);
absl::StatusOr<std::vector<DirtyPage>> DirtyPages(Connection& db, int limit);
absl::Status StoreOwnPage(Connection& db, const Page& page, int64_t now_ms);
absl::StatusOr<std::vector<PagePtr>> OwnPages(Connection& db, const PeerId& self, int64_t after,
                                              int limit);

}  // namespace panal::catalog
