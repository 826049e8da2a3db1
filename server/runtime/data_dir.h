// The data directory of a peer: one folder that holds everything it keeps, for one panald at a
// time.
//
//   format       version of the layout, a number and a newline
//   lock         held (flock) while a panald uses the directory
//   peer.key     the peer's private key, mode 0600
//   catalog.db   the catalog (SQLite, with -wal and -shm beside it)
//   blocks/      the block store
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal {

// Version of the layout that this software writes.
inline constexpr int kDataDirFormat = 1;

// An open, locked data directory. Unlocked by the destructor, and by the kernel when the process
// dies.
class DataDir {
 public:
  // Opens the directory, makes it (mode 0700) where it is missing, and locks it. Errors:
  // DATA_DIR_LOCKED (with the process id of the holder), DATA_DIR_TOO_NEW, DATA_DIR_INVALID,
  // STORAGE_FULL.
  static absl::StatusOr<std::unique_ptr<DataDir>> Open(absl::string_view path);
  ~DataDir();

  const std::string& path() const { return path_; }

  std::string CatalogPath() const { return path_ + "/catalog.db"; }

  std::string BlocksPath() const { return path_ + "/blocks"; }

 private:
  DataDir(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  const std::string path_;
  const int lock_fd_;
};

// `--data-dir`'s default: /var/lib/panal for root, else $XDG_DATA_HOME/panal or
// ~/.local/share/panal.
std::string DefaultDataDir();

}  // namespace panal
