#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
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

absl::StatusOr<int64_t> FileStoreImpl::DropUnreferenced() {
  std::vector<FileId> ids;
  PANAL_RETURN_IF_ERROR(ListIds("", ids));
  PANAL_ASSIGN_OR_RETURN(absl::flat_hash_set<FileId> kept, InterruptedFetches(ids));
  PANAL_ASSIGN_OR_RETURN(std::vector<FileId> incomplete, catalog_.IncompleteContents());
  kept.insert(incomplete.begin(), incomplete.end());
  for (const FileId& id : blocks_.List()) {
    absl::StatusOr<StoredContent> content = catalog_.FindContent(id);
    if (IsMissing(content.status())) ids.push_back(id);
  }
  std::vector<FileId> candidates;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(candidates),
               [&](const FileId& id) { return !kept.contains(id); });
  return publisher_.Free(candidates);
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

absl::StatusOr<absl::flat_hash_set<FileId>> FileStoreImpl::InterruptedFetches(
    const std::vector<FileId>& ids) {
  absl::flat_hash_set<FileId> kept;
  for (const FileId& id : ids) {
    PANAL_ASSIGN_OR_RETURN(bool published, catalog_.IsPublished(id));
    if (published) continue;
    absl::StatusOr<StoredContent> content = catalog_.FindContent(id);
    if (IsMissing(content.status())) continue;
    PANAL_RETURN_IF_ERROR(content.status());
    if (content->manifest.type != FileType::kDirectory) continue;
    absl::flat_hash_set<FileId> below;
    PANAL_ASSIGN_OR_RETURN(bool whole, WalkTree(id, 1, below));
    if (!whole) kept.insert(below.begin(), below.end());
  }
  return kept;
}

absl::StatusOr<bool> FileStoreImpl::WalkTree(const FileId& id, int depth,
                                             absl::flat_hash_set<FileId>& below) {
  below.insert(id);
  absl::StatusOr<std::vector<ListingEntry>> entries = ReadListing(id);
  // A listing that is damaged is no reason to keep anything.
  if (!entries.ok()) return ReasonOf(entries.status()) != ErrorReason::kFileIncomplete;
  bool whole = true;
  for (const ListingEntry& entry : *entries) {
    if (!below.insert(entry.id).second) continue;
    absl::StatusOr<StoredContent> content = catalog_.FindContent(entry.id);
    bool complete = content.ok() && content->complete;
    if (complete && entry.type == FileType::kDirectory && depth < kDirectoryDepthMax) {
      PANAL_ASSIGN_OR_RETURN(complete, WalkTree(entry.id, depth + 1, below));
    }
    whole = whole && complete;
  }
  return whole;
}

}  // namespace panal
