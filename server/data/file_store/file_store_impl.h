// The file store over a catalog and a block store.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "common/base/sync.h"
#include "server/data/file_store/content_pins.h"
#include "server/data/file_store/content_reader.h"
#include "server/data/file_store/file_publisher.h"
#include "server/data/file_store/file_store.h"

namespace panal {

class FileStoreImpl final : public FileStore {
 public:
  FileStoreImpl(Catalog& catalog, BlockStore& blocks, SourceFiles& source);

  absl::StatusOr<AddedFile> Put(absl::string_view name, absl::string_view content,
                                const Attributes& attributes) override;
  absl::StatusOr<AddedFile> AddPath(absl::string_view path, absl::string_view name,
                                    const Attributes& attributes, bool in_place,
                                    const std::vector<std::string>& roots,
                                    const std::function<bool()>& cancelled) override;
  std::unique_ptr<Upload> NewUpload() override;
  absl::StatusOr<FileId> Resolve(absl::string_view text) override;
  absl::StatusOr<FileDetails> Find(const FileId& id) override;
  absl::StatusOr<std::string> Read(const FileId& id, uint64_t offset, size_t length) override;
  absl::StatusOr<std::vector<ListingEntry>> ReadListing(const FileId& id) override;
  absl::StatusOr<Held> FindHeld(const FileId& id) override;
  absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t index) override;
  absl::StatusOr<Held> BeginReceive(const Manifest& manifest) override;
  absl::Status ReceiveInline(const Manifest& manifest, absl::string_view content) override;
  absl::Status ReceiveBlock(const FileId& id, uint32_t index, absl::string_view bytes) override;
  absl::Status CheckpointReceive(const FileId& id) override;
  absl::StatusOr<AddedFile> PublishFetched(const FileId& id, absl::string_view name,
                                           const Attributes& attributes) override;
  absl::StatusOr<Removed> Remove(const FileId& id) override;
  absl::StatusOr<int64_t> AdoptContents() override;
  absl::StatusOr<int64_t> DropUnreferenced() override;

 private:
  // The resolved path and the root that it lies below. Error: PATH_OUTSIDE_ROOTS, PATH_NOT_FOUND.
  absl::StatusOr<std::string> ResolveBelow(absl::string_view path,
                                           const std::vector<std::string>& roots,
                                           std::string& root);
  absl::StatusOr<Held> HeldOf(const StoredContent& content);
  absl::StatusOr<uint64_t> TotalBytes(const StoredContent& content,
                                      const std::optional<PublishedFile>& published);
  // Ids of everything the catalog knows that begins with `prefix`.
  absl::Status ListIds(const std::string& prefix, std::vector<FileId>& ids);
  absl::StatusOr<Removed> RemoveUnpublished(const FileId& id);
  // Ids that stay although nothing publishes them.
  absl::StatusOr<std::vector<FileId>> HeldUnpublished();
  // Adds `id` and, of a directory, what lies below it to `tree`, as far as its listings are here.
  void CollectTree(const FileId& id, int depth, absl::flat_hash_set<FileId>& tree);

  Catalog& catalog_;
  BlockStore& blocks_;
  SourceFiles& source_;
  ContentPins pins_;
  ContentReader reader_;
  FilePublisher publisher_;
};

}  // namespace panal
