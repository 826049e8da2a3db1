#include "server/runtime/dialled_link.h"

#include <grpcpp/generic/generic_stub.h>

#include <utility>

#include "common/rpc/status_convert.h"
#include "common/rpc/stream_admission.h"
#include "server/runtime/peer_methods.h"

namespace panal {

std::shared_ptr<DialledLink> DialledLink::Create(LinkStreamOwner& owner, LinkStreamId id,
                                                 const PeerId& peer) {
  std::shared_ptr<DialledLink> link(new DialledLink(owner, id, peer));
  link->self_ = link;
  return link;
}

void DialledLink::Start(std::shared_ptr<grpc::Channel> channel, const StreamAdmission& admission,
                        std::string hello) {
  channel_ = std::move(channel);
  admission_ = &admission;
  admission.Attach(context_);
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(channel_);
  stub.PrepareBidiStreamingCall(&context_, kLinkMethod, {}, this);
  AddHold();
  StartCall();
  Send(std::move(hello));
}

void DialledLink::OnReadInitialMetadataDone(bool ok) {
  if (ok) {
    const absl::StatusOr<CredentialPtr> acceptor = admission_->Admit(context_);
    if (acceptor.ok()) {
      Admitted(*acceptor);
      connected_ = true;
    } else {
      Abort(acceptor.status());
    }
  }
  // Only now: no frame is looked at before. The last read tells the end, so that there is one
  // whatever came.
  StartRead(&incoming_);
}

void DialledLink::OnDone(const grpc::Status& status) {
  std::shared_ptr<DialledLink> self = std::move(self_);
  Done(StreamEnd(status, connected_));
}

}  // namespace panal
