#include "server/runtime/call_stream.h"

#include <grpcpp/generic/generic_stub.h>

#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/status_convert.h"
#include "server/runtime/peer_methods.h"

namespace panal {

// --- In common ----------------------------------------------------------------------------------

bool CallStream::Pin() {
  MutexLock lock(&mutex_);
  if (ending_.has_value()) return false;
  ++pins_;
  return true;
}

void CallStream::Unpin() {
  absl::Status why;
  {
    MutexLock lock(&mutex_);
    PANAL_CHECK(pins_ > 0);
    if (--pins_ > 0) return;
    PANAL_CHECK(ending_.has_value());
    why = *ending_;
  }
  GiveUp(why);
}

void CallStream::End(const absl::Status& why) {
  {
    MutexLock lock(&mutex_);
    if (ending_.has_value()) return;
    ending_ = why;
  }
  Unpin();
}

absl::Status CallStream::end_reason() const {
  MutexLock lock(&mutex_);
  return ending_.value_or(absl::OkStatus());
}

void CallStream::WriteBatch(const v1::CallBatch& batch) {
  if (!Pin()) return;
  outgoing_ = ToByteBuffer(batch);
  StartWriting(&outgoing_);
  Unpin();
}

void CallStream::WriteDone(bool ok) {
  outgoing_.Clear();
  if (ok) mux_->OnWritten();  // Otherwise the stream is over, which the read tells.
}

void CallStream::ReadNext() {
  if (!Pin()) return;
  StartReading(&incoming_);
  Unpin();
}

void CallStream::ReadDone(bool ok) {
  if (!ok) {
    End(absl::OkStatus());
    return;
  }
  if (!end_reason().ok()) return;  // Given up while it was being read.
  v1::CallBatch batch;
  absl::Status status = Parse(incoming_, batch)
                            ? mux_->OnBatch(batch)
                            : Error(ErrorReason::kFrameInvalid, "call batch does not decode");
  incoming_.Clear();
  if (status.ok()) {
    ReadNext();
    return;
  }
  LogLimited(LogLevel::kWarning, "call_stream_refused",
             {{"peer", mux_->peer().ToText()}, {"why", std::string(status.message())}});
  End(status);
}

// --- Dialled ------------------------------------------------------------------------------------

DialledCallStream::DialledCallStream(std::shared_ptr<CallMux> mux,
                                     std::shared_ptr<grpc::Channel> channel,
                                     const StreamAdmission& admission, Done done)
    : CallStream(std::move(mux)),
      channel_(std::move(channel)),
      admission_(admission),
      done_(std::move(done)) {}

std::shared_ptr<DialledCallStream> DialledCallStream::Start(std::shared_ptr<CallMux> mux,
                                                            std::shared_ptr<grpc::Channel> channel,
                                                            const StreamAdmission& admission,
                                                            Done done) {
  std::shared_ptr<DialledCallStream> stream(
      new DialledCallStream(std::move(mux), std::move(channel), admission, std::move(done)));
  stream->self_ = stream;
  admission.Attach(stream->context_);
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(stream->channel_);
  stub.PrepareBidiStreamingCall(&stream->context_, kCallMethod, {}, stream.get());
  stream->AddHold();  // Operations are begun from any thread, until GiveUp.
  if (!stream->mux().Attach(stream)) {
    stream->End(Error(ErrorReason::kShuttingDown, "the stream is not wanted any more"));
  }
  stream->StartCall();
  return stream;
}

void DialledCallStream::OnReadInitialMetadataDone(bool ok) {
  if (ok) {
    const absl::StatusOr<CredentialPtr> acceptor = admission_.Admit(context_);
    if (acceptor.ok()) {
      mux().Admitted(*acceptor);
      opened_ = true;
      mux().OnOpened();
    } else {
      LogLimited(
          LogLevel::kWarning, "call_stream_refused",
          {{"peer", mux().peer().ToText()}, {"why", std::string(acceptor.status().message())}});
      End(acceptor.status());
    }
  }
  ReadNext();  // When the stream never came about, the read tells.
}

void DialledCallStream::EndIdle() {
  if (!Pin()) return;
  StartWritesDone();
  Unpin();
}

void DialledCallStream::EndUnlessOpen(const absl::Status& why) {
  if (!opened_) End(why);
}

void DialledCallStream::GiveUp(const absl::Status& why) {
  if (!why.ok()) context_.TryCancel();
  RemoveHold();
}

void DialledCallStream::OnDone(const grpc::Status& status) {
  std::shared_ptr<DialledCallStream> self = std::move(self_);
  const absl::Status own = end_reason();
  done_(own.ok() ? StreamEnd(status, opened_) : own, opened_);
}

// --- Accepted -----------------------------------------------------------------------------------

AcceptedCallStream* AcceptedCallStream::Start(std::shared_ptr<CallMux> mux,
                                              std::function<void()> done) {
  std::shared_ptr<AcceptedCallStream> stream(
      new AcceptedCallStream(std::move(mux), std::move(done)));
  stream->self_ = stream;
  // Tells the dialler that it is admitted, and by whom.
  stream->StartSendInitialMetadata();
  if (stream->mux().Attach(stream)) stream->mux().OnOpened();
  stream->ReadNext();
  return stream.get();
}

void AcceptedCallStream::GiveUp(const absl::Status& why) {
  grpc::ServerGenericBidiReactor::Finish(ToGrpcStatus(why));
}

void AcceptedCallStream::OnCancel() {
  cancelled_ = true;
  End(Error(ErrorReason::kConnectionLost, "the peer is gone or gave the stream up"));
}

void AcceptedCallStream::OnDone() {
  std::shared_ptr<AcceptedCallStream> self = std::move(self_);
  absl::Status why = end_reason();
  // A dialler closes in good order only while no call is open, and acts on no batch after it.
  const bool nothing_executed = why.ok() && !cancelled_;
  if (why.ok()) why = Error(ErrorReason::kConnectionLost, "the peer closed the stream");
  mux().OnClosed(why, nothing_executed);
  done_();
}

}  // namespace panal
