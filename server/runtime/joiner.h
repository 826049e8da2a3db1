// Finds the way into the mesh: dials the addresses of `--join` until this peer has a neighbor, and
// again whenever it has none.
//
// All state but the failures belongs to the node loop. Nothing here blocks.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/model/record.h"
#include "server/runtime/links.h"
#include "server/runtime/node_loop.h"
#include "server/runtime/options.h"

namespace panal {

// First and longest wait between two rounds of dialling. Guess: quick in a test, quiet for a day.
inline constexpr absl::Duration kJoinRetryMin = absl::Milliseconds(500);
inline constexpr absl::Duration kJoinRetryMax = absl::Seconds(30);

class Joiner {
 public:
  // `self`: an address that answers with this id is this peer's own and not dialled again.
  // `has_neighbor`: whether a round is needed. `learned`: called on any thread with each peer that
  // answered under a join address. Everything passed must outlive the joiner.
  Joiner(const PeerId& self, std::vector<JoinAddress> addresses, NodeLoop& loop, Links& links,
         std::function<bool()> has_neighbor, std::function<void(PeerContact)> learned);

  // Begins. Call once.
  void Start();

  // Why the last dial of an address failed, by address; none of an address that was not dialled
  // yet, or answered. Thread-safe.
  std::map<std::string, absl::Status> Failures() const;

 private:
  void Round();
  void Answered(const std::string& address, const absl::StatusOr<PeerId>& peer);

  const PeerId self_;
  std::vector<JoinAddress> addresses_;
  NodeLoop& loop_;
  Links& links_;
  const std::function<bool()> has_neighbor_;
  const std::function<void(PeerContact)> learned_;
  absl::Duration wait_ = kJoinRetryMin;
  mutable Mutex mutex_;
  std::map<std::string, absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
