#include "server/runtime/inviter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/identity/credential.h"
#include "common/identity/fact.h"

namespace panal {

Inviter::Inviter(const Identity& identity, const MeshAdmission& admission, Catalog& catalog,
                 Say say, std::function<absl::Time()> now)
    : identity_(identity),
      admission_(admission),
      catalog_(catalog),
      say_(std::move(say)),
      now_(std::move(now)) {}

absl::StatusOr<Issuer> Inviter::OwnIssuer() const {
  PANAL_ASSIGN_OR_RETURN(GrantChain chain, DecodeChain(admission_.credential()));
  PANAL_RETURN_IF_ERROR(admission_.CheckRevocations(GrantsOf(chain)));
  return Issuer{identity_, std::move(chain)};
}

absl::StatusOr<Ticket> Inviter::IssueTicket(const TicketTerms& terms) {
  PANAL_ASSIGN_OR_RETURN(const Issuer issuer, OwnIssuer());
  return panal::IssueTicket(issuer, terms, now_());
}

absl::StatusOr<std::string> Inviter::Issue(const PublicKey& subject, Role role) {
  PANAL_ASSIGN_OR_RETURN(const Issuer issuer, OwnIssuer());
  return IssueCredential(issuer, {.subject = subject, .role = role}, now_());
}

absl::StatusOr<std::string> Inviter::LetIn(const JoinAttempt& attempt) {
  const PeerId& self = identity_.peer_id();
  PANAL_ASSIGN_OR_RETURN(const VerifiedTicket ticket,
                         CheckTicket(attempt.ticket, admission_.mesh(), now_()));
  PANAL_RETURN_IF_ERROR(
      CheckJoinProof(ticket, admission_.mesh(), attempt.peer, self, attempt.proof));
  if (PeerIdOfPublicKey(attempt.public_key) != attempt.peer) {
    return Error(ErrorReason::kTicketInvalid, "the public key is not that of the peer that asks");
  }
  PANAL_RETURN_IF_ERROR(admission_.CheckRevocations(ticket.chain));
  // Issued first, so that no use is spent on what could not be issued.
  PANAL_ASSIGN_OR_RETURN(std::string credential, Issue(attempt.public_key, ticket.role));
  PANAL_ASSIGN_OR_RETURN(const CredentialPtr checked, admission_.Check(credential, attempt.peer));
  PANAL_RETURN_IF_ERROR(Count(ticket, attempt.peer));
  return credential;
}

absl::Status Inviter::Count(const VerifiedTicket& ticket, const PeerId& peer) {
  const std::vector<PeerId> others = admission_.revocations()->RedeemersOf(ticket.serial());
  PANAL_ASSIGN_OR_RETURN(const bool counted,
                         catalog_.RedeemTicket({.ticket = ticket.serial(),
                                                .peer = peer,
                                                .uses = ticket.uses,
                                                .forget_at = ticket.not_after + kClockSkewMax,
                                                .others = others},
                                               now_()));
  if (!counted) {
    return Error(
        ErrorReason::kTicketUsedUp,
        absl::StrCat("the ticket has let in ", ticket.uses, ticket.uses == 1 ? " peer" : " peers",
                     ", as many as it may; ask for a new one"));
  }
  if (!std::binary_search(others.begin(), others.end(), peer)) SayUse(ticket, peer);
  return absl::OkStatus();
}

// What cannot be said is counted here all the same.
void Inviter::SayUse(const VerifiedTicket& ticket, const PeerId& peer) {
  const absl::StatusOr<FactPtr> fact = FactOfUse(ticket, peer);
  if (fact.ok()) return say_(*fact);
  LogLimited(LogLevel::kError, "use_not_said", {{"why", std::string(fact.status().message())}});
}

absl::StatusOr<FactPtr> Inviter::FactOfUse(const VerifiedTicket& ticket, const PeerId& peer) const {
  PANAL_ASSIGN_OR_RETURN(const Issuer issuer, OwnIssuer());
  return MakeVerifiedFact(issuer, Redemption{ticket.serial(), peer, SecondsOf(ticket.not_after)},
                          now_());
}

absl::StatusOr<std::string> Inviter::Renew(absl::string_view credential, const PeerId& peer) {
  PANAL_ASSIGN_OR_RETURN(const CredentialPtr checked, admission_.Check(credential, peer));
  PANAL_ASSIGN_OR_RETURN(const GrantChain chain, DecodeChain(credential));
  return Issue(chain.grants.back().subject, checked->role);
}

}  // namespace panal
