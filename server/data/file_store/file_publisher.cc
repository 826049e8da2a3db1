#include "server/data/file_store/file_publisher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace panal {
namespace {

// Contents freed before waiting operations get their turn.
constexpr size_t kFreeBatch = 256;

// A text that sorts before `name` and after every other published name that does: no UTF-8 has
// 0xFF.
std::string JustBefore(const std::string& name) {
  std::string before = name;
  before.back() = static_cast<char>(before.back() - 1);
  return before + '\xff';
}

absl::Status ListingError(const std::string& name, absl::string_view what) {
  return Error(ErrorReason::kListingInvalid, absl::StrCat(name, ": ", what), {{"name", name}});
}

}  // namespace

std::string PublishedEntryName(absl::string_view directory, absl::string_view entry_name) {
  return absl::StrCat(directory, "/", ToValidUtf8(entry_name));
}

void Publication::SetTop(const ListingEntry& entry, const TreeTotals& totals) {
  top_.id = entry.id;
  top_.type = entry.type;
  top_.size_bytes = entry.size_bytes;
  top_.total_bytes = totals.bytes;
  top_.files = totals.files;
  top_.executable = entry.executable;
  top_.attributes = attributes_;
}

absl::Status Publication::AddEntry(std::string name, const ListingEntry& entry,
                                   const TreeTotals& totals, const Attributes& attributes) {
  PANAL_RETURN_IF_ERROR(ValidateFileName(name));
  if (entries_.size() >= kTreeEntriesMax) {
    return Error(ErrorReason::kContentTooLarge,
                 absl::StrCat("the directory ", top_.name, " has more than ", kTreeEntriesMax,
                              " entries in all"),
                 {{"limit", absl::StrCat(kTreeEntriesMax)}});
  }
  PublishedFile file{.name = std::move(name),
                     .id = entry.id,
                     .type = entry.type,
                     .size_bytes = entry.size_bytes,
                     .total_bytes = totals.bytes,
                     .files = totals.files,
                     .attributes = attributes,
                     .executable = entry.executable,
                     .parent = top_.name};
  file.attributes.insert(attributes_.begin(), attributes_.end());
  PANAL_RETURN_IF_ERROR(ValidateAttributes(file.attributes));
  entries_.push_back(std::move(file));
  return absl::OkStatus();
}

FilePublisher::FilePublisher(Catalog& catalog, BlockStore& blocks, ContentPins& pins,
                             ContentReader& reader)
    : catalog_(catalog), blocks_(blocks), pins_(pins), reader_(reader) {}

absl::StatusOr<AddedFile> FilePublisher::Publish(Publication publication) {
  const PublishedFile& top = publication.top();
  PANAL_RETURN_IF_ERROR(ValidateFileName(top.name));
  PANAL_RETURN_IF_ERROR(ValidateAttributes(top.attributes));
  AddedFile added{.id = top.id,
                  .type = top.type,
                  .name = top.name,
                  .size_bytes = top.total_bytes,
                  .files = top.files};
  PANAL_ASSIGN_OR_RETURN(bool replaces, IsNameTaken(top));
  if (!replaces) {
    PANAL_RETURN_IF_ERROR(PublishNew(std::move(publication)));
    return added;
  }
  PANAL_ASSIGN_OR_RETURN(std::vector<PublishedFile> gone,
                         catalog_.Replace(std::move(publication).TakeAll()));
  std::vector<FileId> ids;
  for (const PublishedFile& file : gone) ids.push_back(file.id);
  // What was added is safe: that something old takes room is for the next DropUnreferenced.
  if (absl::StatusOr<int64_t> freed = Free(ids); !freed.ok()) {
    Log(LogLevel::kWarning, "replaced_kept", {{"error", std::string(freed.status().message())}});
  }
  return added;
}

absl::Status FilePublisher::PublishNew(Publication publication) {
  const FileId id = publication.top().id;
  PANAL_ASSIGN_OR_RETURN(bool published_before, catalog_.IsPublished(id));
  absl::Status status = PublishBatches(std::move(publication).TakeAll());
  // The error that the caller gets is the first one. Removing is by id: other names must stay.
  if (!status.ok() && !published_before) (void)catalog_.Unpublish(id);
  return status;
}

// The directory comes first, so that after a crash nothing is published that it cannot remove.
absl::Status FilePublisher::PublishBatches(std::vector<PublishedFile> files) {
  std::vector<PublishedFile> batch;
  for (PublishedFile& file : files) {
    batch.push_back(std::move(file));
    if (batch.size() < kPublishBatchMax) continue;
    PANAL_RETURN_IF_ERROR(catalog_.Publish(batch));
    batch.clear();
  }
  return batch.empty() ? absl::OkStatus() : catalog_.Publish(batch);
}

absl::StatusOr<bool> FilePublisher::IsNameTaken(const PublishedFile& file) {
  PANAL_ASSIGN_OR_RETURN(std::vector<PublishedFile> found,
                         catalog_.ListPublished(JustBefore(file.name), 2, /*recursive=*/false));
  return std::any_of(found.begin(), found.end(), [&](const PublishedFile& old) {
    return old.name == file.name && old.type == file.type;
  });
}

absl::Status FilePublisher::CollectFetched(const FileId& id, Publication& publication) {
  PANAL_ASSIGN_OR_RETURN(ContentReader::ContentPtr content, reader_.Find(id));
  const std::string& name = publication.top().name;
  ListingEntry top{
      .type = content->manifest.type, .size_bytes = content->manifest.size_bytes, .id = id};
  PANAL_RETURN_IF_ERROR(CheckFetched(top, name));
  TreeTotals totals{.bytes = top.size_bytes, .files = 1};
  if (top.type == FileType::kDirectory) {
    PANAL_ASSIGN_OR_RETURN(totals, CollectFolder(id, name, 1, publication));
  }
  publication.SetTop(top, totals);
  return absl::OkStatus();
}

absl::StatusOr<TreeTotals> FilePublisher::CollectFolder(const FileId& id, const std::string& name,
                                                        int depth, Publication& publication) {
  if (depth > kDirectoryDepthMax) {
    return ListingError(name, absl::StrCat("deeper than ", kDirectoryDepthMax, " directories"));
  }
  TreeTotals totals;
  PANAL_ASSIGN_OR_RETURN(std::string listing, reader_.ReadListing(id));
  PANAL_ASSIGN_OR_RETURN(std::vector<ListingEntry> entries, DecodeListing(listing));
  for (const ListingEntry& entry : entries) {
    std::string path = PublishedEntryName(name, entry.name);
    PANAL_RETURN_IF_ERROR(CheckFetched(entry, path));
    TreeTotals below{.bytes = entry.size_bytes, .files = 1};
    if (entry.type == FileType::kDirectory) {
      PANAL_ASSIGN_OR_RETURN(below, CollectFolder(entry.id, path, depth + 1, publication));
    }
    PANAL_RETURN_IF_ERROR(publication.AddEntry(std::move(path), entry, below));
    totals.bytes += below.bytes;
    totals.files += below.files;
  }
  return totals;
}

absl::Status FilePublisher::CheckFetched(const ListingEntry& entry, const std::string& name) {
  PANAL_ASSIGN_OR_RETURN(ContentReader::ContentPtr content, reader_.Find(entry.id));
  if (!content->complete) {
    return Error(ErrorReason::kFileIncomplete,
                 absl::StrCat(name, " (", entry.id.ToText(), ") is not whole"),
                 {{"name", name}, {"id", entry.id.ToText()}});
  }
  if (content->manifest.type != entry.type || content->manifest.size_bytes != entry.size_bytes) {
    return ListingError(name, "its type or size is not what its directory says");
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> FilePublisher::Free(const std::vector<FileId>& ids) {
  std::vector<FileId> unique = ids;
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  int64_t freed = 0;
  for (size_t begin = 0; begin < unique.size(); begin += kFreeBatch) {
    size_t end = std::min(begin + kFreeBatch, unique.size());
    std::vector<FileId> some(unique.begin() + static_cast<std::ptrdiff_t>(begin),
                             unique.begin() + static_cast<std::ptrdiff_t>(end));
    PANAL_RETURN_IF_ERROR(
        pins_.FreeUnpinned(some, [&](const std::vector<FileId>& unpinned) -> absl::Status {
          PANAL_ASSIGN_OR_RETURN(int64_t bytes, FreeContents(unpinned));
          freed += bytes;
          return absl::OkStatus();
        }));
  }
  return freed;
}

absl::StatusOr<int64_t> FilePublisher::FreeContents(const std::vector<FileId>& ids) {
  int64_t freed = 0;
  std::vector<FileId> unneeded;
  for (const FileId& id : ids) {
    PANAL_ASSIGN_OR_RETURN(bool published, catalog_.IsPublished(id));
    if (published) continue;
    unneeded.push_back(id);
    absl::StatusOr<StoredContent> content = catalog_.FindContent(id);
    if (content.ok()) freed += static_cast<int64_t>(content->inline_bytes.size());
  }
  PANAL_RETURN_IF_ERROR(catalog_.ForgetContents(unneeded));
  reader_.Invalidate();
  for (const FileId& id : unneeded) {
    absl::StatusOr<int64_t> removed = blocks_.Remove(id);
    if (removed.ok()) freed += *removed;
    if (!removed.ok() && ReasonOf(removed.status()) != ErrorReason::kFileNotFound) {
      return removed.status();
    }
  }
  return freed;
}

}  // namespace panal
