#include "common/identity/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"

namespace panal::internal {
namespace {

// Ours have 119 bytes.
constexpr size_t kKeyFileSizeMax = 16 * 1024;

// A file descriptor that is closed at the end of its scope.
class ScopedFd {
 public:
  explicit ScopedFd(int fd) : fd_(fd) {}

  ~ScopedFd() {
    if (fd_ >= 0) close(fd_);
  }

  ScopedFd(const ScopedFd&) = delete;
  ScopedFd& operator=(const ScopedFd&) = delete;

  int get() const { return fd_; }

  bool ok() const { return fd_ >= 0; }

 private:
  const int fd_;
};

// REQUIRES: errno is still the failed call's.
absl::Status Failed(absl::string_view what, const std::string& path) {
  int error = errno;
  bool full = error == ENOSPC || error == EDQUOT;
  return Error(full ? ErrorReason::kStorageFull : ErrorReason::kDataDirInvalid,
               absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(error)),
               {{"path", path}});
}

absl::Status Refused(const std::string& path, const SecretFileRules& rules, absl::string_view why) {
  return Error(ErrorReason::kDataDirInvalid, absl::StrCat(rules.what, " ", path, " ", why),
               {{"path", path}});
}

absl::Status CheckSecretFile(int fd, const std::string& path, const SecretFileRules& rules) {
  struct stat info;
  if (fstat(fd, &info) != 0) return Failed("examine", path);
  if (!S_ISREG(info.st_mode)) return Refused(path, rules, "is not a regular file");
  if ((info.st_mode & rules.mode_refused) != 0) {
    return Refused(path, rules,
                   absl::StrFormat("has mode %04o, which lets others read or write it; "
                                   "run: chmod %o %s",
                                   info.st_mode & 07777, rules.mode_advised, path));
  }
  if (static_cast<size_t>(info.st_size) > rules.size_max) {
    return Refused(
        path, rules,
        absl::StrCat("has ", info.st_size, " bytes, which exceeds the limit of ", rules.size_max));
  }
  return absl::OkStatus();
}

// read(2) or write(2) again where a signal came between.
template <typename Call>
ssize_t Retried(Call call) {
  ssize_t result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

absl::Status WriteAll(int fd, absl::string_view content, const std::string& path) {
  while (!content.empty()) {
    ssize_t size = Retried([&] { return write(fd, content.data(), content.size()); });
    if (size < 0) return Failed("write", path);
    content.remove_prefix(static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

absl::Status WriteSynced(const std::string& path, absl::string_view content) {
  // What a crash left under this name was never a key.
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Failed("replace", path);
  ScopedFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.ok()) return Failed("create", path);
  PANAL_RETURN_IF_ERROR(WriteAll(file.get(), content, path));
  if (fsync(file.get()) != 0) return Failed("sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<std::string>> ReadSecretFile(const std::string& path,
                                                          const SecretFileRules& rules) {
  // Non-blocking: a pipe under this name must not hang the start.
  ScopedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.ok() && errno == ENOENT) return std::nullopt;
  if (!file.ok()) return Failed("open", path);
  PANAL_RETURN_IF_ERROR(CheckSecretFile(file.get(), path, rules));
  std::string content;
  char buffer[4096];
  while (content.size() <= rules.size_max) {
    ssize_t size = Retried([&] { return read(file.get(), buffer, sizeof(buffer)); });
    if (size < 0) return Failed("read", path);
    if (size == 0) return content;
    content.append(buffer, static_cast<size_t>(size));
  }
  return Refused(path, rules, "grows while it is read");
}

absl::StatusOr<std::optional<std::string>> ReadKeyFile(const std::string& path) {
  return ReadSecretFile(
      path,
      {.what = "key file", .mode_refused = 077, .mode_advised = 0600, .size_max = kKeyFileSizeMax});
}

absl::Status WriteKeyFile(const std::string& dir, const std::string& name,
                          absl::string_view content) {
  const std::string path = absl::StrCat(dir, "/", name);
  const std::string temporary = absl::StrCat(path, ".new");
  absl::Status written = WriteSynced(temporary, content);
  if (!written.ok()) {
    unlink(temporary.c_str());
    return written;
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed("rename into place", path);
  ScopedFd directory(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.ok()) return Failed("open", dir);
  if (fsync(directory.get()) != 0) return Failed("sync", dir);
  return absl::OkStatus();
}

}  // namespace panal::internal
