// Publishes what was stored and frees what nothing needs any more.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"
#include "server/data/file_store/content_pins.h"
#include "server/data/file_store/content_reader.h"
#include "server/data/file_store/file_store.h"
#include "server/data/file_store/publication.h"

namespace panal {

// Records of one transaction. Guess: some 100 ms.
inline constexpr size_t kPublishBatchMax = 4096;

// Thread-safe.
class FilePublisher {
 public:
  FilePublisher(Catalog& catalog, BlockStore& blocks, ContentPins& pins, ContentReader& reader);

  // Publishes, durably. A new name is published in batches; on an error nothing of it stays
  // published. A name that is taken is replaced as a whole in one transaction, and what it held
  // before is freed.
  absl::StatusOr<AddedFile> Publish(Publication publication);
  // Collects a fetched content and everything below it, whose contents must be complete.
  // Errors: FILE_NOT_FOUND, FILE_INCOMPLETE, LISTING_INVALID, and of Publication::AddEntry.
  absl::Status CollectFetched(const FileId& id, Publication& publication);
  // Frees those of `ids` that nothing publishes and nobody is adding. Returns the bytes freed.
  absl::StatusOr<int64_t> Free(const std::vector<FileId>& ids);

 private:
  absl::StatusOr<bool> IsNameTaken(const PublishedFile& file);
  absl::Status PublishNew(Publication publication);
  absl::Status PublishBatches(std::vector<PublishedFile> files);
  absl::StatusOr<TreeTotals> CollectFolder(const FileId& id, const std::string& name, int depth,
                                           Publication& publication);
  absl::Status CheckFetched(const ListingEntry& entry, const std::string& name);
  absl::StatusOr<int64_t> FreeContents(const std::vector<FileId>& ids);

  Catalog& catalog_;
  BlockStore& blocks_;
  ContentPins& pins_;
  ContentReader& reader_;
};

}  // namespace panal
