#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/data/block_store/file_system.h"
#include "server/data/block_store/posix_io.h"

namespace panal {
namespace {

ErrorReason ReasonOfErrno(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return ErrorReason::kStorageFull;
    case ENOENT:
      return ErrorReason::kPathNotFound;
    case EACCES:
    case EPERM:
      return ErrorReason::kFileUnreadable;
    default:
      return ErrorReason::kStorageFailed;
  }
}

absl::Status ErrnoError(absl::string_view what, absl::string_view path) {
  int error = errno;
  return Error(ReasonOfErrno(error),
               absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(error)),
               {{"path", std::string(path)}});
}

class RealOpenFile final : public OpenFile {
 public:
  RealOpenFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  ~RealOpenFile() override { close(fd_); }

  RealOpenFile(const RealOpenFile&) = delete;
  RealOpenFile& operator=(const RealOpenFile&) = delete;

  absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) override {
    std::optional<std::string> bytes = ReadUpTo(fd_, offset, size);
    if (!bytes) return ErrnoError("read", path_);
    return *std::move(bytes);
  }

  absl::Status WriteAt(uint64_t offset, absl::string_view bytes) override {
    while (!bytes.empty()) {
      ssize_t put = Retry(
          [&] { return pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (put < 0) return ErrnoError("write", path_);
      offset += static_cast<uint64_t>(put);
      bytes.remove_prefix(static_cast<size_t>(put));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (Retry([&] { return fdatasync(fd_); }) < 0) return ErrnoError("sync", path_);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat status;
    if (fstat(fd_, &status) < 0) return ErrnoError("stat", path_);
    return static_cast<uint64_t>(status.st_size);
  }

  absl::Status Truncate(uint64_t size) override {
    if (Retry([&] { return ftruncate(fd_, static_cast<off_t>(size)); }) < 0) {
      return ErrnoError("resize", path_);
    }
    return absl::OkStatus();
  }

 private:
  const int fd_;
  const std::string path_;
};

absl::StatusOr<std::unique_ptr<OpenFile>> Open(absl::string_view path, int flags) {
  std::string name(path);
  int fd = Retry([&] { return open(name.c_str(), flags | O_CLOEXEC, 0600); });
  if (fd < 0) return ErrnoError("open", path);
  return std::make_unique<RealOpenFile>(fd, std::move(name));
}

class RealFileSystemImpl final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<OpenFile>> OpenForRead(absl::string_view path) override {
    return Open(path, O_RDONLY);
  }

  absl::StatusOr<std::unique_ptr<OpenFile>> OpenForWrite(absl::string_view path) override {
    return Open(path, O_RDWR | O_CREAT);
  }

  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    if (rename(std::string(from).c_str(), std::string(to).c_str()) < 0)
      return ErrnoError("rename", from);
    return absl::OkStatus();
  }

  absl::Status Remove(absl::string_view path) override {
    if (unlink(std::string(path).c_str()) < 0) return ErrnoError("remove", path);
    return absl::OkStatus();
  }

  absl::Status MakeDirs(absl::string_view path) override {
    std::string name(path);
    for (size_t slash = name.find('/', 1);; slash = name.find('/', slash + 1)) {
      std::string part = name.substr(0, slash);
      if (mkdir(part.c_str(), 0700) < 0 && errno != EEXIST) return ErrnoError("make folder", part);
      if (slash == std::string::npos) return absl::OkStatus();
    }
  }

  absl::Status SyncDir(absl::string_view path) override {
    std::string name(path);
    int fd = Retry([&] { return open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (fd < 0) return ErrnoError("open folder", path);
    int result = Retry([&] { return fsync(fd); });
    absl::Status status = result < 0 ? ErrnoError("sync folder", path) : absl::OkStatus();
    close(fd);
    return status;
  }

  absl::StatusOr<std::vector<std::string>> ListDir(absl::string_view path) override {
    std::vector<std::string> names;
    DIR* dir = opendir(std::string(path).c_str());
    if (dir == nullptr) {
      if (errno == ENOENT) return names;
      return ErrnoError("list", path);
    }
    errno = 0;
    while (const dirent* entry = readdir(dir)) {
      absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    absl::Status status = errno != 0 ? ErrnoError("list", path) : absl::OkStatus();
    closedir(dir);
    if (!status.ok()) return status;
    std::sort(names.begin(), names.end());
    return names;
  }

  bool Exists(absl::string_view path) override {
    return access(std::string(path).c_str(), F_OK) == 0;
  }

  absl::StatusOr<int64_t> FreeBytes(absl::string_view path) override {
    struct statvfs status;
    if (Retry([&] { return statvfs(std::string(path).c_str(), &status); }) < 0) {
      return ErrnoError("ask for the free space of", path);
    }
    // A network file system may claim more than an int64_t holds.
    unsigned __int128 free = static_cast<unsigned __int128>(status.f_bavail) * status.f_frsize;
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    return free > static_cast<unsigned __int128>(kMost) ? kMost : static_cast<int64_t>(free);
  }
};

}  // namespace

FileSystem& RealFileSystem() {
  static RealFileSystemImpl* const file_system = new RealFileSystemImpl();
  return *file_system;
}

}  // namespace panal
