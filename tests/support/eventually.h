// Waits for what other threads or processes bring about.
#pragma once

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace panal {

// Longest wait for what must happen. Far above what a busy machine needs.
inline constexpr absl::Duration kPatience = absl::Seconds(120);

// Looks at `condition` until it holds or the time is up.
inline bool Eventually(const std::function<bool()>& condition,
                       absl::Duration patience = kPatience) {
  absl::Time deadline = absl::Now() + patience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));  // Between two looks only.
  }
  return true;
}

}  // namespace panal
