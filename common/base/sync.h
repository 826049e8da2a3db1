// Mutex, condition and lock with thread-safety annotations, visible to the thread sanitizer.
//
// Debian's Abseil is not instrumented, so ThreadSanitizer does not see absl::Mutex synchronize; the
// wrapper tells it (found by experiment: a guarded counter is reported without it).
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PANAL_TSAN 1
#endif
#endif
#ifdef PANAL_TSAN
extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace panal {

// Private to the class that owns it; never held across a callback or a gRPC call.
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    mutex_.Lock();
    Acquired();
  }

  void Unlock() ABSL_UNLOCK_FUNCTION() {
    Released();
    mutex_.Unlock();
  }

 private:
  friend class Condition;
#ifdef PANAL_TSAN
  void Acquired() { __tsan_acquire(this); }

  void Released() { __tsan_release(this); }
#else
  void Acquired() {}

  void Released() {}
#endif
  absl::Mutex mutex_;
};

// Holds a Mutex for a scope.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }

  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }

  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// Condition variable. Spurious wake-ups happen: wait in a loop.
class Condition {
 public:
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    mutex->Released();
    condition_.Wait(&mutex->mutex_);
    mutex->Acquired();
  }

  // True when `timeout` passed without a signal.
  bool WaitFor(Mutex* mutex, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    mutex->Released();
    bool timed_out = condition_.WaitWithTimeout(&mutex->mutex_, timeout);
    mutex->Acquired();
    return timed_out;
  }

  void Signal() { condition_.Signal(); }

  void SignalAll() { condition_.SignalAll(); }

 private:
  absl::CondVar condition_;
};

}  // namespace panal
