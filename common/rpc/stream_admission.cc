#include "common/rpc/stream_admission.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"

namespace panal {
namespace {

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// The value of a key that comes exactly once.
std::optional<absl::string_view> SingleValue(const Metadata& metadata, const char* key) {
  auto [first, last] = metadata.equal_range(key);
  if (first == last || std::next(first) != last) return std::nullopt;
  return absl::string_view(first->second.data(), first->second.size());
}

}  // namespace

StreamAdmission::StreamAdmission(const MeshAdmission& mesh, const TlsCredentials& tls)
    : mesh_(mesh), mesh_text_(mesh.mesh().ToText()), tls_(tls) {}

void StreamAdmission::Attach(grpc::ClientContext& context) const {
  context.AddMetadata(kMeshKey, mesh_text_);
  context.AddMetadata(kCredentialKey, mesh_.credential());
}

void StreamAdmission::Attach(grpc::CallbackServerContext& context) const {
  context.AddInitialMetadata(kMeshKey, mesh_text_);
  context.AddInitialMetadata(kCredentialKey, mesh_.credential());
}

absl::StatusOr<CredentialPtr> StreamAdmission::Admit(const grpc::ServerContextBase& context) const {
  return Admit(*context.auth_context(), context.client_metadata());
}

absl::StatusOr<CredentialPtr> StreamAdmission::Admit(const grpc::ClientContext& context) const {
  return Admit(*context.auth_context(), context.GetServerInitialMetadata());
}

absl::StatusOr<CredentialPtr> StreamAdmission::Admit(const grpc::AuthContext& connection,
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
  return mesh_.Check(*credential, peer);
}

}  // namespace panal
