// The catalog on SQLite: one writer with group commit, a few readers. For tests that count its
// work; everyone else uses catalog.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/sync.h"
#include "server/data/catalog/catalog.h"
#include "server/data/catalog/reader_pool.h"
#include "server/data/catalog/writer.h"

namespace panal::catalog {

class SqliteCatalog final : public Catalog {
 public:
  // As Catalog::Open.
  static absl::StatusOr<std::unique_ptr<SqliteCatalog>> Open(const CatalogOptions& options);

  absl::Status PutContent(const StoredContent& content) override;
  absl::Status PutContents(const std::vector<StoredContent>& contents) override;
  absl::Status KeepContents(const std::vector<StoredContent>& contents) override;
  absl::StatusOr<std::vector<FileId>> KeptContents() override;
  absl::StatusOr<StoredContent> FindContent(const FileId& id) override;
  absl::Status SetContentComplete(const FileId& id) override;
  absl::Status ForgetContent(const FileId& id) override;
  absl::Status ForgetContents(const std::vector<FileId>& ids) override;
  absl::StatusOr<std::vector<FileId>> FindIds(absl::string_view prefix, int limit) override;
  absl::StatusOr<std::vector<FileId>> IncompleteContents() override;

  absl::Status Publish(const std::vector<PublishedFile>& files) override;
  absl::StatusOr<std::vector<PublishedFile>> Replace(
      const std::vector<PublishedFile>& files) override;
  absl::StatusOr<std::vector<PublishedFile>> Unpublish(const FileId& id) override;
  absl::StatusOr<bool> IsPublished(const FileId& id) override;
  absl::StatusOr<std::vector<PublishedFile>> FindPublished(const FileId& id) override;
  absl::StatusOr<std::optional<PublishedFile>> FirstPublished(const FileId& id) override;
  absl::StatusOr<std::vector<PublishedFile>> ListPublished(absl::string_view after, int limit,
                                                           bool recursive) override;
  absl::StatusOr<int64_t> CountPublished() override;

  absl::Status SetPeerRecord(const Record& record) override;
  absl::Status MarkAllPagesDirty() override;
  absl::StatusOr<std::vector<DirtyPage>> DirtyPages(int limit) override;
  absl::Status StoreOwnPage(const Page& page) override;
  absl::StatusOr<std::vector<PagePtr>> OwnPages(const PeerId& self, int64_t after,
                                                int limit) override;

  absl::StatusOr<StoredPage> KeepPage(const Page& page, bool has_body, absl::Time now) override;
  absl::StatusOr<PagePtr> FindPage(const PageKey& key) override;
  absl::StatusOr<int64_t> DropExpiredPages(absl::Time now) override;

  absl::StatusOr<SearchResult> Search(const Query& query, int limit, absl::Duration time_max,
                                      absl::Time now) override;
  absl::StatusOr<SearchResult> SearchArrivals(const Query& query, int limit,
                                              absl::Duration time_max, absl::Time now,
                                              absl::Duration within) override;
  absl::Status AddAddresses(std::vector<Hit>& hits) override;
  absl::StatusOr<std::vector<uint32_t>> DigestHashes(size_t limit) override;
  absl::StatusOr<std::vector<PeerContact>> FindPeers(absl::string_view prefix, int limit) override;

  absl::Status RememberPeers(const std::vector<PeerContact>& peers, absl::Time now) override;
  absl::StatusOr<std::vector<PeerContact>> KnownPeers(int limit) override;

  absl::Status SetValue(absl::string_view key, absl::string_view value) override;
  absl::StatusOr<bool> RedeemTicket(const TicketUse& use, absl::Time now) override;

  absl::Status KeepFacts(const std::vector<FactPtr>& facts) override;
  absl::Status ForgetFacts(const std::vector<Sha256Digest>& ids) override;
  absl::StatusOr<std::vector<std::string>> KeptFacts() override;

  absl::StatusOr<std::optional<std::string>> GetValue(absl::string_view key) override;

  absl::Status CheckIntegrity() override;

  Writer& writer() { return writer_; }

  ReaderPool& readers() { return readers_; }

 private:
  SqliteCatalog(const CatalogOptions& options, std::unique_ptr<Connection> writer,
                std::vector<std::unique_ptr<Connection>> readers);

  const CatalogOptions options_;
  // Before the readers, so that it is closed after them: the last connection to close moves the
  // write-ahead log into the database, which a reader could not.
  Writer writer_;
  ReaderPool readers_;
  Mutex checking_;  // Held by CheckIntegrity: a second caller waits.
};

}  // namespace panal::catalog
