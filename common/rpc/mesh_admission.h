// Who belongs to a mesh: what this peer shows, and its judgment of what others show. Knows of no
// stream (that is common/rpc/stream_admission.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/identity/credential.h"
#include "common/identity/identity.h"
#include "common/model/revocations.h"
#include "common/rpc/lru_cache.h"

namespace panal {

// Credentials remembered as checked. Guess: eight times the most links; about 1 MiB in an open mesh,
// 8 MiB in one of invitations.
inline constexpr size_t kCheckedCredentialsMax = 8192;

// Shared by the streams that it admitted and by who remembers it.
using CredentialPtr = std::shared_ptr<const VerifiedCredential>;

struct AdmissionRules {
  MeshPolicy policy = MeshPolicy::kOpen;
  MeshId mesh;
  std::string credential;  // This peer's own.
  std::function<absl::Time()> now = absl::Now;
};

// Thread-safe.
class MeshAdmission {
 public:
  explicit MeshAdmission(AdmissionRules rules);
  // Of an open mesh.
  MeshAdmission(const Identity& identity, const MeshId& mesh);

  const MeshId& mesh() const { return rules_.mesh; }

  // What `credential` proves of `peer`, where it lets it in; remembers the ones that do. Errors:
  // CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED. About 160 microseconds a signature
  // of one not seen before.
  absl::StatusOr<CredentialPtr> Check(absl::string_view credential, const PeerId& peer) const;
  // Whether what was admitted once still is. Errors: CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED.
  absl::Status Recheck(const VerifiedCredential& credential) const;
  // Whether none of the grants, of a credential or a ticket, was revoked. Error: CREDENTIAL_REVOKED,
  // which says who was revoked, when and why.
  absl::Status CheckRevocations(const std::vector<VerifiedGrant>& chain) const;

  // What this peer shows.
  std::string credential() const;
  void SetCredential(std::string credential);
  // What is void from now on. Streams that are open: see MeshPort::Recheck.
  // REQUIRES: not null.
  void SetRevocations(std::shared_ptr<const Revocations> revocations);
  std::shared_ptr<const Revocations> revocations() const;

  // Credentials remembered, the most recently used first.
  std::vector<CredentialPtr> Checked() const;

 private:
  const AdmissionRules rules_;
  mutable Mutex mutex_;
  std::string credential_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Revocations> revocations_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const Revocations>();
  // By SHA-256 of peer id and credential. Only valid ones are here.
  mutable LruCache<Sha256Digest, CredentialPtr> checked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
