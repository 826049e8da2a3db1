// What a peer that may let others in does: issues tickets, redeems them, renews credentials.
// docs/protocol/admission.md has the rules.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/identity/identity.h"
#include "common/identity/ticket.h"
#include "common/model/fact.h"
#include "common/rpc/mesh_admission.h"
#include "server/data/catalog/catalog.h"
#include "server/runtime/join_request.h"

namespace panal {

// Thread-safe. LetIn blocks (disk); the others sign.
class Inviter {
 public:
  // Keeps a fact and tells the mesh; does not wait for that.
  using Say = std::function<void(const FactPtr&)>;

  // `admission`: of an invite mesh; the credential it shows is what this peer issues with, as long
  // as that allows it. `catalog` counts. Both must outlive this object.
  Inviter(const Identity& identity, const MeshAdmission& admission, Catalog& catalog, Say say,
          std::function<absl::Time()> now = absl::Now);

  // A ticket of this peer. Errors: as of panal::IssueTicket; CREDENTIAL_REVOKED (this peer's own).
  absl::StatusOr<Ticket> IssueTicket(const TicketTerms& terms);

  // The credential of a peer that shows a ticket, whoever issued that. A use is counted, durably, before
  // it is returned, and said to the mesh; the same peer again costs no further use. Counted are the
  // uses that this peer knows of. Errors: TICKET_INVALID, TICKET_EXPIRED, TICKET_USED_UP,
  // CREDENTIAL_REVOKED, and those of IssueCredential.
  absl::StatusOr<std::string> LetIn(const JoinAttempt& attempt);

  // A new credential for `peer`, which has `credential` of this mesh: of the same role, from now on.
  // Errors: as of MeshAdmission::Check and IssueCredential; NOT_PERMITTED.
  absl::StatusOr<std::string> Renew(absl::string_view credential, const PeerId& peer);

 private:
  absl::StatusOr<Issuer> OwnIssuer() const;
  // Error: NOT_PERMITTED where this peer may not give `role`.
  absl::StatusOr<std::string> Issue(const PublicKey& subject, Role role);
  // Counts a use where the ticket has one left. Error: TICKET_USED_UP.
  absl::Status Count(const VerifiedTicket& ticket, const PeerId& peer);
  void SayUse(const VerifiedTicket& ticket, const PeerId& peer);
  absl::StatusOr<FactPtr> FactOfUse(const VerifiedTicket& ticket, const PeerId& peer) const;

  const Identity identity_;
  const MeshAdmission& admission_;
  Catalog& catalog_;
  const Say say_;
  const std::function<absl::Time()> now_;
};

}  // namespace panal
