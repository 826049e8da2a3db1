#include "server/application/splice.h"

#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/sync.h"

namespace panal {
namespace {

// Runs a step again and again while it completes at once, without recursion: ends that call back
// before they return would otherwise deepen the stack with every message.
class StepLoop {
 public:
  // Asks for a further step. True: the caller must run steps until Done returns false.
  bool Begin() {
    MutexLock lock(&mutex_);
    ++wanted_;
    if (running_) return false;
    running_ = true;
    return true;
  }

  // One step was run. True: another one is wanted.
  bool Done() {
    MutexLock lock(&mutex_);
    if (--wanted_ > 0) return true;
    running_ = false;
    return false;
  }

 private:
  Mutex mutex_;
  int wanted_ ABSL_GUARDED_BY(mutex_) = 0;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
};

class SplicedCall final : public std::enable_shared_from_this<SplicedCall> {
 public:
  SplicedCall(CallPtr caller, OutgoingCallPtr callee)
      : caller_(std::move(caller)), callee_(std::move(callee)) {}

  void Start() {
    callee_->OnInitialMetadata([self = shared_from_this()](CallMetadata metadata) {
      self->caller_->SendInitialMetadata(std::move(metadata));
    });
    callee_->OnFinished(
        [self = shared_from_this()](CallResult result) { self->SetResult(std::move(result)); });
    // Weak: the caller's end may outlive the splice and keeps its last callback.
    caller_->OnCancel([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Cancel();
    });
    StepUp();
    StepDown();
  }

 private:
  // Caller to callee.
  void StepUp() {
    if (!up_.Begin()) return;
    do {
      caller_->Read([self = shared_from_this()](std::optional<std::string> message) {
        if (message) {
          self->callee_->Write(*std::move(message), [self](bool ok) {
            if (ok) self->StepUp();
          });
        } else if (!self->caller_->cancelled()) {
          self->callee_->HalfClose();
        }
      });
    } while (up_.Done());
  }

  // Callee to caller.
  void StepDown() {
    if (!down_.Begin()) return;
    do {
      callee_->Read([self = shared_from_this()](std::optional<std::string> message) {
        if (!message || !self->BeginWrite()) return;
        self->caller_->Write(*std::move(message), [self](bool ok) {
          self->EndWrite();
          if (ok) {
            self->StepDown();
          } else {
            self->Cancel();
          }
        });
      });
    } while (down_.Done());
  }

  bool BeginWrite() {
    MutexLock lock(&mutex_);
    if (finished_) return false;
    writing_ = true;
    return true;
  }

  void EndWrite() {
    {
      MutexLock lock(&mutex_);
      writing_ = false;
    }
    MaybeFinish();
  }

  void SetResult(CallResult result) {
    {
      MutexLock lock(&mutex_);
      if (result_.has_value()) return;
      result_ = std::move(result);
    }
    MaybeFinish();
  }

  void Cancel() {
    const bool late = absl::Now() >= caller_->head().deadline;
    // Before the callee's end says the same without the reason.
    SetResult(ResultOf(late ? Error(ErrorReason::kDeadlineExceeded, "the time for the call ran out")
                            : Error(ErrorReason::kCancelled, "the caller lost interest")));
    callee_->Cancel();
  }

  // The caller's call ends once the last message was taken.
  void MaybeFinish() {
    CallResult result;
    {
      MutexLock lock(&mutex_);
      if (writing_ || finished_ || !result_.has_value()) return;
      finished_ = true;
      result = *std::move(result_);
    }
    caller_->Finish(std::move(result));
  }

  const CallPtr caller_;
  const OutgoingCallPtr callee_;
  StepLoop up_;
  StepLoop down_;
  Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<CallResult> result_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void Splice(CallPtr caller, OutgoingCallPtr callee) {
  std::make_shared<SplicedCall>(std::move(caller), std::move(callee))->Start();
}

}  // namespace panal
