// What a stranger shows to be let in (PeerObject/Join).
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/ids.h"

namespace panal {

struct JoinAttempt {
  PeerId peer;  // Proven by TLS. The rest is unverified.
  std::string ticket;
  std::string public_key;
  std::string proof;
};

// Decides; `done` comes once, on any thread: the peer's credential, or why not. Must not block.
using JoinHandler =
    std::function<void(JoinAttempt, std::function<void(absl::StatusOr<std::string>)> done)>;

}  // namespace panal
