#include "common/base/log_limiter.h"

namespace panal {

std::optional<int64_t> LogLimiter::Admit(absl::string_view event, absl::Time now) {
  Window& window = WindowOf(event);
  // A clock that was set back must not silence an event until it has caught up.
  if (now < window.start || now - window.start >= kLogWindow) {
    window.start = now;
    window.lines = 0;
  }
  if (window.lines >= kLogLinesPerWindowMax) {
    ++window.left_out;
    return std::nullopt;
  }
  ++window.lines;
  int64_t left_out = window.left_out;
  window.left_out = 0;
  return left_out;
}

LogLimiter::Window& LogLimiter::WindowOf(absl::string_view event) {
  auto found = windows_.find(event);
  if (found != windows_.end()) return found->second;
  if (windows_.size() >= kLogEventsMax) return shared_;
  return windows_[std::string(event)];
}

}  // namespace panal
