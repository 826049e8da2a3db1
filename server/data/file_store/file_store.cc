#include "server/data/file_store/file_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/id_prefix.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "server/data/file_store/content_sink.h"
#include "server/data/file_store/file_store_impl.h"
#include "server/data/file_store/folder_reader.h"
#include "server/data/file_store/upload.h"

namespace panal {
namespace {

absl::Status PathError(ErrorReason reason, absl::string_view path, absl::string_view what) {
  std::string shown = ToValidUtf8(path);
  return Error(reason, absl::StrCat(shown, " ", what), {{"path", shown}});
}

std::string ParentOf(absl::string_view path) {
  size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string LastComponent(absl::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

const std::string* RootOf(absl::string_view path, const std::vector<std::string>& roots) {
  auto at = std::find_if(roots.begin(), roots.end(),
                         [&](const std::string& root) { return IsBelow(path, root); });
  return at == roots.end() ? nullptr : &*at;
}

}  // namespace

std::unique_ptr<FileStore> FileStore::Create(Catalog& catalog, BlockStore& blocks,
                                             SourceFiles& source) {
  return std::make_unique<FileStoreImpl>(catalog, blocks, source);
}

FileStoreImpl::FileStoreImpl(Catalog& catalog, BlockStore& blocks, SourceFiles& source)
    : catalog_(catalog),
      blocks_(blocks),
      source_(source),
      reader_(catalog, blocks, source),
      publisher_(catalog, blocks, pins_, reader_) {}

absl::StatusOr<AddedFile> FileStoreImpl::Put(absl::string_view name, absl::string_view content,
                                             const Attributes& attributes) {
  if (content.size() > kPutContentSizeMax) {
    return Error(ErrorReason::kContentTooLarge,
                 absl::StrCat("a content of ", content.size(), " bytes exceeds ",
                              kPutContentSizeMax, "; upload it as a stream"),
                 {{"size_bytes", absl::StrCat(content.size())},
                  {"limit_bytes", absl::StrCat(kPutContentSizeMax)}});
  }
  PANAL_RETURN_IF_ERROR(ValidateFileName(name));
  PANAL_RETURN_IF_ERROR(ValidateAttributes(attributes));
  ContentSink sink(catalog_, blocks_, pins_, reader_);
  ListingEntry entry{.size_bytes = content.size()};
  PANAL_ASSIGN_OR_RETURN(entry.id, sink.Add(FileType::kFile, std::string(content)));
  PANAL_RETURN_IF_ERROR(sink.Flush());
  Publication publication(name, attributes);
  publication.SetTop(entry, {.bytes = content.size(), .files = 1});
  return publisher_.Publish(std::move(publication));
}

absl::StatusOr<AddedFile> FileStoreImpl::AddPath(absl::string_view path, absl::string_view name,
                                                 const Attributes& attributes, bool in_place,
                                                 const std::vector<std::string>& roots,
                                                 const std::function<bool()>& cancelled) {
  PANAL_RETURN_IF_ERROR(ValidateAttributes(attributes));
  std::string root;
  PANAL_ASSIGN_OR_RETURN(std::string resolved, ResolveBelow(path, roots, root));
  std::string published_name =
      name.empty() ? ToValidUtf8(LastComponent(resolved)) : std::string(name);
  PANAL_RETURN_IF_ERROR(ValidateFileName(published_name));

  ContentSink sink(catalog_, blocks_, pins_, reader_);
  Publication publication(published_name, attributes);
  FolderReader reader(source_, sink, {.root = root, .in_place = in_place, .cancelled = cancelled},
                      publication);
  PANAL_RETURN_IF_ERROR(reader.Read(resolved));
  PANAL_RETURN_IF_ERROR(sink.Flush());
  PANAL_ASSIGN_OR_RETURN(AddedFile added, publisher_.Publish(std::move(publication)));
  added.skipped = reader.TakeSkipped();
  return added;
}

absl::StatusOr<std::string> FileStoreImpl::ResolveBelow(absl::string_view path,
                                                        const std::vector<std::string>& roots,
                                                        std::string& root) {
  auto outside = [&] {
    return PathError(ErrorReason::kPathOutsideRoots, path,
                     roots.empty() ? "cannot be added: this peer has no roots"
                                   : "lies below none of the peer's roots");
  };
  if (path.empty() || path[0] != '/') {
    return PathError(ErrorReason::kPathNotFound, path, "is no absolute path");
  }
  // What is missing is only told apart from what is forbidden where the caller may look.
  std::string existing(path);
  absl::StatusOr<std::string> resolved = source_.Resolve(existing);
  absl::Status missing = resolved.status();
  while (!resolved.ok() && existing != "/") {
    existing = ParentOf(existing);
    resolved = source_.Resolve(existing);
  }
  if (!resolved.ok()) return outside();
  const std::string* found = RootOf(*resolved, roots);
  if (found == nullptr) return outside();
  if (!missing.ok()) return missing;
  if (IsInDataDirectory(source_, *resolved)) {
    return PathError(ErrorReason::kPathOutsideRoots, path,
                     "belongs to a peer's data directory, which is never shared");
  }
  root = *found;
  return resolved;
}

std::unique_ptr<FileStore::Upload> FileStoreImpl::NewUpload() {
  return std::make_unique<UploadImpl>(catalog_, blocks_, pins_, reader_, publisher_);
}

absl::StatusOr<FileId> FileStoreImpl::Resolve(absl::string_view text) {
  if (std::optional<FileId> id = FileId::FromText(text)) return *id;
  PANAL_ASSIGN_OR_RETURN(const std::string prefix, ParseIdPrefix(text, IdKind::kFile));
  const ErrorMetadata metadata = {{"id", prefix}};
  PANAL_ASSIGN_OR_RETURN(std::vector<FileId> ids, catalog_.FindIds(text, 2));
  if (ids.empty()) {
    return Error(ErrorReason::kFileNotFound,
                 absl::StrCat("no file here has an id that begins with ", text), metadata);
  }
  if (ids.size() > 1) {
    return Error(ErrorReason::kFileAmbiguous,
                 absl::StrCat("several files begin with ", text, ", among them ", ids[0].ToText(),
                              " and ", ids[1].ToText()),
                 metadata);
  }
  return ids[0];
}

absl::StatusOr<FileDetails> FileStoreImpl::Find(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(ContentReader::ContentPtr content, reader_.Find(id));
  PANAL_ASSIGN_OR_RETURN(std::optional<PublishedFile> published, catalog_.FirstPublished(id));
  FileDetails details{.id = id,
                      .type = content->manifest.type,
                      .manifest = content->manifest,
                      .storage = content->storage,
                      .path = content->path,
                      .held_bytes = content->manifest.size_bytes,
                      .complete = content->complete};
  if (published) {
    details.name = published->name;
    details.attributes = published->attributes;
  }
  if (content->storage == StorageKind::kStored) {
    absl::StatusOr<HeldBlocks> held = blocks_.Find(id);
    details.held_bytes = held.ok() ? held->held_bytes : 0;
    details.complete = content->complete && held.ok() && held->complete;
  }
  PANAL_ASSIGN_OR_RETURN(details.total_bytes, TotalBytes(*content, published));
  return details;
}

absl::StatusOr<uint64_t> FileStoreImpl::TotalBytes(const StoredContent& content,
                                                   const std::optional<PublishedFile>& published) {
  if (content.manifest.type != FileType::kDirectory) return content.manifest.size_bytes;
  if (published) return published->total_bytes;
  // Not published yet: a fetch is under way, and how large its sub-directories are is not known.
  absl::StatusOr<std::vector<ListingEntry>> entries = ReadListing(content.id);
  if (!entries.ok()) return 0;
  uint64_t total = 0;
  for (const ListingEntry& entry : *entries) {
    if (entry.type == FileType::kFile) total += entry.size_bytes;
  }
  return total;
}

absl::StatusOr<std::string> FileStoreImpl::Read(const FileId& id, uint64_t offset, size_t length) {
  return reader_.Read(id, offset, length);
}

absl::StatusOr<std::vector<ListingEntry>> FileStoreImpl::ReadListing(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(std::string listing, reader_.ReadListing(id));
  return DecodeListing(listing);
}

absl::StatusOr<FileStore::Held> FileStoreImpl::FindHeld(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(ContentReader::ContentPtr content, reader_.Find(id));
  return HeldOf(*content);
}

absl::StatusOr<FileStore::Held> FileStoreImpl::HeldOf(const StoredContent& content) {
  Held held{.manifest = content.manifest};
  if (content.storage == StorageKind::kInline) {
    held.inline_content = content.inline_bytes;
    held.has_inline_content = true;
  } else if (content.storage == StorageKind::kStored) {
    PANAL_ASSIGN_OR_RETURN(HeldBlocks blocks, blocks_.Find(content.id));
    if (!blocks.complete) held.held = std::move(blocks.held);
  }
  return held;
}

absl::StatusOr<std::string> FileStoreImpl::ReadBlock(const FileId& id, uint32_t index) {
  return reader_.ReadBlock(id, index);
}

absl::StatusOr<FileStore::Held> FileStoreImpl::BeginReceive(const Manifest& manifest) {
  FileId id = manifest.Id();
  absl::StatusOr<ContentReader::ContentPtr> known = reader_.Find(id);
  if (!known.ok() && ReasonOf(known.status()) != ErrorReason::kFileNotFound) return known.status();
  // Of what lies in place a copy is fetched only when it changed: then it is not served any more.
  bool is_here =
      known.ok() && ((*known)->storage == StorageKind::kInline ||
                     ((*known)->storage == StorageKind::kInPlace && reader_.IsIntact(**known)));
  PinnedContents pinned(pins_);
  pinned.Pin(id);
  PANAL_ASSIGN_OR_RETURN(bool published, catalog_.IsPublished(id));
  if (is_here) {
    // Left by an add that failed: from now on the fetch keeps it.
    if (!published) PANAL_RETURN_IF_ERROR(catalog_.KeepContents({**known}));
    return HeldOf(**known);
  }
  PANAL_RETURN_IF_ERROR(blocks_.Create(manifest));
  StoredContent content{.id = id, .manifest = manifest, .storage = StorageKind::kStored};
  PANAL_ASSIGN_OR_RETURN(Held held, HeldOf(content));
  content.complete = held.held.empty();
  bool same = known.ok() && (*known)->storage == StorageKind::kStored &&
              (*known)->complete == content.complete;
  if (content.complete) PANAL_RETURN_IF_ERROR(blocks_.Checkpoint(id));
  if (!same || !published) {
    PANAL_RETURN_IF_ERROR(catalog_.KeepContents({content}));
    reader_.Invalidate();
  }
  return held;
}

absl::Status FileStoreImpl::ReceiveInline(const Manifest& manifest, absl::string_view content) {
  if (content.size() > kInlineSizeMax || ManifestOf(manifest.type, content) != manifest) {
    return Error(
        ErrorReason::kBlockCorrupt,
        absl::StrCat(content.size(), " bytes are not the content of ", manifest.Id().ToText()),
        {{"id", manifest.Id().ToText()}});
  }
  PANAL_RETURN_IF_ERROR(catalog_.KeepContents({{.id = manifest.Id(),
                                                .manifest = manifest,
                                                .storage = StorageKind::kInline,
                                                .inline_bytes = std::string(content)}}));
  reader_.Invalidate();
  return absl::OkStatus();
}

absl::Status FileStoreImpl::ReceiveBlock(const FileId& id, uint32_t index,
                                         absl::string_view bytes) {
  return blocks_.WriteBlock(id, index, bytes);
}

absl::Status FileStoreImpl::CheckpointReceive(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(ContentReader::ContentPtr content, reader_.Find(id));
  if (content->storage != StorageKind::kStored) return absl::OkStatus();
  PANAL_RETURN_IF_ERROR(blocks_.Checkpoint(id));
  if (content->complete) return absl::OkStatus();
  PANAL_ASSIGN_OR_RETURN(HeldBlocks held, blocks_.Find(id));
  if (!held.complete) return absl::OkStatus();
  // Blocks that came after the checkpoint may be what made it complete.
  PANAL_RETURN_IF_ERROR(blocks_.Checkpoint(id));
  PANAL_RETURN_IF_ERROR(catalog_.SetContentComplete(id));
  reader_.Invalidate();
  return absl::OkStatus();
}

absl::StatusOr<AddedFile> FileStoreImpl::PublishFetched(const FileId& id, absl::string_view name,
                                                        const Attributes& attributes) {
  PANAL_RETURN_IF_ERROR(ValidateFileName(name));
  PANAL_RETURN_IF_ERROR(ValidateAttributes(attributes));
  Publication publication(name, attributes);
  absl::Status collected = publisher_.CollectFetched(id, publication);
  if (!collected.ok()) {
    ErrorReason reason = ReasonOf(collected);
    // It can never be published: nobody is going on with it.
    bool hopeless =
        reason == ErrorReason::kListingInvalid || reason == ErrorReason::kContentTooLarge;
    if (hopeless) RemoveUnpublished(id).IgnoreError();
    return collected;
  }
  return publisher_.Publish(std::move(publication));
}

}  // namespace panal
