#include "server/application/peer_servant.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/application/page_token.h"

namespace panal {
namespace {

absl::string_view SeverityName(Finding::Severity severity) {
  switch (severity) {
    case Finding::Severity::kOk:
      return "ok";
    case Finding::Severity::kWarning:
      return "warning";
    case Finding::Severity::kError:
      return "error";
  }
  return "error";
}

void FillNeighbor(const NeighborInfo& info, v1::Neighbor* neighbor) {
  neighbor->set_peer_id(info.contact.id.ToText());
  for (const std::string& address : info.contact.addresses) neighbor->add_addresses(address);
  neighbor->set_outbound(info.outbound);
  neighbor->set_connected_s(absl::ToInt64Seconds(info.connected));
  neighbor->set_version(info.version);
}

}  // namespace

PeerServant::PeerServant(Dispatcher& dispatcher, const Router& router, Mesh& mesh, Catalog& catalog,
                         BlockStore& blocks)
    : Servant("panal.v1.PeerObject", dispatcher),
      router_(router),
      mesh_(mesh),
      catalog_(catalog),
      blocks_(blocks) {
  Unary("GetPeer", WorkClass::kControl, &PeerServant::GetPeer);
  Unary("ListNeighbors", WorkClass::kControl, &PeerServant::ListNeighbors);
  Unary("ListObjects", WorkClass::kControl, &PeerServant::ListObjects);
  AsyncUnary("ResolvePeer", WorkClass::kControl, &PeerServant::ResolvePeer);
  ForProgramsOnly();
  // Reads the disk: not among the calls that must answer while the disk is slow.
  Unary("Diagnose", WorkClass::kCalls, &PeerServant::Diagnose);
}

absl::StatusOr<v1::GetPeerResponse> PeerServant::GetPeer(const CallHead& head,
                                                         const v1::GetPeerRequest& request) {
  const PeerStatus status = mesh_.Status();
  PANAL_ASSIGN_OR_RETURN(const int64_t files, catalog_.CountPublished());
  v1::GetPeerResponse response;
  response.set_peer_id(status.id.ToText());
  response.set_mesh(status.mesh_name);
  response.set_mesh_id(status.mesh_id.ToText());
  response.set_version(status.version);
  response.set_neighbors(status.neighbors);
  response.set_mesh_size(status.mesh_size);
  response.set_files(files);
  response.set_uptime_s(absl::ToInt64Seconds(status.uptime));
  for (const std::string& address : status.addresses) response.add_addresses(address);
  response.set_capacity(status.capacity);
  response.set_stored_bytes(blocks_.stored_bytes());
  response.set_fetches(status.fetches);
  return response;
}

absl::StatusOr<v1::ListNeighborsResponse> PeerServant::ListNeighbors(
    const CallHead& head, const v1::ListNeighborsRequest& request) {
  constexpr absl::string_view kContext = "ListNeighbors";
  PANAL_ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  PANAL_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(kContext, request.page_token()));
  v1::ListNeighborsResponse response;
  for (const NeighborInfo& neighbor : mesh_.Neighbors()) {
    if (!after.empty() && neighbor.contact.id.view() <= after) continue;
    if (response.neighbors_size() == page_size) {
      const auto& last = response.neighbors(page_size - 1);
      response.set_next_page_token(
          EncodePageToken(kContext, PeerId::FromText(last.peer_id())->view()));
      break;
    }
    FillNeighbor(neighbor, response.add_neighbors());
  }
  return response;
}

absl::StatusOr<v1::ListObjectsResponse> PeerServant::ListObjects(
    const CallHead& head, const v1::ListObjectsRequest& request) {
  constexpr absl::string_view kContext = "ListObjects";
  PANAL_ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  PANAL_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(kContext, request.page_token()));
  std::vector<std::pair<std::string, std::string>> objects;
  for (const ObjectRef& object : router_.Objects()) {
    objects.emplace_back(object.ToText(), object.service);
  }
  // The router's order is that of services and raw keys, the list's that of the encoded text.
  std::sort(objects.begin(), objects.end());
  v1::ListObjectsResponse response;
  for (const auto& [reference, service] : objects) {
    if (!after.empty() && reference <= after) continue;
    if (response.objects_size() == page_size) {
      response.set_next_page_token(
          EncodePageToken(kContext, response.objects(page_size - 1).reference()));
      break;
    }
    v1::ObjectEntry* entry = response.add_objects();
    entry->set_reference(reference);
    entry->set_service(service);
  }
  return response;
}

void PeerServant::ResolvePeer(const CallHead& head, const v1::ResolvePeerRequest& request,
                              Responder<v1::ResolvePeerResponse> respond) {
  // The mesh says whether it is one.
  mesh_.ResolvePeer(request.prefix(), [respond](absl::StatusOr<PeerContact> contact) {
    if (!contact.ok()) return respond(contact.status());
    v1::ResolvePeerResponse response;
    response.set_peer_id(contact->id.ToText());
    for (const std::string& address : contact->addresses) response.add_addresses(address);
    respond(response);
  });
}

absl::StatusOr<v1::DiagnoseResponse> PeerServant::Diagnose(const CallHead& head,
                                                           const v1::DiagnoseRequest& request) {
  std::vector<Finding> findings = mesh_.Diagnose();
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  v1::DiagnoseResponse response;
  for (const Finding& finding : findings) {
    v1::Finding* added = response.add_findings();
    added->set_severity(std::string(SeverityName(finding.severity)));
    added->set_subject(finding.subject);
    added->set_message(finding.message);
    added->set_advice(finding.advice);
  }
  return response;
}

}  // namespace panal
