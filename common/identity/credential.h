// What a peer shows on every stream to prove that it belongs to the mesh (metadata
// `panal-credential-bin`, at most 4 KiB). Layouts and rules: docs/protocol/admission.md.
//
// In an open mesh it is the peer's own signed statement of the mesh id (kind 1): whoever knows the
// name may enter. In an invite mesh it is a chain of grants from the mesh's root key down to the
// peer (kind 2, common/identity/grant.h).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/identity/grant.h"
#include "common/identity/identity.h"

namespace panal {

// Longest credential accepted, in bytes (docs/protocol/admission.md).
inline constexpr size_t kCredentialSizeMax = 4096;

// Who may enter a mesh: whoever knows its name, or whoever was let in. A credential of the one is
// none of the other.
enum class MeshPolicy { kOpen, kInvite };

// What a credential proves of the peer that showed it.
struct VerifiedCredential {
  PeerId peer;
  Role role = Role::kReader;
  // Valid from the one until just before the other; in an open mesh always.
  absl::Time not_before = absl::InfinitePast();
  absl::Time not_after = absl::InfiniteFuture();
  // The grants from the root's first to the peer's own: issuers, serials, dates, for revocations.
  // Empty in an open mesh.
  std::vector<VerifiedGrant> chain;

  // Name of the peer's own grant; empty in an open mesh.
  Serial serial() const { return chain.empty() ? Serial() : chain.back().serial; }
};

// Id of the open mesh called `name`: SHA-256 of "panal open mesh v1", NUL, name.
MeshId OpenMeshId(absl::string_view name);

// The credential of `identity` in the open mesh `mesh`.
std::string MakeOpenCredential(const Identity& identity, const MeshId& mesh);

// A credential of an invite mesh that makes `terms.subject` a peer of `terms.role`. REQUIRES and
// errors as of IssueGrant; no ticket.
absl::StatusOr<std::string> IssueCredential(const Issuer& issuer, const GrantTerms& terms,
                                            absl::Time now);

// Whether `credential` lets `peer` (proven by TLS) into `mesh` at `now`, and as what. An open mesh
// gives everybody the role member. Errors: CREDENTIAL_INVALID (too long, malformed, of another kind
// or mesh, another peer's, against the rules, bad signature), CREDENTIAL_EXPIRED. Whether something
// in it was revoked is asked separately. About 160 microseconds a signature.
absl::StatusOr<VerifiedCredential> CheckCredential(absl::string_view credential, MeshPolicy policy,
                                                   const MeshId& mesh, const PeerId& peer,
                                                   absl::Time now);

// CheckCredential for an open mesh.
absl::Status CheckOpenCredential(absl::string_view credential, const PeerId& peer,
                                 const MeshId& mesh);

// When the peer asks for a new credential: when a third of the lifetime is left. Never in an open
// mesh.
absl::Time RenewalTime(const VerifiedCredential& credential);

}  // namespace panal
