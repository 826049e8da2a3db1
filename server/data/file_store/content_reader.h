// Reads contents wherever they are kept, and watches the ones shared in place.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"
#include "server/data/file_store/source_files.h"

namespace panal {

// Contents remembered from the catalog. Guess: more than are served at once; 32 manifests of the
// largest files are 64 MiB.
inline constexpr size_t kRememberedContentsMax = 32;
// Blocks larger than a read that are kept for the next read. Guess: readers at once; at most 64
// MiB.
inline constexpr size_t kRememberedBlocksMax = 4;

// Thread-safe.
class ContentReader {
 public:
  // Shared by the cache and the calls that use it; immutable.
  using ContentPtr = std::shared_ptr<const StoredContent>;

  ContentReader(Catalog& catalog, BlockStore& blocks, SourceFiles& source);

  absl::StatusOr<ContentPtr> Find(const FileId& id);  // FILE_NOT_FOUND
  // One whole block. See FileStore::ReadBlock.
  absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t index);
  // See FileStore::Read.
  absl::StatusOr<std::string> Read(const FileId& id, uint64_t offset, size_t length);
  // Whether a content that is shared in place is still there unchanged. Cost: reads it, and hashes
  // it when its size or time changed.
  bool IsIntact(const StoredContent& content);
  // The whole of a directory's listing, verified. Error: LISTING_INVALID when it is no directory.
  absl::StatusOr<std::string> ReadListing(const FileId& id);

  // Contents changed: what is remembered may be wrong.
  void Invalidate();

 private:
  using BlockKey = std::pair<FileId, uint32_t>;
  using BlockPtr = std::shared_ptr<const std::string>;  // Shared as ContentPtr is.

  absl::StatusOr<std::string> ReadStored(const StoredContent& content, uint32_t index);
  absl::StatusOr<std::string> ReadInPlace(const StoredContent& content, uint32_t index);
  absl::StatusOr<BlockPtr> RememberedBlock(const StoredContent& content, uint32_t index);

  Catalog& catalog_;
  BlockStore& blocks_;
  SourceFiles& source_;

  Mutex mutex_;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<ContentPtr> contents_ ABSL_GUARDED_BY(mutex_);  // The most recent first.
  std::list<std::pair<BlockKey, BlockPtr>> remembered_blocks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
