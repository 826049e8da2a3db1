// The node loop: one thread that owns all processing state and runs everything that touches it, in order,
// fed by one bounded mailbox, with timers.
//
// Post accepts always: for answers that the loop itself asked for (their number is bounded by what it
// asked) and for control. TryPost refuses when kMailboxMax tasks wait: for what comes from outside.
//
// Thread-safe. Tasks must not block.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <thread>

#include "absl/time/time.h"
#include "common/base/sync.h"

namespace panal {

// Tasks that may wait in the mailbox before what comes from outside is refused. Guess: about 0.1 s of
// work at 2 microseconds a frame.
inline constexpr size_t kMailboxMax = 65'536;

class NodeLoop {
 public:
  using Task = std::function<void()>;

  explicit NodeLoop(size_t mailbox_max = kMailboxMax);
  // REQUIRES: Stop() was called.
  ~NodeLoop();

  // Begins to run tasks.
  void Start();
  // Runs the tasks that wait, then ends the thread; timers are dropped. Later posts are dropped. Not
  // from a task.
  void Stop();

  void Post(Task task);
  // False when the mailbox is full or the loop has stopped.
  bool TryPost(Task task);
  void PostAfter(absl::Duration delay, Task task);

  // Tasks waiting now.
  size_t waiting() const;

 private:
  void Run();
  // Moves timers that are due into `batch`; returns how long the loop may sleep.
  absl::Duration TakeDue(std::deque<Task>& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t mailbox_max_;
  mutable Mutex mutex_;
  Condition wake_;
  std::deque<Task> mailbox_ ABSL_GUARDED_BY(mutex_);
  std::multimap<absl::Time, Task> timers_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace panal
