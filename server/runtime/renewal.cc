#include "server/runtime/renewal.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/model/object_ref.h"
#include "common/wire/status_codec.h"
#include "panal/v1/peer_object.pb.h"

namespace panal {
namespace {

constexpr char kService[] = "panal.v1.PeerObject";
constexpr char kMethod[] = "/panal.v1.PeerObject/Renew";

// One message there, one back. `done` comes once.
void CallUnary(PeerCalls& calls, const PeerId& peer, std::string request,
               std::function<void(absl::StatusOr<std::string>)> done) {
  CallHead head;
  head.method = kMethod;
  head.deadline = absl::Now() + kRenewalTimeout;
  head.origin = CallOrigin::kInProcess;
  const OutgoingCallPtr call =
      calls.Open(peer, ObjectRef{peer, kService, ""}.ToText(), std::move(head));
  auto answer = std::make_shared<std::string>();  // Of the two callbacks.
  // Holds the call until it is over: one that is let go is cancelled.
  call->OnFinished([call, done = std::move(done), answer](const CallResult& result) {
    if (result.code == 0) return done(*answer);
    done(DecodeStatusDetails(result.code, result.message, result.details));
  });
  call->Write(std::move(request), [](bool) {});
  call->HalfClose();
  call->Read([answer](std::optional<std::string> message) {
    if (message) *answer = *std::move(message);
  });
}

}  // namespace

std::shared_ptr<Renewal> Renewal::Create(RenewalHost host, const MeshAdmission& admission,
                                         PeerCalls& calls) {
  return std::shared_ptr<Renewal>(new Renewal(std::move(host), admission, calls));
}

void Renewal::Tick(const VerifiedCredential& credential, absl::Time now) {
  {
    MutexLock lock(&mutex_);
    if (stopped_ || asking_ || now < RenewalTime(credential) || now < next_) return;
    asking_ = true;
    next_ = now + std::clamp((credential.not_after - now) / 10, kRenewalRetryMin, kRenewalRetryMax);
  }
  std::vector<PeerId> peers = host_.neighbors();
  const size_t size = credential.chain.size();
  if (size > 1) peers.push_back(credential.chain[size - 2].subject);  // Its issuer, first.
  AskNext(std::move(peers), credential.not_after);
}

void Renewal::AskNext(std::vector<PeerId> peers, absl::Time expires) {
  {
    MutexLock lock(&mutex_);
    if (stopped_) return;
    if (peers.empty()) {
      asking_ = false;
      return;
    }
  }
  const PeerId peer = peers.back();
  peers.pop_back();
  v1::RenewRequest request;
  request.set_credential(admission_.credential());
  CallUnary(
      calls_, peer, request.SerializeAsString(),
      [self = shared_from_this(), rest = std::move(peers), expires](
          const absl::StatusOr<std::string>& answer) { self->OnAnswer(rest, expires, answer); });
}

void Renewal::OnAnswer(std::vector<PeerId> rest, absl::Time expires,
                       const absl::StatusOr<std::string>& answer) {
  v1::RenewResponse response;
  absl::Status why = answer.status();
  if (why.ok() && !response.ParseFromString(*answer)) {
    why = Error(ErrorReason::kMessageInvalid, "the answer does not decode");
  }
  if (why.ok()) {
    const absl::StatusOr<CredentialPtr> renewed =
        admission_.Check(response.credential(), host_.self);
    if (renewed.ok() && (*renewed)->not_after > expires) {
      MutexLock lock(&mutex_);
      asking_ = false;
      if (!stopped_) host_.renewed(response.credential());
      return;
    }
    why = renewed.ok() ? Error(ErrorReason::kNotPermitted, "it lasts no longer than the old one")
                       : renewed.status();
  }
  LogLimited(LogLevel::kInfo, "not_renewed", {{"why", std::string(why.message())}});
  AskNext(std::move(rest), expires);
}

void Renewal::Stop() {
  MutexLock lock(&mutex_);
  stopped_ = true;
}

}  // namespace panal
