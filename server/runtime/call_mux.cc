#include "server/runtime/call_mux.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "server/runtime/mux_calls.h"

namespace panal {
namespace {

// No frame is larger: 64 KiB of metadata with its framing, and a status with message and details.
// Packing stops where the next frame might not fit.
constexpr size_t kFrameSizeMax = 80 * 1024;
// What the batch adds to each frame: tag and length.
constexpr size_t kFrameOverhead = 8;

absl::Status TooManyCalls(size_t limit) {
  return OverloadedError(absl::StrCat("one more than ", limit, " calls on the stream"),
                         absl::Seconds(1));
}

absl::Status Invalid(absl::string_view what) {
  return Error(ErrorReason::kFrameInvalid, absl::StrCat("call stream: ", what));
}

absl::Status CheckBatch(const v1::CallBatch& batch) {
  const size_t size = batch.ByteSizeLong();
  if (batch.frames_size() <= kBatchFramesMax && size <= kBatchSizeMax) return absl::OkStatus();
  return Error(
      ErrorReason::kFrameTooLarge,
      absl::StrCat("call stream: batch of ", batch.frames_size(), " frames and ", size,
                   " bytes exceeds ", kBatchFramesMax, " frames or ", kBatchSizeMax, " bytes"));
}

// What no other address and no later time would change is said as it is.
bool IsForGood(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kPeerUnknown:
    case ErrorReason::kMeshMismatch:
    case ErrorReason::kCredentialInvalid:
    case ErrorReason::kCredentialExpired:
    case ErrorReason::kCredentialRevoked:
      return true;
    default:
      return false;
  }
}

}  // namespace

CallMux::CallMux(const CallMuxOptions& options, std::function<void(CallPtr)> route,
                 DeadlineTimer& timer)
    : options_(options),
      route_(std::move(route)),
      timer_(timer),
      assembly_{.max_bytes = options.assembly_max, .waiting_max = options.waiting_max},
      next_id_(options.dialled ? 1 : 2) {}

// --- The owners' side ---------------------------------------------------------------------------

OutgoingCallPtr CallMux::Open(CallHead head) {
  if (absl::Status fits = CheckOpen(head); !fits.ok()) return FailedCall(fits);
  EntryPtr call;
  {
    MutexLock lock(&mutex_);
    if (closing_) return nullptr;
    if (own_calls_ >= options_.calls_max) return FailedCall(TooManyCalls(options_.calls_max));
    call = std::make_shared<Entry>(next_id_, CallState::Role::kCaller, std::move(head), &assembly_);
    next_id_ += 2;
    Insert(call);
    Touch(call);
  }
  Flush();
  return std::make_shared<MuxOutgoingCall>(shared_from_this(), std::move(call));
}

void CallMux::Change(const EntryPtr& call, absl::FunctionRef<void(CallState&)> change) {
  {
    MutexLock lock(&mutex_);
    change(call->state);
    Touch(call);
  }
  Deliver(call);
  Flush();
}

void CallMux::Deliver(const EntryPtr& call) {
  mutex_.Lock();
  if (call->delivering) {
    mutex_.Unlock();
    return;
  }
  call->delivering = true;
  while (std::function<void()> event = call->state.NextEvent()) {
    // Reading a message made room; finishing made the call one to be removed.
    Touch(call);
    mutex_.Unlock();
    event();
    event = nullptr;
    mutex_.Lock();
  }
  call->delivering = false;
  mutex_.Unlock();
}

size_t CallMux::open_calls() const {
  MutexLock lock(&mutex_);
  return calls_.size();
}

// --- The table ----------------------------------------------------------------------------------

void CallMux::Insert(const EntryPtr& call) {
  const CallState& state = call->state;
  calls_.emplace(state.id(), call);
  call->in_table = true;
  ++(state.role() == CallState::Role::kCaller ? own_calls_ : their_calls_);
  timer_.Remove(std::exchange(idle_token_, 0));
  if (state.head().deadline == absl::InfiniteFuture()) return;
  call->deadline = timer_.Set(state.head().deadline,
                              [weak_mux = weak_from_this(), weak = std::weak_ptr<Entry>(call)] {
                                std::shared_ptr<CallMux> mux = weak_mux.lock();
                                EntryPtr late = weak.lock();
                                if (mux == nullptr || late == nullptr) return;
                                mux->Change(late, [](CallState& state) { state.OnDeadline(); });
                              });
}

void CallMux::Remove(Entry& call) {
  if (!call.in_table) return;
  call.in_table = false;
  --(call.state.role() == CallState::Role::kCaller ? own_calls_ : their_calls_);
  if (!closed_) timer_.Remove(std::exchange(call.deadline, 0));
  calls_.erase(call.state.id());
  if (calls_.empty()) WatchIdle();
}

// The caller holds the entry, so that the last reference is never dropped under the lock.
void CallMux::Touch(const EntryPtr& call) {
  if (!call->in_table) return;
  if (call->state.done()) {
    Remove(*call);
  } else if (!call->queued && call->state.HasFrame()) {
    call->queued = true;
    ready_.push_back(call->state.id());
  }
}

void CallMux::WatchIdle() {
  if (!options_.dialled || !open_ || closing_) return;
  timer_.Remove(idle_token_);
  idle_token_ = timer_.Set(absl::Now() + options_.idle_max, [weak = weak_from_this()] {
    if (std::shared_ptr<CallMux> mux = weak.lock()) mux->OnIdle();
  });
}

void CallMux::OnIdle() {
  std::shared_ptr<CallTransport> transport;
  {
    MutexLock lock(&mutex_);
    if (closing_ || !calls_.empty()) return;
    if (writing_) {
      WatchIdle();
      return;
    }
    closing_ = true;
    transport = transport_;
  }
  if (transport != nullptr) transport->EndIdle();
}

// --- Sending ------------------------------------------------------------------------------------

void CallMux::Flush() {
  v1::CallBatch batch;
  std::vector<EntryPtr> packed;
  std::shared_ptr<CallTransport> transport;
  {
    MutexLock lock(&mutex_);
    if (!open_ || closed_ || writing_ || corked_) return;
    Pack(batch, packed);
    if (batch.frames_size() > 0) {
      writing_ = true;
      transport = transport_;
    }
  }
  if (transport != nullptr) transport->WriteBatch(batch);
  for (const EntryPtr& call : packed) Deliver(call);
}

void CallMux::Pack(v1::CallBatch& batch, std::vector<EntryPtr>& packed) {
  const absl::Time now = absl::Now();
  size_t size = 0;
  auto has_room = [&] {
    return batch.frames_size() < kBatchFramesMax && size + kFrameSizeMax <= kBatchSizeMax;
  };
  while (!refused_.empty() && has_room()) {
    v1::CallFrame* frame = batch.add_frames();
    frame->set_call_id(refused_.front());
    refused_.pop_front();
    EncodeResult(ResultOf(TooManyCalls(options_.calls_max)), *frame->mutable_status());
    size += frame->ByteSizeLong() + kFrameOverhead;
  }
  while (!ready_.empty() && has_room()) {
    auto found = calls_.find(ready_.front());
    ready_.pop_front();
    if (found == calls_.end()) continue;
    EntryPtr call = found->second;
    call->queued = false;
    if (call->state.HasFrame()) {
      v1::CallFrame* frame = batch.add_frames();
      *frame = call->state.NextFrame(now);
      size += frame->ByteSizeLong() + kFrameOverhead;
    }
    Touch(call);
    packed.push_back(std::move(call));
  }
  PANAL_CHECK(size <= kBatchSizeMax);
}

void CallMux::OnWritten() {
  {
    MutexLock lock(&mutex_);
    writing_ = false;
  }
  Flush();
}

// --- Receiving ----------------------------------------------------------------------------------

absl::Status CallMux::OnBatch(const v1::CallBatch& batch) {
  PANAL_RETURN_IF_ERROR(CheckBatch(batch));
  Batched batched;
  absl::Status status;
  {
    MutexLock lock(&mutex_);
    if (closing_) return absl::OkStatus();
    corked_ = true;
    for (const v1::CallFrame& frame : batch.frames()) {
      status = OnFrame(frame, batched);
      if (!status.ok()) break;
    }
  }
  for (EntryPtr& call : batched.opened) {
    route_(std::make_shared<MuxInboundCall>(shared_from_this(), std::move(call)));
  }
  for (const EntryPtr& call : batched.touched) Deliver(call);
  {
    MutexLock lock(&mutex_);
    corked_ = false;
  }
  Flush();
  return status;
}

absl::Status CallMux::OnFrame(const v1::CallFrame& frame, Batched& batched) {
  if (frame.call_id() == 0) return Invalid("call id 0");
  if (frame.frame_case() == v1::CallFrame::FRAME_NOT_SET) return Invalid("frame of no kind");
  if (frame.has_open()) return OnOpen(frame, batched);
  auto found = calls_.find(frame.call_id());
  if (found == calls_.end()) return absl::OkStatus();
  const EntryPtr call = found->second;
  PANAL_RETURN_IF_ERROR(call->state.OnFrame(frame));
  batched.touched.push_back(call);
  Touch(call);
  return absl::OkStatus();
}

absl::Status CallMux::OnOpen(const v1::CallFrame& frame, Batched& batched) {
  const uint64_t id = frame.call_id();
  if (IsOwn(id)) return Invalid("call id of the wrong parity");
  if (id <= last_their_id_) return Invalid("call ids do not rise");
  last_their_id_ = id;
  PANAL_ASSIGN_OR_RETURN(CallHead head, DecodeOpen(frame.open(), options_.peer, absl::Now()));
  if (their_calls_ >= options_.calls_max) {
    if (refused_.size() >= options_.refusals_max) {
      return Invalid("calls beyond the limit are opened and their answers not read");
    }
    refused_.push_back(id);
    return absl::OkStatus();
  }
  auto call = std::make_shared<Entry>(id, CallState::Role::kCallee, std::move(head), &assembly_);
  Insert(call);
  batched.opened.push_back(std::move(call));
  return absl::OkStatus();
}

// --- The stream's life --------------------------------------------------------------------------

bool CallMux::Attach(std::shared_ptr<CallTransport> transport) {
  MutexLock lock(&mutex_);
  if (closing_) return false;
  PANAL_CHECK(!open_);
  transport_ = std::move(transport);
  return true;
}

void CallMux::OnOpened() {
  {
    MutexLock lock(&mutex_);
    if (closing_) return;
    PANAL_CHECK(transport_ != nullptr && !open_);
    open_ = true;
    if (calls_.empty()) WatchIdle();
  }
  Flush();
}

CredentialPtr CallMux::credential() const {
  MutexLock lock(&mutex_);
  return credential_;
}

void CallMux::Admitted(CredentialPtr credential) {
  MutexLock lock(&mutex_);
  credential_ = std::move(credential);
}

void CallMux::End(const absl::Status& why) {
  std::shared_ptr<CallTransport> transport;
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    transport = transport_;
  }
  if (transport != nullptr) {
    transport->End(why);
  } else {
    OnClosed(why, /*nothing_executed=*/true);
  }
}

void CallMux::OnClosed(const absl::Status& why, bool nothing_executed) {
  std::vector<EntryPtr> lost;
  std::shared_ptr<CallTransport> transport;
  {
    MutexLock lock(&mutex_);
    if (closed_) return;
    closing_ = true;
    transport.swap(transport_);
    timer_.Remove(std::exchange(idle_token_, 0));
    lost.reserve(calls_.size());
    for (const auto& [id, call] : calls_) {
      timer_.Remove(std::exchange(call->deadline, 0));
      call->state.OnLost(LossOf(call->state, why, nothing_executed));
      call->in_table = false;
      lost.push_back(call);
    }
    calls_.clear();
    ready_.clear();
    own_calls_ = 0;
    their_calls_ = 0;
    closed_ = true;
  }
  for (const EntryPtr& call : lost) Deliver(call);
}

absl::Status CallMux::LossOf(const CallState& call, const absl::Status& why,
                             bool nothing_executed) const {
  const ErrorMetadata values = {{"peer", options_.peer.ToText()}};
  if (call.open_sent() && !nothing_executed) {
    return Error(ErrorReason::kConnectionLost,
                 absl::StrCat("the connection to the peer broke, the call may have been executed: ",
                              why.message()),
                 values);
  }
  if (IsForGood(ReasonOf(why))) return why;
  return Error(ErrorReason::kPeerUnreachable,
               absl::StrCat("the call did not reach the peer: ", why.message()), values);
}

}  // namespace panal
