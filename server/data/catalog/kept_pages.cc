#include "server/data/catalog/kept_pages.h"

#include <limits>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "server/data/catalog/codec.h"
#include "server/data/catalog/record_rows.h"

namespace panal::catalog {
namespace {

// What is kept of a page, without its body.
struct KeptHeader {
  int64_t key = 0;
  bool own = false;
  PageHeader header;
};

absl::Status PageError(const PageKey& key, absl::string_view what) {
  return Error(ErrorReason::kPageInvalid,
               absl::StrCat("page ", key.number, " of ", key.publisher.ToText(), ": ", what),
               {{"publisher", key.publisher.ToText()}, {"page", absl::StrCat(key.number)}});
}

absl::Status CheckLimits(const Page& page) {
  const PageHeader& header = page.header;
  constexpr uint64_t kNumberMax = std::numeric_limits<int64_t>::max();
  if (header.version > kNumberMax || header.expires_ms > kNumberMax) {
    return PageError(header.key, "version or expiry exceeds 2^63 - 1");
  }
  if (page.records.size() > kPageRecordsMax) {
    return PageError(header.key,
                     absl::StrCat(page.records.size(), " records exceed ", kPageRecordsMax));
  }
  if (page.body.size() > kPageBodySizeMax) {
    return PageError(header.key, absl::StrCat("body of ", page.body.size(), " bytes exceeds ",
                                              kPageBodySizeMax));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<KeptHeader>> FindHeader(Connection& db, const PageKey& key) {
  PANAL_ASSIGN_OR_RETURN(
      Statement row,
      db.Query("SELECT key, own, version, expires_ms, body_hash, public_key, signature "
               "FROM page WHERE publisher = ? AND number = ?",
               Blob{key.publisher.view()}, static_cast<int64_t>(key.number)));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return std::optional<KeptHeader>();
  KeptHeader kept{.key = row.Int(0), .own = row.Int(1) != 0};
  kept.header.key = key;
  kept.header.version = static_cast<uint64_t>(row.Int(2));
  kept.header.expires_ms = static_cast<uint64_t>(row.Int(3));
  PANAL_ASSIGN_OR_RETURN(kept.header.body_hash, IdFrom<Sha256Digest>(row.Bytes(4), db.path()));
  kept.header.public_key = std::string(row.Bytes(5));
  kept.header.signature = std::string(row.Bytes(6));
  return std::optional<KeptHeader>(std::move(kept));
}

absl::Status InsertHeader(Connection& db, const PageHeader& header, bool own) {
  return db.Run(
      "INSERT INTO page(publisher, number, expires_ms, own, version, body_hash, public_key, "
      "signature) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
      Blob{header.key.publisher.view()}, static_cast<int64_t>(header.key.number),
      static_cast<int64_t>(header.expires_ms), static_cast<int64_t>(own),
      static_cast<int64_t>(header.version), Blob{header.body_hash.view()}, Blob{header.public_key},
      Blob{header.signature});
}

absl::Status UpdateHeader(Connection& db, int64_t key, const PageHeader& header) {
  return db.Run(
      "UPDATE page SET expires_ms = ?2, version = ?3, body_hash = ?4, public_key = ?5, signature = "
      "?6 "
      "WHERE key = ?1",
      key, static_cast<int64_t>(header.expires_ms), static_cast<int64_t>(header.version),
      Blob{header.body_hash.view()}, Blob{header.public_key}, Blob{header.signature});
}

absl::StatusOr<std::vector<int64_t>> RecordKeys(Connection& db, int64_t page) {
  PANAL_ASSIGN_OR_RETURN(Statement row,
                         db.Query("SELECT records FROM page_body WHERE page = ?", page));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return CorruptError(db.path(), "a page has no body");
  return DecodeKeys(row.Bytes(0), db.path());
}

// The rows of a page's records in the order of its body, and the places of those that are new.
struct ReplacedRecords {
  std::vector<int64_t> keys;
  std::vector<uint32_t> fresh;
};

// Makes the rows of page `page` those of `records`, where the old rows are `old_keys`.
absl::StatusOr<ReplacedRecords> ReplaceRecords(Connection& db, int64_t page,
                                               const std::vector<int64_t>& old_keys,
                                               const std::vector<Record>& records, int64_t now_ms) {
  using Name = std::pair<RecordKind, std::string>;
  // A multimap: a publisher may have signed a key twice.
  std::multimap<Name, RecordRow> old;
  for (int64_t key : old_keys) {
    PANAL_ASSIGN_OR_RETURN(RecordRow row, ReadRecord(db, key));
    Name name(row.record.kind, row.record.name);
    old.emplace(std::move(name), std::move(row));
  }
  ReplacedRecords replaced;
  std::vector<uint32_t> added;
  for (uint32_t place = 0; place < records.size(); ++place) {
    const Record& record = records[place];
    auto same = old.find(Name(record.kind, record.name));
    if (same == old.end()) {
      added.push_back(place);
      replaced.fresh.push_back(place);
      replaced.keys.push_back(0);
      continue;
    }
    if (record.version > same->second.record.version) replaced.fresh.push_back(place);
    PANAL_RETURN_IF_ERROR(UpdateRecord(db, same->second, record, now_ms));
    replaced.keys.push_back(same->second.key);
    old.erase(same);
  }
  for (const auto& [name, row] : old) PANAL_RETURN_IF_ERROR(DeleteRecord(db, row));
  for (uint32_t place : added) {
    PANAL_ASSIGN_OR_RETURN(replaced.keys[place], InsertRecord(db, page, records[place], now_ms));
  }
  return replaced;
}

// Returns the places of the records that are new.
absl::StatusOr<std::vector<uint32_t>> StoreBody(Connection& db, int64_t key,
                                                const std::vector<int64_t>& old_keys,
                                                const Page& page, int64_t now_ms) {
  PANAL_ASSIGN_OR_RETURN(ReplacedRecords replaced,
                         ReplaceRecords(db, key, old_keys, page.records, now_ms));
  PANAL_RETURN_IF_ERROR(
      db.Run("INSERT OR REPLACE INTO page_body(page, records, body) VALUES(?, ?, ?)", key,
             Blob{EncodeKeys(replaced.keys)}, Blob{page.body}));
  return std::move(replaced.fresh);
}

absl::Status DropPage(Connection& db, int64_t page) {
  PANAL_ASSIGN_OR_RETURN(std::vector<int64_t> keys, RecordKeys(db, page));
  for (int64_t key : keys) {
    PANAL_ASSIGN_OR_RETURN(RecordRow row, ReadRecord(db, key));
    PANAL_RETURN_IF_ERROR(DeleteRecord(db, row));
  }
  PANAL_RETURN_IF_ERROR(db.Run("DELETE FROM page_body WHERE page = ?", page));
  return db.Run("DELETE FROM page WHERE key = ?", page);
}

absl::StatusOr<StoreOutcome> ReplaceKept(Connection& db, const KeptHeader& kept, const Page& page,
                                         bool has_body, int64_t now_ms) {
  const PageHeader& old = kept.header;
  const PageHeader& header = page.header;
  StoreOutcome stale{.result = StorePageResult::kStale,
                     .kept_version = static_cast<int64_t>(old.version)};
  bool same_body = old.body_hash == header.body_hash;
  if (header.version < old.version) return stale;
  if (header.version == old.version) {
    stale.conflict = !same_body;
    if (!same_body || header.expires_ms < old.expires_ms) return stale;
    if (header.expires_ms > old.expires_ms) {
      PANAL_RETURN_IF_ERROR(UpdateHeader(db, kept.key, header));
    }
    return StoreOutcome{.result = StorePageResult::kRefreshed};
  }
  if (!same_body && !has_body) return StoreOutcome{.result = StorePageResult::kBodyMissing};
  PANAL_RETURN_IF_ERROR(UpdateHeader(db, kept.key, header));
  if (same_body) return StoreOutcome{.result = StorePageResult::kRefreshed};
  PANAL_ASSIGN_OR_RETURN(std::vector<int64_t> keys, RecordKeys(db, kept.key));
  StoreOutcome stored;
  PANAL_ASSIGN_OR_RETURN(stored.fresh, StoreBody(db, kept.key, keys, page, now_ms));
  return stored;
}

absl::StatusOr<bool> HasRoom(Connection& db, const CatalogOptions& options,
                             const PeerId& publisher) {
  constexpr absl::string_view kCount = "SELECT pages FROM kept_count WHERE publisher = ?";
  PANAL_ASSIGN_OR_RETURN(int64_t all, db.QueryInt(0, kCount, Blob{""}));
  PANAL_ASSIGN_OR_RETURN(int64_t of_publisher, db.QueryInt(0, kCount, Blob{publisher.view()}));
  return all < options.kept_pages_max && of_publisher < options.kept_pages_per_publisher_max;
}

absl::StatusOr<bool> MakeRoom(Connection& db, const CatalogOptions& options,
                              const PeerId& publisher, int64_t now_ms) {
  PANAL_ASSIGN_OR_RETURN(bool room, HasRoom(db, options, publisher));
  if (room) return true;
  PANAL_ASSIGN_OR_RETURN(int64_t dropped, DropExpired(db, now_ms, kDropForRoomMax));
  return dropped == 0 ? false : HasRoom(db, options, publisher);
}

}  // namespace

absl::StatusOr<StoreOutcome> ReplacePage(Connection& db, const Page& page, bool has_body, bool own,
                                         int64_t now_ms) {
  PANAL_RETURN_IF_ERROR(CheckLimits(page));
  PANAL_ASSIGN_OR_RETURN(std::optional<KeptHeader> kept, FindHeader(db, page.header.key));
  bool not_newer = kept && (kept->header.version < page.header.version ||
                            (kept->header.version == page.header.version &&
                             kept->header.body_hash == page.header.body_hash));
  if (own && not_newer && !kept->own) {
    // Came back from the mesh to a catalog that had lost it: it is ours again.
    PANAL_RETURN_IF_ERROR(DropPage(db, kept->key));
    kept.reset();
  }
  if (kept) return ReplaceKept(db, *kept, page, has_body, now_ms);
  if (!has_body) return StoreOutcome{.result = StorePageResult::kBodyMissing};
  PANAL_RETURN_IF_ERROR(InsertHeader(db, page.header, own));
  StoreOutcome stored;
  PANAL_ASSIGN_OR_RETURN(stored.fresh, StoreBody(db, db.LastInsertKey(), {}, page, now_ms));
  return stored;
}

absl::StatusOr<StoredPage> KeepPage(Connection& db, const CatalogOptions& options, const Page& page,
                                    bool has_body, int64_t now_ms) {
  PANAL_RETURN_IF_ERROR(CheckLimits(page));
  if (static_cast<int64_t>(page.header.expires_ms) <= now_ms) {
    return StoredPage{.result = StorePageResult::kStale};
  }
  const PageKey& key = page.header.key;
  PANAL_ASSIGN_OR_RETURN(int64_t known,
                         db.QueryInt(0, "SELECT 1 FROM page WHERE publisher = ? AND number = ?",
                                     Blob{key.publisher.view()}, static_cast<int64_t>(key.number)));
  if (known == 0 && has_body) {
    PANAL_ASSIGN_OR_RETURN(bool room, MakeRoom(db, options, key.publisher, now_ms));
    if (!room) return StoredPage{.result = StorePageResult::kFull};
  }
  PANAL_ASSIGN_OR_RETURN(StoreOutcome outcome,
                         ReplacePage(db, page, has_body, /*own=*/false, now_ms));
  return StoredPage{outcome.result, std::move(outcome.fresh)};
}

absl::StatusOr<PagePtr> FindPage(Connection& db, const PageKey& key) {
  PANAL_ASSIGN_OR_RETURN(std::optional<KeptHeader> kept, FindHeader(db, key));
  if (!kept) {
    return Error(
        ErrorReason::kFileNotFound,
        absl::StrCat("page ", key.number, " of ", key.publisher.ToText(), " is not kept here"),
        {{"publisher", key.publisher.ToText()}, {"page", absl::StrCat(key.number)}});
  }
  auto page = std::make_shared<Page>();
  page->header = std::move(kept->header);
  PANAL_ASSIGN_OR_RETURN(Statement row,
                         db.Query("SELECT records, body FROM page_body WHERE page = ?", kept->key));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return CorruptError(db.path(), "a page has no body");
  page->body = std::string(row.Bytes(1));
  if (Sha256(page->body) != page->header.body_hash) {
    return CorruptError(db.path(), "the body of a page does not have its hash");
  }
  PANAL_ASSIGN_OR_RETURN(std::vector<int64_t> keys, DecodeKeys(row.Bytes(0), db.path()));
  page->records.reserve(keys.size());
  for (int64_t record_key : keys) {
    PANAL_ASSIGN_OR_RETURN(RecordRow record, ReadRecord(db, record_key));
    page->records.push_back(std::move(record.record));
  }
  return PagePtr(std::move(page));
}

absl::StatusOr<int64_t> DropExpired(Connection& db, int64_t now_ms, int limit) {
  std::vector<int64_t> pages;
  {
    PANAL_ASSIGN_OR_RETURN(
        Statement row,
        db.Query("SELECT key FROM page WHERE expires_ms <= ? AND (own = 0 OR EXISTS (SELECT 1 FROM "
                 "page_body WHERE page_body.page = page.key AND records = x'')) "
                 "ORDER BY expires_ms LIMIT ?",
                 now_ms, static_cast<int64_t>(limit)));
    while (true) {
      PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
      if (!found) break;
      pages.push_back(row.Int(0));
    }
  }
  for (int64_t page : pages) PANAL_RETURN_IF_ERROR(DropPage(db, page));
  return static_cast<int64_t>(pages.size());
}

}  // namespace panal::catalog
