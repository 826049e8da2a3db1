#include "server/data/file_store/content_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/model/listing.h"
#include "server/data/file_store/file_store.h"

namespace panal {
namespace {

// Bytes of a listing with the most entries, all with the longest names (common/model/listing.h).
constexpr uint64_t kListingSizeMax =
    21 + kListingEntriesMax * (2 + kListingNameSizeMax + 1 + 1 + 8 + 32);

absl::Status Changed(const StoredContent& content, absl::string_view what) {
  std::string path = ToValidUtf8(content.path);
  return Error(
      ErrorReason::kFileChanged,
      absl::StrCat(path, ", which is shared in place as ", content.id.ToText(), ", ", what),
      {{"path", path}, {"id", content.id.ToText()}});
}

absl::Status OutOfRange(const StoredContent& content, uint64_t offset) {
  return Error(
      ErrorReason::kRangeInvalid,
      absl::StrCat("offset ", offset, " is beyond the ", content.manifest.size_bytes, " bytes of ",
                   content.id.ToText()),
      {{"offset", absl::StrCat(offset)}, {"size", absl::StrCat(content.manifest.size_bytes)}});
}

}  // namespace

ContentReader::ContentReader(Catalog& catalog, BlockStore& blocks, SourceFiles& source)
    : catalog_(catalog), blocks_(blocks), source_(source) {}

absl::StatusOr<ContentReader::ContentPtr> ContentReader::Find(const FileId& id) {
  uint64_t generation;
  {
    MutexLock lock(&mutex_);
    auto at = std::find_if(contents_.begin(), contents_.end(),
                           [&](const ContentPtr& content) { return content->id == id; });
    if (at != contents_.end()) {
      contents_.splice(contents_.begin(), contents_, at);
      return contents_.front();
    }
    generation = generation_;
  }
  PANAL_ASSIGN_OR_RETURN(StoredContent found, catalog_.FindContent(id));
  auto content = std::make_shared<const StoredContent>(std::move(found));
  MutexLock lock(&mutex_);
  // What was read before a change must not be remembered after it.
  if (generation == generation_) {
    contents_.push_front(content);
    if (contents_.size() > kRememberedContentsMax) contents_.pop_back();
  }
  return content;
}

void ContentReader::Invalidate() {
  MutexLock lock(&mutex_);
  ++generation_;
  contents_.clear();
  remembered_blocks_.clear();
}

absl::StatusOr<std::string> ContentReader::ReadBlock(const FileId& id, uint32_t index) {
  PANAL_ASSIGN_OR_RETURN(ContentPtr content, Find(id));
  if (index >= content->manifest.blocks.size()) {
    return OutOfRange(*content, uint64_t{index} * content->manifest.block_size_bytes);
  }
  switch (content->storage) {
    case StorageKind::kInline:
      // At most one block: contents this small are smaller than any block.
      if (Sha256(content->inline_bytes) != content->manifest.blocks[0]) {
        return Error(ErrorReason::kBlockCorrupt,
                     absl::StrCat("the content of ", id.ToText(), " in the catalog is damaged"),
                     {{"id", id.ToText()}});
      }
      return content->inline_bytes;
    case StorageKind::kInPlace:
      return ReadInPlace(*content, index);
    case StorageKind::kStored:
      break;
  }
  return ReadStored(*content, index);
}

absl::StatusOr<std::string> ContentReader::ReadStored(const StoredContent& content,
                                                      uint32_t index) {
  absl::StatusOr<std::string> bytes = blocks_.ReadBlock(content.id, index);
  ErrorReason reason = ReasonOf(bytes.status());
  bool lost = reason == ErrorReason::kBlockCorrupt || reason == ErrorReason::kFileNotFound;
  if (lost && content.complete) {
    // Forgotten blocks make it a content to be fetched again, after a restart too.
    StoredContent incomplete = content;
    incomplete.complete = false;
    PANAL_RETURN_IF_ERROR(catalog_.PutContent(incomplete));
    Invalidate();
  }
  return bytes;
}

absl::StatusOr<std::string> ContentReader::ReadInPlace(const StoredContent& content,
                                                       uint32_t index) {
  // The path had no links when it was added; one that has them now is another file.
  absl::StatusOr<std::unique_ptr<SourceFile>> file =
      source_.Open("/", absl::string_view(content.path).substr(1));
  if (!file.ok()) return Changed(content, absl::StrCat("is gone: ", file.status().message()));
  PANAL_ASSIGN_OR_RETURN(SourceStat before, (*file)->Stat());
  if (before.kind != SourceKind::kFile) return Changed(content, "is no file any more");
  uint32_t size = content.manifest.BlockSize(index);
  PANAL_ASSIGN_OR_RETURN(
      std::string bytes,
      (*file)->ReadAt(uint64_t{index} * content.manifest.block_size_bytes, size));
  PANAL_ASSIGN_OR_RETURN(SourceStat after, (*file)->Stat());
  bool unchanged = before == after && before.size_bytes == content.manifest.size_bytes &&
                   before.mtime_ns == content.mtime_ns;
  if (bytes.size() == size && (unchanged || Sha256(bytes) == content.manifest.blocks[index])) {
    return bytes;
  }
  return Changed(content, absl::StrCat("changed in block ", index));
}

bool ContentReader::IsIntact(const StoredContent& content) {
  for (uint32_t i = 0; i < content.manifest.blocks.size(); ++i) {
    if (!ReadInPlace(content, i).ok()) return false;
  }
  return true;
}

absl::StatusOr<ContentReader::BlockPtr> ContentReader::RememberedBlock(const StoredContent& content,
                                                                       uint32_t index) {
  BlockKey key(content.id, index);
  // What lies in place may change at any time.
  bool remember = content.manifest.BlockSize(index) > kReadChunkSizeMax &&
                  content.storage == StorageKind::kStored;
  uint64_t generation;
  {
    MutexLock lock(&mutex_);
    generation = generation_;
    for (auto at = remembered_blocks_.begin(); remember && at != remembered_blocks_.end(); ++at) {
      if (at->first == key) return at->second;
    }
  }
  PANAL_ASSIGN_OR_RETURN(std::string bytes, ReadBlock(content.id, index));
  auto block = std::make_shared<const std::string>(std::move(bytes));
  MutexLock lock(&mutex_);
  if (remember && generation == generation_) {
    remembered_blocks_.emplace_front(key, block);
    if (remembered_blocks_.size() > kRememberedBlocksMax) remembered_blocks_.pop_back();
  }
  return block;
}

absl::StatusOr<std::string> ContentReader::Read(const FileId& id, uint64_t offset, size_t length) {
  PANAL_ASSIGN_OR_RETURN(ContentPtr content, Find(id));
  const Manifest& manifest = content->manifest;
  if (offset > manifest.size_bytes) return OutOfRange(*content, offset);
  uint64_t end = std::min<uint64_t>(offset + std::min<uint64_t>(length, kReadChunkSizeMax),
                                    manifest.size_bytes);
  std::string bytes;
  while (offset < end) {
    auto index = static_cast<uint32_t>(offset / manifest.block_size_bytes);
    uint64_t in_block = offset % manifest.block_size_bytes;
    PANAL_ASSIGN_OR_RETURN(BlockPtr block, RememberedBlock(*content, index));
    absl::string_view part = absl::string_view(*block).substr(in_block, end - offset);
    bytes.append(part.data(), part.size());
    offset += part.size();
  }
  return bytes;
}

absl::StatusOr<std::string> ContentReader::ReadListing(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(ContentPtr content, Find(id));
  if (content->manifest.type != FileType::kDirectory) {
    return Error(ErrorReason::kListingInvalid, absl::StrCat(id.ToText(), " is no directory"),
                 {{"id", id.ToText()}});
  }
  if (content->manifest.size_bytes > kListingSizeMax) {
    return Error(ErrorReason::kListingInvalid,
                 absl::StrCat("the listing of ", id.ToText(), " has ", content->manifest.size_bytes,
                              " bytes; at most ", kListingSizeMax, " are possible"),
                 {{"id", id.ToText()}});
  }
  std::string bytes;
  for (uint32_t i = 0; i < content->manifest.blocks.size(); ++i) {
    PANAL_ASSIGN_OR_RETURN(std::string block, ReadBlock(id, i));
    bytes += block;
  }
  return bytes;
}

}  // namespace panal
