// Who may take part in a stream: the metadata that every stream between peers carries, from the
// dialler with the call and from the acceptor as initial metadata, and its check, which is the same
// for both.
//
// `panal-mesh` is the mesh id as text, `panal-credential-bin` the credential of the peer that sends
// it (common/identity/credential.h). Both come exactly once.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/mesh_admission.h"
#include "common/rpc/tls_credentials.h"

namespace panal {

inline constexpr char kMeshKey[] = "panal-mesh";
inline constexpr char kCredentialKey[] = "panal-credential-bin";

// Thread-safe.
class StreamAdmission {
 public:
  // Both must outlive this object.
  StreamAdmission(const MeshAdmission& mesh, const TlsCredentials& tls);

  // Adds this peer's metadata to a stream that is about to be opened.
  void Attach(grpc::ClientContext& context) const;

  // Adds this peer's metadata to the initial metadata of a stream that it accepts, before that is
  // sent. Not to one that it refuses: a refusal comes without initial metadata, by which diallers
  // know that the stream never was open.
  void Attach(grpc::CallbackServerContext& context) const;

  // Who opened a stream, when it may. Errors: CERTIFICATE_INVALID, MESH_MISMATCH (also when it
  // names no mesh), CREDENTIAL_INVALID (also when it shows none), and those of MeshAdmission::Check.
  absl::StatusOr<CredentialPtr> Admit(const grpc::ServerContextBase& context) const;

  // The same of the peer that accepted a stream, by the initial metadata that it sent. REQUIRES:
  // that has come, and no frame has been acted on.
  absl::StatusOr<CredentialPtr> Admit(const grpc::ClientContext& context) const;

  // MeshAdmission::Recheck.
  absl::Status Recheck(const VerifiedCredential& credential) const {
    return mesh_.Recheck(credential);
  }

 private:
  using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

  absl::StatusOr<CredentialPtr> Admit(const grpc::AuthContext& connection,
                                      const Metadata& metadata) const;

  const MeshAdmission& mesh_;
  const std::string mesh_text_;
  const TlsCredentials& tls_;
};

}  // namespace panal
