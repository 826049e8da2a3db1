#include "server/application/peer_servant.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/identity/ticket.h"
#include "server/application/page_token.h"
#include "server/application/waiting_servant.h"

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

void FillRevocation(const VerifiedFact& fact, v1::Revocation* filled) {
  filled->set_by(fact.signer.empty() ? "root" : fact.signer.back().subject.ToText());
  filled->set_time_s(absl::ToUnixSeconds(fact.time));
  if (const auto* moved = std::get_if<MovedTo>(&fact.body)) {
    filled->set_peer_id(moved->from.ToText());
    if (const auto to = PeerIdOfPublicKey(moved->to)) filled->set_moved_to(to->ToText());
    return;
  }
  const auto& revocation = std::get<Revocation>(fact.body);
  filled->set_reason(revocation.reason);
  filled->set_cascade(revocation.cascade);
  if (const auto* peer = std::get_if<PeerId>(&revocation.target)) {
    filled->set_peer_id(peer->ToText());
  } else {
    filled->set_serial(Base32Encode(std::get<Serial>(revocation.target)));
  }
}

template <typename Response>
std::function<void(absl::StatusOr<RevocationResult>)> AnswerWith(
    const Responder<Response>& respond) {
  return [respond](const absl::StatusOr<RevocationResult>& result) {
    if (!result.ok()) return respond(result.status());
    Response response;
    FillRevocation(*result->fact, response.mutable_revocation());
    response.set_already(result->already);
    respond(response);
  };
}

void FillMember(const KnownMember& known, v1::Member* member) {
  if (known.peer) member->set_peer_id(known.peer->ToText());
  member->set_serial(Base32Encode(known.serial));
  if (known.out != nullptr) FillRevocation(*known.out, member->mutable_revocation());
  if (known.credential == nullptr) return;
  member->set_role(std::string(RoleName(known.credential->role)));
  const std::vector<VerifiedGrant>& chain = known.credential->chain;
  if (chain.empty()) return;  // Of an open mesh.
  member->set_issuer(chain.size() == 1 ? "root" : chain[chain.size() - 2].subject.ToText());
  member->set_expires_s(absl::ToUnixSeconds(known.credential->not_after));
}

// Where a listing goes on: peers come before grants of nobody known.
std::string PositionOf(const KnownMember& member) {
  return member.peer ? absl::StrCat("p", member.peer->view()) : absl::StrCat("s", member.serial);
}

}  // namespace

PeerServant::PeerServant(Dispatcher& dispatcher, const Router& router, Mesh& mesh,
                         Admission& admission, Catalog& catalog, BlockStore& blocks)
    : Servant("panal.v1.PeerObject", dispatcher),
      router_(router),
      mesh_(mesh),
      admission_(admission),
      catalog_(catalog),
      blocks_(blocks) {
  Unary("GetPeer", WorkClass::kControl, &PeerServant::GetPeer);
  Unary("ListNeighbors", WorkClass::kControl, &PeerServant::ListNeighbors);
  Unary("ListObjects", WorkClass::kControl, &PeerServant::ListObjects);
  AsyncUnary("ResolvePeer", WorkClass::kControl, &PeerServant::ResolvePeer);
  Unary("Renew", WorkClass::kControl, &PeerServant::Renew);
  Unary("ListMembers", WorkClass::kControl, &PeerServant::ListMembers);
  ForProgramsOnly();
  Unary("CreateTicket", WorkClass::kControl, &PeerServant::CreateTicket);
  AsyncUnary("JoinMesh", WorkClass::kControl, &PeerServant::JoinMesh);
  AsyncUnary("Revoke", WorkClass::kControl, &PeerServant::Revoke);
  AsyncUnary("MoveTo", WorkClass::kControl, &PeerServant::MoveTo);
  // Reads the disk: not among the calls that must answer while the disk is slow.
  Unary("Diagnose", WorkClass::kCalls, &PeerServant::Diagnose);
}

absl::StatusOr<v1::GetPeerResponse> PeerServant::GetPeer(const CallHead& head,
                                                         const v1::GetPeerRequest& request) {
  const PeerStatus status = mesh_.Status();
  PANAL_ASSIGN_OR_RETURN(const int64_t files, catalog_.CountPublished());
  v1::GetPeerResponse response = DescribePeer(status);
  response.set_files(files);
  response.set_stored_bytes(blocks_.stored_bytes());
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

absl::StatusOr<v1::RenewResponse> PeerServant::Renew(const CallHead& head,
                                                     const v1::RenewRequest& request) {
  PANAL_ASSIGN_OR_RETURN(std::string credential, admission_.Renew(request.credential(), head.peer));
  v1::RenewResponse response;
  response.set_credential(std::move(credential));
  return response;
}

absl::StatusOr<v1::CreateTicketResponse> PeerServant::CreateTicket(
    const CallHead& head, const v1::CreateTicketRequest& request) {
  const std::optional<Role> role =
      request.role().empty() ? Role::kMember : RoleFromName(request.role());
  if (!role) {
    return Error(ErrorReason::kArgumentInvalid,
                 absl::StrCat("role `", absl::CHexEscape(request.role()),
                              "` is not reader, member, inviter or admin"));
  }
  absl::Duration lifetime = kTicketLifetimeDefault;
  if (!request.ttl().empty()) {
    auto ttl = ParseDuration(request.ttl());
    if (!ttl.ok()) return Error(ErrorReason::kArgumentInvalid, ttl.status().message());
    lifetime = *ttl;
  }
  // What is negative becomes too many, which is refused.
  const uint32_t uses = request.uses() == 0 ? 1 : static_cast<uint32_t>(request.uses());
  PANAL_ASSIGN_OR_RETURN(const Ticket ticket, admission_.CreateTicket(*role, uses, lifetime));
  const Grant& grant = ticket.chain.grants.back();
  v1::CreateTicketResponse response;
  response.set_ticket(PrintTicket(ticket));
  response.set_role(std::string(RoleName(grant.role)));
  response.set_uses(UsesOf(grant.serial));
  response.set_expires_s(static_cast<int64_t>(grant.not_after_s));
  for (const JoinAddress& contact : ticket.contacts) response.add_contacts(contact.address);
  return response;
}

void PeerServant::JoinMesh(const CallHead& head, const v1::JoinMeshRequest& request,
                           Responder<v1::JoinMeshResponse> respond) {
  JoinAndDescribe(mesh_, admission_, request, respond);
}

absl::StatusOr<v1::ListMembersResponse> PeerServant::ListMembers(
    const CallHead& head, const v1::ListMembersRequest& request) {
  constexpr absl::string_view kContext = "ListMembers";
  PANAL_ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  PANAL_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(kContext, request.page_token()));
  v1::ListMembersResponse response;
  std::string position;
  for (const KnownMember& member : admission_.Members()) {
    if (!after.empty() && PositionOf(member) <= after) continue;
    if (response.members_size() == page_size) {
      response.set_next_page_token(EncodePageToken(kContext, position));
      break;
    }
    FillMember(member, response.add_members());
    position = PositionOf(member);
  }
  return response;
}

void PeerServant::Revoke(const CallHead& head, const v1::RevokeRequest& request,
                         Responder<v1::RevokeResponse> respond) {
  const RevocationOrder order{.target = request.target(),
                              .reason = request.reason(),
                              .cascade = !request.spare(),
                              .fact = request.fact()};
  admission_.Revoke(order, AnswerWith(respond));
}

void PeerServant::MoveTo(const CallHead& head, const v1::MoveToRequest& request,
                         Responder<v1::MoveToResponse> respond) {
  admission_.MoveTo(request.public_key(), AnswerWith(respond));
}

}  // namespace panal
