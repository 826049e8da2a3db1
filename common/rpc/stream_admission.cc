#include "common/rpc/stream_admission.h"

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/credential.h"

namespace panal {
namespace {

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// The value of a key that comes exactly once.
std::optional<absl::string_view> SingleValue(const Metadata& metadata, const char* key) {
  auto [first, last] = metadata.equal_range(key);
  if (first == last || std::next(first) != last) return std::nullopt;
  return absl::string_view(first->second.data(), first->second.size());
}

Sha256Digest CacheKey(absl::string_view credential, const PeerId& peer) {
  Sha256Hasher hasher;
  hasher.Update(peer.view());
  hasher.Update(credential);
  return hasher.Finish();
}

}  // namespace

StreamAdmission::StreamAdmission(const Identity& identity, const MeshId& mesh,
                                 const TlsCredentials& tls)
    : mesh_(mesh),
      mesh_text_(mesh.ToText()),
      own_credential_(MakeOpenCredential(identity, mesh)),
      tls_(tls),
      checked_(kCheckedCredentialsMax) {}

void StreamAdmission::Attach(grpc::ClientContext& context) const {
  context.AddMetadata(kMeshKey, mesh_text_);
  context.AddMetadata(kCredentialKey, own_credential_);
}

void StreamAdmission::Attach(grpc::CallbackServerContext& context) const {
  context.AddInitialMetadata(kMeshKey, mesh_text_);
  context.AddInitialMetadata(kCredentialKey, own_credential_);
}

absl::StatusOr<PeerId> StreamAdmission::Admit(const grpc::ServerContextBase& context) const {
  return Admit(*context.auth_context(), context.client_metadata());
}

absl::StatusOr<PeerId> StreamAdmission::Admit(const grpc::ClientContext& context) const {
  return Admit(*context.auth_context(), context.GetServerInitialMetadata());
}

absl::StatusOr<PeerId> StreamAdmission::Admit(const grpc::AuthContext& connection,
                                              const Metadata& metadata) const {
  PANAL_ASSIGN_OR_RETURN(const PeerId peer, tls_.PeerOf(connection));
  const std::optional<absl::string_view> mesh = SingleValue(metadata, kMeshKey);
  if (!mesh) {
    return Error(ErrorReason::kMeshMismatch,
                 absl::StrCat("metadata key ", kMeshKey, " must come exactly once"));
  }
  if (*mesh != mesh_text_) {
    // The other id is shown only when it is one: it comes from a stranger.
    const std::string shown = MeshId::FromText(*mesh) ? std::string(*mesh) : "no mesh id";
    return Error(
        ErrorReason::kMeshMismatch,
        absl::StrCat("this peer belongs to mesh ", mesh_text_, ", the other end to ", shown),
        {{"mesh", mesh_text_}, {"other_mesh", shown}});
  }
  const std::optional<absl::string_view> credential = SingleValue(metadata, kCredentialKey);
  if (!credential) {
    return Error(ErrorReason::kCredentialInvalid,
                 absl::StrCat("metadata key ", kCredentialKey, " must come exactly once"));
  }
  PANAL_RETURN_IF_ERROR(CheckCredential(*credential, peer));
  return peer;
}

absl::Status StreamAdmission::CheckCredential(absl::string_view credential,
                                              const PeerId& peer) const {
  const Sha256Digest key = CacheKey(credential, peer);
  {
    MutexLock lock(&mutex_);
    if (checked_.Find(key)) return absl::OkStatus();
  }
  PANAL_RETURN_IF_ERROR(CheckOpenCredential(credential, peer, mesh_));
  MutexLock lock(&mutex_);
  checked_.Insert(key, true);
  return absl::OkStatus();
}

size_t StreamAdmission::checked() const {
  MutexLock lock(&mutex_);
  return checked_.size();
}

}  // namespace panal
