#include "common/rpc/mesh_admission.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/fact.h"

namespace panal {
namespace {

Sha256Digest CacheKey(absl::string_view credential, const PeerId& peer) {
  Sha256Hasher hasher;
  hasher.Update(peer.view());
  hasher.Update(credential);
  return hasher.Finish();
}

}  // namespace

MeshAdmission::MeshAdmission(AdmissionRules rules)
    : rules_(std::move(rules)), credential_(rules_.credential), checked_(kCheckedCredentialsMax) {}

MeshAdmission::MeshAdmission(const Identity& identity, const MeshId& mesh)
    : MeshAdmission({.mesh = mesh, .credential = MakeOpenCredential(identity, mesh)}) {}

absl::StatusOr<CredentialPtr> MeshAdmission::Check(absl::string_view credential,
                                                   const PeerId& peer) const {
  const Sha256Digest key = CacheKey(credential, peer);
  CredentialPtr checked;
  {
    MutexLock lock(&mutex_);
    checked = checked_.Find(key).value_or(nullptr);
  }
  if (checked == nullptr) {
    PANAL_ASSIGN_OR_RETURN(
        VerifiedCredential verified,
        CheckCredential(credential, rules_.policy, rules_.mesh, peer, rules_.now()));
    checked = std::make_shared<const VerifiedCredential>(std::move(verified));
    MutexLock lock(&mutex_);
    checked_.Insert(key, checked);
  }
  PANAL_RETURN_IF_ERROR(Recheck(*checked));
  return checked;
}

absl::Status MeshAdmission::Recheck(const VerifiedCredential& credential) const {
  if (rules_.now() >= credential.not_after) {
    return Error(ErrorReason::kCredentialExpired,
                 absl::StrCat("credential has expired at ", FormatUtc(credential.not_after)));
  }
  return CheckRevocations(credential.chain);
}

absl::Status MeshAdmission::CheckRevocations(const std::vector<VerifiedGrant>& chain) const {
  return CheckNotRevoked(*revocations(), chain);
}

std::string MeshAdmission::credential() const {
  MutexLock lock(&mutex_);
  return credential_;
}

void MeshAdmission::SetCredential(std::string credential) {
  MutexLock lock(&mutex_);
  credential_ = std::move(credential);
}

void MeshAdmission::SetRevocations(std::shared_ptr<const Revocations> revocations) {
  PANAL_CHECK(revocations != nullptr);
  MutexLock lock(&mutex_);
  revocations_ = std::move(revocations);
}

std::shared_ptr<const Revocations> MeshAdmission::revocations() const {
  MutexLock lock(&mutex_);
  return revocations_;
}

std::vector<CredentialPtr> MeshAdmission::Checked() const {
  std::vector<CredentialPtr> credentials;
  MutexLock lock(&mutex_);
  checked_.ForEach([&](const CredentialPtr& credential) { credentials.push_back(credential); });
  return credentials;
}

}  // namespace panal
