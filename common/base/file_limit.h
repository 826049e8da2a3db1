// How many files and sockets the process may have open.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace panal {

// RLIMIT_NOFILE, in descriptors.
struct FileLimit {
  uint64_t before = 0;  // The soft limit found.
  uint64_t now = 0;     // The soft limit from now on.
};

// Raises the soft limit to the hard one: every connection takes a descriptor, and many systems
// start processes with 1,024. Error: INTERNAL when the system refuses; the limit is as it was.
absl::StatusOr<FileLimit> RaiseFileLimit();

}  // namespace panal
