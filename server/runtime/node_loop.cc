#include "server/runtime/node_loop.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/check.h"

namespace panal {
namespace {

// Longest delay of a timer: keeps the sum with any time point in range.
constexpr absl::Duration kDelayMax = absl::Hours(24 * 365);

// What a standard condition variable needs of a lock.
class Relocker {
 public:
  explicit Relocker(Mutex& mutex) : mutex_(mutex) {}

  void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.Lock(); }

  void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mutex_.Unlock(); }

 private:
  Mutex& mutex_;
};

}  // namespace

NodeLoop::NodeLoop(size_t mailbox_max)
    : mailbox_max_(mailbox_max), wall_start_(absl::Now()), start_(Clock::now()) {}

NodeLoop::~NodeLoop() { PANAL_CHECK(!thread_.joinable()); }

void NodeLoop::Start() {
  thread_ = std::thread([this] { Run(); });
}

void NodeLoop::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void NodeLoop::Post(Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    mailbox_.push_back(std::move(task));
  }
  wake_.notify_one();
}

bool NodeLoop::TryPost(Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_ || mailbox_.size() >= mailbox_max_) return false;
    mailbox_.push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

void NodeLoop::PostAfter(absl::Duration delay, Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    timers_.emplace(Clock::now() + absl::ToChronoNanoseconds(std::min(delay, kDelayMax)),
                    std::move(task));
  }
  wake_.notify_one();
}

size_t NodeLoop::waiting() const {
  MutexLock lock(&mutex_);
  return mailbox_.size();
}

absl::Time NodeLoop::Now() const { return wall_start_ + absl::FromChrono(Clock::now() - start_); }

NodeLoop::Clock::time_point NodeLoop::TakeDue(std::deque<Task>& batch) {
  if (stopping_) return Clock::now();
  Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    batch.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
  return timers_.empty() ? Clock::time_point::max() : timers_.begin()->first;
}

void NodeLoop::SleepUntil(Clock::time_point end) {
  Relocker relocker(mutex_);
  if (end == Clock::time_point::max()) {
    wake_.wait(relocker);
  } else {
    wake_.wait_until(relocker, end);
  }
}

void NodeLoop::Run() {
  while (true) {
    std::deque<Task> batch;
    {
      MutexLock lock(&mutex_);
      while (true) {
        batch.swap(mailbox_);
        Clock::time_point end = TakeDue(batch);
        if (!batch.empty()) break;
        if (stopping_) return;
        SleepUntil(end);
      }
    }
    for (Task& task : batch) task();
  }
}

}  // namespace panal
