// The links that are up now, for the machines of a SearchCore.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"

namespace panal {

inline bool Contains(const std::vector<PeerId>& peers, const PeerId& peer) {
  return std::find(peers.begin(), peers.end(), peer) != peers.end();
}

class Neighbors {
 public:
  // `ids` ascending.
  void Set(std::vector<PeerId> ids) { ids_ = std::move(ids); }

  const std::vector<PeerId>& ids() const { return ids_; }

  bool Has(const PeerId& peer) const { return std::binary_search(ids_.begin(), ids_.end(), peer); }

 private:
  std::vector<PeerId> ids_;
};

// Numbers for what a SearchCore begins: visits, loads, searches, spreads. Never the same twice.
class Tokens {
 public:
  uint64_t Take() { return next_++; }

 private:
  uint64_t next_ = 1;
};

// `delay` in whole milliseconds, rounded up: a driver that rounds down must not fire before the
// time.
inline absl::Duration TimerDelay(absl::Duration delay) {
  return absl::Ceil(std::max(delay, absl::ZeroDuration()), absl::Milliseconds(1));
}

}  // namespace panal
