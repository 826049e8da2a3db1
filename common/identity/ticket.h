// An invitation to an invite mesh in one line of text: where the mesh is reached, and a key of its own
// that may ask an inviter for a grant, so often and until then (docs/protocol/admission.md,
// "Tickets").
//
// Who has the text may enter: it is a secret until it is used up or has expired.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/identity/grant.h"
#include "common/identity/identity.h"
#include "common/model/join_address.h"

namespace panal {

// How long a ticket lasts where nobody says otherwise. Guess: it is used on the day it is sent.
inline constexpr absl::Duration kTicketLifetimeDefault = absl::Hours(24);
// Most addresses in a ticket. Guess: one that answers is enough, and the line stays short.
inline constexpr size_t kTicketContactsMax = 4;
// Longest address in a ticket, in bytes: its length is one byte.
inline constexpr size_t kTicketAddressSizeMax = 255;
// Longest text that is read as a ticket, in bytes. The largest ticket has some 2,900.
inline constexpr size_t kTicketTextSizeMax = 4096;

// A ticket as its holder has it.
struct Ticket {
  std::string mesh_name;
  // Ends in the ticket's grant, whose issuer is a peer.
  GrantChain chain;
  // Seed of the ticket's key, kKeySeedSize bytes. A secret.
  std::string seed;
  // Where to ask, each with its peer id; at most kTicketContactsMax.
  std::vector<JoinAddress> contacts;

  bool operator==(const Ticket&) const = default;
};

struct TicketTerms {
  std::string mesh_name;
  Role role = Role::kMember;
  // Above 0, at most kTicketLifetimeMax; cut to what the issuer's own grant has left.
  absl::Duration lifetime = kTicketLifetimeDefault;
  // How many peers it lets in: 1 to kTicketUsesMax.
  uint32_t uses = 1;
  std::vector<JoinAddress> contacts;
};

// What a ticket's chain proves to who is asked to let its holder in.
struct VerifiedTicket {
  PublicKey key;
  Role role = Role::kReader;
  uint16_t uses = 0;
  // Who counts the uses: the peer that issued it.
  PeerId issuer;
  absl::Time not_after;
  // The grants from the root's first to the ticket's own, for revocations.
  std::vector<VerifiedGrant> chain;

  // Name of the ticket.
  const Serial& serial() const { return chain.back().serial; }
};

// A new ticket. REQUIRES: as of IssueGrant. Errors: ARGUMENT_INVALID (the terms), NOT_PERMITTED (the
// issuer's role, the length of its chain, the root as issuer), CREDENTIAL_EXPIRED (the issuer's
// own).
absl::StatusOr<Ticket> IssueTicket(const Issuer& issuer, const TicketTerms& terms, absl::Time now);

// What the text of a ticket begins with.
inline constexpr char kTicketPrefix[] = "panal1-";

// One line of text, kTicketPrefix and base32.
std::string PrintTicket(const Ticket& ticket);
// Inverse of PrintTicket; white space around the text does no harm. The result is UNVERIFIED: it is
// whole, and its key is that of its grant; signatures and dates were not looked at. Error:
// TICKET_INVALID, which says what is wrong and what to do.
absl::StatusOr<Ticket> ParseTicket(absl::string_view text);

// What the encoded chain of a ticket gives in `mesh` at `now`. A holder asks with the chain's own
// mesh id before it joins. Whether something in it was revoked, or it is used up, is asked
// separately. Errors: TICKET_INVALID, TICKET_EXPIRED.
absl::StatusOr<VerifiedTicket> CheckTicket(absl::string_view chain, const MeshId& mesh,
                                           absl::Time now);

// Proof that `joiner` has the ticket, good at `acceptor` alone: a signature of the ticket's key.
std::string MakeJoinProof(const Ticket& ticket, const PeerId& joiner, const PeerId& acceptor);
// Whether `proof` is one. Error: TICKET_INVALID.
absl::Status CheckJoinProof(const VerifiedTicket& ticket, const MeshId& mesh, const PeerId& joiner,
                            const PeerId& acceptor, absl::string_view proof);

}  // namespace panal
