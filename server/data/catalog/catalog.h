// LAYER 3: what this peer knows, in one SQLite database (`<data-dir>/catalog.db`): the files it
// holds, its own records and pages, the pages it keeps for others with a full-text index, and the
// peers it remembers. WAL, synchronous FULL; writes of concurrent callers are committed together
// (group commit).
//
// Specification:
// - C1. A method that returns OK has committed: what it stored survives kill -9 and lost power.
// - C2. A page replaces a kept page only with a higher version, or the same version and a later
//   expiry.
// - C3. A search sees only pages that have not expired.
// - C4. The index proposes candidates, Matches() decides: Search returns exactly what Matches says,
//   up to its limit and its time.
// - C5. A record of this peer is on exactly one of its own pages; no page exceeds kPageRecordsMax
//   records or kPageBodySizeMax bytes.
//
// Thread-safe: called from workers. Blocking: never from a gRPC thread or the node loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/fact.h"
#include "common/model/grant.h"
#include "common/model/manifest.h"
#include "common/model/page.h"
#include "common/model/query.h"
#include "common/model/record.h"

namespace panal {

// Setting (SetValue) of a catalog that knows every content in the block store; a new catalog lacks
// it.
inline constexpr absl::string_view kContentsAdoptedKey = "contents_adopted";

struct CatalogOptions {
  std::string path;
  // Pages kept for other peers. FULL beyond. Guess: 65,536 pages are up to 16 million records.
  int64_t kept_pages_max = 65'536;
  // Pages kept of one publisher. Guess: a quarter of a peer's room.
  int64_t kept_pages_per_publisher_max = kPageNumberMax;
  // Peers remembered. Guess: several times the passive view.
  int known_peers_max = 1024;
  // SQLite page cache, in KiB. Guess: small beside the operating system's.
  int cache_kib = 16 * 1024;
};

// How a content is kept.
enum class StorageKind : uint8_t {
  kInline = 1,   // In the catalog, at most kInlineSizeMax bytes.
  kStored = 2,   // In the block store.
  kInPlace = 3,  // Where it lies on this machine: integrity is promised, retention is not.
};

// Where the bytes of a content are. One content, many names.
struct StoredContent {
  FileId id;
  Manifest manifest;
  StorageKind storage = StorageKind::kStored;
  std::string inline_bytes;  // kInline.
  std::string path;          // kInPlace: absolute path.
  int64_t mtime_ns = 0;      // kInPlace: when it was hashed.
  bool complete = true;      // False while a fetch is under way.
};

// A file or directory as this peer publishes it.
struct PublishedFile {
  std::string name;
  FileId id;
  FileType type = FileType::kFile;
  uint64_t size_bytes = 0;   // Of the content (of the listing, for a directory).
  uint64_t total_bytes = 0;  // Of everything below a directory; equals size_bytes for a file.
  uint64_t files = 0;        // Files below a directory; 1 for a file.
  Attributes attributes;
  bool executable = false;
  // What it was added with: the published name of the directory it is an entry of, or empty.
  std::string parent;
};

// Where a listing goes on after `file`: a file and a directory may share a name, which has no NUL.
inline std::string PositionAfter(const PublishedFile& file) {
  std::string position = file.name;
  position += '\0';
  position += file.type == FileType::kDirectory ? 'd' : 'f';
  return position;
}

// An own page that must be signed again because its records or its expiry changed.
struct DirtyPage {
  uint32_t number = 0;
  // The version to sign: above every version signed before, by a catalog that was lost too
  // (schema.h).
  uint64_t version = 0;
  std::vector<Record> records;  // Empty: the page is deleted.
};

struct KeptPage {
  PagePtr page;  // With body and records.
};

enum class StorePageResult { kStored, kRefreshed, kStale, kFull, kBodyMissing };

struct StoredPage {
  StorePageResult result = StorePageResult::kStored;
  // Places in the page of the records that are new here, or newer than they were here.
  std::vector<uint32_t> fresh;
};

struct SearchResult {
  std::vector<Hit>
      hits;  // Publisher contact from its newest kept peer page, addresses may be empty.
  bool truncated = false;    // The limit cut it.
  bool out_of_time = false;  // The time cut it.
};

// A peer that uses a ticket (docs/protocol/admission.md).
struct TicketUse {
  Serial ticket;
  PeerId peer;
  int uses = 1;          // How many peers the ticket lets in.
  absl::Time forget_at;  // The ticket is void by then.
  // Peers that used it elsewhere; counted as well, from now on.
  std::vector<PeerId> others;
};

class Catalog {
 public:
  // Opens or creates the database; checks its integrity. Errors: CATALOG_CORRUPT (with what to do),
  // DATA_DIR_TOO_NEW, STORAGE_FULL, STORAGE_FAILED.
  static absl::StatusOr<std::unique_ptr<Catalog>> Open(const CatalogOptions& options);
  virtual ~Catalog() = default;

  // --- Contents ----------------------------------------------------------------------------------
  virtual absl::Status PutContent(const StoredContent& content) = 0;
  virtual absl::Status PutContents(const std::vector<StoredContent>& contents) = 0;
  // As PutContents; those that nothing publishes are kept until they are published or forgotten.
  virtual absl::Status KeepContents(const std::vector<StoredContent>& contents) = 0;
  // What KeepContents keeps: being fetched or fetched and not published yet, or found in the block
  // store by a new catalog.
  virtual absl::StatusOr<std::vector<FileId>> KeptContents() = 0;
  virtual absl::StatusOr<StoredContent> FindContent(const FileId& id) = 0;  // FILE_NOT_FOUND
  virtual absl::Status SetContentComplete(const FileId& id) = 0;
  virtual absl::Status ForgetContent(const FileId& id) = 0;

  // As ForgetContent for each, committed together.
  virtual absl::Status ForgetContents(const std::vector<FileId>& ids) {
    absl::Status status;
    for (const FileId& id : ids) status.Update(ForgetContent(id));
    return status;
  }

  // Ids of contents and published files that begin with `prefix` (base32 text), at most `limit`.
  virtual absl::StatusOr<std::vector<FileId>> FindIds(absl::string_view prefix, int limit) = 0;
  // Contents whose fetch was under way when the peer stopped.
  virtual absl::StatusOr<std::vector<FileId>> IncompleteContents() = 0;

  // --- What this peer publishes ------------------------------------------------------------------
  // Adds or replaces, assigns records to own pages and marks those pages dirty, in one transaction.
  // Cost: linear in `files`, not in what is published already.
  virtual absl::Status Publish(const std::vector<PublishedFile>& files) = 0;
  // The same for one file or directory that was added by itself (the first of `files`, everything
  // below it follows), where its name is published already: what the directory of that name held
  // and the new one does not is removed in the same transaction, so that after a crash one of the
  // two is published whole. Returns what is no longer published. Cost: linear in the old and the
  // new directory.
  virtual absl::StatusOr<std::vector<PublishedFile>> Replace(
      const std::vector<PublishedFile>& files) = 0;
  // Removes what was added under `id`, with the entries that came with it and nothing else refers
  // to. Returns what is no longer published. Error: FILE_NOT_FOUND.
  virtual absl::StatusOr<std::vector<PublishedFile>> Unpublish(const FileId& id) = 0;
  // Whether any published file refers to the content.
  virtual absl::StatusOr<bool> IsPublished(const FileId& id) = 0;
  virtual absl::StatusOr<std::vector<PublishedFile>> FindPublished(const FileId& id) = 0;

  // The first of them by name, or nothing. Costs the same however many names a content has: the
  // empty file may have a hundred thousand.
  virtual absl::StatusOr<std::optional<PublishedFile>> FirstPublished(const FileId& id) {
    absl::StatusOr<std::vector<PublishedFile>> all = FindPublished(id);
    if (!all.ok()) return all.status();
    if (all->empty()) return std::optional<PublishedFile>();
    return std::optional<PublishedFile>(std::move(all->front()));
  }

  // In ascending order of name and then type, at most `limit`, after `after`: a PositionAfter, or a
  // name (of which all is left out), or empty for the start. `recursive`: entries of directories
  // too.
  virtual absl::StatusOr<std::vector<PublishedFile>> ListPublished(absl::string_view after,
                                                                   int limit, bool recursive) = 0;
  // Number of what was added by itself (directories count once).
  virtual absl::StatusOr<int64_t> CountPublished() = 0;

  // --- Own pages ---------------------------------------------------------------------------------
  // Sets the records of the peer page (number 0); dirty when they changed.
  virtual absl::Status SetPeerRecord(const Record& record) = 0;
  // Marks every own page dirty (the identity of the mesh or its expiry changed).
  virtual absl::Status MarkAllPagesDirty() = 0;
  // At most `limit` pages to sign, lowest number first.
  virtual absl::StatusOr<std::vector<DirtyPage>> DirtyPages(int limit) = 0;
  // Stores a signed own page, clears its dirty mark when the version is still the newest, and
  // indexes it like a kept page. Deleted pages (no records) stay as tombstones until they expire.
  virtual absl::Status StoreOwnPage(const Page& page) = 0;
  // Own pages, signed, with number above `after`, at most `limit`; for refresh and after a restart.
  virtual absl::StatusOr<std::vector<PagePtr>> OwnPages(const PeerId& self, int64_t after,
                                                        int limit) = 0;

  // --- Pages kept for others ---------------------------------------------------------------------
  // Keeps a verified page. `has_body` false: a refresh, kBodyMissing when the body is not here.
  virtual absl::StatusOr<StoredPage> KeepPage(const Page& page, bool has_body, absl::Time now) = 0;

  // KeepPage, without which records are new.
  absl::StatusOr<StorePageResult> StorePage(const Page& page, bool has_body, absl::Time now) {
    absl::StatusOr<StoredPage> stored = KeepPage(page, has_body, now);
    if (!stored.ok()) return stored.status();
    return stored->result;
  }

  virtual absl::StatusOr<PagePtr> FindPage(const PageKey& key) = 0;  // FILE_NOT_FOUND
  // Drops expired pages. Returns how many.
  virtual absl::StatusOr<int64_t> DropExpiredPages(absl::Time now) = 0;

  // --- Search ------------------------------------------------------------------------------------
  // Evaluates `query` over own and kept pages. Stops at `limit` ids (hit_limit.h) or after
  // `time_max`. Two very common words stay bounded: candidates are read unranked in batches until
  // the limit.
  virtual absl::StatusOr<SearchResult> Search(const Query& query, int limit,
                                              absl::Duration time_max, absl::Time now) = 0;
  // The same over the records that came here, or changed, within `within` before `now`.
  virtual absl::StatusOr<SearchResult> SearchArrivals(const Query& query, int limit,
                                                      absl::Duration time_max, absl::Time now,
                                                      absl::Duration within) = 0;
  // Fills in what is known of the publishers of `hits`, as Search does.
  virtual absl::Status AddAddresses(std::vector<Hit>& hits) = 0;
  // What a digest holds of all own and kept pages (digest.h), each once; keys of attributes and
  // expired pages that were not dropped yet besides. Stops beyond `limit`: more are there.
  virtual absl::StatusOr<std::vector<uint32_t>> DigestHashes(size_t limit) = 0;
  // Peers whose id begins with `prefix`, from kept peer pages and known peers, at most `limit`.
  virtual absl::StatusOr<std::vector<PeerContact>> FindPeers(absl::string_view prefix,
                                                             int limit) = 0;

  // --- Known peers -------------------------------------------------------------------------------
  virtual absl::Status RememberPeers(const std::vector<PeerContact>& peers, absl::Time now) = 0;
  // Most recently seen first.
  virtual absl::StatusOr<std::vector<PeerContact>> KnownPeers(int limit) = 0;

  // --- Tickets -----------------------------------------------------------------------------------
  // Counts a use of a ticket. False, and no use counted: it is used up. The same peer again: true, and no
  // further use.
  virtual absl::StatusOr<bool> RedeemTicket(const TicketUse& use, absl::Time now) = 0;

  // --- Facts of an invite mesh -------------------------------------------------------------------
  // Keeps facts, committed together. One that is kept already: nothing.
  virtual absl::Status KeepFacts(const std::vector<FactPtr>& facts) = 0;
  // Committed together. One that is not kept: nothing.
  virtual absl::Status ForgetFacts(const std::vector<Sha256Digest>& ids) = 0;
  // The bytes of all, ascending ids.
  virtual absl::StatusOr<std::vector<std::string>> KeptFacts() = 0;

  // --- Settings kept between runs ----------------------------------------------------------------
  virtual absl::Status SetValue(absl::string_view key, absl::string_view value) = 0;
  virtual absl::StatusOr<std::optional<std::string>> GetValue(absl::string_view key) = 0;

  // Runs SQLite's integrity check, one at a time. For `doctor`. Takes seconds for a large catalog;
  // others read and write meanwhile, but for the check of the full-text index alone. Error:
  // CATALOG_CORRUPT.
  virtual absl::Status CheckIntegrity() = 0;
};

}  // namespace panal
