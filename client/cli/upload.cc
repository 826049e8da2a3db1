#include "client/cli/upload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/key_file_name.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace panal::cli {
namespace {

namespace fs = std::filesystem;

// Bytes read and sent at once. 256 KiB to 1 MiB cost the least CPU per byte over gRPC (measured).
constexpr size_t kChunkSize = 512 * 1024;

// An open file, shared by the copies of the function that reads it.
struct OpenedFile {
  int fd = -1;

  ~OpenedFile() {
    if (fd >= 0) close(fd);
  }
};

absl::Status SystemError(const std::string& path, int error) {
  ErrorReason reason = error == ENOENT || error == ENOTDIR ? ErrorReason::kPathNotFound
                                                           : ErrorReason::kFileUnreadable;
  return Error(reason, absl::StrCat(path, ": ", strerror(error)), {{"path", path}});
}

absl::Status DataDirectoryError(const std::string& path) {
  return Error(ErrorReason::kFileUnreadable,
               absl::StrCat(path, ": is a peer's data directory, which is never shared"),
               {{"path", path}});
}

absl::Status Changed(const std::string& path) {
  return Error(ErrorReason::kFileChanged,
               absl::StrCat(path, ": changed while it was read; add it again"), {{"path", path}});
}

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// Reads the next chunk; at the end makes sure that the file is still the one that was opened.
absl::StatusOr<std::string> ReadChunk(int fd, const std::string& path, const struct stat& opened,
                                      uint64_t* offset) {
  // One byte more than is left: a file that grew is noticed.
  uint64_t left = static_cast<uint64_t>(opened.st_size) - *offset + 1;
  std::string bytes(std::min<uint64_t>(kChunkSize, left), '\0');
  ssize_t size = pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(*offset));
  if (size < 0) return SystemError(path, errno);
  *offset += static_cast<uint64_t>(size);
  bytes.resize(static_cast<size_t>(size));
  if (*offset > static_cast<uint64_t>(opened.st_size)) return Changed(path);
  if (*offset == static_cast<uint64_t>(opened.st_size) || size == 0) {
    struct stat now = {};
    if (fstat(fd, &now) != 0) return SystemError(path, errno);
    if (!SameFile(opened, now)) return Changed(path);
  }
  return bytes;
}

// Whether a link points to a regular file below `root`; `why` says why not.
bool IsInsideLink(const fs::path& link, const fs::path& root, std::string* why) {
  std::error_code error;
  fs::path target = fs::canonical(link, error);
  if (error) {
    *why = "link to nothing";
  } else if (!absl::StartsWith(target.string(), root.string() + "/")) {
    *why = "link to outside of the folder";
  } else if (!fs::is_regular_file(target, error)) {
    *why = "link to a folder";
  } else {
    return true;
  }
  return false;
}

class Scanner {
 public:
  explicit Scanner(fs::path root) : root_(std::move(root)) {}

  absl::Status Scan(const fs::path& folder, const std::string& prefix, int depth) {
    if (depth > kUploadDepthMax) {
      return Error(ErrorReason::kFileNameInvalid, absl::StrCat(folder.string(), ": more than ",
                                                               kUploadDepthMax, " nested folders"));
    }
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      entries.push_back(*it);
    }
    if (error) return SystemError(folder.string(), error.value());
    const bool holds_key =
        std::any_of(std::begin(kSecretFileNames), std::end(kSecretFileNames),
                    [&](const char* name) { return fs::exists(folder / name, error); });
    if (holds_key) {
      if (prefix.empty()) return DataDirectoryError(folder.string());
      scan.skipped.push_back(prefix + ": is a peer's data directory");
      return absl::OkStatus();
    }
    std::sort(entries.begin(), entries.end());
    if (entries.empty() && !prefix.empty()) {
      scan.entries.push_back({folder.string(), prefix, /*empty_folder=*/true});
    }
    for (const fs::directory_entry& entry : entries) {
      std::string name = entry.path().filename().string();
      PANAL_RETURN_IF_ERROR(Visit(entry, prefix.empty() ? name : prefix + "/" + name, depth));
    }
    return absl::OkStatus();
  }

  FolderScan scan;

 private:
  absl::Status Visit(const fs::directory_entry& entry, const std::string& name, int depth) {
    std::error_code error;
    fs::file_type type = entry.symlink_status(error).type();
    std::string why = "not a regular file";
    if (!IsValidUtf8(entry.path().filename().string())) {
      // An upload names its entries in text; what the peer reads by itself keeps the bytes.
      scan.skipped.push_back(
          absl::StrCat(ToValidUtf8(name), ": its name is not UTF-8; --in-place shares it"));
      return absl::OkStatus();
    }
    if (type == fs::file_type::directory) return Scan(entry.path(), name, depth + 1);
    if (type == fs::file_type::regular ||
        (type == fs::file_type::symlink && IsInsideLink(entry.path(), root_, &why))) {
      scan.entries.push_back({entry.path().string(), name});
    } else {
      scan.skipped.push_back(absl::StrCat(name, ": ", why));
    }
    return absl::OkStatus();
  }

  const fs::path root_;
};

}  // namespace

absl::StatusOr<UploadItem> FileItem(const std::string& path, const std::string& name) {
  auto file = std::make_shared<OpenedFile>();
  // A pipe would wait for its writer before it could be told from a file.
  file->fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file->fd < 0) return SystemError(path, errno);
  struct stat opened = {};
  if (fstat(file->fd, &opened) != 0) return SystemError(path, errno);
  if (!S_ISREG(opened.st_mode)) {
    return Error(ErrorReason::kFileUnreadable, absl::StrCat(path, ": is not a regular file"),
                 {{"path", path}});
  }
  UploadItem item;
  item.name = name;
  item.size_bytes = opened.st_size;
  item.executable = (opened.st_mode & S_IXUSR) != 0;
  item.bytes = [file, path, opened, offset = uint64_t{0}]() mutable {
    return ReadChunk(file->fd, path, opened, &offset);
  };
  return item;
}

absl::StatusOr<FolderScan> ScanFolder(const std::string& path) {
  std::error_code error;
  fs::path root = fs::canonical(path, error);
  if (error) return SystemError(path, error.value());
  Scanner scanner(root);
  PANAL_RETURN_IF_ERROR(scanner.Scan(root, "", 0));
  return std::move(scanner.scan);
}

}  // namespace panal::cli
