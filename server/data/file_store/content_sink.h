// Where the contents of one add, upload or directory go: small ones in batches into the catalog,
// large ones into the block store, or a note of where they lie.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/model/manifest.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"
#include "server/data/file_store/content_pins.h"
#include "server/data/file_store/content_reader.h"

namespace panal {

// Contents and bytes of one batch. Guess: a transaction of some 100 ms.
inline constexpr size_t kBatchContentsMax = 4096;
inline constexpr size_t kBatchBytesMax = 16 * 1024 * 1024;

// Not thread-safe. What it stored stays pinned until it is destroyed: publish before.
class ContentSink {
 public:
  ContentSink(Catalog& catalog, BlockStore& blocks, ContentPins& pins, ContentReader& reader);

  // Stores a whole content, wherever it belongs by its size.
  absl::StatusOr<FileId> Add(FileType type, std::string content);
  // Takes the manifest of a content written with NewWriter.
  absl::StatusOr<FileId> Finish(BlockStore::Writer& writer);
  // Notes a content that lies at `path`, unless its bytes are kept already.
  absl::StatusOr<FileId> AddInPlace(Manifest manifest, std::string path, int64_t mtime_ns);
  absl::StatusOr<std::unique_ptr<BlockStore::Writer>> NewWriter(FileType type, uint64_t size_bytes);
  // Everything added before is durable when this returns OK.
  absl::Status Flush();

 private:
  absl::Status Queue(StoredContent content);

  Catalog& catalog_;
  BlockStore& blocks_;
  ContentReader& reader_;
  PinnedContents pinned_;
  std::vector<StoredContent> batch_;
  size_t batch_bytes_ = 0;
};

}  // namespace panal
