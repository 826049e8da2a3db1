// How many lines of one event may be logged: what stands between a remote peer and a full disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace panal {

// Lines of one event in one window. Guess: enough to see a pattern.
inline constexpr int kLogLinesPerWindowMax = 10;
// Length of a window.
inline constexpr absl::Duration kLogWindow = absl::Seconds(10);
// Events counted apart; all later ones share one count. Our source has far fewer event names.
inline constexpr size_t kLogEventsMax = 256;

// Not thread-safe; log.cc holds a lock.
class LogLimiter {
 public:
  // Whether a line of `event` may be written at `now`: how many were left out since the last line
  // that was, or nothing when this one is to be left out too.
  std::optional<int64_t> Admit(absl::string_view event, absl::Time now);

  // Events counted apart; at most kLogEventsMax.
  size_t size() const { return windows_.size(); }

 private:
  struct Window {
    absl::Time start = absl::InfinitePast();
    int lines = 0;
    int64_t left_out = 0;
  };

  Window& WindowOf(absl::string_view event);

  absl::flat_hash_map<std::string, Window> windows_;
  Window shared_;
};

}  // namespace panal
