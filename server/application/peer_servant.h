// The peer itself as a remote object (proto/panal/v1/peer_object.proto). Link, Call and Join
// belong to the mesh port and are not served here.
#pragma once

#include "panal/v1/peer_object.pb.h"
#include "server/application/admission.h"
#include "server/application/mesh.h"
#include "server/application/router.h"
#include "server/application/servant.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"

namespace panal {

class PeerServant final : public Servant {
 public:
  // Everything passed must outlive the servant and its calls.
  PeerServant(Dispatcher& dispatcher, const Router& router, Mesh& mesh, Admission& admission,
              Catalog& catalog, BlockStore& blocks);

 private:
  absl::StatusOr<v1::GetPeerResponse> GetPeer(const CallHead& head,
                                              const v1::GetPeerRequest& request);
  absl::StatusOr<v1::ListNeighborsResponse> ListNeighbors(const CallHead& head,
                                                          const v1::ListNeighborsRequest& request);
  absl::StatusOr<v1::ListObjectsResponse> ListObjects(const CallHead& head,
                                                      const v1::ListObjectsRequest& request);
  void ResolvePeer(const CallHead& head, const v1::ResolvePeerRequest& request,
                   Responder<v1::ResolvePeerResponse> respond);
  absl::StatusOr<v1::DiagnoseResponse> Diagnose(const CallHead& head,
                                                const v1::DiagnoseRequest& request);
  absl::StatusOr<v1::RenewResponse> Renew(const CallHead& head, const v1::RenewRequest& request);
  absl::StatusOr<v1::CreateTicketResponse> CreateTicket(const CallHead& head,
                                                        const v1::CreateTicketRequest& request);
  void JoinMesh(const CallHead& head, const v1::JoinMeshRequest& request,
                Responder<v1::JoinMeshResponse> respond);
  absl::StatusOr<v1::ListMembersResponse> ListMembers(const CallHead& head,
                                                      const v1::ListMembersRequest& request);
  void Revoke(const CallHead& head, const v1::RevokeRequest& request,
              Responder<v1::RevokeResponse> respond);
  void MoveTo(const CallHead& head, const v1::MoveToRequest& request,
              Responder<v1::MoveToResponse> respond);

  const Router& router_;
  Mesh& mesh_;
  Admission& admission_;
  Catalog& catalog_;
  BlockStore& blocks_;
};

}  // namespace panal
