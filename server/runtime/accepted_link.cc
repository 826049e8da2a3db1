#include "server/runtime/accepted_link.h"

#include <utility>

#include "common/base/status.h"
#include "common/rpc/status_convert.h"

namespace panal {

std::shared_ptr<AcceptedLink> AcceptedLink::Create(LinkStreamOwner& owner, LinkStreamId id,
                                                   const CredentialPtr& peer,
                                                   grpc::GenericCallbackServerContext& context) {
  std::shared_ptr<AcceptedLink> link(new AcceptedLink(owner, id, peer, context));
  link->self_ = link;
  return link;
}

void AcceptedLink::Start() {
  // Said before the Hello is answered: the caller learns that it was admitted, and by whom.
  StartSendInitialMetadata();
  StartRead(&incoming_);
}

void AcceptedLink::EndCall(const absl::Status& why) { Finish(ToGrpcStatus(why)); }

void AcceptedLink::OnDone() {
  std::shared_ptr<AcceptedLink> self = std::move(self_);
  Done(Error(ErrorReason::kConnectionLost, "the peer closed the link or its connection broke"));
}

}  // namespace panal
