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
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/identity/identity.h"
#include "common/rpc/lru_cache.h"
#include "common/rpc/tls_credentials.h"

namespace panal {

inline constexpr char kMeshKey[] = "panal-mesh";
inline constexpr char kCredentialKey[] = "panal-credential-bin";

// Credentials remembered as checked. Guess: eight times the most links; about 1 MiB.
inline constexpr size_t kCheckedCredentialsMax = 8192;

// Thread-safe.
class StreamAdmission {
 public:
  // `tls` must outlive this object.
  StreamAdmission(const Identity& identity, const MeshId& mesh, const TlsCredentials& tls);

  // Adds this peer's metadata to a stream that is about to be opened.
  void Attach(grpc::ClientContext& context) const;

  // Adds this peer's metadata to the initial metadata of a stream that it accepts, before that is
  // sent. Not to one that it refuses: a refusal comes without initial metadata, by which diallers
  // know that the stream never was open.
  void Attach(grpc::CallbackServerContext& context) const;

  // Who opened a stream, when it may. Errors: CERTIFICATE_INVALID, MESH_MISMATCH (also when it
  // names no mesh), CREDENTIAL_INVALID. About 160 microseconds for a credential not seen before.
  absl::StatusOr<PeerId> Admit(const grpc::ServerContextBase& context) const;

  // The same of the peer that accepted a stream, by the initial metadata that it sent. REQUIRES:
  // that has come, and no frame has been acted on.
  absl::StatusOr<PeerId> Admit(const grpc::ClientContext& context) const;

  // Whether `credential` lets `peer` in; remembers the ones that do. Error: CREDENTIAL_INVALID.
  absl::Status CheckCredential(absl::string_view credential, const PeerId& peer) const;

  // Credentials remembered now.
  size_t checked() const;

 private:
  using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

  absl::StatusOr<PeerId> Admit(const grpc::AuthContext& connection, const Metadata& metadata) const;

  const MeshId mesh_;
  const std::string mesh_text_;
  const std::string own_credential_;
  const TlsCredentials& tls_;
  mutable Mutex mutex_;
  // By SHA-256 of peer id and credential. Only valid ones are here.
  mutable LruCache<Sha256Digest, bool> checked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
