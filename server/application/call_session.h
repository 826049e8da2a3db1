// One call while a servant serves it: work goes to the dispatcher, messages to the caller wait for
// each other, and the call is finished exactly once whatever happens.
//
// Thread-safe; no method blocks. Shared by the tasks and callbacks of the call; when the last of
// them lets go without finishing, the call ends with INTERNAL.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/base/sync.h"
#include "server/application/call.h"
#include "server/application/dispatcher.h"

namespace panal {

// Bytes that may wait for a caller that reads slower than its servant writes. Guess: four of the
// largest chunks; more only costs memory, since the transport buffers too.
inline constexpr size_t kSendQueueMax = 4 * 1024 * 1024;
// What a waiting message counts beyond its bytes, so that empty ones are bounded too.
inline constexpr size_t kSendMessageOverhead = 64;

class CallSession final : public std::enable_shared_from_this<CallSession> {
 public:
  // `servant` is kept alive as long as the session. `dispatcher` must outlive it.
  static std::shared_ptr<CallSession> Start(CallPtr call, Dispatcher& dispatcher,
                                            WorkClass work_class,
                                            std::shared_ptr<const void> servant);
  ~CallSession();

  CallSession(const CallSession&) = delete;
  CallSession& operator=(const CallSession&) = delete;

  const CallHead& head() const { return call_->head(); }

  // Runs `task` on a worker; not when the call is over by then. A refusal of the dispatcher
  // finishes the call with its status.
  void Submit(std::function<void()> task);
  // Reads the caller's next message and runs `task` with it on a worker; nothing: the caller is
  // done sending.
  void Read(std::function<void(std::optional<std::string>)> task);

  // Queues a message. False when kSendQueueMax is reached or the call is over: the message is
  // dropped.
  bool Send(std::string message);
  // Queues a message beyond the limit and finishes with OK. For the one message that must come.
  void SendLast(std::string message);
  // Runs `task` on a worker once everything sent was taken by the transport: the flow control.
  void WhenIdle(std::function<void()> task);
  // Whether everything sent was taken by the transport.
  bool idle() const;

  // OK: once everything sent was taken. Otherwise at once, dropping what waits. The first call
  // counts.
  void Finish(const absl::Status& status);

  // `callback` is called once when the caller cancels, its deadline passes or it is gone; at once
  // when that has happened already. Not after Finish. One callback: the last one set counts.
  void OnCancel(std::function<void()> callback);
  // Whether nobody waits for the answer any more.
  bool over() const;

 private:
  CallSession(CallPtr call, Dispatcher& dispatcher, WorkClass work_class,
              std::shared_ptr<const void> servant);
  void Cancelled();
  void OnWritten(bool ok);
  void Pump();
  absl::Status WhyCancelled() const;

  const CallPtr call_;
  Dispatcher& dispatcher_;
  const WorkClass work_class_;
  const std::shared_ptr<const void> servant_;

  mutable Mutex mutex_;
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  // A thread is inside Pump: others leave the work to it, so that a transport that calls back at
  // once does not recurse.
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> result_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_idle_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_cancel_ ABSL_GUARDED_BY(mutex_);
};

using CallSessionPtr = std::shared_ptr<CallSession>;

}  // namespace panal
