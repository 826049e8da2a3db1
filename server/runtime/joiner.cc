#include "server/runtime/joiner.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace panal {

Joiner::Joiner(const PeerId& self, std::vector<JoinAddress> addresses, NodeLoop& loop, Links& links,
               std::function<bool()> has_neighbor, std::function<void(PeerContact)> learned)
    : self_(self),
      addresses_(std::move(addresses)),
      loop_(loop),
      links_(links),
      has_neighbor_(std::move(has_neighbor)),
      learned_(std::move(learned)) {}

void Joiner::Start() {
  if (addresses_.empty()) return;
  loop_.Post([this] { Round(); });
}

std::map<std::string, absl::Status> Joiner::Failures() const {
  MutexLock lock(&mutex_);
  return failures_;
}

void Joiner::Round() {
  if (addresses_.empty()) return;  // They were all this peer's own.
  if (has_neighbor_()) {
    wait_ = kJoinRetryMin;
    loop_.PostAfter(kJoinRetryMax, [this] { Round(); });
    return;
  }
  for (const JoinAddress& join : addresses_) {
    links_.DialAddress(
        join.address, join.peer,
        [this, address = join.address](absl::StatusOr<PeerId> peer) { Answered(address, peer); });
  }
  loop_.PostAfter(wait_, [this] { Round(); });
  wait_ = std::min(wait_ * 2, kJoinRetryMax);
}

void Joiner::Answered(const std::string& address, const absl::StatusOr<PeerId>& peer) {
  {
    MutexLock lock(&mutex_);
    failures_.erase(address);
    if (!peer.ok()) failures_.emplace(address, peer.status());
  }
  if (!peer.ok()) {
    LogLimited(LogLevel::kWarning, "join_failed",
               {{"address", address}, {"why", std::string(peer.status().message())}});
    return;
  }
  if (*peer != self_) return learned_(PeerContact{*peer, {address}});
  loop_.Post([this, address] {
    const size_t dropped =
        std::erase_if(addresses_, [&](const JoinAddress& join) { return join.address == address; });
    // Answers of two rounds may be on their way.
    if (dropped > 0) Log(LogLevel::kInfo, "join_address_is_own", {{"address", address}});
  });
}

}  // namespace panal
