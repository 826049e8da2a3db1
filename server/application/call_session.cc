#include "server/application/call_session.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace panal {

CallSession::CallSession(CallPtr call, Dispatcher& dispatcher, WorkClass work_class,
                         std::shared_ptr<const void> servant)
    : call_(std::move(call)),
      dispatcher_(dispatcher),
      work_class_(work_class),
      servant_(std::move(servant)) {}

CallSessionPtr CallSession::Start(CallPtr call, Dispatcher& dispatcher, WorkClass work_class,
                                  std::shared_ptr<const void> servant) {
  CallSessionPtr session(
      new CallSession(std::move(call), dispatcher, work_class, std::move(servant)));
  // Weak: a call that nobody works on any more need not hear of it.
  session->call_->OnCancel([weak = std::weak_ptr<CallSession>(session)] {
    if (CallSessionPtr alive = weak.lock()) alive->Cancelled();
  });
  return session;
}

CallSession::~CallSession() {
  {
    MutexLock lock(&mutex_);
    if (finished_) return;
    finished_ = true;
  }
  call_->Finish(ResultOf(Error(ErrorReason::kInternal, "the servant dropped the call")));
}

absl::Status CallSession::WhyCancelled() const {
  if (absl::Now() >= call_->head().deadline) {
    return Error(ErrorReason::kDeadlineExceeded, "the time for the call ran out");
  }
  return Error(ErrorReason::kCancelled, "the caller lost interest");
}

void CallSession::Submit(std::function<void()> task) {
  auto guarded = [self = shared_from_this(), task = std::move(task)] {
    // What waited in the queue until nobody wants it costs nothing more.
    if (absl::Now() >= self->head().deadline || self->call_->cancelled()) {
      self->Finish(self->WhyCancelled());
    }
    if (!self->over()) task();
  };
  const absl::Status accepted =
      dispatcher_.Submit(work_class_, call_->head().caller, std::move(guarded));
  if (!accepted.ok()) Finish(accepted);
}

void CallSession::Read(std::function<void(std::optional<std::string>)> task) {
  call_->Read([self = shared_from_this(), task = std::move(task)](std::optional<std::string> read) {
    self->Submit([task, read = std::move(read)]() mutable { task(std::move(read)); });
  });
}

bool CallSession::Send(std::string message) {
  {
    MutexLock lock(&mutex_);
    if (result_.has_value()) return false;
    const size_t size = message.size() + kSendMessageOverhead;
    // A single message that is larger than the limit may still go alone.
    if (queued_bytes_ > 0 && queued_bytes_ + size > kSendQueueMax) return false;
    queued_bytes_ += size;
    queue_.push_back(std::move(message));
  }
  Pump();
  return true;
}

void CallSession::SendLast(std::string message) {
  {
    MutexLock lock(&mutex_);
    if (result_.has_value()) return;
    queued_bytes_ += message.size() + kSendMessageOverhead;
    queue_.push_back(std::move(message));
    result_ = absl::OkStatus();
  }
  Pump();
}

void CallSession::WhenIdle(std::function<void()> task) {
  {
    MutexLock lock(&mutex_);
    if (result_.has_value()) return;
    on_idle_ = std::move(task);
  }
  Pump();
}

bool CallSession::idle() const {
  MutexLock lock(&mutex_);
  return queue_.empty() && !writing_;
}

void CallSession::Finish(const absl::Status& status) {
  if (ReasonOf(status) == ErrorReason::kInternal) {
    LogLimited(LogLevel::kError, "call_failed",
               {{"method", head().method}, {"error", std::string(status.message())}});
  }
  std::function<void()> dropped;
  {
    MutexLock lock(&mutex_);
    if (result_.has_value()) return;
    result_ = status;
    dropped.swap(on_idle_);
    if (!status.ok()) {
      queue_.clear();
      queued_bytes_ = 0;
    }
  }
  Pump();
}

void CallSession::OnCancel(std::function<void()> callback) {
  std::function<void()> replaced;
  {
    MutexLock lock(&mutex_);
    if (!cancelled_) {
      if (result_.has_value()) return;
      replaced.swap(on_cancel_);
      on_cancel_ = std::move(callback);
      return;
    }
  }
  callback();
}

bool CallSession::over() const {
  MutexLock lock(&mutex_);
  return result_.has_value();
}

void CallSession::Cancelled() {
  std::function<void()> callback;
  std::function<void()> dropped;
  {
    MutexLock lock(&mutex_);
    if (cancelled_ || finished_) return;
    cancelled_ = true;
    queue_.clear();
    queued_bytes_ = 0;
    if (!result_.has_value()) {
      result_ = WhyCancelled();
      callback.swap(on_cancel_);
    }
    dropped.swap(on_idle_);
  }
  Pump();
  if (callback) callback();
}

void CallSession::OnWritten(bool ok) {
  {
    MutexLock lock(&mutex_);
    writing_ = false;
  }
  if (!ok) Cancelled();
  Pump();
}

void CallSession::Pump() {
  std::function<void()> dropped;
  mutex_.Lock();
  if (pumping_ || finished_) {
    mutex_.Unlock();
    return;
  }
  pumping_ = true;
  while (!writing_) {
    if (!queue_.empty()) {
      std::string message = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= message.size() + kSendMessageOverhead;
      writing_ = true;
      mutex_.Unlock();
      call_->Write(std::move(message),
                   [self = shared_from_this()](bool ok) { self->OnWritten(ok); });
      mutex_.Lock();
    } else if (result_.has_value()) {
      finished_ = true;
      CallResult result = ResultOf(*result_);
      dropped.swap(on_cancel_);
      mutex_.Unlock();
      call_->Finish(std::move(result));
      mutex_.Lock();
      break;
    } else if (on_idle_) {
      std::function<void()> task;
      task.swap(on_idle_);
      mutex_.Unlock();
      Submit(std::move(task));
      mutex_.Lock();
    } else {
      break;
    }
  }
  pumping_ = false;
  mutex_.Unlock();
}

}  // namespace panal
