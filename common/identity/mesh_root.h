// The root key of an invite mesh: who has it decides who the mesh is. It is a key apart from any
// peer's, needed to make the first peer and where no admin is left; the mesh goes on without it. May be
// kept anywhere: a plain copy of its file is the key.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/identity/grant.h"
#include "common/identity/identity.h"

namespace panal {

// Longest passphrase, in bytes. OpenSSL's tools read no longer one (PEM_BUFSIZE).
inline constexpr size_t kPassphraseSizeMax = 1024;

// Immutable; thread-safe.
class MeshRoot {
 public:
  // A new key from the operating system's randomness.
  static MeshRoot Generate();
  // From what ToPem() gave; `passphrase` is not looked at where the PEM is not encrypted. Errors:
  // PASSPHRASE_INVALID (none for an encrypted key, or a wrong one), DATA_DIR_INVALID (no key).
  static absl::StatusOr<MeshRoot> FromPem(absl::string_view pem, absl::string_view passphrase);
  // From the file that Save() wrote, or a copy of it. Refuses one that others may read. Errors: as
  // FromPem, PATH_NOT_FOUND.
  static absl::StatusOr<MeshRoot> Load(const std::string& path, absl::string_view passphrase);

  // PKCS #8 in PEM, encrypted where the passphrase is not empty (PBES2: AES-256-CBC under PBKDF2
  // with HMAC-SHA-256, some 0.2 seconds). A secret. Error: ARGUMENT_INVALID (too long a passphrase).
  absl::StatusOr<std::string> ToPem(absl::string_view passphrase) const;
  // Writes ToPem() to `<dir>/mesh-root.key`, mode 0600, durably. Never replaces one that is there.
  // Errors: as ToPem, DATA_DIR_INVALID, STORAGE_FULL.
  absl::Status Save(const std::string& dir, absl::string_view passphrase) const;

  MeshId mesh_id() const { return InviteMeshId(key_.public_key()); }

  const PublicKey& public_key() const { return key_.public_key(); }

  // The root as one who issues.
  Issuer issuer() const;

 private:
  explicit MeshRoot(Identity key);

  Identity key_;
};

}  // namespace panal
