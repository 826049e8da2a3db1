// A Link stream that another peer opened.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>

#include "server/runtime/link_stream.h"

namespace panal {

// Ends when it was told to, or when the caller is gone: Finish is said once nothing is being
// written.
class AcceptedLink final : public LinkStream, private grpc::ServerGenericBidiReactor {
 public:
  // Begins to read; gRPC gets `reactor()`. The caller was admitted already, and `context` holds the
  // metadata that admits this peer.
  static std::shared_ptr<AcceptedLink> Create(LinkStreamOwner& owner, LinkStreamId id,
                                              const CredentialPtr& peer,
                                              grpc::GenericCallbackServerContext& context);

  grpc::ServerGenericBidiReactor* reactor() { return this; }

  void Start();

 private:
  AcceptedLink(LinkStreamOwner& owner, LinkStreamId id, const CredentialPtr& peer,
               grpc::GenericCallbackServerContext& context)
      : LinkStream(owner, id, peer->peer, /*outbound=*/false), context_(&context) {
    Admitted(peer);
  }

  void StartReading(grpc::ByteBuffer* buffer) override { StartRead(buffer); }

  void StartWriting(const grpc::ByteBuffer* buffer) override { StartWrite(buffer); }

  void WritesOver() override {}

  void CancelCall() override { context_->TryCancel(); }

  void EndCall(const absl::Status& why) override;

  void OnReadDone(bool ok) override { ReadDone(ok); }

  void OnWriteDone(bool ok) override { WriteDone(ok); }

  void OnCancel() override { Broken(); }

  void OnDone() override;

  grpc::GenericCallbackServerContext* const context_;  // Valid until OnDone.
  std::shared_ptr<AcceptedLink> self_;                 // gRPC's share; dropped in OnDone.
};

}  // namespace panal
