#include "server/runtime/node_loop.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/base/check.h"

namespace panal {

NodeLoop::NodeLoop(size_t mailbox_max) : mailbox_max_(mailbox_max) {}

NodeLoop::~NodeLoop() { PANAL_CHECK(!thread_.joinable()); }

void NodeLoop::Start() {
  thread_ = std::thread([this] { Run(); });
}

void NodeLoop::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.Signal();
  if (thread_.joinable()) thread_.join();
}

void NodeLoop::Post(Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    mailbox_.push_back(std::move(task));
  }
  wake_.Signal();
}

bool NodeLoop::TryPost(Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_ || mailbox_.size() >= mailbox_max_) return false;
    mailbox_.push_back(std::move(task));
  }
  wake_.Signal();
  return true;
}

void NodeLoop::PostAfter(absl::Duration delay, Task task) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    timers_.emplace(absl::Now() + delay, std::move(task));
  }
  wake_.Signal();
}

size_t NodeLoop::waiting() const {
  MutexLock lock(&mutex_);
  return mailbox_.size();
}

absl::Duration NodeLoop::TakeDue(std::deque<Task>& batch) {
  if (stopping_) return absl::ZeroDuration();
  absl::Time now = absl::Now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    batch.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
  return timers_.empty() ? absl::InfiniteDuration() : timers_.begin()->first - now;
}

void NodeLoop::Run() {
  while (true) {
    std::deque<Task> batch;
    {
      MutexLock lock(&mutex_);
      while (true) {
        batch.swap(mailbox_);
        absl::Duration sleep = TakeDue(batch);
        if (!batch.empty()) break;
        if (stopping_) return;
        wake_.WaitFor(&mutex_, sleep);
      }
    }
    for (Task& task : batch) task();
  }
}

}  // namespace panal
