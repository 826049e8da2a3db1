// What is held although nothing publishes it: taken in by a new catalog, kept for a fetch, removed
// by its id, or left over and freed.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "server/data/file_store/content_sink.h"
#include "server/data/file_store/file_store_impl.h"

namespace panal {
namespace {

constexpr absl::string_view kBase32Characters = "abcdefghijklmnopqrstuvwxyz234567";
// Ids that one look into the catalog returns. Guess.
constexpr int kIdsBatch = 1024;

bool IsMissing(const absl::Status& status) {
  return ReasonOf(status) == ErrorReason::kFileNotFound;
}

}  // namespace

absl::StatusOr<int64_t> FileStoreImpl::AdoptContents() {
  PANAL_ASSIGN_OR_RETURN(std::optional<std::string> done, catalog_.GetValue(kContentsAdoptedKey));
  if (done) return 0;
  int64_t adopted = 0;
  bool all = true;
  std::vector<StoredContent> batch;
  size_t batch_bytes = 0;
  auto flush = [&]() -> absl::Status {
    PANAL_RETURN_IF_ERROR(catalog_.KeepContents(batch));
    adopted += static_cast<int64_t>(batch.size());
    batch.clear();
    batch_bytes = 0;
    return absl::OkStatus();
  };
  // After a crash some are known already.
  for (const FileId& id : blocks_.List()) {
    if (!IsMissing(catalog_.FindContent(id).status())) continue;
    absl::StatusOr<HeldBlocks> held = blocks_.Find(id);
    if (!held.ok()) {
      Log(LogLevel::kWarning, "content_not_adopted",
          {{"id", id.ToText()}, {"error", std::string(held.status().message())}});
      all = false;
      continue;
    }
    batch_bytes += held->manifest.blocks.size() * Sha256Digest::kSize;
    batch.push_back({.id = id, .manifest = std::move(held->manifest), .complete = held->complete});
    bool full = batch.size() >= kBatchContentsMax || batch_bytes >= kBatchBytesMax;
    if (full) PANAL_RETURN_IF_ERROR(flush());
  }
  PANAL_RETURN_IF_ERROR(flush());
  reader_.Invalidate();
  // What the disk did not give now it may give at the next start.
  if (all) PANAL_RETURN_IF_ERROR(catalog_.SetValue(kContentsAdoptedKey, "1"));
  return adopted;
}

absl::StatusOr<std::vector<FileId>> FileStoreImpl::HeldUnpublished() {
  PANAL_ASSIGN_OR_RETURN(std::vector<FileId> ids, catalog_.KeptContents());
  // Of what is published too, where a block was damaged: whoever asks finds that out.
  PANAL_ASSIGN_OR_RETURN(std::vector<FileId> incomplete, catalog_.IncompleteContents());
  ids.insert(ids.end(), incomplete.begin(), incomplete.end());
  return ids;
}

absl::StatusOr<int64_t> FileStoreImpl::DropUnreferenced() {
  std::vector<FileId> ids;
  PANAL_RETURN_IF_ERROR(ListIds("", ids));
  PANAL_ASSIGN_OR_RETURN(std::optional<std::string> adopted,
                         catalog_.GetValue(kContentsAdoptedKey));
  for (const FileId& id : adopted ? blocks_.List() : std::vector<FileId>()) {
    if (IsMissing(catalog_.FindContent(id).status())) ids.push_back(id);
  }
  PANAL_ASSIGN_OR_RETURN(std::vector<FileId> held, HeldUnpublished());
  const absl::flat_hash_set<FileId> kept(held.begin(), held.end());
  std::erase_if(ids, [&](const FileId& id) { return kept.contains(id); });
  return publisher_.Free(ids);
}

absl::Status FileStoreImpl::ListIds(const std::string& prefix, std::vector<FileId>& ids) {
  PANAL_ASSIGN_OR_RETURN(std::vector<FileId> found, catalog_.FindIds(prefix, kIdsBatch));
  if (found.size() < kIdsBatch || prefix.size() >= FileId::kTextSize) {
    ids.insert(ids.end(), found.begin(), found.end());
    return absl::OkStatus();
  }
  // Too many for one look: one for each next character.
  for (char next : kBase32Characters) {
    PANAL_RETURN_IF_ERROR(ListIds(prefix + next, ids));
  }
  return absl::OkStatus();
}

absl::StatusOr<FileStore::Removed> FileStoreImpl::Remove(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(bool published, catalog_.IsPublished(id));
  if (!published) return RemoveUnpublished(id);
  PANAL_ASSIGN_OR_RETURN(std::vector<PublishedFile> gone, catalog_.Unpublish(id));
  Removed removed{.id = id};
  std::vector<FileId> ids;
  ids.reserve(gone.size());
  for (const PublishedFile& file : gone) {
    removed.files += file.type == FileType::kFile ? 1 : 0;
    ids.push_back(file.id);
  }
  PANAL_ASSIGN_OR_RETURN(removed.freed_bytes, publisher_.Free(ids));
  return removed;
}

absl::StatusOr<FileStore::Removed> FileStoreImpl::RemoveUnpublished(const FileId& id) {
  PANAL_RETURN_IF_ERROR(catalog_.FindContent(id).status());
  absl::flat_hash_set<FileId> tree;
  CollectTree(id, 1, tree);
  PANAL_ASSIGN_OR_RETURN(std::vector<FileId> held, HeldUnpublished());
  // A directory that stays keeps what lies below it.
  absl::flat_hash_set<FileId> needed;
  for (const FileId& other : held) {
    if (!tree.contains(other)) CollectTree(other, 1, needed);
  }
  Removed removed{.id = id};
  std::vector<FileId> ids;
  for (const FileId& one : tree) {
    if (needed.contains(one) && one != id) continue;
    PANAL_ASSIGN_OR_RETURN(bool published, catalog_.IsPublished(one));
    absl::StatusOr<StoredContent> content = catalog_.FindContent(one);
    if (published || !content.ok()) continue;
    removed.files += content->manifest.type == FileType::kFile ? 1 : 0;
    ids.push_back(one);
  }
  PANAL_ASSIGN_OR_RETURN(removed.freed_bytes, publisher_.Free(ids));
  return removed;
}

void FileStoreImpl::CollectTree(const FileId& id, int depth, absl::flat_hash_set<FileId>& tree) {
  if (!tree.insert(id).second || depth > kDirectoryDepthMax) return;
  absl::StatusOr<ContentReader::ContentPtr> content = reader_.Find(id);
  if (!content.ok() || (*content)->manifest.type != FileType::kDirectory) return;
  absl::StatusOr<std::vector<ListingEntry>> entries = ReadListing(id);
  if (!entries.ok()) return;
  for (const ListingEntry& entry : *entries) {
    if (entry.type == FileType::kDirectory) {
      CollectTree(entry.id, depth + 1, tree);
    } else {
      tree.insert(entry.id);
    }
  }
}

}  // namespace panal
