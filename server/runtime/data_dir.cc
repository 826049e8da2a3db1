#include "server/runtime/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "server/data/block_store/file_system.h"

namespace panal {
namespace {

absl::Status Invalid(absl::string_view path, absl::string_view what) {
  return Error(ErrorReason::kDataDirInvalid, absl::StrCat("data directory ", path, ": ", what),
               {{"path", std::string(path)}});
}

// What the holder of the lock wrote into it: its process id.
std::string ReadHolder(int fd) {
  char text[32] = {};
  ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  return size > 0 ? std::string(absl::StripAsciiWhitespace(text)) : "unknown";
}

absl::StatusOr<int> Lock(const std::string& dir) {
  std::string path = dir + "/lock";
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Invalid(dir, absl::StrCat("cannot open the lock: ", strerror(errno)));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    std::string holder = ReadHolder(fd);
    close(fd);
    return Error(ErrorReason::kDataDirLocked,
                 absl::StrCat("data directory ", dir, " is in use by another panald (process ",
                              holder, "); stop it or choose another --data-dir"),
                 {{"path", dir}, {"process", holder}});
  }
  // For the message above only: a full disk must not keep a peer from starting.
  std::string me = absl::StrCat(getpid(), "\n");
  bool said = ftruncate(fd, 0) == 0 && pwrite(fd, me.data(), me.size(), 0) > 0;
  if (!said) Log(LogLevel::kWarning, "lock_not_written", {{"why", strerror(errno)}});
  return fd;
}

absl::Status CheckFormat(const std::string& dir) {
  FileSystem& fs = RealFileSystem();
  std::string path = dir + "/format";
  if (fs.Exists(path)) {
    PANAL_ASSIGN_OR_RETURN(std::unique_ptr<OpenFile> file, fs.OpenForRead(path));
    PANAL_ASSIGN_OR_RETURN(std::string text, file->ReadAt(0, 32));
    int format = 0;
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &format) || format < 1) {
      return Invalid(dir, "its file `format` holds no version; is this a panal data directory?");
    }
    if (format > kDataDirFormat) {
      return Error(
          ErrorReason::kDataDirTooNew,
          absl::StrCat("data directory ", dir, " has format ", format, "; this panald knows up to ",
                       kDataDirFormat, ": use the newer panald that wrote it"),
          {{"path", dir}, {"format", absl::StrCat(format)}});
    }
    return absl::OkStatus();
  }
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<OpenFile> file, fs.OpenForWrite(path + ".new"));
  PANAL_RETURN_IF_ERROR(file->WriteAt(0, absl::StrCat(kDataDirFormat, "\n")));
  PANAL_RETURN_IF_ERROR(file->Sync());
  PANAL_RETURN_IF_ERROR(fs.Rename(path + ".new", path));
  return fs.SyncDir(dir);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDir>> DataDir::Open(absl::string_view path) {
  std::string dir(path);
  if (dir.empty()) return Invalid(path, "the path is empty");
  if (absl::Status made = RealFileSystem().MakeDirs(dir); !made.ok()) {
    if (ReasonOf(made) == ErrorReason::kStorageFull) return made;
    return Invalid(dir, made.message());
  }
  PANAL_ASSIGN_OR_RETURN(int fd, Lock(dir));
  std::unique_ptr<DataDir> data_dir(new DataDir(dir, fd));
  PANAL_RETURN_IF_ERROR(CheckFormat(dir));
  return data_dir;
}

DataDir::~DataDir() { close(lock_fd_); }

std::string DefaultDataDir() {
  if (geteuid() == 0) return "/var/lib/panal";
  if (const char* xdg = std::getenv("XDG_DATA_HOME"); xdg != nullptr && *xdg != '\0') {
    return absl::StrCat(xdg, "/panal");
  }
  const char* home = std::getenv("HOME");
  return absl::StrCat(home != nullptr ? home : "/tmp", "/.local/share/panal");
}

}  // namespace panal
