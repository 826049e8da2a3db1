// Facts of an invite mesh (common/model/fact.h): signed by a peer of the mesh, or by its root, so that
// anybody can check them whoever passed them on (docs/protocol/admission.md, "Facts").
#pragma once

#include <cstdint>
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
#include "common/model/fact.h"
#include "common/model/revocations.h"

namespace panal {

// Longest reason of a revocation, in bytes. Guess: a sentence.
inline constexpr size_t kRevocationReasonSizeMax = 256;

// A decoded fact is UNVERIFIED.
struct Fact {
  // Whose signature it is: the last subject's, or without grants the root's.
  GrantChain signer;
  uint64_t time_s = 0;  // Seconds since 1970.
  FactBody body;
  std::string signature;

  bool operator==(const Fact&) const = default;
};

// A fact of `now`. REQUIRES: the issuer's key is that of its chain's end. Errors: ARGUMENT_INVALID
// (the body), NOT_PERMITTED (the issuer's role), CREDENTIAL_INVALID and CREDENTIAL_EXPIRED (its
// chain).
absl::StatusOr<Fact> MakeFact(const Issuer& issuer, const FactBody& body, absl::Time now);
// The same, encoded, as CheckFact gives it.
absl::StatusOr<FactPtr> MakeVerifiedFact(const Issuer& issuer, const FactBody& body,
                                         absl::Time now);
// `fact` with the signature of `signer`. Asks nothing: CheckFact does.
Fact SignFact(Fact fact, const Identity& signer);

std::string EncodeFact(const Fact& fact);
// Error: FACT_INVALID.
absl::StatusOr<Fact> DecodeFact(absl::string_view bytes);

// The fact in `bytes` when all rules of docs/protocol/admission.md hold in `mesh`. Its signer's chain
// is held against the fact's own time: a fact outlives who said it. Whether the signer was revoked
// is asked separately. Error: FACT_INVALID. About 160 microseconds a signature.
absl::StatusOr<VerifiedFact> CheckFact(absl::string_view bytes, const MeshId& mesh, absl::Time now);

// A fact that CheckFact has let through before, from where only this peer writes: neither signatures
// nor rules are gone through again. Error: FACT_INVALID (it does not decode, or is another mesh's).
absl::StatusOr<VerifiedFact> RestoreFact(absl::string_view bytes, const MeshId& mesh);

// What `text` names: a peer by its id, a grant by its serial (26 base32 characters), or the grant of
// a ticket. Error: ARGUMENT_INVALID.
absl::StatusOr<std::variant<PeerId, Serial>> ParseRevocationTarget(absl::string_view text);

// Whether `revocations` leave a credential or a ticket with this chain as it is. Error:
// CREDENTIAL_REVOKED, which says who was revoked and why.
absl::Status CheckNotRevoked(const Revocations& revocations,
                             const std::vector<VerifiedGrant>& chain);

}  // namespace panal
