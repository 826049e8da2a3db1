// One object call on a Call stream, at either end: what it may send, what it has received, and what
// its owner is to be told. Decisions only: no lock, no thread, no gRPC.
//
// Specification (docs/protocol/objects.md):
// - C1. A part of a message costs its bytes and kCallPartCost. A sender may spend kCallWindow at
//   first and what CallWindow gives it later; a part beyond that is FRAME_INVALID. Rationale: the
//   extra cost bounds empty messages too.
// - C2. The receiver gives credit back when its reader takes a part. While a reader waits, the
//   parts of the message it waits for are taken as they come (else no message could exceed the
//   window). What came and was not read is within kCallAssemblyMax over all calls of a stream: what
//   would exceed it ends its call with OVERLOADED. So does what its owner writes beyond
//   kCallWaitingMax. Rationale: a window, or a message, of every call would be a gigabyte a peer.
// - C3. Both directions end apart: the caller's by CallHalfClose, the callee's by CallStatus.
//   CallCancel, a passed deadline and a lost stream end both at once and drop what was not read.
// - C4. What a call is told comes in order: initial metadata, messages, the end of the messages,
//   the result. Outcomes of writes come between as they happen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "panal/v1/frames.pb.h"
#include "server/application/call.h"
#include "server/runtime/call_frames.h"

namespace panal {

// What a part costs of the window beyond its bytes.
inline constexpr int64_t kCallPartCost = 64;
// Bytes a sender may send before it hears from the receiver, per call and direction. Guess: a fast
// loopback's bandwidth times delay; four whole parts.
inline constexpr int64_t kCallWindow = 256 * 1024;
// Credit a receiver may have given and not got back, as HTTP/2 has it.
inline constexpr int64_t kCallCreditMax = (int64_t{1} << 31) - 1;
// Credit is given back from this much on. Guess: a quarter of the window keeps frames few.
inline constexpr int64_t kCallGrantMin = kCallWindow / 4;
// Parts are cut smaller than this only at the end of a message. Guess: against silly windows.
inline constexpr int64_t kCallPartSizeMin = 16 * 1024;
// Bytes of messages that came and were not read, over all calls of a stream; a part costs as in the
// window until it is taken. Guess: 16 of the largest messages.
inline constexpr size_t kCallAssemblyMax = 64 * 1024 * 1024;

// Bytes of messages that wait to be sent, over all calls of a stream. Guess: as many as come in.
inline constexpr size_t kCallWaitingMax = 64 * 1024 * 1024;

// Bytes of messages that one stream holds.
struct CallAssembly {
  size_t used_bytes = 0;
  size_t max_bytes = kCallAssemblyMax;
  size_t waiting_bytes = 0;
  size_t waiting_max = kCallWaitingMax;
};

// Not thread-safe: belongs to the lock of its CallMux. Callbacks are never called here, but handed
// out by NextEvent; nothing of the user's is destroyed here either, except in the destructor.
class CallState {
 public:
  enum class Role : uint8_t { kCaller, kCallee };
  using ReadDone = std::function<void(std::optional<std::string>)>;
  using WriteDone = std::function<void(bool ok)>;

  // `assembly` must outlive every OnFrame, Read and Write; null: no message will come or go.
  CallState(uint64_t id, Role role, CallHead head, CallAssembly* assembly);

  uint64_t id() const { return id_; }

  Role role() const { return role_; }

  const CallHead& head() const { return head_; }

  // Whether the frame that begins the call was handed to the stream. Caller only.
  bool open_sent() const { return !open_pending_; }

  // The callee's caller lost interest, is gone or out of time.
  bool cancelled() const { return cancelled_; }

  // --- The owner's side. As Call and OutgoingCall say. ------------------------------------------
  void Read(ReadDone done);
  void Write(std::string message, WriteDone done);
  void HalfClose();                                                    // Caller.
  void Cancel(const absl::Status& why);                                // Caller.
  void OnInitialMetadata(std::function<void(CallMetadata)> callback);  // Caller.
  void OnFinished(std::function<void(CallResult)> callback);           // Caller.
  void SendInitialMetadata(CallMetadata metadata);                     // Callee.
  void Finish(CallResult result);                                      // Callee.
  void OnCancel(std::function<void()> callback);                       // Callee.

  // --- The stream's side ---

  // A frame for this call; not CallOpen. Error: FRAME_INVALID, the stream must end.
  absl::Status OnFrame(const v1::CallFrame& frame);
  // The time is over.
  void OnDeadline();
  // The stream is gone. `why` becomes the caller's result.
  void OnLost(const absl::Status& why);
  // Whether there is something to send now.
  bool HasFrame() const;
  // The next frame. REQUIRES: HasFrame.
  v1::CallFrame NextFrame(absl::Time now);
  // Nothing comes of this call any more on the stream, and nothing may come that matters.
  bool done() const;
  // What the owner is to be told next, to be run without the lock, one at a time; null when there
  // is nothing.
  std::function<void()> NextEvent();

 private:
  struct Part {
    std::string data;
    bool more = false;
  };

  absl::Status OnMessage(const v1::CallMessage& message);
  absl::Status OnCallerFrame(const v1::CallFrame& frame);
  absl::Status OnCalleeFrame(const v1::CallFrame& frame);
  absl::Status OnWindow(uint32_t bytes);
  // Moves parts to the waiting reader, until its message is complete.
  void TakeParts();
  void DropInput();
  // Ends the call here and tells the other end.
  void Fail(const absl::Status& why);
  void EndCaller(CallResult result, bool tell_peer);
  void CancelCallee();
  void DropOutput();
  int64_t SendablePart() const;
  bool CanSend() const;
  void NextMessageFrame(v1::CallMessage& message);
  std::function<void()> NextReadEvent();

  const uint64_t id_;
  const Role role_;
  CallHead head_;
  CallAssembly* assembly_;

  // Out.
  bool open_pending_;
  std::optional<CallMetadata> out_metadata_;
  std::optional<std::string> out_message_;
  size_t out_offset_ = 0;
  bool out_began_ = false;  // A message was given to Write.
  bool half_close_pending_ = false;
  bool half_closed_ = false;
  bool cancel_pending_ = false;
  std::optional<CallResult> out_result_;  // Callee.
  bool status_sent_ = false;              // Callee.
  bool servant_done_ = false;             // Callee: Finish was called.
  bool peer_gone_ = false;                // Nothing need be sent any more.
  int64_t send_credit_ = kCallWindow;

  // In.
  std::deque<Part> parts_;
  std::string assembled_;
  bool message_complete_ = false;
  bool message_began_ = false;  // Parts of a message came whose last did not.
  int64_t receive_credit_ = kCallWindow;
  int64_t grant_ = 0;  // Taken by the reader, not given back yet.
  bool input_over_ = false;
  bool input_seen_ = false;  // A message or the result came: no metadata may follow.
  std::optional<CallMetadata> in_metadata_;
  std::optional<CallResult> result_;  // Caller.
  bool cancelled_ = false;            // Callee.

  // The owner's callbacks.
  ReadDone read_done_;
  WriteDone write_done_;
  std::optional<bool> write_outcome_;
  std::function<void(CallMetadata)> on_metadata_;
  std::function<void(CallResult)> on_finished_;
  std::function<void()> on_cancel_;
  bool finished_told_ = false;
  std::vector<std::function<void()>> dropped_;  // To be destroyed without the lock.
};

}  // namespace panal
