#include "server/application/waiting_servant.h"

#include "absl/strings/match.h"
#include "absl/time/time.h"

namespace panal {
namespace {

// Seconds since 1970; 0 for never.
int64_t ExpiryOf(const PeerStatus& status) {
  return status.credential_expires == absl::InfiniteFuture()
             ? 0
             : absl::ToUnixSeconds(status.credential_expires);
}

std::string RoleOf(const PeerStatus& status) {
  return status.role ? std::string(RoleName(*status.role)) : "";
}

}  // namespace

bool IsForWaiting(absl::string_view method) {
  return method == "/panal.v1.PeerObject/GetPeer" || method == "/panal.v1.PeerObject/JoinMesh" ||
         absl::StartsWith(method, "/grpc.health.");
}

v1::GetPeerResponse DescribePeer(const PeerStatus& status) {
  v1::GetPeerResponse response;
  response.set_peer_id(status.id.ToText());
  response.set_public_key(status.public_key);
  response.set_mesh(status.mesh_name);
  if (status.role) response.set_mesh_id(status.mesh_id.ToText());
  response.set_version(status.version);
  response.set_neighbors(status.neighbors);
  response.set_mesh_size(status.mesh_size);
  response.set_uptime_s(absl::ToInt64Seconds(status.uptime));
  for (const std::string& address : status.addresses) response.add_addresses(address);
  response.set_capacity(status.capacity);
  response.set_fetches(status.fetches);
  response.set_policy(status.policy == MeshPolicy::kOpen ? "open" : "invite");
  response.set_role(RoleOf(status));
  response.set_credential_expires_s(ExpiryOf(status));
  return response;
}

void JoinAndDescribe(Mesh& mesh, Admission& admission, const v1::JoinMeshRequest& request,
                     const Responder<v1::JoinMeshResponse>& respond) {
  admission.JoinMesh(request.ticket(), [&mesh, respond](const absl::Status& joined) {
    if (!joined.ok()) return respond(joined);
    const PeerStatus status = mesh.Status();
    v1::JoinMeshResponse response;
    response.set_mesh(status.mesh_name);
    response.set_mesh_id(status.mesh_id.ToText());
    response.set_role(RoleOf(status));
    response.set_credential_expires_s(ExpiryOf(status));
    respond(response);
  });
}

WaitingServant::WaitingServant(Dispatcher& dispatcher, Mesh& mesh, Admission& admission)
    : Servant("panal.v1.PeerObject", dispatcher), mesh_(mesh), admission_(admission) {
  ForProgramsOnly();
  Unary("GetPeer", WorkClass::kControl, &WaitingServant::GetPeer);
  AsyncUnary("JoinMesh", WorkClass::kControl, &WaitingServant::JoinMesh);
}

absl::StatusOr<v1::GetPeerResponse> WaitingServant::GetPeer(const CallHead& head,
                                                            const v1::GetPeerRequest& request) {
  return DescribePeer(mesh_.Status());
}

void WaitingServant::JoinMesh(const CallHead& head, const v1::JoinMeshRequest& request,
                              Responder<v1::JoinMeshResponse> respond) {
  JoinAndDescribe(mesh_, admission_, request, respond);
}

}  // namespace panal
