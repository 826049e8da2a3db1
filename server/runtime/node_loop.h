// The node loop: one thread that owns all processing state and runs everything that touches it, in
// order, fed by one bounded mailbox, with timers.
//
// Post accepts always: for answers that the loop itself asked for (their number is bounded by what
// it asked) and for control. TryPost refuses when kMailboxMax tasks wait: for what comes from
// outside.
//
// Time is that of a monotonic clock: a wall clock that is set meanwhile delays or hastens nothing.
//
// Thread-safe. Tasks must not block.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <thread>

#include "absl/time/time.h"
#include "common/base/sync.h"

namespace panal {

// Tasks that may wait in the mailbox before what comes from outside is refused. Guess: about 0.1 s
// of work at 2 microseconds a frame.
inline constexpr size_t kMailboxMax = 65'536;

class NodeLoop {
 public:
  using Task = std::function<void()>;

  explicit NodeLoop(size_t mailbox_max = kMailboxMax);
  // REQUIRES: Stop() was called.
  ~NodeLoop();

  // Begins to run tasks.
  void Start();
  // Runs the tasks that wait, then ends the thread; timers are dropped. Later posts are dropped.
  // Not from a task.
  void Stop();

  void Post(Task task);
  // False when the mailbox is full or the loop has stopped.
  bool TryPost(Task task);
  void PostAfter(absl::Duration delay, Task task);

  // The wall clock's time when the loop was made, and what a monotonic clock measured since. For
  // delays and deadlines; whether a page has expired is the wall clock's business.
  absl::Time Now() const;

  // Tasks waiting now.
  size_t waiting() const;

 private:
  void Run();
  using Clock = std::chrono::steady_clock;

  // Moves timers that are due into `batch`; returns until when the loop may sleep.
  Clock::time_point TakeDue(std::deque<Task>& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SleepUntil(Clock::time_point end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t mailbox_max_;
  const absl::Time wall_start_;
  const Clock::time_point start_;
  mutable Mutex mutex_;
  // Not Condition: that waits by the wall clock.
  std::condition_variable_any wake_;
  std::deque<Task> mailbox_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Clock::time_point, Task> timers_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace panal
