// A Link stream that this peer opens.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <memory>
#include <string>

#include "server/runtime/link_stream.h"

namespace panal {

class StreamAdmission;

// Ends when the acceptor ended it, which the last read tells. One hold keeps gRPC's object alive
// until then, since reads and writes are started from any thread.
class DialledLink final : public LinkStream,
                          private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  static std::shared_ptr<DialledLink> Create(LinkStreamOwner& owner, LinkStreamId id,
                                             const PeerId& peer);

  // Opens the stream on `channel` and sends `hello` (an encoded frame) on it. Once. Frames are read
  // once `admission`, which must outlive the stream, has admitted the acceptor; otherwise the
  // stream ends with what it says.
  void Start(std::shared_ptr<grpc::Channel> channel, const StreamAdmission& admission,
             std::string hello);

 private:
  DialledLink(LinkStreamOwner& owner, LinkStreamId id, const PeerId& peer)
      : LinkStream(owner, id, peer, /*outbound=*/true) {}

  void StartReading(grpc::ByteBuffer* buffer) override { StartRead(buffer); }

  void StartWriting(const grpc::ByteBuffer* buffer) override { StartWrite(buffer); }

  void WritesOver() override { StartWritesDone(); }

  void CancelCall() override { context_.TryCancel(); }

  void EndCall(const absl::Status&) override { RemoveHold(); }

  void OnReadInitialMetadataDone(bool ok) override;

  void OnReadDone(bool ok) override { ReadDone(ok); }

  void OnWriteDone(bool ok) override { WriteDone(ok); }

  void OnDone(const grpc::Status& status) override;

  const StreamAdmission* admission_ = nullptr;  // Set by Start.
  grpc::ClientContext context_;
  std::shared_ptr<grpc::Channel> channel_;  // Kept open; shared with the pool and other streams.
  std::atomic<bool> connected_ = false;
  std::shared_ptr<DialledLink> self_;  // gRPC's share; dropped in OnDone.
};

}  // namespace panal
