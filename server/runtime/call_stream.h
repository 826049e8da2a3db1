// The gRPC streams that carry calls between two peers (PeerObject/Call): the one that this peer
// dials and the one that it accepts. One reactor class each; what they have in common is here too.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "common/base/sync.h"
#include "common/rpc/stream_admission.h"
#include "server/runtime/call_mux.h"

namespace panal {

// Shared by gRPC (until OnDone), its CallMux, and whoever calls into it meanwhile. Operations on
// gRPC's object are only begun while a pin is held; the stream is given up when the last pin is.
class CallStream : public CallTransport, public std::enable_shared_from_this<CallStream> {
 public:
  void WriteBatch(const v1::CallBatch& batch) override;
  void End(const absl::Status& why) override;

 protected:
  explicit CallStream(std::shared_ptr<CallMux> mux) : mux_(std::move(mux)) {}

  CallMux& mux() const { return *mux_; }

  // False: the stream is being given up.
  bool Pin();
  void Unpin();
  void ReadNext();
  // Reactions.
  void ReadDone(bool ok);
  void WriteDone(bool ok);
  // Why this end gave the stream up; OK when it did not, or in good order.
  absl::Status end_reason() const;

 private:
  virtual void StartReading(grpc::ByteBuffer* buffer) = 0;
  virtual void StartWriting(const grpc::ByteBuffer* buffer) = 0;
  // Lets gRPC go. Once, after the last operation was begun.
  virtual void GiveUp(const absl::Status& why) = 0;

  const std::shared_ptr<CallMux> mux_;  // Also of the CallStreams and the calls.
  grpc::ByteBuffer incoming_;           // Belongs to the read under way.
  grpc::ByteBuffer outgoing_;           // Belongs to the write under way.
  mutable Mutex mutex_;
  int pins_ ABSL_GUARDED_BY(mutex_) = 1;  // One until End.
  std::optional<absl::Status> ending_ ABSL_GUARDED_BY(mutex_);
};

// A stream that this peer opens. It counts as open once the other end has sent its initial
// metadata, which tells that it has admitted this peer, and this peer has admitted it. Until then
// no batch is read or written.
class DialledCallStream final
    : public CallStream,
      private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Called once, last, on a gRPC thread: why the stream ended, and whether it had been open.
  using Done = std::function<void(const absl::Status& why, bool opened)>;

  // `admission` must outlive the stream.
  static std::shared_ptr<DialledCallStream> Start(std::shared_ptr<CallMux> mux,
                                                  std::shared_ptr<grpc::Channel> channel,
                                                  const StreamAdmission& admission, Done done);

  void EndIdle() override;
  // Ends the stream unless it is open by now.
  void EndUnlessOpen(const absl::Status& why);

 private:
  DialledCallStream(std::shared_ptr<CallMux> mux, std::shared_ptr<grpc::Channel> channel,
                    const StreamAdmission& admission, Done done);

  void StartReading(grpc::ByteBuffer* buffer) override { StartRead(buffer); }

  void StartWriting(const grpc::ByteBuffer* buffer) override { StartWrite(buffer); }

  void GiveUp(const absl::Status& why) override;

  void OnReadInitialMetadataDone(bool ok) override;

  void OnReadDone(bool ok) override { ReadDone(ok); }

  void OnWriteDone(bool ok) override { WriteDone(ok); }

  void OnDone(const grpc::Status& status) override;

  grpc::ClientContext context_;
  const std::shared_ptr<grpc::Channel>
      channel_;  // Kept open; shared with the pool and other streams.
  const StreamAdmission& admission_;
  const Done done_;
  std::atomic<bool> opened_ = false;
  std::shared_ptr<DialledCallStream> self_;  // gRPC's share; dropped in OnDone.
};

// A stream that another peer opened.
class AcceptedCallStream final : public CallStream, public grpc::ServerGenericBidiReactor {
 public:
  // The stream's context holds the metadata that admits this peer. `done`: called once, last, on a
  // gRPC thread.
  static AcceptedCallStream* Start(std::shared_ptr<CallMux> mux, std::function<void()> done);

  void EndIdle() override {}  // The dialler's.

 private:
  AcceptedCallStream(std::shared_ptr<CallMux> mux, std::function<void()> done)
      : CallStream(std::move(mux)), done_(std::move(done)) {}

  void StartReading(grpc::ByteBuffer* buffer) override { StartRead(buffer); }

  void StartWriting(const grpc::ByteBuffer* buffer) override { StartWrite(buffer); }

  void GiveUp(const absl::Status& why) override;

  void OnReadDone(bool ok) override { ReadDone(ok); }

  void OnWriteDone(bool ok) override { WriteDone(ok); }

  void OnCancel() override;
  void OnDone() override;

  const std::function<void()> done_;
  std::atomic<bool> cancelled_ = false;
  std::shared_ptr<AcceptedCallStream> self_;  // gRPC's share; dropped in OnDone.
};

}  // namespace panal
