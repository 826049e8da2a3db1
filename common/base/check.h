// Checks of our own invariants. Never for bytes from a peer, a disk or a user: those are Status.
#pragma once

#include "absl/strings/string_view.h"

namespace panal::internal {
[[noreturn]] void CheckFailed(const char* file, int line, absl::string_view condition);
}  // namespace panal::internal

// Aborts with file and line when `condition` is false. Always on.
#define PANAL_CHECK(condition) \
  ((condition) ? (void)0 : ::panal::internal::CheckFailed(__FILE__, __LINE__, #condition))
