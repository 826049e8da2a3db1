// Who a peer is: an Ed25519 key, the peer id that follows from it, and a self-signed certificate.
//
// The peer id is the SHA-256 of the public key's SubjectPublicKeyInfo (DER), so the id is the trust
// anchor: whoever proves possession of the key is the peer. All cryptography is OpenSSL's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"

namespace panal {

inline constexpr size_t kPublicKeySize = 32;  // Bytes of an Ed25519 public key (RFC 8032).
inline constexpr size_t kKeySeedSize = 32;    // Bytes of an Ed25519 private key (RFC 8032).
inline constexpr size_t kSignatureSize = 64;  // Bytes of an Ed25519 signature (RFC 8032).

// An Ed25519 public key as its 32 raw bytes.
using PublicKey = std::string;

// A peer's own key. Immutable; thread-safe.
class Identity {
 public:
  // A new key from the operating system's randomness.
  static Identity Generate();
  // From the PKCS #8 PEM that key_pem() gave. Error: DATA_DIR_INVALID.
  static absl::StatusOr<Identity> FromPem(absl::string_view key_pem);
  // The key whose private half is `seed` (RFC 8032). REQUIRES: kKeySeedSize bytes.
  static Identity FromSeed(absl::string_view seed);
  // Reads `<dir>/peer.key`, or makes a key and writes it there (mode 0600, synced, renamed into
  // place). Refuses a key file that others may read. Errors: DATA_DIR_INVALID, STORAGE_FULL.
  static absl::StatusOr<Identity> LoadOrCreate(absl::string_view dir);

  const PeerId& peer_id() const;
  // 32 raw bytes.
  const PublicKey& public_key() const;
  // PKCS #8 PEM of the private key. A secret.
  const std::string& key_pem() const;
  // Self-signed X.509 certificate: CN and DNS name are the peer id, not a CA, 100 years, begins a
  // day ago (clock skew).
  const std::string& certificate_pem() const;

  // Ed25519 signature (64 bytes) over `message`. About 70 microseconds.
  std::string Sign(absl::string_view message) const;

 private:
  struct State;
  explicit Identity(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;  // Shared by copies; immutable.
};

// Peer id of a raw Ed25519 public key; nothing when it is not 32 bytes.
std::optional<PeerId> PeerIdOfPublicKey(absl::string_view public_key);

// Whether `signature` is `public_key`'s Ed25519 signature over `message`. About 160 microseconds.
bool VerifySignature(absl::string_view public_key, absl::string_view message,
                     absl::string_view signature);

// Peer id of an X.509 certificate in PEM: CERTIFICATE_INVALID when it does not parse, its key is
// not Ed25519, or its DNS name is not that id. About 200 microseconds: cache by PEM (PeerIdCache).
absl::StatusOr<PeerId> PeerIdOfCertificate(absl::string_view certificate_pem);

}  // namespace panal
