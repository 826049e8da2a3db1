// What the servants need of the way into a mesh; implemented by server/runtime/node.cc.
//
// Thread-safe; no method blocks unless it says so, but JoinMesh's `done` may come much later.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/identity/credential.h"
#include "common/identity/ticket.h"
#include "common/model/fact.h"

namespace panal {

// A peer, or a grant, that this peer knows of.
struct KnownMember {
  std::optional<PeerId> peer;  // Nothing: a grant that was revoked, of whom is not known here.
  Serial serial;               // Of the grant; empty where no credential was shown.
  // The credential shown last, also where it was revoked; null where none was shown.
  std::shared_ptr<const VerifiedCredential> credential;
  // The revocation, or the move, because of which it is out. Null: it is in.
  FactPtr out;
};

// What is to be revoked, and why.
struct RevocationOrder {
  // A peer id, the serial of a grant, or a ticket.
  std::string target;
  std::string reason;
  // Whether everything that the target let in is out too.
  bool cascade = true;
  // Instead of all that: a revocation that was signed elsewhere.
  std::string fact;
};

struct RevocationResult {
  FactPtr fact;          // What is in effect.
  bool already = false;  // It was before.
};

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

  // This peer, those that showed it a credential that is still valid, and who and what was revoked.
  // Peers ascending, then grants of nobody known ascending.
  virtual std::vector<KnownMember> Members() = 0;

  // Revokes a peer or a grant. Blocks (disk). `done` comes once, on any thread, when it is stored here,
  // in effect, and on its way to the neighbors. Errors: see PeerObject/Revoke.
  virtual void Revoke(const RevocationOrder& order,
                      std::function<void(absl::StatusOr<RevocationResult>)> done) = 0;

  // Says that this peer goes on with another key. As Revoke. Errors: see PeerObject/MoveTo.
  virtual void MoveTo(absl::string_view public_key,
                      std::function<void(absl::StatusOr<RevocationResult>)> done) = 0;
};

}  // namespace panal
