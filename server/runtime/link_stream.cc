#include "server/runtime/link_stream.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/rpc/byte_buffer.h"
#include "common/wire/frame_codec.h"

namespace panal {
namespace {

// How long the other end may take to let a closed stream end. Guess: several round trips.
constexpr absl::Duration kLingerMax = absl::Seconds(5);

absl::StatusOr<std::optional<Frame>> Decode(const grpc::ByteBuffer& buffer) {
  if (buffer.Length() > kFrameSizeMax) {
    return Error(ErrorReason::kFrameTooLarge,
                 absl::StrCat("frame of ", buffer.Length(), " bytes exceeds ", kFrameSizeMax),
                 {{"size", absl::StrCat(buffer.Length())}, {"limit", absl::StrCat(kFrameSizeMax)}});
  }
  return DecodeFrame(ToString(buffer));
}

}  // namespace

CredentialPtr LinkStream::credential() const {
  MutexLock lock(&mutex_);
  return credential_;
}

void LinkStream::Admitted(CredentialPtr credential) {
  MutexLock lock(&mutex_);
  credential_ = std::move(credential);
}

void LinkStream::Expel(const absl::Status& why) {
  bool told = false;
  {
    MutexLock lock(&mutex_);
    told = outbound_ || closing_;
  }
  told ? Abort(why) : Close(why);
}

bool LinkStream::Pin() {
  MutexLock lock(&mutex_);
  if (ended_) return false;
  ++pins_;
  return true;
}

void LinkStream::Unpin() {
  absl::Status why;
  {
    MutexLock lock(&mutex_);
    PANAL_CHECK(pins_ > 0);
    --pins_;
    if (!MayEnd()) return;
    ended_ = true;
    why = why_;
  }
  EndCall(why);
}

// The dialler's call ends when the acceptor has ended it, which the last read tells; the acceptor
// ends it as soon as there is nothing left to say.
bool LinkStream::MayEnd() const {
  if (ended_ || pins_ > 0 || writing_) return false;
  return outbound_ ? reads_over_ : reads_over_ || broken_ || closing_;
}

bool LinkStream::Send(std::string frame, Urgency urgency) {
  {
    MutexLock lock(&mutex_);
    if (closing_ || broken_ || reads_over_ || ended_) return true;
    if (queued_bytes_ + frame.size() > kLinkQueueMax) return false;
    queued_bytes_ += frame.size();
    queue_.Push(std::move(frame), urgency);
    if (writing_) return true;
    writing_ = true;
    ++pins_;  // Until the queue is empty.
  }
  NextWrite();
  return true;
}

// REQUIRES: pinned, writing_, the queue not empty.
void LinkStream::NextWrite() {
  std::string frame;
  {
    MutexLock lock(&mutex_);
    frame = queue_.Pop();
    writing_bytes_ = frame.size();
  }
  outgoing_ = ToByteBuffer(frame);
  StartWriting(&outgoing_);
}

void LinkStream::WriteDone(bool ok) {
  bool more = false;
  bool over = false;
  {
    MutexLock lock(&mutex_);
    queued_bytes_ -= writing_bytes_;
    writing_bytes_ = 0;
    if (!ok) broken_ = true;
    if (broken_) {
      queue_.Clear();
      queued_bytes_ = 0;
    }
    more = !queue_.empty();
    writing_ = more;
    over = !more && closing_ && !broken_ && !writes_over_;
    if (over) writes_over_ = true;
  }
  if (more) {
    NextWrite();
    return;
  }
  if (over) WritesOver();
  Unpin();
}

void LinkStream::ReadDone(bool ok) {
  {
    MutexLock lock(&mutex_);
    if (ended_) return;
    ++pins_;
    if (!ok) reads_over_ = true;
    // Nobody reads what is still queued.
    if (!ok) {
      queue_.Clear();
      queued_bytes_ = writing_bytes_;
    }
  }
  if (ok) {
    Receive();
  } else {
    Unpin();
  }
}

void LinkStream::Receive() {
  bool closing = false;
  {
    MutexLock lock(&mutex_);
    closing = closing_;
  }
  // What comes after Close has nobody to go to; the dialler reads on for the end of the stream.
  if (closing) return ReadNext();
  absl::StatusOr<std::optional<Frame>> frame = Decode(incoming_);
  const bool empty = incoming_.Length() == 0;
  incoming_.Clear();
  if (!frame.ok()) return Refuse(std::move(frame).status());
  if (Advance() == Stage::kAwaitingHello) {
    if (!frame->has_value() || !std::holds_alternative<Hello>(**frame)) {
      return Refuse(Error(ErrorReason::kFrameInvalid, "the first frame is not a Hello"));
    }
    return owner_.OnHello(shared_from_this(), std::get<Hello>(std::move(**frame)));
  }
  if (!frame->has_value()) {
    return owner_.OnUnknownFrame(shared_from_this(), empty);
  }
  if (std::holds_alternative<Hello>(**frame)) {
    return Refuse(Error(ErrorReason::kFrameInvalid, "a Hello that is not the first frame"));
  }
  owner_.OnFrame(shared_from_this(), std::move(**frame));
}

LinkStream::Stage LinkStream::Advance() {
  MutexLock lock(&mutex_);
  return std::exchange(stage_, Stage::kFrames);
}

// The acceptor can say why; all the dialler can do is to go.
void LinkStream::Refuse(absl::Status why) {
  owner_.OnBadFrame(shared_from_this());
  if (outbound_) {
    Abort(std::move(why));
  } else {
    Close(std::move(why));
  }
  ReadNext();
}

void LinkStream::ReadNext() {
  bool read = false;
  {
    MutexLock lock(&mutex_);
    read = outbound_ || !closing_;
  }
  if (read) StartReading(&incoming_);
  Unpin();
}

void LinkStream::Close(absl::Status why) {
  bool over = false;
  bool unanswered = false;
  {
    MutexLock lock(&mutex_);
    if (ended_ || closing_) return;
    unanswered = outbound_ && stage_ == Stage::kAwaitingHello;
    if (!unanswered) {
      closing_ = true;
      if (why_.ok()) why_ = std::move(why);
      over = !writing_ && !broken_;
      writes_over_ = over;
      ++pins_;
    }
  }
  if (unanswered) return Abort(std::move(why));
  SetTimer(kLingerMax);
  if (over) WritesOver();
  Unpin();
}

void LinkStream::Abort(absl::Status why) {
  {
    MutexLock lock(&mutex_);
    if (ended_) return;
    closing_ = true;
    broken_ = true;
    if (why_.ok()) why_ = std::move(why);
    queue_.Clear();
    queued_bytes_ = writing_bytes_;
    ++pins_;
  }
  CancelCall();
  Unpin();
}

void LinkStream::Broken() {
  {
    MutexLock lock(&mutex_);
    if (ended_) return;
    broken_ = true;
    queue_.Clear();
    queued_bytes_ = writing_bytes_;
    ++pins_;
  }
  Unpin();
}

void LinkStream::Done(const absl::Status& why) {
  absl::Status reason;
  std::unique_ptr<grpc::Alarm> alarm;
  {
    MutexLock lock(&mutex_);
    ended_ = true;
    reason = why_.ok() ? why : why_;
    alarm = std::move(alarm_);
  }
  alarm.reset();
  owner_.OnEnded(shared_from_this(), std::move(reason));
}

void LinkStream::SetTimer(absl::Duration delay) {
  auto alarm = std::make_unique<grpc::Alarm>();
  std::weak_ptr<LinkStream> weak = weak_from_this();
  alarm->Set(absl::ToChronoTime(absl::Now() + delay), [weak](bool expired) {
    LinkStreamPtr stream = expired ? weak.lock() : nullptr;
    // The pin keeps the owner alive: it waits for the stream's end.
    if (stream == nullptr || !stream->Pin()) return;
    stream->owner_.OnTimer(stream);
    stream->Unpin();
  });
  {
    MutexLock lock(&mutex_);
    if (!ended_) alarm_.swap(alarm);
  }
}

}  // namespace panal
