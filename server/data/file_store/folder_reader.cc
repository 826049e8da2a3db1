#include "server/data/file_store/folder_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "server/data/file_store/file_store.h"

namespace panal {
namespace {

constexpr size_t kReadSize = 1024 * 1024;  // Bytes a read of a large file.
// A file changed this lately may change again without its time moving: kernels stamp by ticks of up
// to 10 ms, some network file systems by coarser ones.
constexpr int64_t kFreshNs = 50'000'000;
// Modification time that no file has: what is shared in place with it is hashed whenever it is
// served.
constexpr int64_t kAlwaysHash = -1;

absl::Status PathError(ErrorReason reason, const std::string& path, absl::string_view what) {
  std::string shown = ToValidUtf8(path);
  return Error(reason, absl::StrCat(shown, ": ", what), {{"path", shown}});
}

absl::Status Changed(const std::string& path) {
  return PathError(ErrorReason::kFileChanged, path, "changed while it was read");
}

}  // namespace

bool IsBelow(absl::string_view path, absl::string_view root) {
  if (path == root || root == "/") return true;
  return absl::StartsWith(path, root) && path.size() > root.size() && path[root.size()] == '/';
}

FolderReader::FolderReader(SourceFiles& source, ContentSink& sink, FolderReaderOptions options,
                           Publication& publication)
    : source_(source), sink_(sink), options_(std::move(options)), publication_(publication) {}

absl::Status FolderReader::Read(const std::string& path) {
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<SourceFile> file, OpenBelowRoot(path));
  PANAL_ASSIGN_OR_RETURN(SourceStat stat, file->Stat());
  if (stat.kind != SourceKind::kFile && stat.kind != SourceKind::kFolder) {
    return PathError(ErrorReason::kFileUnreadable, path, "is neither a file nor a folder");
  }
  absl::StatusOr<Subtree> tree = stat.kind == SourceKind::kFile
                                     ? ReadFile(*file, path)
                                     : ReadFolder(*file, path, publication_.top().name, 1);
  PANAL_RETURN_IF_ERROR(tree.status());
  publication_.SetTop(tree->entry, tree->totals);
  return absl::OkStatus();
}

absl::StatusOr<FolderReader::Subtree> FolderReader::ReadFolder(SourceFile& folder,
                                                               const std::string& path,
                                                               const std::string& name, int depth) {
  if (depth > kDirectoryDepthMax) {
    return PathError(ErrorReason::kFileNameInvalid, path,
                     absl::StrCat("lies deeper than ", kDirectoryDepthMax, " folders"));
  }
  PANAL_ASSIGN_OR_RETURN(std::vector<SourceEntry> names, folder.List());
  if (names.size() > kListingEntriesMax) {
    return PathError(ErrorReason::kContentTooLarge, path,
                     absl::StrCat("has ", names.size(), " entries; at most ", kListingEntriesMax));
  }
  std::vector<ListingEntry> entries;
  Subtree tree;
  for (const SourceEntry& entry : names) {
    PANAL_RETURN_IF_ERROR(CheckCancelled());
    std::string entry_path =
        path == "/" ? absl::StrCat("/", entry.name) : absl::StrCat(path, "/", entry.name);
    std::string entry_name = PublishedEntryName(name, entry.name);
    PANAL_ASSIGN_OR_RETURN(std::unique_ptr<Subtree> below,
                           ReadEntry(folder, entry, entry_path, entry_name, depth));
    if (below == nullptr) continue;
    below->entry.name = entry.name;
    PANAL_RETURN_IF_ERROR(
        publication_.AddEntry(std::move(entry_name), below->entry, below->totals));
    entries.push_back(std::move(below->entry));
    tree.totals.bytes += below->totals.bytes;
    tree.totals.files += below->totals.files;
  }
  std::string listing = EncodeListing(std::move(entries));
  tree.entry.type = FileType::kDirectory;
  tree.entry.size_bytes = listing.size();
  PANAL_ASSIGN_OR_RETURN(tree.entry.id, sink_.Add(FileType::kDirectory, std::move(listing)));
  return tree;
}

absl::StatusOr<std::unique_ptr<FolderReader::Subtree>> FolderReader::ReadEntry(
    SourceFile& folder, const SourceEntry& entry, const std::string& path, const std::string& name,
    int depth) {
  if (entry.kind == SourceKind::kOther) {
    Skip(path, "is neither a file nor a folder");
    return nullptr;
  }
  std::string real_path = path;
  bool is_link = entry.kind == SourceKind::kLink;
  absl::StatusOr<std::unique_ptr<SourceFile>> file =
      is_link ? OpenLink(real_path) : folder.OpenEntry(entry.name);
  if (!file.ok() && ReasonOf(file.status()) == ErrorReason::kPathNotFound) {
    Skip(path, is_link ? "is a link that points to nothing within the root" : "vanished");
    return nullptr;
  }
  PANAL_RETURN_IF_ERROR(file.status());
  PANAL_ASSIGN_OR_RETURN(SourceStat stat, (*file)->Stat());
  if (stat.kind == SourceKind::kFolder && !is_link) {
    if (HoldsKey(source_, path)) {
      Skip(path, "is a peer's data directory");
      return nullptr;
    }
    PANAL_ASSIGN_OR_RETURN(Subtree tree, ReadFolder(**file, path, name, depth + 1));
    return std::make_unique<Subtree>(std::move(tree));
  }
  if (stat.kind != SourceKind::kFile) {
    Skip(path,
         is_link ? "is a link to something that is no file" : "is neither a file nor a folder");
    return nullptr;
  }
  PANAL_ASSIGN_OR_RETURN(Subtree tree, ReadFile(**file, real_path));
  return std::make_unique<Subtree>(std::move(tree));
}

absl::StatusOr<std::unique_ptr<SourceFile>> FolderReader::OpenLink(std::string& path) {
  absl::StatusOr<std::string> target = source_.Resolve(path);
  // That a link points outside is not told apart from what lies there.
  if (!target.ok() || !IsBelow(*target, options_.root) || IsInDataDirectory(source_, *target)) {
    return PathError(ErrorReason::kPathNotFound, path, "points outside the root");
  }
  path = *target;
  return OpenBelowRoot(path);
}

absl::StatusOr<std::unique_ptr<SourceFile>> FolderReader::OpenBelowRoot(const std::string& path) {
  absl::string_view relative = absl::StripPrefix(absl::StripPrefix(path, options_.root), "/");
  return source_.Open(options_.root, relative);
}

absl::StatusOr<FolderReader::Subtree> FolderReader::ReadFile(SourceFile& file,
                                                             const std::string& path) {
  PANAL_ASSIGN_OR_RETURN(SourceStat stat, file.Stat());
  if (stat.size_bytes > kFileSizeMax) {
    return PathError(ErrorReason::kContentTooLarge, path,
                     absl::StrCat("has ", stat.size_bytes, " bytes; at most ", kFileSizeMax));
  }
  Subtree tree{.entry = {.executable = stat.executable, .size_bytes = stat.size_bytes},
               .totals = {.bytes = stat.size_bytes, .files = 1}};
  absl::StatusOr<FileId> id = options_.in_place                   ? Hash(file, path, stat)
                              : stat.size_bytes <= kInlineSizeMax ? ReadSmall(file, path, stat)
                                                                  : Copy(file, path, stat);
  PANAL_ASSIGN_OR_RETURN(tree.entry.id, std::move(id));
  return tree;
}

absl::StatusOr<FileId> FolderReader::ReadSmall(SourceFile& file, const std::string& path,
                                               const SourceStat& stat) {
  std::string content;
  PANAL_RETURN_IF_ERROR(ReadParts(file, path, stat, [&](absl::string_view bytes) {
    content.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }));
  return sink_.Add(FileType::kFile, std::move(content));
}

absl::StatusOr<FileId> FolderReader::Copy(SourceFile& file, const std::string& path,
                                          const SourceStat& stat) {
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<BlockStore::Writer> writer,
                         sink_.NewWriter(FileType::kFile, stat.size_bytes));
  PANAL_RETURN_IF_ERROR(
      ReadParts(file, path, stat, [&](absl::string_view bytes) { return writer->Append(bytes); }));
  return sink_.Finish(*writer);
}

absl::StatusOr<FileId> FolderReader::Hash(SourceFile& file, const std::string& path,
                                          const SourceStat& stat) {
  bool fresh = source_.NowNs() - stat.mtime_ns < kFreshNs;
  ManifestBuilder builder(FileType::kFile, stat.size_bytes);
  PANAL_RETURN_IF_ERROR(ReadParts(file, path, stat, [&](absl::string_view bytes) {
    builder.Update(bytes);
    return absl::OkStatus();
  }));
  return sink_.AddInPlace(builder.Finish(), path, fresh ? kAlwaysHash : stat.mtime_ns);
}

absl::Status FolderReader::ReadParts(SourceFile& file, const std::string& path,
                                     const SourceStat& stat,
                                     const std::function<absl::Status(absl::string_view)>& take) {
  for (uint64_t offset = 0; offset < stat.size_bytes;) {
    if (offset > 0) PANAL_RETURN_IF_ERROR(CheckCancelled());
    size_t size = std::min<uint64_t>(kReadSize, stat.size_bytes - offset);
    PANAL_ASSIGN_OR_RETURN(std::string bytes, file.ReadAt(offset, size));
    if (bytes.size() != size) return Changed(path);
    PANAL_RETURN_IF_ERROR(take(bytes));
    offset += size;
  }
  return CheckUnchanged(file, path, stat);
}

absl::Status FolderReader::CheckUnchanged(SourceFile& file, const std::string& path,
                                          const SourceStat& before) {
  PANAL_ASSIGN_OR_RETURN(SourceStat after, file.Stat());
  return after == before ? absl::OkStatus() : Changed(path);
}

absl::Status FolderReader::CheckCancelled() {
  if (!options_.cancelled || !options_.cancelled()) return absl::OkStatus();
  return Error(ErrorReason::kCancelled, "the add was cancelled");
}

void FolderReader::Skip(const std::string& path, absl::string_view why) {
  if (skipped_.size() < kSkippedReportMax) {
    skipped_.push_back(absl::StrCat(ToValidUtf8(path), ": ", why));
  }
}

}  // namespace panal
