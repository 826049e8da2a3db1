// A file layer below SQLite that logs what it does, so that a test can lose power: of what was not
// synced by then a random part is lost, the rest is there.
//
// Method: every write, truncation, sync and removal of every connection opened while a LoggedDisk
// lives is logged in order and done on the real disk too. FilesAfterCut gives what the files hold
// after a cut. Not modeled: names (SQLite syncs the folder with a file that it makes or removes).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/base/random.h"

struct sqlite3_vfs;

namespace panal {

// One operation below SQLite.
struct DiskOperation {
  enum Kind { kWrite, kTruncate, kSync, kDelete } kind;

  std::string file;    // Last component of its path.
  int64_t offset = 0;  // Or the new size.
  std::string bytes;
};

// Bytes of files, by the last component of their path.
using DiskFiles = std::map<std::string, std::string>;

// At most one at a time, and one thread that uses SQLite meanwhile.
class LoggedDisk {
 public:
  LoggedDisk();
  LoggedDisk(const LoggedDisk&) = delete;
  LoggedDisk& operator=(const LoggedDisk&) = delete;
  ~LoggedDisk();

  // Asked before each operation; false: it fails and is not logged, as the power is gone.
  void SetPower(std::function<bool()> power);
  // Every operation in order.
  const std::vector<DiskOperation>& log() const;

 private:
  sqlite3_vfs* const real_;
  sqlite3_vfs* const logged_;
};

// What the files hold that were `before` when the log began, when power is lost before operation
// `cut`.
DiskFiles FilesAfterCut(DiskFiles before, const std::vector<DiskOperation>& log, size_t cut,
                        Random& random);

}  // namespace panal
