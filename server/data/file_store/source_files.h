// The files of this machine that programs add by path: a seam, so that tests can change a file
// while it is read and count what is done.
//
// Specification:
// - S1. Nothing outside the root is opened, whatever is renamed or linked meanwhile: every path is
//   opened from the root's descriptor, without following a link (openat2 with RESOLVE_BENEATH and
//   RESOLVE_NO_SYMLINKS, or component by component where the kernel or a filter refuses it).
// - S2. Opening never blocks and has no effect on a device: only what is listed as a file, folder
//   or of unknown kind is opened, with O_NONBLOCK.
//
// Thread-safe; an open file is used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal {

enum class SourceKind : uint8_t { kFile, kFolder, kLink, kOther };

// What is compared before and after a file is read.
struct SourceStat {
  SourceKind kind = SourceKind::kFile;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;  // Since 1970.
  uint64_t device = 0;
  uint64_t inode = 0;
  bool executable = false;  // By its owner.

  bool operator==(const SourceStat&) const = default;
};

struct SourceEntry {
  std::string name;
  SourceKind kind = SourceKind::kFile;
};

// An open file or folder. Closed by the destructor. Errors: PATH_NOT_FOUND, FILE_UNREADABLE (also
// for what cannot be read because the disk fails).
class SourceFile {
 public:
  virtual ~SourceFile() = default;
  virtual absl::StatusOr<SourceStat> Stat() = 0;
  // Reads `size` bytes at `offset`, fewer only where the file ends.
  virtual absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) = 0;
  // Entries of a folder in ascending bytewise name order.
  virtual absl::StatusOr<std::vector<SourceEntry>> List() = 0;
  // Opens an entry of a folder; a link is PATH_NOT_FOUND.
  virtual absl::StatusOr<std::unique_ptr<SourceFile>> OpenEntry(absl::string_view name) = 0;
};

class SourceFiles {
 public:
  virtual ~SourceFiles() = default;
  // The absolute path without links, `.` and `..`. Errors: PATH_NOT_FOUND, FILE_UNREADABLE.
  virtual absl::StatusOr<std::string> Resolve(absl::string_view path) = 0;
  // Opens `relative` (empty: the root itself) below `root`. See S1. A link is PATH_NOT_FOUND.
  virtual absl::StatusOr<std::unique_ptr<SourceFile>> Open(absl::string_view root,
                                                           absl::string_view relative) = 0;
  // Now, by the clock that stamps files. Nanoseconds since 1970.
  virtual int64_t NowNs() = 0;
};

// Whether `folder`, resolved, holds a private key: that of a peer or of a mesh.
bool HoldsKey(SourceFiles& source, absl::string_view folder);

// Whether `path`, resolved, is a peer's data directory or lies in one: keys and catalogs are not
// for sharing. One look at each folder above it.
bool IsInDataDirectory(SourceFiles& source, absl::string_view path);

// The operating system's. Never freed.
SourceFiles& RealSourceFiles();

}  // namespace panal
