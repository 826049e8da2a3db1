// The peer as a remote object while it waits to be let into a mesh: it says who it is, and joins.
// PeerServant takes its place then.
#pragma once

#include "panal/v1/peer_object.pb.h"
#include "server/application/admission.h"
#include "server/application/mesh.h"
#include "server/application/servant.h"

namespace panal {

class WaitingServant final : public Servant {
 public:
  // Everything passed must outlive the servant and its calls.
  WaitingServant(Dispatcher& dispatcher, Mesh& mesh, Admission& admission);

 private:
  absl::StatusOr<v1::GetPeerResponse> GetPeer(const CallHead& head,
                                              const v1::GetPeerRequest& request);
  void JoinMesh(const CallHead& head, const v1::JoinMeshRequest& request,
                Responder<v1::JoinMeshResponse> respond);

  Mesh& mesh_;
  Admission& admission_;
};

// Whether a peer that waits to be let in answers the method, a full name as in gRPC.
bool IsForWaiting(absl::string_view method);

// What a peer says of itself.
v1::GetPeerResponse DescribePeer(const PeerStatus& status);

// Joins, and answers with what `mesh` says of itself then.
void JoinAndDescribe(Mesh& mesh, Admission& admission, const v1::JoinMeshRequest& request,
                     const Responder<v1::JoinMeshResponse>& respond);

}  // namespace panal
