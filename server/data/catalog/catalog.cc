#include "server/data/catalog/catalog.h"

#include <utility>

#include "common/base/status.h"
#include "server/data/catalog/catalog_impl.h"
#include "server/data/catalog/codec.h"
#include "server/data/catalog/contents.h"
#include "server/data/catalog/facts.h"
#include "server/data/catalog/kept_pages.h"
#include "server/data/catalog/own_pages.h"
#include "server/data/catalog/peers.h"
#include "server/data/catalog/published_files.h"
#include "server/data/catalog/redemptions.h"
#include "server/data/catalog/schema.h"
#include "server/data/catalog/search.h"

namespace panal {

absl::StatusOr<std::unique_ptr<Catalog>> Catalog::Open(const CatalogOptions& options) {
  return catalog::SqliteCatalog::Open(options);
}

namespace catalog {
namespace {

// Runs `read` on a free read connection and returns what it returns.
template <typename Result, typename Read>
absl::StatusOr<Result> WithReader(ReaderPool& pool, const Read& read) {
  PANAL_ASSIGN_OR_RETURN(ReaderPool::Reader reader, pool.Acquire());
  return read(reader.connection());
}

// Runs `write` in the next transaction and returns what it returned, once that is committed.
template <typename Result, typename Write>
absl::StatusOr<Result> WithWriter(Writer& writer, JobKind kind, const Write& write) {
  Result result{};
  auto job = [&](Connection& db) -> absl::Status {
    PANAL_ASSIGN_OR_RETURN(result, write(db));
    return absl::OkStatus();
  };
  PANAL_RETURN_IF_ERROR(writer.Write(job, kind));
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteCatalog>> SqliteCatalog::Open(const CatalogOptions& options) {
  // Half of the cache for the writer, the rest for the readers.
  int cache_kib = options.cache_kib / 2;
  PANAL_ASSIGN_OR_RETURN(auto writer, OpenDatabase(options.path, cache_kib));
  std::vector<std::unique_ptr<Connection>> readers;
  for (int i = 0; i < kReadersMax; ++i) {
    PANAL_ASSIGN_OR_RETURN(auto reader, OpenReader(options.path, cache_kib / kReadersMax));
    readers.push_back(std::move(reader));
  }
  return std::unique_ptr<SqliteCatalog>(
      new SqliteCatalog(options, std::move(writer), std::move(readers)));
}

SqliteCatalog::SqliteCatalog(const CatalogOptions& options, std::unique_ptr<Connection> writer,
                             std::vector<std::unique_ptr<Connection>> readers)
    : options_(options), writer_(std::move(writer)), readers_(std::move(readers)) {}

// --- Contents ------------------------------------------------------------------------------------

absl::Status SqliteCatalog::PutContent(const StoredContent& content) {
  return writer_.Write([&](Connection& db) { return catalog::PutContent(db, content); });
}

absl::Status SqliteCatalog::PutContents(const std::vector<StoredContent>& contents) {
  return writer_.Write([&](Connection& db) -> absl::Status {
    for (const StoredContent& content : contents) {
      PANAL_RETURN_IF_ERROR(catalog::PutContent(db, content));
    }
    return absl::OkStatus();
  });
}

absl::Status SqliteCatalog::KeepContents(const std::vector<StoredContent>& contents) {
  return writer_.Write([&](Connection& db) -> absl::Status {
    for (const StoredContent& content : contents) {
      PANAL_RETURN_IF_ERROR(catalog::PutContent(db, content));
      PANAL_RETURN_IF_ERROR(catalog::KeepContent(db, content.id));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<FileId>> SqliteCatalog::KeptContents() {
  return WithReader<std::vector<FileId>>(readers_, catalog::KeptContents);
}

absl::StatusOr<StoredContent> SqliteCatalog::FindContent(const FileId& id) {
  return WithReader<StoredContent>(readers_,
                                   [&](Connection& db) { return catalog::FindContent(db, id); });
}

absl::Status SqliteCatalog::SetContentComplete(const FileId& id) {
  return writer_.Write([&](Connection& db) { return catalog::SetContentComplete(db, id); });
}

absl::Status SqliteCatalog::ForgetContent(const FileId& id) {
  return writer_.Write([&](Connection& db) { return catalog::ForgetContent(db, id); },
                       JobKind::kRemoves);
}

absl::Status SqliteCatalog::ForgetContents(const std::vector<FileId>& ids) {
  return writer_.Write(
      [&](Connection& db) -> absl::Status {
        for (const FileId& id : ids) PANAL_RETURN_IF_ERROR(catalog::ForgetContent(db, id));
        return absl::OkStatus();
      },
      JobKind::kRemoves);
}

absl::StatusOr<std::vector<FileId>> SqliteCatalog::FindIds(absl::string_view prefix, int limit) {
  return WithReader<std::vector<FileId>>(
      readers_, [&](Connection& db) { return catalog::FindIds(db, prefix, limit); });
}

absl::StatusOr<std::vector<FileId>> SqliteCatalog::IncompleteContents() {
  return WithReader<std::vector<FileId>>(readers_, catalog::IncompleteContents);
}

// --- What this peer publishes --------------------------------------------------------------------

absl::Status SqliteCatalog::Publish(const std::vector<PublishedFile>& files) {
  return writer_.Write([&](Connection& db) { return catalog::Publish(db, files); });
}

absl::StatusOr<std::vector<PublishedFile>> SqliteCatalog::Replace(
    const std::vector<PublishedFile>& files) {
  return WithWriter<std::vector<PublishedFile>>(
      writer_, JobKind::kAdds, [&](Connection& db) { return catalog::Replace(db, files); });
}

absl::StatusOr<std::vector<PublishedFile>> SqliteCatalog::Unpublish(const FileId& id) {
  return WithWriter<std::vector<PublishedFile>>(
      writer_, JobKind::kRemoves, [&](Connection& db) { return catalog::Unpublish(db, id); });
}

absl::StatusOr<bool> SqliteCatalog::IsPublished(const FileId& id) {
  return WithReader<bool>(readers_, [&](Connection& db) { return catalog::IsPublished(db, id); });
}

absl::StatusOr<std::vector<PublishedFile>> SqliteCatalog::FindPublished(const FileId& id) {
  return WithReader<std::vector<PublishedFile>>(
      readers_, [&](Connection& db) { return catalog::FindPublished(db, id); });
}

absl::StatusOr<std::optional<PublishedFile>> SqliteCatalog::FirstPublished(const FileId& id) {
  return WithReader<std::optional<PublishedFile>>(
      readers_, [&](Connection& db) { return catalog::FirstPublished(db, id); });
}

absl::StatusOr<std::vector<PublishedFile>> SqliteCatalog::ListPublished(absl::string_view after,
                                                                        int limit, bool recursive) {
  return WithReader<std::vector<PublishedFile>>(readers_, [&](Connection& db) {
    return catalog::ListPublished(db, after, limit, recursive);
  });
}

absl::StatusOr<int64_t> SqliteCatalog::CountPublished() {
  return WithReader<int64_t>(readers_, catalog::CountPublished);
}

// --- Own pages -----------------------------------------------------------------------------------

absl::Status SqliteCatalog::SetPeerRecord(const Record& record) {
  return writer_.Write([&](Connection& db) { return catalog::SetPeerRecord(db, record); });
}

absl::Status SqliteCatalog::MarkAllPagesDirty() {
  return writer_.Write(catalog::MarkAllPagesDirty);
}

absl::StatusOr<std::vector<DirtyPage>> SqliteCatalog::DirtyPages(int limit) {
  return WithReader<std::vector<DirtyPage>>(
      readers_, [&](Connection& db) { return catalog::DirtyPages(db, limit); });
}

absl::Status SqliteCatalog::StoreOwnPage(const Page& page) {
  const int64_t now_ms = ToMs(absl::Now());
  return writer_.Write([&](Connection& db) { return catalog::StoreOwnPage(db, page, now_ms); });
}

absl::StatusOr<std::vector<PagePtr>> SqliteCatalog::OwnPages(const PeerId& self, int64_t after,
                                                             int limit) {
  return WithReader<std::vector<PagePtr>>(
      readers_, [&](Connection& db) { return catalog::OwnPages(db, self, after, limit); });
}

// --- Pages kept for others -----------------------------------------------------------------------

absl::StatusOr<StoredPage> SqliteCatalog::KeepPage(const Page& page, bool has_body,
                                                   absl::Time now) {
  return WithWriter<StoredPage>(writer_, JobKind::kAdds, [&](Connection& db) {
    return catalog::KeepPage(db, options_, page, has_body, ToMs(now));
  });
}

absl::StatusOr<PagePtr> SqliteCatalog::FindPage(const PageKey& key) {
  return WithReader<PagePtr>(readers_, [&](Connection& db) { return catalog::FindPage(db, key); });
}

absl::StatusOr<int64_t> SqliteCatalog::DropExpiredPages(absl::Time now) {
  int64_t dropped = 0;
  while (true) {
    PANAL_ASSIGN_OR_RETURN(int64_t batch,
                           WithWriter<int64_t>(writer_, JobKind::kRemoves, [&](Connection& db) {
                             return DropExpired(db, ToMs(now), kDropBatchMax);
                           }));
    dropped += batch;
    if (batch < kDropBatchMax) return dropped;
  }
}

// --- Search and peers ----------------------------------------------------------------------------

absl::StatusOr<SearchResult> SqliteCatalog::Search(const Query& query, int limit,
                                                   absl::Duration time_max, absl::Time now) {
  return WithReader<SearchResult>(readers_, [&](Connection& db) {
    return catalog::Search(db, query, limit, time_max, ToMs(now));
  });
}

absl::StatusOr<SearchResult> SqliteCatalog::SearchArrivals(const Query& query, int limit,
                                                           absl::Duration time_max, absl::Time now,
                                                           absl::Duration within) {
  return WithReader<SearchResult>(readers_, [&](Connection& db) {
    return catalog::SearchArrivals(db, query, limit, time_max, ToMs(now), ToMs(now - within));
  });
}

absl::Status SqliteCatalog::AddAddresses(std::vector<Hit>& hits) {
  PANAL_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_.Acquire());
  return catalog::AddAddresses(reader.connection(), hits);
}

absl::StatusOr<std::vector<uint32_t>> SqliteCatalog::DigestHashes(size_t limit) {
  return WithReader<std::vector<uint32_t>>(
      readers_, [&](Connection& db) { return catalog::DigestHashes(db, limit); });
}

absl::StatusOr<std::vector<PeerContact>> SqliteCatalog::FindPeers(absl::string_view prefix,
                                                                  int limit) {
  return WithReader<std::vector<PeerContact>>(
      readers_, [&](Connection& db) { return catalog::FindPeers(db, prefix, limit); });
}

absl::Status SqliteCatalog::RememberPeers(const std::vector<PeerContact>& peers, absl::Time now) {
  return writer_.Write([&](Connection& db) {
    return catalog::RememberPeers(db, peers, ToMs(now), options_.known_peers_max);
  });
}

absl::StatusOr<std::vector<PeerContact>> SqliteCatalog::KnownPeers(int limit) {
  return WithReader<std::vector<PeerContact>>(
      readers_, [&](Connection& db) { return catalog::KnownPeers(db, limit); });
}

absl::Status SqliteCatalog::SetValue(absl::string_view key, absl::string_view value) {
  return writer_.Write([&](Connection& db) { return catalog::SetValue(db, key, value); });
}

absl::StatusOr<std::optional<std::string>> SqliteCatalog::GetValue(absl::string_view key) {
  return WithReader<std::optional<std::string>>(
      readers_, [&](Connection& db) { return catalog::GetValue(db, key); });
}

absl::StatusOr<bool> SqliteCatalog::RedeemTicket(const TicketUse& use, absl::Time now) {
  return WithWriter<bool>(writer_, JobKind::kAdds, [&](Connection& db) {
    return catalog::RedeemTicket(db, use, ToMs(now));
  });
}

absl::Status SqliteCatalog::KeepFacts(const std::vector<FactPtr>& facts) {
  return writer_.Write([&](Connection& db) { return catalog::KeepFacts(db, facts); });
}

absl::Status SqliteCatalog::ForgetFacts(const std::vector<Sha256Digest>& ids) {
  return writer_.Write([&](Connection& db) { return catalog::ForgetFacts(db, ids); },
                       JobKind::kRemoves);
}

absl::StatusOr<std::vector<std::string>> SqliteCatalog::KeptFacts() {
  return WithReader<std::vector<std::string>>(readers_, catalog::KeptFacts);
}

absl::Status SqliteCatalog::CheckIntegrity() {
  MutexLock one_at_a_time(&checking_);
  {
    PANAL_ASSIGN_OR_RETURN(ReaderPool::Reader reader, readers_.Acquire());
    PANAL_RETURN_IF_ERROR(CheckTables(reader.connection()));
  }
  return writer_.Write(CheckIndex);
}

}  // namespace catalog
}  // namespace panal
