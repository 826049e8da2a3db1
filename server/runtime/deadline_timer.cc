#include "server/runtime/deadline_timer.h"

#include "absl/time/clock.h"

namespace panal {

DeadlineTimer::DeadlineTimer() : thread_([this] { Run(); }) {}

DeadlineTimer::~DeadlineTimer() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

DeadlineTimer::Token DeadlineTimer::Set(absl::Time when, std::function<void()> task) {
  MutexLock lock(&mutex_);
  const Token token = next_++;
  auto inserted = tasks_.emplace(Key{when, token}, std::move(task)).first;
  times_.emplace(token, when);
  if (inserted == tasks_.begin()) changed_.Signal();
  return token;
}

void DeadlineTimer::Remove(Token token) {
  std::function<void()> dropped;  // Freed without the lock: it may own anything.
  MutexLock lock(&mutex_);
  auto found = times_.find(token);
  if (found == times_.end()) return;
  auto task = tasks_.find(Key{found->second, token});
  dropped = std::move(task->second);
  tasks_.erase(task);
  times_.erase(found);
}

void DeadlineTimer::Run() {
  mutex_.Lock();
  while (!stopping_) {
    if (tasks_.empty()) {
      changed_.Wait(&mutex_);
      continue;
    }
    auto first = tasks_.begin();
    const absl::Duration left = first->first.first - absl::Now();
    if (left > absl::ZeroDuration()) {
      changed_.WaitFor(&mutex_, left);
      continue;
    }
    std::function<void()> task = std::move(first->second);
    times_.erase(first->first.second);
    tasks_.erase(first);
    mutex_.Unlock();
    task();
    task = nullptr;
    mutex_.Lock();
  }
  mutex_.Unlock();
}

}  // namespace panal
