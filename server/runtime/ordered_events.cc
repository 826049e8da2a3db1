#include "server/runtime/ordered_events.h"

#include <utility>

namespace panal {

void OrderedEvents::Push(std::function<void()> event) {
  MutexLock lock(&mutex_);
  queue_.push_back(std::move(event));
}

void OrderedEvents::Run() {
  {
    MutexLock lock(&mutex_);
    if (running_) return;
    running_ = true;
  }
  while (true) {
    std::function<void()> event;
    {
      MutexLock lock(&mutex_);
      if (queue_.empty()) {
        running_ = false;
        idle_.SignalAll();
        return;
      }
      event = std::move(queue_.front());
      queue_.pop_front();
    }
    event();
  }
}

void OrderedEvents::WaitIdle() {
  MutexLock lock(&mutex_);
  while (running_ || !queue_.empty()) idle_.Wait(&mutex_);
}

}  // namespace panal
