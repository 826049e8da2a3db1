// What the servants stand on, in memory: mesh, files, catalog, block store. Not thread-safe.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "gmock/gmock.h"
#include "server/application/mesh.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"
#include "server/data/file_store/file_store.h"

namespace panal {

// Keeps what was started for the test to answer.
class FakeMesh final : public Mesh {
 public:
  PeerStatus Status() override { return status; }

  std::vector<NeighborInfo> Neighbors() override { return neighbors; }

  uint64_t StartSearch(absl::string_view query, double recall, uint32_t limit, uint32_t enough,
                       absl::Duration timeout, SearchHandlers handlers) override {
    search_query = std::string(query);
    search_recall = recall;
    search_limit = limit;
    search_enough = enough;
    search_timeout = timeout;
    search = std::move(handlers);
    return search_number;
  }

  void CancelSearch(uint64_t number) override { cancelled_searches.push_back(number); }

  uint64_t StartSubscription(absl::string_view query, double recall, absl::Duration timeout,
                             SubscriptionHandlers handlers) override {
    subscription_query = std::string(query);
    subscription_recall = recall;
    subscription_timeout = timeout;
    if (subscription_number != 0) subscriptions.push_back(std::move(handlers));
    return subscription_number == 0 ? 0 : subscription_number++;
  }

  void CancelSubscription(uint64_t number) override { cancelled_subscriptions.push_back(number); }

  uint64_t StartFetch(FetchRequest request, FetchHandlers handlers) override {
    ++fetches;
    fetch_request = std::move(request);
    fetch = std::move(handlers);
    return 8;
  }

  void CancelFetch(uint64_t number) override { cancelled_fetches.push_back(number); }

  void SpreadChanges() override { ++changes_spread; }

  void ResolvePeer(std::string prefix,
                   std::function<void(absl::StatusOr<PeerContact>)> done) override {
    resolve_prefix = std::move(prefix);
    resolve = std::move(done);
  }

  std::vector<Finding> Diagnose() override { return findings; }

  PeerStatus status;
  std::vector<NeighborInfo> neighbors;
  std::vector<Finding> findings;
  std::string search_query;
  double search_recall = 0;
  uint32_t search_limit = 0;
  uint32_t search_enough = 0;
  uint64_t search_number = 7;
  absl::Duration search_timeout;
  SearchHandlers search;
  std::vector<uint64_t> cancelled_searches;
  std::string subscription_query;
  double subscription_recall = 0;
  absl::Duration subscription_timeout;
  uint64_t subscription_number = 70;                // The next one's; 0: too much to do.
  std::vector<SubscriptionHandlers> subscriptions;  // Of all that were started, in order.
  std::vector<uint64_t> cancelled_subscriptions;
  int fetches = 0;
  FetchRequest fetch_request;
  FetchHandlers fetch;
  std::vector<uint64_t> cancelled_fetches;
  std::string resolve_prefix;
  std::function<void(absl::StatusOr<PeerContact>)> resolve;
  int changes_spread = 0;
};

// Files as whole contents, by id.
class FakeFileStore final : public FileStore {
 public:
  struct File {
    FileDetails details;
    std::string content;
  };

  // Puts a file there without further ado.
  FileId Add(const std::string& name, const std::string& content) {
    FileDetails details;
    details.name = name;
    details.manifest = ManifestOf(FileType::kFile, content);
    details.id = details.manifest.Id();
    details.held_bytes = content.size();
    details.complete = true;
    files[details.id] = File{details, content};
    return details.id;
  }

  absl::StatusOr<AddedFile> Put(absl::string_view name, absl::string_view content,
                                const Attributes& attributes) override {
    if (!failure.ok()) return failure;
    const FileId id = Add(std::string(name), std::string(content));
    files[id].details.attributes = attributes;
    return AddedFile{.id = id, .name = std::string(name), .size_bytes = content.size(), .files = 1};
  }

  absl::StatusOr<AddedFile> AddPath(absl::string_view path, absl::string_view name,
                                    const Attributes& attributes, bool in_place,
                                    const std::vector<std::string>& roots,
                                    const std::function<bool()>& cancelled) override {
    added_paths.emplace_back(path);
    added_roots = roots;
    if (on_add_path) on_add_path();
    if (cancelled()) return Error(ErrorReason::kCancelled, "cancelled");
    if (!failure.ok()) return failure;
    AddedFile added{.id = Add(std::string(name), std::string(path)), .name = std::string(name)};
    added.skipped = {"socket: skipped"};
    added.files = in_place ? 2 : 1;
    return added;
  }

  class FakeUpload final : public Upload {
   public:
    explicit FakeUpload(FakeFileStore& store) : store_(store) {}

    absl::Status BeginFile(absl::string_view name, uint64_t size_bytes, bool executable,
                           const Attributes& attributes, bool directory_entry) override {
      name_ = std::string(name);
      size_ = size_bytes;
      content_.clear();
      return store_.failure;
    }

    absl::Status AddEmptyDirectory(absl::string_view name) override {
      entries_.push_back(std::string(name) + "/");
      return absl::OkStatus();
    }

    absl::Status Append(uint64_t offset, absl::string_view bytes) override {
      if (offset != content_.size()) return Error(ErrorReason::kChunkOutOfOrder, "offset");
      content_.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    }

    absl::StatusOr<AddedFile> FinishFile() override {
      if (content_.size() != size_) return Error(ErrorReason::kUploadIncomplete, "size");
      entries_.push_back(name_);
      return AddedFile{.id = store_.Add(name_, content_),
                       .name = name_,
                       .size_bytes = content_.size(),
                       .files = 1};
    }

    absl::StatusOr<AddedFile> FinishDirectory(absl::string_view name,
                                              const Attributes& attributes) override {
      store_.directory_entries = entries_;
      return AddedFile{.id = store_.Add(std::string(name), "listing"),
                       .name = std::string(name),
                       .files = entries_.size()};
    }

   private:
    FakeFileStore& store_;
    std::string name_;
    uint64_t size_ = 0;
    std::string content_;
    std::vector<std::string> entries_;
  };

  std::unique_ptr<Upload> NewUpload() override { return std::make_unique<FakeUpload>(*this); }

  absl::StatusOr<FileId> Resolve(absl::string_view text) override {
    if (text.size() < 4 || !IsBase32(text)) return Error(ErrorReason::kFileIdInvalid, "not an id");
    std::vector<FileId> found;
    for (const auto& [id, file] : files) {
      if (absl::StartsWith(id.ToText(), text)) found.push_back(id);
    }
    if (found.empty()) return Error(ErrorReason::kFileNotFound, "no such file");
    if (found.size() > 1) return Error(ErrorReason::kFileAmbiguous, "several files");
    return found[0];
  }

  absl::StatusOr<FileDetails> Find(const FileId& id) override {
    auto found = files.find(id);
    if (found == files.end()) return Error(ErrorReason::kFileNotFound, "no such file");
    return found->second.details;
  }

  absl::StatusOr<std::string> Read(const FileId& id, uint64_t offset, size_t length) override {
    reads.emplace_back(offset, length);
    if (!read_failure.ok()) return read_failure;
    return files[id].content.substr(offset, length);
  }

  absl::StatusOr<std::vector<ListingEntry>> ReadListing(const FileId& id) override {
    ++listings_read;
    if (!failure.ok()) return failure;
    return listing;
  }

  absl::StatusOr<Held> FindHeld(const FileId& id) override { return Unused(); }

  absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t index) override {
    return Unused();
  }

  absl::StatusOr<Held> BeginReceive(const Manifest& manifest) override { return Unused(); }

  absl::Status ReceiveInline(const Manifest& manifest, absl::string_view content) override {
    return Unused();
  }

  absl::Status ReceiveBlock(const FileId& id, uint32_t index, absl::string_view bytes) override {
    return Unused();
  }

  absl::Status CheckpointReceive(const FileId& id) override { return Unused(); }

  absl::StatusOr<AddedFile> PublishFetched(const FileId& id, absl::string_view name,
                                           const Attributes& attributes) override {
    return Unused();
  }

  absl::StatusOr<Removed> Remove(const FileId& id) override {
    if (files.erase(id) == 0) return Error(ErrorReason::kFileNotFound, "no such file");
    return Removed{.id = id, .files = 1, .freed_bytes = 3};
  }

  absl::StatusOr<int64_t> AdoptContents() override { return Unused(); }

  absl::StatusOr<int64_t> DropUnreferenced() override { return Unused(); }

  std::map<FileId, File> files;
  std::vector<ListingEntry> listing;
  absl::Status failure;       // Not OK: what adding says.
  absl::Status read_failure;  // Not OK: what reading says.
  std::function<void()> on_add_path;
  std::vector<std::string> added_paths;
  std::vector<std::string> added_roots;
  std::vector<std::pair<uint64_t, size_t>> reads;
  std::vector<std::string> directory_entries;
  int listings_read = 0;

 private:
  static absl::Status Unused() { return Error(ErrorReason::kInternal, "not used by servants"); }
};

class MockCatalog : public Catalog {
 public:
  MOCK_METHOD(absl::Status, PutContent, (const StoredContent&), (override));
  MOCK_METHOD(absl::Status, PutContents, (const std::vector<StoredContent>&), (override));
  MOCK_METHOD(absl::Status, KeepContents, (const std::vector<StoredContent>&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<FileId>>, KeptContents, (), (override));
  MOCK_METHOD(absl::StatusOr<StoredContent>, FindContent, (const FileId&), (override));
  MOCK_METHOD(absl::Status, SetContentComplete, (const FileId&), (override));
  MOCK_METHOD(absl::Status, ForgetContent, (const FileId&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<FileId>>, FindIds, (absl::string_view, int), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<FileId>>, IncompleteContents, (), (override));
  MOCK_METHOD(absl::Status, Publish, (const std::vector<PublishedFile>&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<PublishedFile>>, Replace,
              (const std::vector<PublishedFile>&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<PublishedFile>>, Unpublish, (const FileId&), (override));
  MOCK_METHOD(absl::StatusOr<bool>, IsPublished, (const FileId&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<PublishedFile>>, FindPublished, (const FileId&),
              (override));
  MOCK_METHOD(absl::StatusOr<std::vector<PublishedFile>>, ListPublished,
              (absl::string_view, int, bool), (override));
  MOCK_METHOD(absl::StatusOr<int64_t>, CountPublished, (), (override));
  MOCK_METHOD(absl::Status, SetPeerRecord, (const Record&), (override));
  MOCK_METHOD(absl::Status, MarkAllPagesDirty, (), (override));
  MOCK_METHOD(absl::StatusOr<bool>, RedeemTicket, (const TicketUse&, absl::Time), (override));
  MOCK_METHOD(absl::Status, KeepFacts, (const std::vector<FactPtr>&), (override));
  MOCK_METHOD(absl::Status, ForgetFacts, (const std::vector<Sha256Digest>&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<std::string>>, KeptFacts, (), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<DirtyPage>>, DirtyPages, (int), (override));
  MOCK_METHOD(absl::Status, StoreOwnPage, (const Page&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<PagePtr>>, OwnPages, (const PeerId&, int64_t, int),
              (override));
  MOCK_METHOD(absl::StatusOr<StoredPage>, KeepPage, (const Page&, bool, absl::Time), (override));
  MOCK_METHOD(absl::StatusOr<PagePtr>, FindPage, (const PageKey&), (override));
  MOCK_METHOD(absl::StatusOr<int64_t>, DropExpiredPages, (absl::Time), (override));
  MOCK_METHOD(absl::StatusOr<SearchResult>, Search, (const Query&, int, absl::Duration, absl::Time),
              (override));
  MOCK_METHOD(absl::StatusOr<SearchResult>, SearchArrivals,
              (const Query&, int, absl::Duration, absl::Time, absl::Duration), (override));
  MOCK_METHOD(absl::Status, AddAddresses, (std::vector<Hit>&), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<uint32_t>>, DigestHashes, (size_t), (override));
  MOCK_METHOD(absl::StatusOr<std::vector<PeerContact>>, FindPeers, (absl::string_view, int),
              (override));
  MOCK_METHOD(absl::Status, RememberPeers, (const std::vector<PeerContact>&, absl::Time),
              (override));
  MOCK_METHOD(absl::StatusOr<std::vector<PeerContact>>, KnownPeers, (int), (override));
  MOCK_METHOD(absl::Status, SetValue, (absl::string_view, absl::string_view), (override));
  MOCK_METHOD(absl::StatusOr<std::optional<std::string>>, GetValue, (absl::string_view),
              (override));
  MOCK_METHOD(absl::Status, CheckIntegrity, (), (override));
};

class MockBlockStore : public BlockStore {
 public:
  MOCK_METHOD(absl::Status, Create, (const Manifest&), (override));
  MOCK_METHOD(absl::StatusOr<HeldBlocks>, Find, (const FileId&), (override));
  MOCK_METHOD(absl::Status, WriteBlock, (const FileId&, uint32_t, absl::string_view), (override));
  MOCK_METHOD(absl::Status, Checkpoint, (const FileId&), (override));
  MOCK_METHOD(absl::StatusOr<std::string>, ReadBlock, (const FileId&, uint32_t, bool), (override));
  MOCK_METHOD(absl::StatusOr<int64_t>, Remove, (const FileId&), (override));
  MOCK_METHOD(absl::StatusOr<std::unique_ptr<Writer>>, NewWriter, (FileType, uint64_t), (override));
  MOCK_METHOD(int64_t, stored_bytes, (), (const, override));
  MOCK_METHOD(std::vector<FileId>, List, (), (override));
};

}  // namespace panal
