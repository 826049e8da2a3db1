#include "server/runtime/joiner.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace panal {

Joiner::Joiner(std::vector<JoinAddress> addresses, NodeLoop& loop, Links& links,
               std::function<bool()> has_neighbor, std::function<void(PeerContact)> learned)
    : addresses_(std::move(addresses)),
      loop_(loop),
      links_(links),
      has_neighbor_(std::move(has_neighbor)),
      learned_(std::move(learned)) {}

void Joiner::Start() {
  if (addresses_.empty()) return;
  loop_.Post([this] { Round(); });
}

void Joiner::Round() {
  if (has_neighbor_()) {
    wait_ = kJoinRetryMin;
    loop_.PostAfter(kJoinRetryMax, [this] { Round(); });
    return;
  }
  for (const JoinAddress& join : addresses_) {
    links_.DialAddress(join.address, join.peer,
                       [this, address = join.address](absl::StatusOr<PeerId> peer) {
                         if (!peer.ok()) {
                           LogLimited(LogLevel::kWarning, "join_failed",
                                      {{"address", address},
                                       {"why", std::string(peer.status().message())}});
                           return;
                         }
                         learned_(PeerContact{*peer, {address}});
                       });
  }
  loop_.PostAfter(wait_, [this] { Round(); });
  wait_ = std::min(wait_ * 2, kJoinRetryMax);
}

}  // namespace panal
