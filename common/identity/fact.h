// What all peers of an invite mesh must know of each other and remember: who was thrown out, which
// ticket was used by whom, which peer has a new key. Signed by a peer of the mesh, or by its root,
// so that anybody can check it whoever passed it on (docs/protocol/admission.md, "Facts").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/identity/grant.h"
#include "common/identity/identity.h"

namespace panal {

// Longest fact, in bytes. The largest has 917.
inline constexpr size_t kFactSizeMax = 1024;
// Longest reason of a revocation, in bytes. Guess: a sentence.
inline constexpr size_t kRevocationReasonSizeMax = 256;

// A peer is thrown out, or one grant is taken back. Takes the role admin.
struct Revocation {
  std::variant<PeerId, Serial> target;
  // Whether everything that the target let in is void too; otherwise only what it grants from the
  // revocation on.
  bool cascade = true;
  // For people: UTF-8, at most kRevocationReasonSizeMax bytes.
  std::string reason;

  bool operator==(const Revocation&) const = default;
};

// A ticket was used. Takes the role inviter.
struct Redemption {
  Serial ticket;
  PeerId peer;
  // The ticket's; from then on nobody need remember its uses.
  uint64_t ticket_not_after_s = 0;

  bool operator==(const Redemption&) const = default;
};

// A peer goes on with another key; said with the old one, which is void from then on.
struct MovedTo {
  PeerId from;
  PublicKey to;

  bool operator==(const MovedTo&) const = default;
};

using FactBody = std::variant<Revocation, Redemption, MovedTo>;

// A decoded fact is UNVERIFIED.
struct Fact {
  // Whose signature it is: the last subject's, or without grants the root's.
  GrantChain signer;
  uint64_t time_s = 0;  // Seconds since 1970.
  FactBody body;
  std::string signature;

  bool operator==(const Fact&) const = default;
};

struct VerifiedFact {
  // SHA-256 of its bytes.
  Sha256Digest id;
  FactBody body;
  absl::Time time;
  // From then on it says nothing that is not so anyway, and may be forgotten.
  absl::Time expires;
  // The grants from the root's first to the signer's own; empty where the root signed.
  std::vector<VerifiedGrant> signer;
};

// A fact of `now`. REQUIRES: the issuer's key is that of its chain's end. Errors: ARGUMENT_INVALID
// (the body), NOT_PERMITTED (the issuer's role), CREDENTIAL_INVALID and CREDENTIAL_EXPIRED (its
// chain).
absl::StatusOr<Fact> MakeFact(const Issuer& issuer, const FactBody& body, absl::Time now);
// `fact` with the signature of `signer`. Asks nothing: CheckFact does.
Fact SignFact(Fact fact, const Identity& signer);

std::string EncodeFact(const Fact& fact);
// Error: FACT_INVALID.
absl::StatusOr<Fact> DecodeFact(absl::string_view bytes);

// The fact in `bytes` when all rules of docs/protocol/admission.md hold in `mesh`. Its signer's chain
// is held against the fact's own time: a fact outlives who said it. Whether the signer was revoked
// is asked separately. Error: FACT_INVALID. About 160 microseconds a signature.
absl::StatusOr<VerifiedFact> CheckFact(absl::string_view bytes, const MeshId& mesh, absl::Time now);

// Whether `fact` leaves a credential or a ticket with this chain as it is. Error:
// CREDENTIAL_REVOKED, which says who was revoked and why.
absl::Status CheckNotRevoked(const VerifiedFact& fact, const std::vector<VerifiedGrant>& chain);

}  // namespace panal
