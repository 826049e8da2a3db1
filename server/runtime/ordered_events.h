// Events that come from many threads, delivered one at a time in the order in which they were
// pushed, with no lock held. Whoever finds the queue idle delivers for all.
//
// Push under the lock that guards the state the event tells of: then the order of events is the
// order of the changes. Run after that lock is free.
#pragma once

#include <deque>
#include <functional>

#include "common/base/sync.h"

namespace panal {

// Thread-safe. Its bound is the callers': a source pushes its next event only after its last one
// was delivered, or ends.
class OrderedEvents {
 public:
  void Push(std::function<void()> event);
  // Delivers what is queued, unless a thread does so already. An event may push and run again.
  void Run();
  // Blocks until nothing is queued and no event runs. REQUIRES: not called from an event.
  void WaitIdle();

 private:
  Mutex mutex_;
  Condition idle_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace panal
