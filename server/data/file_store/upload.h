// An upload from a program, file by file.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/data/file_store/content_sink.h"
#include "server/data/file_store/file_publisher.h"
#include "server/data/file_store/file_store.h"
#include "server/data/file_store/publication.h"

namespace panal {

// What was uploaded of a directory, by name. Depth is at most kDirectoryDepthMax.
struct UploadNode {
  std::map<std::string, UploadNode> children;  // Empty for a file.
  std::optional<ListingEntry> file;            // Its name is not set.
  Attributes attributes;
};

class UploadImpl final : public FileStore::Upload {
 public:
  // Everything passed must outlive the upload.
  UploadImpl(Catalog& catalog, BlockStore& blocks, ContentPins& pins, ContentReader& reader,
             FilePublisher& publisher);

  absl::Status BeginFile(absl::string_view name, uint64_t size_bytes, bool executable,
                         const Attributes& attributes, bool directory_entry) override;
  absl::Status AddEmptyDirectory(absl::string_view name) override;
  absl::Status Append(uint64_t offset, absl::string_view bytes) override;
  absl::StatusOr<AddedFile> FinishFile() override;
  absl::StatusOr<AddedFile> FinishDirectory(absl::string_view name,
                                            const Attributes& attributes) override;

 private:
  // The file that was begun.
  struct Current {
    std::string name;
    ListingEntry entry;
    Attributes attributes;
    bool directory_entry = false;
    uint64_t taken = 0;
    std::string content;                         // Up to kInlineSizeMax bytes.
    std::unique_ptr<BlockStore::Writer> writer;  // Larger ones.
  };

  // Makes room for `path` in the tree. Error: FILE_NAME_INVALID (also when it is taken).
  absl::StatusOr<UploadNode*> AddNode(absl::string_view path);
  // Stores the listings below `node`, deepest first, and adds what it finds to `publication`.
  absl::StatusOr<ListingEntry> Collect(const UploadNode& node, const std::string& name,
                                       TreeTotals& totals, Publication& publication);

  ContentSink sink_;
  FilePublisher& publisher_;
  std::optional<Current> current_;
  UploadNode tree_;
  size_t nodes_ = 0;
};

}  // namespace panal
