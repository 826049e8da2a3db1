#include "server/data/file_store/source_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/key_file_name.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "server/data/block_store/posix_io.h"

namespace panal {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

absl::Status ErrnoError(absl::string_view what, absl::string_view path) {
  int error = errno;
  // A link where none may be followed, a vanished parent or a socket: there is no such file.
  bool missing =
      error == ENOENT || error == ELOOP || error == EXDEV || error == ENOTDIR || error == ENXIO;
  std::string shown = ToValidUtf8(path);
  return Error(missing ? ErrorReason::kPathNotFound : ErrorReason::kFileUnreadable,
               absl::StrCat("cannot ", what, " ", shown, ": ", std::strerror(error)),
               {{"path", shown}});
}

SourceKind KindOfMode(mode_t mode) {
  if (S_ISREG(mode)) return SourceKind::kFile;
  if (S_ISDIR(mode)) return SourceKind::kFolder;
  return S_ISLNK(mode) ? SourceKind::kLink : SourceKind::kOther;
}

class RealSourceFile final : public SourceFile {
 public:
  RealSourceFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  ~RealSourceFile() override { close(fd_); }

  RealSourceFile(const RealSourceFile&) = delete;
  RealSourceFile& operator=(const RealSourceFile&) = delete;

  absl::StatusOr<SourceStat> Stat() override {
    struct stat status;
    if (fstat(fd_, &status) < 0) return ErrnoError("stat", path_);
    return SourceStat{
        .kind = KindOfMode(status.st_mode),
        .size_bytes = static_cast<uint64_t>(status.st_size),
        .mtime_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
        .device = status.st_dev,
        .inode = status.st_ino,
        .executable = (status.st_mode & S_IXUSR) != 0};
  }

  absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) override {
    std::optional<std::string> bytes = ReadUpTo(fd_, offset, size);
    if (!bytes) return ErrnoError("read", path_);
    return *std::move(bytes);
  }

  absl::StatusOr<std::vector<SourceEntry>> List() override {
    // readdir moves and closes what it is given.
    int copy = Retry([&] { return openat(fd_, ".", kOpenFlags | O_DIRECTORY); });
    if (copy < 0) return ErrnoError("list", path_);
    DIR* dir = fdopendir(copy);
    if (dir == nullptr) {
      close(copy);
      return ErrnoError("list", path_);
    }
    std::vector<SourceEntry> entries;
    errno = 0;
    while (const dirent* entry = readdir(dir)) {
      absl::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        entries.push_back({.name = std::string(name), .kind = KindOf(*entry)});
      }
      errno = 0;
    }
    absl::Status status = errno != 0 ? ErrnoError("list", path_) : absl::OkStatus();
    closedir(dir);
    if (!status.ok()) return status;
    std::sort(entries.begin(), entries.end(),
              [](const SourceEntry& a, const SourceEntry& b) { return a.name < b.name; });
    return entries;
  }

  absl::StatusOr<std::unique_ptr<SourceFile>> OpenEntry(absl::string_view name) override {
    std::string text(name);
    std::string path = absl::StrCat(path_, "/", name);
    int fd = Retry([&] { return openat(fd_, text.c_str(), kOpenFlags); });
    if (fd < 0) return ErrnoError("open", path);
    return std::make_unique<RealSourceFile>(fd, std::move(path));
  }

 private:
  SourceKind KindOf(const dirent& entry) {
    switch (entry.d_type) {
      case DT_REG:
        return SourceKind::kFile;
      case DT_DIR:
        return SourceKind::kFolder;
      case DT_LNK:
        return SourceKind::kLink;
      case DT_UNKNOWN: {
        struct stat status;
        if (fstatat(fd_, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) return SourceKind::kFile;
        return KindOfMode(status.st_mode);
      }
      default:
        return SourceKind::kOther;
    }
  }

  const int fd_;
  const std::string path_;
};

// Opens `relative` below `root_fd` one component after the other. -1 and errno on failure.
int WalkBeneath(int root_fd, const std::string& relative) {
  int at = root_fd;
  for (size_t begin = 0; begin <= relative.size();) {
    size_t end = std::min(relative.find('/', begin), relative.size());
    std::string name = relative.substr(begin, end - begin);
    bool last = end == relative.size();
    if (name == "..") {
      errno = EXDEV;
    }
    int next = name == ".." ? -1 : Retry([&] {
      return openat(at, name.c_str(),
                    last ? kOpenFlags : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    });
    int error = errno;
    if (at != root_fd) close(at);
    errno = error;
    if (next < 0 || last) return next;
    at = next;
    begin = end + 1;
  }
  return -1;
}

int OpenBeneath(int root_fd, const std::string& relative) {
  struct open_how how = {};
  how.flags = kOpenFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  int fd = static_cast<int>(
      Retry([&] { return syscall(SYS_openat2, root_fd, relative.c_str(), &how, sizeof(how)); }));
  bool refused =
      fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN || errno == EINVAL);
  return refused ? WalkBeneath(root_fd, relative) : fd;
}

class RealSourceFilesImpl final : public SourceFiles {
 public:
  absl::StatusOr<std::string> Resolve(absl::string_view path) override {
    std::string text(path);
    char* resolved =
        text.find('\0') == std::string::npos ? realpath(text.c_str(), nullptr) : nullptr;
    if (resolved == nullptr) return ErrnoError("resolve", path);
    std::string result = resolved;
    std::free(resolved);
    return result;
  }

  absl::StatusOr<std::unique_ptr<SourceFile>> Open(absl::string_view root,
                                                   absl::string_view relative) override {
    std::string root_path(root);
    std::string path = relative.empty() ? root_path : absl::StrCat(root, "/", relative);
    int root_fd = Retry([&] { return open(root_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); });
    if (root_fd < 0) return ErrnoError("open", root);
    int fd = OpenBeneath(root_fd, relative.empty() ? "." : std::string(relative));
    int error = errno;
    close(root_fd);
    errno = error;
    if (fd < 0) return ErrnoError("open", path);
    return std::make_unique<RealSourceFile>(fd, std::move(path));
  }

  int64_t NowNs() override {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }
};

}  // namespace

bool HoldsKey(SourceFiles& source, absl::string_view folder) {
  return std::any_of(
      std::begin(kSecretFileNames), std::end(kSecretFileNames),
      [&](const char* name) { return source.Resolve(absl::StrCat(folder, "/", name)).ok(); });
}

bool IsInDataDirectory(SourceFiles& source, absl::string_view path) {
  for (size_t end = path.size(); end > 0 && end != absl::string_view::npos;
       end = path.rfind('/', end - 1)) {
    if (HoldsKey(source, path.substr(0, end))) return true;
  }
  return false;
}

SourceFiles& RealSourceFiles() {
  static RealSourceFilesImpl* const files = new RealSourceFilesImpl();
  return *files;
}

}  // namespace panal
