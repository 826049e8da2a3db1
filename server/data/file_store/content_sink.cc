#include "server/data/file_store/content_sink.h"

#include <utility>

#include "common/base/status.h"

namespace panal {

ContentSink::ContentSink(Catalog& catalog, BlockStore& blocks, ContentPins& pins,
                         ContentReader& reader)
    : catalog_(catalog), blocks_(blocks), reader_(reader), pinned_(pins) {}

absl::StatusOr<FileId> ContentSink::Add(FileType type, std::string content) {
  if (content.size() > kInlineSizeMax) {
    PANAL_ASSIGN_OR_RETURN(std::unique_ptr<BlockStore::Writer> writer,
                           blocks_.NewWriter(type, content.size()));
    PANAL_RETURN_IF_ERROR(writer->Append(content));
    return Finish(*writer);
  }
  StoredContent stored{.manifest = ManifestOf(type, content), .storage = StorageKind::kInline};
  stored.id = stored.manifest.Id();
  stored.inline_bytes = std::move(content);
  FileId id = stored.id;
  pinned_.Pin(id);
  PANAL_RETURN_IF_ERROR(Queue(std::move(stored)));
  return id;
}

absl::StatusOr<FileId> ContentSink::Finish(BlockStore::Writer& writer) {
  Manifest manifest;
  PANAL_ASSIGN_OR_RETURN(FileId id, pinned_.PinNew([&]() -> absl::StatusOr<FileId> {
    PANAL_ASSIGN_OR_RETURN(manifest, writer.Finish());
    return manifest.Id();
  }));
  PANAL_RETURN_IF_ERROR(
      Queue({.id = id, .manifest = std::move(manifest), .storage = StorageKind::kStored}));
  return id;
}

absl::StatusOr<FileId> ContentSink::AddInPlace(Manifest manifest, std::string path,
                                               int64_t mtime_ns) {
  FileId id = manifest.Id();
  pinned_.Pin(id);
  absl::StatusOr<StoredContent> known = catalog_.FindContent(id);
  if (!known.ok() && ReasonOf(known.status()) != ErrorReason::kFileNotFound) return known.status();
  // A copy that is kept promises more than a place.
  if (known.ok() && known->complete && known->storage != StorageKind::kInPlace) return id;
  PANAL_RETURN_IF_ERROR(Queue({.id = id,
                               .manifest = std::move(manifest),
                               .storage = StorageKind::kInPlace,
                               .path = std::move(path),
                               .mtime_ns = mtime_ns}));
  return id;
}

absl::StatusOr<std::unique_ptr<BlockStore::Writer>> ContentSink::NewWriter(FileType type,
                                                                           uint64_t size_bytes) {
  return blocks_.NewWriter(type, size_bytes);
}

absl::Status ContentSink::Queue(StoredContent content) {
  batch_bytes_ +=
      content.inline_bytes.size() + content.manifest.blocks.size() * Sha256Digest::kSize;
  batch_.push_back(std::move(content));
  if (batch_.size() < kBatchContentsMax && batch_bytes_ < kBatchBytesMax) return absl::OkStatus();
  return Flush();
}

absl::Status ContentSink::Flush() {
  if (batch_.empty()) return absl::OkStatus();
  PANAL_RETURN_IF_ERROR(catalog_.PutContents(batch_));
  reader_.Invalidate();
  batch_.clear();
  batch_bytes_ = 0;
  return absl::OkStatus();
}

}  // namespace panal
