// Joins a caller's call to a call to another peer.
#pragma once

#include "server/application/call.h"

namespace panal {

// Carries messages both ways with one under way in each direction, initial metadata, half close,
// cancellation and the result. Both live until the result was given to the caller.
void Splice(CallPtr caller, OutgoingCallPtr callee);

}  // namespace panal
