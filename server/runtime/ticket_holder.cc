#include "server/runtime/ticket_holder.h"

#include <grpcpp/grpcpp.h>

#include <fstream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/identity/credential.h"
#include "common/rpc/status_convert.h"
#include "common/rpc/tls_credentials.h"
#include "panal/v1/peer_object.grpc.pb.h"
#include "server/runtime/peer_channels.h"

namespace panal {
namespace {

// One ticket being redeemed. Owns itself by the call under way.
class Redemption final : public std::enable_shared_from_this<Redemption> {
 public:
  using Done = std::function<void(absl::StatusOr<MeshMembership>)>;

  Redemption(const Identity& identity, Ticket ticket, Done done)
      : identity_(identity), ticket_(std::move(ticket)), done_(std::move(done)), tls_(identity) {}

  void AskNext() {
    if (next_ == ticket_.contacts.size()) return done_(why_);
    const JoinAddress& contact = ticket_.contacts[next_++];
    channel_ = channels_.GetAt(*contact.peer, contact.address, ChannelUse::kControl);
    stub_ = v1::PeerObject::NewStub(channel_);
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_deadline(absl::ToChronoTime(absl::Now() + kAskTimeout));
    request_.set_ticket(EncodeChain(ticket_.chain));
    request_.set_public_key(identity_.public_key());
    request_.set_proof(MakeJoinProof(ticket_, identity_.peer_id(), *contact.peer));
    stub_->async()->Join(
        context_.get(), &request_, &response_,
        [self = shared_from_this()](const grpc::Status& status) { self->OnAnswer(status); });
  }

 private:
  void OnAnswer(const grpc::Status& status) {
    const std::string& address = ticket_.contacts[next_ - 1].address;
    absl::StatusOr<MeshMembership> membership =
        status.ok() ? Take() : StreamEnd(status, /*connected=*/false);
    if (membership.ok()) return done_(std::move(membership));
    absl::Status why = membership.status();
    if (ReasonOf(why) == ErrorReason::kDeadlineExceeded) {
      why = Error(ErrorReason::kPeerUnreachable, "no answer in time");
    }
    Log(LogLevel::kWarning, "ticket_refused",
        {{"address", address}, {"why", std::string(why.message())}});
    // What nobody could be asked about says less than what somebody answered.
    if (why_.ok() || MayAskAgain(why_)) why_ = Annotate(why, address);
    AskNext();
  }

  absl::StatusOr<MeshMembership> Take() const {
    PANAL_RETURN_IF_ERROR(CheckCredential(response_.credential(), MeshPolicy::kInvite,
                                          InviteMeshId(ticket_.chain.root), identity_.peer_id(),
                                          absl::Now())
                              .status());
    PANAL_ASSIGN_OR_RETURN(GrantChain chain, DecodeChain(response_.credential()));
    return MeshMembership{ticket_.mesh_name, std::move(chain), ticket_.contacts};
  }

  const Identity identity_;
  const Ticket ticket_;
  const Done done_;
  const TlsCredentials tls_;
  PeerChannels channels_{tls_};
  size_t next_ = 0;
  absl::Status why_;
  // Of the call under way.
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::PeerObject::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::JoinRequest request_;
  v1::JoinResponse response_;
};

}  // namespace

absl::StatusOr<std::string> ReadTicketFile(const std::string& path) {
  std::ifstream file(path);
  // One character more than a ticket has: such a file holds none.
  std::string text(kTicketTextSizeMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (!file.is_open() || file.bad()) {
    return Error(ErrorReason::kConfigInvalid,
                 absl::StrCat("--ticket-file ", path, " cannot be read"),
                 {{"setting", "--ticket-file"}, {"value", path}});
  }
  return text;
}

bool MayAskAgain(const absl::Status& refusal) {
  switch (ReasonOf(refusal)) {
    case ErrorReason::kPeerUnreachable:
    case ErrorReason::kConnectionLost:
    case ErrorReason::kOverloaded:
    case ErrorReason::kShuttingDown:
      return true;
    default:
      return false;
  }
}

void RedeemTicket(const Identity& identity, const Ticket& ticket,
                  std::function<void(absl::StatusOr<MeshMembership>)> done) {
  if (ticket.contacts.empty()) {
    return done(Error(ErrorReason::kPeerUnreachable,
                      "the ticket names nobody to ask; ask for one that does"));
  }
  std::make_shared<Redemption>(identity, ticket, std::move(done))->AskNext();
}

}  // namespace panal
