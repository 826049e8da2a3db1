#include "server/data/catalog/own_pages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "server/data/catalog/codec.h"
#include "server/data/catalog/kept_pages.h"
#include "server/data/catalog/published_files.h"

namespace panal::catalog {
namespace {

constexpr auto kRecordsMax = static_cast<int64_t>(kPageRecordsMax);
constexpr auto kBytesMax = static_cast<int64_t>(kPageBodySizeMax);

// Adds to the counts of a page and makes it dirty under `version`.
absl::Status ChangePage(Connection& db, int64_t page, int64_t records, int64_t bytes,
                        int64_t version) {
  PANAL_RETURN_IF_ERROR(db.Run(
      "UPDATE own_page SET records = records + ?2, bytes = bytes + ?3, version = ?4, dirty = 1, "
      "open = (records + ?2 < ?5 AND bytes + ?3 <= ?6) WHERE number = ?1",
      page, records, bytes, version, kRecordsMax, kBytesMax - kPageRoomMin));
  PANAL_CHECK(db.Changes() == 1);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> NewPage(Connection& db) {
  PANAL_ASSIGN_OR_RETURN(int64_t last, db.QueryInt(0, "SELECT max(number) FROM own_page"));
  int64_t number = std::max<int64_t>(last + 1, kPeerPageNumber + 1);
  if (number >= static_cast<int64_t>(kPageNumberMax)) {
    return Error(ErrorReason::kStorageFull,
                 absl::StrCat("all ", kPageNumberMax,
                              " pages of this peer are full: remove files that "
                              "need not be found"),
                 {{"limit", absl::StrCat(kPageNumberMax)}});
  }
  PANAL_RETURN_IF_ERROR(
      db.Run("INSERT INTO own_page(number, version, dirty, records, bytes, open) "
             "VALUES(?, 0, 0, 0, 0, 1)",
             number));
  return number;
}

absl::StatusOr<std::optional<Record>> PeerRecord(Connection& db) {
  PANAL_ASSIGN_OR_RETURN(Statement row, db.Query("SELECT record FROM peer_record"));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return std::optional<Record>();
  PANAL_ASSIGN_OR_RETURN(Record record, DecodeRecord(row.Bytes(0), db.path()));
  return std::optional<Record>(std::move(record));
}

absl::StatusOr<std::vector<Record>> RecordsOfOwnPage(Connection& db, uint32_t number) {
  if (number != kPeerPageNumber) return PublishedRecords(db, number);
  PANAL_ASSIGN_OR_RETURN(std::optional<Record> record, PeerRecord(db));
  std::vector<Record> records;
  if (record) records.push_back(*std::move(record));
  return records;
}

// The mesh has this page, rightly signed, under a higher version than the catalog gave: the data
// directory was put back from a copy, or the clock stood back when a lost catalog was made anew,
// and some peer cast the old page. What is signed next must win over it.
absl::Status RiseAbove(Connection& db, int64_t number, int64_t version) {
  PANAL_RETURN_IF_ERROR(db.Run("UPDATE version_counter SET last = max(last, ?)", version));
  PANAL_ASSIGN_OR_RETURN(int64_t next, NextVersion(db));
  return db.Run("UPDATE own_page SET version = ?, dirty = 1 WHERE number = ?", next, number);
}

// A change since the page was read for signing has given it a higher version: it stays dirty.
absl::Status ClearDirty(Connection& db, const Page& page) {
  return db.Run("UPDATE own_page SET dirty = 0 WHERE number = ? AND dirty = 1 AND version <= ?",
                static_cast<int64_t>(page.header.key.number),
                static_cast<int64_t>(page.header.version));
}

}  // namespace

absl::StatusOr<int64_t> NextVersion(Connection& db) {
  return db.QueryInt(0, "UPDATE version_counter SET last = last + 1 RETURNING last");
}

absl::StatusOr<int64_t> PlaceRecord(Connection& db, int64_t size_bytes, int64_t version) {
  PANAL_CHECK(size_bytes <= kPageRoomMin);
  PANAL_ASSIGN_OR_RETURN(
      int64_t page,
      db.QueryInt(-1, "SELECT number FROM own_page WHERE open = 1 ORDER BY number LIMIT 1"));
  if (page < 0) {
    PANAL_ASSIGN_OR_RETURN(page, NewPage(db));
  }
  PANAL_RETURN_IF_ERROR(ChangePage(db, page, /*records=*/1, size_bytes, version));
  return page;
}

absl::Status RemoveFromPage(Connection& db, int64_t page, int64_t size_bytes, int64_t version) {
  return ChangePage(db, page, /*records=*/-1, -size_bytes, version);
}

absl::StatusOr<int64_t> ResizeRecord(Connection& db, int64_t page, int64_t old_size,
                                     int64_t new_size, int64_t version) {
  PANAL_ASSIGN_OR_RETURN(int64_t bytes,
                         db.QueryInt(0, "SELECT bytes FROM own_page WHERE number = ?", page));
  if (bytes - old_size + new_size <= kBytesMax) {
    PANAL_RETURN_IF_ERROR(ChangePage(db, page, /*records=*/0, new_size - old_size, version));
    return page;
  }
  PANAL_RETURN_IF_ERROR(RemoveFromPage(db, page, old_size, version));
  return PlaceRecord(db, new_size, version);
}

absl::Status SetPeerRecord(Connection& db, const Record& record) {
  PANAL_RETURN_IF_ERROR(ValidateRecord(record));
  PANAL_ASSIGN_OR_RETURN(std::optional<Record> old, PeerRecord(db));
  Record changed = record;
  if (old) changed.version = old->version;
  if (old && *old == changed) return absl::OkStatus();
  PANAL_ASSIGN_OR_RETURN(int64_t version, NextVersion(db));
  changed.version = static_cast<uint64_t>(version);
  PANAL_RETURN_IF_ERROR(
      db.Run("INSERT OR REPLACE INTO peer_record(one, version, record) VALUES(1, ?, ?)", version,
             Blob{EncodeRecord(changed)}));
  // Never open: the peer page holds nothing else.
  return db.Run(
      "INSERT OR REPLACE INTO own_page(number, version, dirty, records, bytes, open) "
      "VALUES(?, ?, 1, 1, ?, 0)",
      static_cast<int64_t>(kPeerPageNumber), version, EncodedSizeBound(changed));
}

absl::Status MarkAllPagesDirty(Connection& db) {
  PANAL_ASSIGN_OR_RETURN(int64_t version, NextVersion(db));
  // A deleted page whose tombstone has expired is not brought back.
  return db.Run(
      "UPDATE own_page SET dirty = 1, version = ? WHERE records > 0 OR dirty = 1 OR "
      "number IN (SELECT number FROM page WHERE own = 1)",
      version);
}

absl::StatusOr<std::vector<DirtyPage>> DirtyPages(Connection& db, int limit) {
  std::vector<DirtyPage> pages;
  PANAL_ASSIGN_OR_RETURN(
      Statement row,
      db.Query("SELECT number, version FROM own_page WHERE dirty = 1 ORDER BY number LIMIT ?",
               static_cast<int64_t>(std::max(limit, 0))));
  while (true) {
    PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
    if (!found) return pages;
    DirtyPage page{.number = static_cast<uint32_t>(row.Int(0)),
                   .version = static_cast<uint64_t>(row.Int(1))};
    PANAL_ASSIGN_OR_RETURN(page.records, RecordsOfOwnPage(db, page.number));
    pages.push_back(std::move(page));
  }
}

absl::Status StoreOwnPage(Connection& db, const Page& page, int64_t now_ms) {
  auto number = static_cast<int64_t>(page.header.key.number);
  PANAL_ASSIGN_OR_RETURN(StoreOutcome outcome,
                         ReplacePage(db, page, /*has_body=*/true, /*own=*/true, now_ms));
  if (outcome.result == StorePageResult::kStale) {
    PANAL_ASSIGN_OR_RETURN(int64_t given,
                           db.QueryInt(0, "SELECT version FROM own_page WHERE number = ?", number));
    bool unknown =
        outcome.kept_version > given || (outcome.kept_version == given && outcome.conflict);
    return unknown ? RiseAbove(db, number, outcome.kept_version) : ClearDirty(db, page);
  }
  return ClearDirty(db, page);
}

absl::StatusOr<std::vector<PagePtr>> OwnPages(Connection& db, const PeerId& self, int64_t after,
                                              int limit) {
  std::vector<PagePtr> pages;
  PANAL_ASSIGN_OR_RETURN(
      Statement row,
      db.Query("SELECT number FROM page WHERE publisher = ? AND number > ? AND own = 1 "
               "ORDER BY number LIMIT ?",
               Blob{self.view()}, after, static_cast<int64_t>(std::max(limit, 0))));
  while (true) {
    PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
    if (!found) return pages;
    PANAL_ASSIGN_OR_RETURN(PagePtr page, FindPage(db, {self, static_cast<uint32_t>(row.Int(0))}));
    pages.push_back(std::move(page));
  }
}

}  // namespace panal::catalog
