#include "server/runtime/peer_probe.h"

#include <grpcpp/generic/generic_stub.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/rpc/status_convert.h"
#include "server/runtime/peer_methods.h"

namespace panal {

void PeerProbe::Start(std::shared_ptr<grpc::Channel> channel, const StreamAdmission& admission,
                      absl::Duration timeout, Done done) {
  auto* probe = new PeerProbe(std::move(channel), admission, std::move(done));
  probe->context_.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  admission.Attach(probe->context_);
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(probe->channel_);
  stub.PrepareBidiStreamingCall(&probe->context_, kLinkMethod, {}, probe);
  probe->StartRead(&probe->incoming_);
  probe->StartCall();
}

void PeerProbe::OnReadInitialMetadataDone(bool ok) {
  if (!ok) return;
  const absl::StatusOr<CredentialPtr> acceptor = admission_.Admit(context_);
  learned_ = acceptor.ok() ? absl::StatusOr<PeerId>((*acceptor)->peer) : acceptor.status();
  context_.TryCancel();
}

void PeerProbe::OnDone(const grpc::Status& status) {
  absl::StatusOr<PeerId> result = StreamEnd(status, /*connected=*/false);
  // A refusal counts more than the id of who refused; our own cancellation does not count.
  if (learned_ && status.error_code() == grpc::StatusCode::CANCELLED) result = *learned_;
  if (ReasonOf(result.status()) == ErrorReason::kDeadlineExceeded) {
    result = Error(ErrorReason::kPeerUnreachable, "no answer in time");
  }
  done_(std::move(result));
  delete this;
}

}  // namespace panal
