#include "server/runtime/call_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace panal {
namespace {

absl::Status Invalid(absl::string_view what) {
  return Error(ErrorReason::kFrameInvalid, absl::StrCat("call frame: ", what));
}

absl::Status MessageTooLarge(size_t size) {
  return Error(ErrorReason::kMessageTooLarge,
               absl::StrCat("message of ", size, " bytes exceeds ", kCallMessageSizeMax),
               {{"size", absl::StrCat(size)}, {"limit", absl::StrCat(kCallMessageSizeMax)}});
}

}  // namespace

CallState::CallState(uint64_t id, Role role, CallHead head, CallAssembly* assembly)
    : id_(id),
      role_(role),
      head_(std::move(head)),
      assembly_(assembly),
      open_pending_(role == Role::kCaller) {}

// --- The owner's side ---------------------------------------------------------------------------

void CallState::Read(ReadDone done) {
  PANAL_CHECK(read_done_ == nullptr);
  read_done_ = std::move(done);
  TakeParts();
}

void CallState::Write(std::string message, WriteDone done) {
  PANAL_CHECK(write_done_ == nullptr);
  write_done_ = std::move(done);
  if (!CanSend()) {
    write_outcome_ = false;
    return;
  }
  if (message.size() > kCallMessageSizeMax) {
    write_outcome_ = false;
    Fail(MessageTooLarge(message.size()));
    return;
  }
  if (assembly_->waiting_bytes + message.size() > assembly_->waiting_max) {
    write_outcome_ = false;
    Fail(OverloadedError(absl::StrCat("messages that wait to be sent on one stream exceed ",
                                      assembly_->waiting_max, " bytes"),
                         absl::Seconds(1)));
    return;
  }
  assembly_->waiting_bytes += message.size();
  out_began_ = true;
  out_message_ = std::move(message);
  out_offset_ = 0;
}

bool CallState::CanSend() const {
  if (peer_gone_) return false;
  if (role_ == Role::kCaller) return !half_closed_ && !result_.has_value();
  return !cancelled_ && !out_result_.has_value();
}

void CallState::HalfClose() {
  if (!CanSend()) return;
  half_closed_ = true;
  half_close_pending_ = true;
}

void CallState::Cancel(const absl::Status& why) {
  // A result that came already is not told before the messages before it are read, which will not
  // be: without this the call would keep its callbacks, and they the call, for good.
  const bool unread = message_complete_ || !parts_.empty();
  if (!result_.has_value() || unread) EndCaller(ResultOf(why), /*tell_peer=*/true);
}

void CallState::OnInitialMetadata(std::function<void(CallMetadata)> callback) {
  on_metadata_.swap(callback);
  if (callback != nullptr) dropped_.push_back([replaced = std::move(callback)] {});
}

void CallState::OnFinished(std::function<void(CallResult)> callback) {
  on_finished_.swap(callback);
  if (callback != nullptr) dropped_.push_back([replaced = std::move(callback)] {});
}

void CallState::SendInitialMetadata(CallMetadata metadata) {
  if (!CanSend() || out_began_) return;
  if (absl::Status fits = CheckMetadata(metadata); !fits.ok()) {
    Fail(fits);
    return;
  }
  out_metadata_ = std::move(metadata);
}

void CallState::Finish(CallResult result) {
  if (servant_done_) return;
  servant_done_ = true;
  if (on_cancel_ != nullptr) dropped_.push_back(std::move(on_cancel_));
  on_cancel_ = nullptr;
  DropInput();
  if (out_result_.has_value() || peer_gone_) return;
  // What is still under way matters only when the call succeeds.
  if (result.code != 0 || cancelled_) DropOutput();
  out_result_ = std::move(result);
}

void CallState::OnCancel(std::function<void()> callback) {
  if (servant_done_) {
    dropped_.push_back(std::move(callback));
    return;
  }
  on_cancel_.swap(callback);
  if (callback != nullptr) dropped_.push_back(std::move(callback));
}

// --- The stream's side --------------------------------------------------------------------------

absl::Status CallState::OnFrame(const v1::CallFrame& frame) {
  switch (frame.frame_case()) {
    case v1::CallFrame::kMessage:
      return OnMessage(frame.message());
    case v1::CallFrame::kWindow:
      return OnWindow(frame.window().bytes());
    default:
      return role_ == Role::kCaller ? OnCallerFrame(frame) : OnCalleeFrame(frame);
  }
}

absl::Status CallState::OnCallerFrame(const v1::CallFrame& frame) {
  if (frame.has_initial_metadata()) {
    if (input_seen_ || in_metadata_.has_value()) return Invalid("initial metadata comes too late");
    PANAL_ASSIGN_OR_RETURN(CallMetadata metadata, DecodeMetadata(frame.initial_metadata()));
    if (!result_.has_value()) in_metadata_ = std::move(metadata);
    return absl::OkStatus();
  }
  if (!frame.has_status()) return Invalid("sent to the caller, but only a caller may send it");
  PANAL_ASSIGN_OR_RETURN(CallResult result, DecodeResult(frame.status()));
  if (message_began_ && result.code == 0) return Invalid("status within a message");
  if (result_.has_value()) return absl::OkStatus();  // Ended here meanwhile.
  input_seen_ = true;
  input_over_ = true;
  peer_gone_ = true;
  DropOutput();
  result_ = std::move(result);
  return absl::OkStatus();
}

absl::Status CallState::OnCalleeFrame(const v1::CallFrame& frame) {
  if (frame.has_cancel()) {
    peer_gone_ = true;
    DropOutput();
    CancelCallee();
    return absl::OkStatus();
  }
  if (!frame.has_half_close()) return Invalid("sent to the callee, but only a callee may send it");
  if (input_seen_) return Invalid("half close comes twice");
  if (message_began_) return Invalid("half close within a message");
  input_seen_ = true;
  input_over_ = true;
  return absl::OkStatus();
}

absl::Status CallState::OnMessage(const v1::CallMessage& message) {
  const bool ended = role_ == Role::kCaller ? result_.has_value() && peer_gone_ : input_seen_;
  if (ended) return Invalid("message after the end of the messages");
  if (message.data().size() > kCallPartSizeMax) return Invalid("part of more than 64 KiB");
  const int64_t cost = static_cast<int64_t>(message.data().size()) + kCallPartCost;
  if (cost > receive_credit_) return Invalid("message beyond the window");
  receive_credit_ -= cost;
  if (role_ == Role::kCaller) input_seen_ = true;
  message_began_ = message.more();
  if (input_over_) return absl::OkStatus();  // Nobody reads it any more.
  if (assembly_->used_bytes + static_cast<size_t>(cost) > assembly_->max_bytes) {
    Fail(OverloadedError(
        absl::StrCat("messages under way on one stream exceed ", assembly_->max_bytes, " bytes"),
        absl::Seconds(1)));
    return absl::OkStatus();
  }
  assembly_->used_bytes += static_cast<size_t>(cost);
  parts_.push_back({message.data(), message.more()});
  TakeParts();
  return absl::OkStatus();
}

absl::Status CallState::OnWindow(uint32_t bytes) {
  if (bytes == 0) return Invalid("window of no bytes");
  send_credit_ += bytes;
  if (send_credit_ > kCallCreditMax) return Invalid("window of more than 2^31 - 1 bytes in all");
  return absl::OkStatus();
}

void CallState::TakeParts() {
  while (read_done_ != nullptr && !message_complete_ && !parts_.empty()) {
    Part part = std::move(parts_.front());
    parts_.pop_front();
    const int64_t cost = static_cast<int64_t>(part.data.size()) + kCallPartCost;
    grant_ += cost;
    const size_t size = assembled_.size() + part.data.size();
    if (size > kCallMessageSizeMax) {
      assembly_->used_bytes -= static_cast<size_t>(cost);
      Fail(MessageTooLarge(size));
      return;
    }
    // What is assembled counts on with its bytes, until the reader has it.
    assembly_->used_bytes -= kCallPartCost;
    if (assembled_.empty()) {
      assembled_ = std::move(part.data);
    } else {
      assembled_.append(part.data);
    }
    message_complete_ = !part.more;
  }
}

void CallState::DropInput() {
  for (const Part& part : parts_) assembly_->used_bytes -= part.data.size() + kCallPartCost;
  parts_.clear();
  if (assembly_ != nullptr) assembly_->used_bytes -= assembled_.size();
  assembled_.clear();
  message_complete_ = false;
  input_over_ = true;
}

void CallState::DropOutput() {
  if (out_message_.has_value()) {
    write_outcome_ = false;
    assembly_->waiting_bytes -= out_message_->size();
  }
  out_message_.reset();
  half_close_pending_ = false;
}

void CallState::Fail(const absl::Status& why) {
  if (role_ == Role::kCaller) {
    if (!result_.has_value()) EndCaller(ResultOf(why), /*tell_peer=*/true);
    return;
  }
  DropOutput();
  CancelCallee();
  if (!out_result_.has_value()) out_result_ = ResultOf(why);
}

void CallState::EndCaller(CallResult result, bool tell_peer) {
  DropInput();
  DropOutput();
  in_metadata_.reset();
  cancel_pending_ = tell_peer && !open_pending_ && !peer_gone_;
  result_ = std::move(result);
}

void CallState::CancelCallee() {
  DropInput();
  cancelled_ = true;
}

void CallState::OnDeadline() {
  const absl::Status why = Error(ErrorReason::kDeadlineExceeded, "the time for the call ran out");
  if (role_ == Role::kCaller) {
    Cancel(why);
    return;
  }
  if (servant_done_ || peer_gone_) return;
  DropOutput();
  CancelCallee();
}

void CallState::OnLost(const absl::Status& why) {
  peer_gone_ = true;
  cancel_pending_ = false;
  if (role_ == Role::kCaller) {
    if (!result_.has_value()) EndCaller(ResultOf(why), /*tell_peer=*/false);
    return;
  }
  DropOutput();
  if (!servant_done_) CancelCallee();
}

int64_t CallState::SendablePart() const {
  if (!out_message_.has_value()) return -1;
  const int64_t left = static_cast<int64_t>(out_message_->size() - out_offset_);
  const int64_t allowed = send_credit_ - kCallPartCost;
  if (allowed < std::min(left, kCallPartSizeMin)) return -1;
  return std::min({left, allowed, static_cast<int64_t>(kCallPartSizeMax)});
}

bool CallState::HasFrame() const {
  if (cancel_pending_) return true;
  if (peer_gone_) return false;
  if (role_ == Role::kCaller && result_.has_value()) return false;
  if (role_ == Role::kCallee && status_sent_) return false;
  if (open_pending_ || out_metadata_.has_value()) return true;
  if (grant_ >= kCallGrantMin && !input_over_) return true;
  if (SendablePart() >= 0) return true;
  return !out_message_.has_value() && (half_close_pending_ || out_result_.has_value());
}

v1::CallFrame CallState::NextFrame(absl::Time now) {
  PANAL_CHECK(HasFrame());
  v1::CallFrame frame;
  frame.set_call_id(id_);
  if (cancel_pending_) {
    cancel_pending_ = false;
    frame.mutable_cancel();
  } else if (open_pending_) {
    open_pending_ = false;
    EncodeOpen(head_, now, *frame.mutable_open());
  } else if (grant_ >= kCallGrantMin && !input_over_) {
    frame.mutable_window()->set_bytes(static_cast<uint32_t>(grant_));
    receive_credit_ += std::exchange(grant_, 0);
  } else if (out_metadata_.has_value()) {
    EncodeMetadata(*out_metadata_, *frame.mutable_initial_metadata());
    out_metadata_.reset();
  } else if (out_message_.has_value()) {
    NextMessageFrame(*frame.mutable_message());
  } else if (half_close_pending_) {
    half_close_pending_ = false;
    frame.mutable_half_close();
  } else {
    EncodeResult(*out_result_, *frame.mutable_status());
    status_sent_ = true;
  }
  return frame;
}

void CallState::NextMessageFrame(v1::CallMessage& message) {
  const size_t size = static_cast<size_t>(SendablePart());
  send_credit_ -= static_cast<int64_t>(size) + kCallPartCost;
  const size_t message_size = out_message_->size();
  const bool whole = out_offset_ == 0 && size == message_size;
  if (whole) {
    message.set_data(*std::move(out_message_));
  } else {
    message.set_data(out_message_->data() + out_offset_, size);
  }
  out_offset_ += size;
  message.set_more(out_offset_ < message_size);
  if (message.more()) return;
  assembly_->waiting_bytes -= message_size;
  out_message_.reset();
  write_outcome_ = true;
}

bool CallState::done() const {
  if (cancel_pending_) return false;
  if (role_ == Role::kCaller) return result_.has_value();
  return servant_done_ && (peer_gone_ || status_sent_);
}

// --- Events -------------------------------------------------------------------------------------

std::function<void()> CallState::NextReadEvent() {
  if (message_complete_) {
    message_complete_ = false;
    assembly_->used_bytes -= assembled_.size();
    return [done = std::exchange(read_done_, nullptr),
            message = std::exchange(assembled_, std::string())]() mutable {
      done(std::move(message));
    };
  }
  if (!input_over_ || !parts_.empty()) return nullptr;
  DropInput();  // What came of a message that was never completed.
  return [done = std::exchange(read_done_, nullptr)] { done(std::nullopt); };
}

std::function<void()> CallState::NextEvent() {
  if (!dropped_.empty()) return [dropped = std::exchange(dropped_, {})] {};
  if (in_metadata_.has_value() && on_metadata_ != nullptr) {
    return [callback = std::exchange(on_metadata_, nullptr),
            metadata = *std::exchange(in_metadata_, std::nullopt)] { callback(metadata); };
  }
  if (cancelled_ && on_cancel_ != nullptr) return std::exchange(on_cancel_, nullptr);
  if (write_outcome_.has_value() && write_done_ != nullptr) {
    return [done = std::exchange(write_done_, nullptr),
            ok = *std::exchange(write_outcome_, std::nullopt)] { done(ok); };
  }
  if (read_done_ != nullptr) {
    if (std::function<void()> event = NextReadEvent()) return event;
  }
  const bool read_all = parts_.empty() && read_done_ == nullptr;
  if (role_ == Role::kCaller && result_.has_value() && read_all && on_finished_ != nullptr &&
      !finished_told_) {
    finished_told_ = true;
    return [callback = std::exchange(on_finished_, nullptr),
            unused = std::exchange(on_metadata_, nullptr), result = *result_] { callback(result); };
  }
  return nullptr;
}

}  // namespace panal
