// Hands inbound work to a bounded pool of workers, by class and fairly between callers. The workers
// are the runtime's (server/runtime/dispatcher).
//
// Specification:
// - D1. Every class has its own workers and its own queue, so that bulk work cannot delay control
//   work.
// - D2. A queue holds at most `queue_max` tasks; Submit then says OVERLOADED with a RetryInfo of
//   about the time the queue needs to drain.
// - D3. Callers of one class are served by deficit round robin (Shreedhar, Varghese, SIGCOMM 1995,
//   section 3): one that asks 90 % of the work gets no more than its share while others wait. One
//   caller holds at most half of a queue.
// - D4. Stop() runs what was accepted, then ends the workers. Nothing is accepted after it.
//
// Thread-safe. Tasks must not wait for other tasks of the same class.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace panal {

enum class WorkClass : uint8_t { kControl = 0, kSearch = 1, kCalls = 2, kBulk = 3 };
inline constexpr int kWorkClasses = 4;
// `control`, `search`, `calls`, `bulk`.
absl::string_view WorkClassName(WorkClass work_class);

struct WorkClassOptions {
  int threads = 2;
  int queue_max = 1024;  // Tasks.
};

struct DispatcherOptions {
  // Guess: two threads a class use both cores of a small machine without starving another class.
  std::array<WorkClassOptions, kWorkClasses> classes = {
      WorkClassOptions{.threads = 2, .queue_max = 4096},
      WorkClassOptions{.threads = 2, .queue_max = 1024},
      WorkClassOptions{.threads = 2, .queue_max = 4096},
      WorkClassOptions{.threads = 2, .queue_max = 1024}};
  // Called for every task that leaves a queue: class and time spent in it. May be empty.
  std::function<void(WorkClass, absl::Duration)> on_queue_time;

  absl::Status Validate() const;
};

class Dispatcher {
 public:
  static std::unique_ptr<Dispatcher> Create(const DispatcherOptions& options);
  virtual ~Dispatcher() = default;

  // Queues `task` for `caller`. `cost`: its relative weight, 1 for an ordinary one. Errors:
  // OVERLOADED, SHUTTING_DOWN.
  virtual absl::Status Submit(WorkClass work_class, absl::string_view caller,
                              std::function<void()> task, int cost = 1) = 0;
  virtual void Stop() = 0;
  // Tasks waiting now.
  virtual int QueueLength(WorkClass work_class) const = 0;
};

}  // namespace panal
