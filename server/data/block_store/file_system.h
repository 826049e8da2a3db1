// The file layer under the block store: a seam, so that tests can lose unsynced writes, fill the
// disk or fail a call (tests/support/faulty_file_system.h).
//
// Every method maps to one or two system calls; errors: STORAGE_FULL for ENOSPC and EDQUOT,
// PATH_NOT_FOUND for ENOENT, FILE_UNREADABLE for EACCES and EPERM, STORAGE_FAILED for the rest,
// each with path and errno text. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal {

// An open file. Closed by the destructor.
class OpenFile {
 public:
  virtual ~OpenFile() = default;
  // Reads exactly `size` bytes at `offset` unless the file ends before.
  virtual absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) = 0;
  virtual absl::Status WriteAt(uint64_t offset, absl::string_view bytes) = 0;
  // fdatasync.
  virtual absl::Status Sync() = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<OpenFile>> OpenForRead(absl::string_view path) = 0;
  // Creates the file (0600) where it is missing.
  virtual absl::StatusOr<std::unique_ptr<OpenFile>> OpenForWrite(absl::string_view path) = 0;
  virtual absl::Status Rename(absl::string_view from, absl::string_view to) = 0;
  virtual absl::Status Remove(absl::string_view path) = 0;
  // Creates the folder (0700) and its parents.
  virtual absl::Status MakeDirs(absl::string_view path) = 0;
  // fsync of a folder: makes renames in it durable.
  virtual absl::Status SyncDir(absl::string_view path) = 0;
  // Names in a folder, sorted; empty when it is missing.
  virtual absl::StatusOr<std::vector<std::string>> ListDir(absl::string_view path) = 0;
  virtual bool Exists(absl::string_view path) = 0;
  // Bytes free for unprivileged use on the disk of `path`.
  virtual absl::StatusOr<int64_t> FreeBytes(absl::string_view path) = 0;
};

// The operating system's. Never freed.
FileSystem& RealFileSystem();

}  // namespace panal
