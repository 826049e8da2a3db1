// What a peer shows on every stream to prove that it belongs to the mesh (metadata
// `panal-credential-bin`, at most 4 KiB).
//
// In an open mesh it is the peer's own signed statement of the mesh id. Layout (docs/protocol/
// admission.md): U8 version 1, U8 kind 1 (open), 32 bytes public key, 64 bytes Ed25519 signature
// over "panal open credential v1" NUL, mesh id, peer id.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/identity/identity.h"

namespace panal {

// Longest credential accepted, in bytes (docs/protocol/admission.md).
inline constexpr size_t kCredentialSizeMax = 4096;

// Id of the open mesh called `name`: SHA-256 of "panal open mesh v1", NUL, name.
MeshId OpenMeshId(absl::string_view name);

// The credential of `identity` in the open mesh `mesh`.
std::string MakeOpenCredential(const Identity& identity, const MeshId& mesh);

// Whether `credential` lets `peer` (proven by TLS) into the open mesh `mesh`. Errors:
// CREDENTIAL_INVALID (too long, malformed, another
// peer's, bad signature, for another mesh). About 160 microseconds.
absl::Status CheckOpenCredential(absl::string_view credential, const PeerId& peer,
                                 const MeshId& mesh);

}  // namespace panal
