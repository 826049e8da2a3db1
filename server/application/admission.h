// What the servants need of the way into a mesh; implemented by server/runtime/node.cc.
//
// Thread-safe; no method blocks, but JoinMesh's `done` may come much later.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/identity/credential.h"
#include "common/identity/ticket.h"

namespace panal {

class Admission {
 public:
  virtual ~Admission() = default;

  // A ticket of this peer, with the addresses of this peer. Errors: as of IssueTicket; NOT_PERMITTED
  // in an open mesh.
  virtual absl::StatusOr<Ticket> CreateTicket(Role role, uint32_t uses,
                                              absl::Duration lifetime) = 0;

  // A new credential for another peer that has one. Errors: as of Inviter::Renew; NOT_PERMITTED in an
  // open mesh.
  virtual absl::StatusOr<std::string> Renew(absl::string_view credential, const PeerId& peer) = 0;

  // Joins the mesh of a ticket; `done` comes once, on any thread, when this peer takes part in it or
  // why not. Of a peer that is in that mesh: nothing to do. Errors: see PeerObject/JoinMesh.
  virtual void JoinMesh(absl::string_view ticket, std::function<void(absl::Status)> done) = 0;

  // This peer and those that showed it a credential that is still valid, ascending.
  virtual std::vector<VerifiedCredential> Members() = 0;
};

}  // namespace panal
