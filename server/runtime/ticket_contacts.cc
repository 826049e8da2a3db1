#include "server/runtime/ticket_contacts.h"

#include <algorithm>
#include <set>

namespace panal {
namespace {

// Peers that showed a credential with which they may let in others as `role`.
std::set<PeerId> InvitersOf(const MeshAdmission& admission, Role role) {
  std::set<PeerId> inviters;
  for (const CredentialPtr& credential : admission.Checked()) {
    const bool may =
        credential->role >= std::max(role, Role::kInviter) && credential->chain.size() < kGrantsMax;
    if (may && admission.Recheck(*credential).ok()) inviters.insert(credential->peer);
  }
  return inviters;
}

}  // namespace

std::vector<JoinAddress> TicketContactsOf(const PeerContact& self,
                                          const std::vector<NeighborInfo>& neighbors,
                                          const MeshAdmission& admission, Role role) {
  std::vector<JoinAddress> contacts;
  for (const std::string& address : self.addresses) contacts.push_back({address, self.id});
  const std::set<PeerId> inviters = InvitersOf(admission, role);
  auto next = contacts.empty() ? contacts.begin() : contacts.begin() + 1;
  for (const NeighborInfo& neighbor : neighbors) {
    const PeerContact& contact = neighbor.contact;
    if (contact.addresses.empty() || !inviters.contains(contact.id)) continue;
    next = contacts.insert(next, {contact.addresses.front(), contact.id}) + 1;
  }
  if (contacts.size() > kTicketContactsMax) contacts.resize(kTicketContactsMax);
  return contacts;
}

}  // namespace panal
