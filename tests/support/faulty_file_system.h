// A file system in memory that can be cut off from its power: it remembers what was synced, and at
// a cut drops any subset of what was not (writes, sizes, names), chosen by a seed.
//
// Method: a file's bytes become safe with OpenFile::Sync, a name (creation, rename, removal,
// folder) with SyncDir of the folder it is in. At a cut each write that was not synced survives
// whole, up to some byte, or not at all; each change of a name survives or not, in the order they
// were made. Handles opened before a cut fail afterwards, as the process that had them is gone. Not
// modeled: bits that rot in synced data (see CorruptByte), and folders renamed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/random.h"
#include "common/base/sync.h"
#include "server/data/block_store/file_system.h"

namespace panal {

// Thread-safe.
class FaultyFileSystem final : public FileSystem {
 public:
  FaultyFileSystem() = default;

  absl::StatusOr<std::unique_ptr<OpenFile>> OpenForRead(absl::string_view path) override;
  absl::StatusOr<std::unique_ptr<OpenFile>> OpenForWrite(absl::string_view path) override;
  absl::Status Rename(absl::string_view from, absl::string_view to) override;
  absl::Status Remove(absl::string_view path) override;
  absl::Status MakeDirs(absl::string_view path) override;
  absl::Status SyncDir(absl::string_view path) override;
  absl::StatusOr<std::vector<std::string>> ListDir(absl::string_view path) override;
  bool Exists(absl::string_view path) override;
  absl::StatusOr<int64_t> FreeBytes(absl::string_view path) override;

  // From the `operations`-th operation on everything fails with STORAGE_FAILED, until PowerCut or
  // Killed. Negative: never.
  void StopAfter(int64_t operations);
  // Whether StopAfter's operations are over.
  bool stopped() const;
  // The power goes and comes back: what was not synced survives in part. `survival`: chance of
  // each.
  void PowerCut(Random& random, double survival);
  // The process was killed and starts again: everything written is there.
  void Killed();

  // Bytes that all files may have together; STORAGE_FULL beyond. Holes do not count. Negative: no
  // limit.
  void SetCapacity(int64_t bytes);
  // The next Sync of a file fails with STORAGE_FAILED and its unsynced writes are lost to the disk.
  void FailNextSync();
  // Changes one byte of a file, as a bad sector does.
  void CorruptByte(absl::string_view path, uint64_t offset);

  int64_t operations() const;
  int64_t syncs() const;

 private:
  friend class FaultyOpenFile;

  struct Change {  // Of bytes, not synced.
    bool truncate = false;
    uint64_t offset = 0;  // Or the new size.
    std::string bytes;
  };

  struct Inode {
    std::string bytes;
    std::string synced;
    std::vector<Change> changes;
    int64_t allocated = 0;  // Bytes written, holes left out.
  };

  using InodePtr = std::shared_ptr<Inode>;  // Shared by names and open files.

  struct NameChange {  // Not synced. A rename is both.
    std::string removed;
    std::string added;
    InodePtr inode;
    bool folder = false;
  };

  absl::Status Step() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Alive(int64_t era) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Write(Inode& inode, uint64_t offset, absl::string_view bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SyncInode(Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyName(const NameChange& change, std::map<std::string, InodePtr>& files,
                 std::set<std::string>& folders);
  void DropOrphans() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, InodePtr> files_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> folders_ ABSL_GUARDED_BY(mutex_) = {"/"};
  std::map<std::string, InodePtr> synced_files_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> synced_folders_ ABSL_GUARDED_BY(mutex_) = {"/"};
  std::vector<NameChange> name_changes_ ABSL_GUARDED_BY(mutex_);
  int64_t era_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t syncs_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t stop_after_ ABSL_GUARDED_BY(mutex_) = -1;
  int64_t capacity_ ABSL_GUARDED_BY(mutex_) = -1;
  int64_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  bool fail_next_sync_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace panal
