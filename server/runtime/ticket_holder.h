// The joining side of PeerObject/Join: asks those whom a ticket names, in turn, to be let in.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/identity/identity.h"
#include "common/identity/membership.h"
#include "common/identity/ticket.h"

namespace panal {

// Time for one contact. Guess: as for any other dial, and for the other end's disk.
inline constexpr absl::Duration kAskTimeout = absl::Seconds(10);

// Whether asking again later, without doing anything else, may help.
bool MayAskAgain(const absl::Status& refusal);

// What the file holds: a ticket, or something else of at most kTicketTextSizeMax characters and one.
// Error: CONFIG_INVALID.
absl::StatusOr<std::string> ReadTicketFile(const std::string& path);

// Asks one contact after the other, each over a connection that takes its peer id only, until one
// lets this peer in. The membership is checked: it is this peer's, in the ticket's mesh. `done`
// comes once, on any thread. Errors: what the last contact refused with, but a refusal for good
// (MayAskAgain) rather than one that another contact could not say more than; PEER_UNREACHABLE.
void RedeemTicket(const Identity& identity, const Ticket& ticket,
                  std::function<void(absl::StatusOr<MeshMembership>)> done);

}  // namespace panal
