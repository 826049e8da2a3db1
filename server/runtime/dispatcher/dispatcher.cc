#include "server/application/dispatcher.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/sync.h"

namespace panal {
namespace {

// Bounds of what an overloaded caller is told to wait. Guesses: below 10 ms a retry finds the same
// queue, above 30 s nobody waits.
constexpr absl::Duration kRetryAfterMin = absl::Milliseconds(10);
constexpr absl::Duration kRetryAfterMax = absl::Seconds(30);
// Cost of a task until the first one was measured. Guess: a small disk access.
constexpr absl::Duration kServiceTimeGuess = absl::Milliseconds(1);
// Weight of the newest measurement in the mean service time. Guess: about the last 16 tasks count.
constexpr double kServiceTimeWeight = 1.0 / 16;
// What a flow may spend a round. One ordinary task: the finest interleaving of callers.
constexpr int kQuantum = 1;
// Largest cost of one task: bounds how long a flow saves up for it.
constexpr int kCostMax = 64;

// Steady, so that a step of the wall clock is no queue time.
absl::Duration SteadyNow() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

struct Task {
  std::function<void()> run;
  int cost = 1;
  absl::Duration queued_at;
};

// The waiting tasks of one caller. Exists only while it has some, so that there are never more
// flows than tasks.
struct Flow {
  std::string caller;
  std::deque<Task> tasks;
  int deficit = 0;
};

// One class: its queue and its workers.
class WorkQueue {
 public:
  WorkQueue(WorkClass work_class, const WorkClassOptions& options,
            std::function<void(WorkClass, absl::Duration)> on_queue_time)
      : work_class_(work_class), options_(options), on_queue_time_(std::move(on_queue_time)) {
    workers_.reserve(static_cast<size_t>(options.threads));
    for (int i = 0; i < options.threads; ++i) workers_.emplace_back([this] { Work(); });
  }

  absl::Status Submit(absl::string_view caller, std::function<void()> task, int cost) {
    MutexLock lock(&mutex_);
    if (stopping_) return Error(ErrorReason::kShuttingDown, "the peer is stopping");
    if (length_ >= options_.queue_max) return Overloaded("the queue holds", options_.queue_max);
    auto found = flows_.find(caller);
    // Half of a queue of one would be none.
    const int caller_max = std::max(1, options_.queue_max / 2);
    if (found != flows_.end() && static_cast<int>(found->second->tasks.size()) >= caller_max) {
      return Overloaded("the caller holds its share of", caller_max);
    }
    if (found == flows_.end()) {
      rounds_.push_back(Flow{.caller = std::string(caller)});
      found = flows_.emplace(std::string(caller), std::prev(rounds_.end())).first;
    }
    found->second->tasks.push_back(
        Task{std::move(task), std::clamp(cost, 1, kCostMax), SteadyNow()});
    ++length_;
    ready_.Signal();
    return absl::OkStatus();
  }

  // After it nothing is accepted; what was accepted is still run.
  void Close() {
    MutexLock lock(&mutex_);
    stopping_ = true;
    ready_.SignalAll();
  }

  void Join() {
    for (std::thread& worker : workers_) {
      if (worker.joinable()) worker.join();
    }
  }

  int Length() const {
    MutexLock lock(&mutex_);
    return length_;
  }

 private:
  absl::Status Overloaded(absl::string_view why, int limit) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Duration drain = service_time_ * length_ / options_.threads;
    return OverloadedError(absl::StrCat("overloaded: ", why, " ", limit, " tasks of class ",
                                        WorkClassName(work_class_)),
                           std::clamp(drain, kRetryAfterMin, kRetryAfterMax));
  }

  // Deficit round robin: the front flow spends what it saved; one that cannot afford its next task
  // saves a quantum and goes to the back. REQUIRES: length_ > 0.
  Task Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (;;) {
      Flow& flow = rounds_.front();
      if (!began_turn_) {
        flow.deficit += kQuantum;
        began_turn_ = true;
      }
      if (flow.deficit >= flow.tasks.front().cost) {
        Task task = std::move(flow.tasks.front());
        flow.tasks.pop_front();
        flow.deficit -= task.cost;
        --length_;
        if (flow.tasks.empty()) {
          flows_.erase(flow.caller);
          rounds_.pop_front();
          began_turn_ = false;
        }
        return task;
      }
      rounds_.splice(rounds_.end(), rounds_, rounds_.begin());
      began_turn_ = false;
    }
  }

  void Work() {
    for (;;) {
      Task task;
      {
        MutexLock lock(&mutex_);
        while (length_ == 0 && !stopping_) ready_.Wait(&mutex_);
        if (length_ == 0) return;
        task = Take();
      }
      const absl::Duration begin = SteadyNow();
      if (on_queue_time_) on_queue_time_(work_class_, begin - task.queued_at);
      task.run();
      // What the task captured is freed before it counts as done.
      task.run = nullptr;
      MutexLock lock(&mutex_);
      service_time_ += (SteadyNow() - begin - service_time_) * kServiceTimeWeight;
    }
  }

  const WorkClass work_class_;
  const WorkClassOptions options_;
  const std::function<void(WorkClass, absl::Duration)> on_queue_time_;

  mutable Mutex mutex_;
  Condition ready_;
  // The flows in the order of their turns; a list, so that positions stay valid.
  std::list<Flow> rounds_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::list<Flow>::iterator, std::less<>> flows_ ABSL_GUARDED_BY(mutex_);
  // Whether the front flow already got the quantum of its turn.
  bool began_turn_ ABSL_GUARDED_BY(mutex_) = false;
  int length_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Mean time a task took, lately.
  absl::Duration service_time_ ABSL_GUARDED_BY(mutex_) = kServiceTimeGuess;
  std::vector<std::thread> workers_;
};

class PooledDispatcher final : public Dispatcher {
 public:
  explicit PooledDispatcher(const DispatcherOptions& options) {
    for (int i = 0; i < kWorkClasses; ++i) {
      queues_[i] = std::make_unique<WorkQueue>(static_cast<WorkClass>(i), options.classes[i],
                                               options.on_queue_time);
    }
  }

  ~PooledDispatcher() override { Stop(); }

  absl::Status Submit(WorkClass work_class, absl::string_view caller, std::function<void()> task,
                      int cost) override {
    return queues_[static_cast<size_t>(work_class)]->Submit(caller, std::move(task), cost);
  }

  void Stop() override {
    // All at once, so that what one class still runs cannot start work of another.
    for (auto& queue : queues_) queue->Close();
    MutexLock lock(&stop_mutex_);
    for (auto& queue : queues_) queue->Join();
  }

  int QueueLength(WorkClass work_class) const override {
    return queues_[static_cast<size_t>(work_class)]->Length();
  }

 private:
  // Makes a second caller of Stop wait as well.
  Mutex stop_mutex_;
  std::array<std::unique_ptr<WorkQueue>, kWorkClasses> queues_;
};

}  // namespace

absl::string_view WorkClassName(WorkClass work_class) {
  switch (work_class) {
    case WorkClass::kControl:
      return "control";
    case WorkClass::kSearch:
      return "search";
    case WorkClass::kCalls:
      return "calls";
    case WorkClass::kBulk:
      return "bulk";
  }
  return "unknown";
}

absl::Status DispatcherOptions::Validate() const {
  for (int i = 0; i < kWorkClasses; ++i) {
    const absl::string_view name = WorkClassName(static_cast<WorkClass>(i));
    if (classes[i].threads < 1 || classes[i].threads > 1024) {
      return Error(ErrorReason::kConfigInvalid, absl::StrCat(name, " threads: ", classes[i].threads,
                                                             " is not within 1 to 1024"));
    }
    if (classes[i].queue_max < 1 || classes[i].queue_max > 1'000'000) {
      return Error(ErrorReason::kConfigInvalid, absl::StrCat(name, " queue: ", classes[i].queue_max,
                                                             " is not within 1 to 1000000"));
    }
  }
  return absl::OkStatus();
}

std::unique_ptr<Dispatcher> Dispatcher::Create(const DispatcherOptions& options) {
  PANAL_CHECK(options.Validate().ok());
  return std::make_unique<PooledDispatcher>(options);
}

}  // namespace panal
