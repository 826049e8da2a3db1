// Whom a ticket names to ask to be let in.
#pragma once

#include <string>
#include <vector>

#include "common/identity/ticket.h"
#include "common/model/join_address.h"
#include "common/rpc/mesh_admission.h"
#include "server/application/mesh.h"

namespace panal {

// At most kTicketContactsMax: an address of this peer, then one of each neighbor that may give `role`
// and has shown so, then what else this peer has. So the ticket is good while its issuer is away.
std::vector<JoinAddress> TicketContactsOf(const PeerContact& self,
                                          const std::vector<NeighborInfo>& neighbors,
                                          const MeshAdmission& admission, Role role);

}  // namespace panal
