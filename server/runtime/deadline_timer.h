// Runs tasks at given times: one thread for all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/base/sync.h"

namespace panal {

// Thread-safe. Tasks run one after the other on the timer's thread and must not block. What is set
// is bounded by whoever sets it (one entry a call).
class DeadlineTimer {
 public:
  // Names an entry. 0 is never one.
  using Token = uint64_t;

  DeadlineTimer();
  // Drops what has not run, waits for the task that runs. Not from a task.
  ~DeadlineTimer();

  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  // O(log n). `task` is run once, not before `when`.
  Token Set(absl::Time when, std::function<void()> task);
  // Does not wait: the task may be running. O(log n). Unknown tokens are ignored.
  void Remove(Token token);

 private:
  using Key = std::pair<absl::Time, Token>;

  void Run();

  Mutex mutex_;
  Condition changed_;
  std::map<Key, std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Token, absl::Time> times_ ABSL_GUARDED_BY(mutex_);
  Token next_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace panal
