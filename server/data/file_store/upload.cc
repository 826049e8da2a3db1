#include "server/data/file_store/upload.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace panal {
namespace {

absl::Status OutOfTurn(absl::string_view what) {
  return Error(ErrorReason::kArgumentInvalid, absl::StrCat("upload: ", what));
}

absl::Status NameError(absl::string_view path, absl::string_view what) {
  std::string shown = ToValidUtf8(path.substr(0, kRecordNameSizeMax));
  return Error(ErrorReason::kFileNameInvalid, absl::StrCat("\"", shown, "\" ", what),
               {{"name", shown}});
}

absl::Status Incomplete(absl::string_view name, uint64_t taken, uint64_t announced) {
  return Error(ErrorReason::kUploadIncomplete,
               absl::StrCat(ToValidUtf8(name), ": ", taken, " bytes of ", announced, " announced"),
               {{"received", absl::StrCat(taken)}, {"announced", absl::StrCat(announced)}});
}

}  // namespace

UploadImpl::UploadImpl(Catalog& catalog, BlockStore& blocks, ContentPins& pins,
                       ContentReader& reader, FilePublisher& publisher)
    : sink_(catalog, blocks, pins, reader), publisher_(publisher) {}

absl::Status UploadImpl::BeginFile(absl::string_view name, uint64_t size_bytes, bool executable,
                                   const Attributes& attributes, bool directory_entry) {
  if (current_) return OutOfTurn("a file was begun before the last one was finished");
  if (!directory_entry) PANAL_RETURN_IF_ERROR(ValidateFileName(name));
  PANAL_RETURN_IF_ERROR(ValidateAttributes(attributes));
  if (size_bytes > kFileSizeMax) {
    return Error(
        ErrorReason::kContentTooLarge,
        absl::StrCat(ToValidUtf8(name), " has ", size_bytes, " bytes; at most ", kFileSizeMax),
        {{"size_bytes", absl::StrCat(size_bytes)}});
  }
  Current current{.name = std::string(name),
                  .entry = {.executable = executable, .size_bytes = size_bytes},
                  .attributes = attributes,
                  .directory_entry = directory_entry};
  if (size_bytes > kInlineSizeMax) {
    PANAL_ASSIGN_OR_RETURN(current.writer, sink_.NewWriter(FileType::kFile, size_bytes));
  }
  current_ = std::move(current);
  return absl::OkStatus();
}

absl::Status UploadImpl::AddEmptyDirectory(absl::string_view name) {
  if (current_) return OutOfTurn("a directory came before the last file was finished");
  return AddNode(name).status();
}

absl::Status UploadImpl::Append(uint64_t offset, absl::string_view bytes) {
  if (!current_) return OutOfTurn("bytes came before a file was begun");
  Current& current = *current_;
  if (offset != current.taken) {
    return Error(ErrorReason::kChunkOutOfOrder,
                 absl::StrCat(ToValidUtf8(current.name), ": a part at offset ", offset,
                              " came after ", current.taken, " bytes"),
                 {{"offset", absl::StrCat(offset)}, {"expected", absl::StrCat(current.taken)}});
  }
  if (bytes.size() > current.entry.size_bytes - current.taken) {
    return Incomplete(current.name, current.taken + bytes.size(), current.entry.size_bytes);
  }
  if (current.writer != nullptr) {
    PANAL_RETURN_IF_ERROR(current.writer->Append(bytes));
  } else {
    current.content.append(bytes.data(), bytes.size());
  }
  current.taken += bytes.size();
  return absl::OkStatus();
}

absl::StatusOr<AddedFile> UploadImpl::FinishFile() {
  if (!current_) return OutOfTurn("a file was finished that was not begun");
  Current current = *std::exchange(current_, std::nullopt);
  if (current.taken != current.entry.size_bytes) {
    return Incomplete(current.name, current.taken, current.entry.size_bytes);
  }
  absl::StatusOr<FileId> id = current.writer != nullptr
                                  ? sink_.Finish(*current.writer)
                                  : sink_.Add(FileType::kFile, std::move(current.content));
  PANAL_ASSIGN_OR_RETURN(current.entry.id, std::move(id));
  TreeTotals totals{.bytes = current.entry.size_bytes, .files = 1};
  if (!current.directory_entry) {
    PANAL_RETURN_IF_ERROR(sink_.Flush());
    Publication publication(current.name, current.attributes);
    publication.SetTop(current.entry, totals);
    return publisher_.Publish(std::move(publication));
  }
  PANAL_ASSIGN_OR_RETURN(UploadNode * node, AddNode(current.name));
  node->file = current.entry;
  node->attributes = std::move(current.attributes);
  return AddedFile{.id = current.entry.id,
                   .name = current.name,
                   .size_bytes = totals.bytes,
                   .files = totals.files};
}

absl::StatusOr<UploadNode*> UploadImpl::AddNode(absl::string_view path) {
  std::vector<absl::string_view> parts = absl::StrSplit(path, '/');
  if (parts.size() > kDirectoryDepthMax) {
    return NameError(path, absl::StrCat("lies deeper than ", kDirectoryDepthMax, " directories"));
  }
  UploadNode* node = &tree_;
  bool is_new = false;
  for (absl::string_view part : parts) {
    if (!IsValidEntryName(part)) return NameError(path, "is no path within a directory");
    if (node->file) return NameError(path, "lies below a file");
    auto [at, inserted] = node->children.try_emplace(std::string(part));
    if (inserted && ++nodes_ > kTreeEntriesMax) {
      return Error(ErrorReason::kContentTooLarge,
                   absl::StrCat("upload: more than ", kTreeEntriesMax, " entries"),
                   {{"limit", absl::StrCat(kTreeEntriesMax)}});
    }
    node = &at->second;
    is_new = inserted;
  }
  if (!is_new) return NameError(path, "was uploaded already");
  return node;
}

absl::StatusOr<AddedFile> UploadImpl::FinishDirectory(absl::string_view name,
                                                      const Attributes& attributes) {
  if (current_) return OutOfTurn("the directory was finished before its last file");
  PANAL_RETURN_IF_ERROR(ValidateFileName(name));
  PANAL_RETURN_IF_ERROR(ValidateAttributes(attributes));
  Publication publication(name, attributes);
  TreeTotals totals;
  PANAL_ASSIGN_OR_RETURN(ListingEntry top, Collect(tree_, std::string(name), totals, publication));
  PANAL_RETURN_IF_ERROR(sink_.Flush());
  publication.SetTop(top, totals);
  tree_ = UploadNode();
  nodes_ = 0;
  return publisher_.Publish(std::move(publication));
}

absl::StatusOr<ListingEntry> UploadImpl::Collect(const UploadNode& node, const std::string& name,
                                                 TreeTotals& totals, Publication& publication) {
  std::vector<ListingEntry> entries;
  for (const auto& [child_name, child] : node.children) {
    std::string child_path = PublishedEntryName(name, child_name);
    TreeTotals below;
    ListingEntry entry;
    if (child.file) {
      entry = *child.file;
      below = {.bytes = entry.size_bytes, .files = 1};
    } else {
      PANAL_ASSIGN_OR_RETURN(entry, Collect(child, child_path, below, publication));
    }
    entry.name = child_name;
    PANAL_RETURN_IF_ERROR(
        publication.AddEntry(std::move(child_path), entry, below, child.attributes));
    entries.push_back(std::move(entry));
    totals.bytes += below.bytes;
    totals.files += below.files;
  }
  if (entries.size() > kListingEntriesMax) {
    return Error(ErrorReason::kContentTooLarge,
                 absl::StrCat(name, " has more than ", kListingEntriesMax, " entries"));
  }
  std::string listing = EncodeListing(std::move(entries));
  ListingEntry result{.type = FileType::kDirectory, .size_bytes = listing.size()};
  PANAL_ASSIGN_OR_RETURN(result.id, sink_.Add(FileType::kDirectory, std::move(listing)));
  return result;
}

}  // namespace panal
