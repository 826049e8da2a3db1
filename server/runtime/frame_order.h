// Keeps what comes over a link in the order it came although the pages of some frames are verified
// on workers meanwhile: what comes behind such a frame waits for it (server/processing/core.h,
// point 1).
//
// Thread-safe. Deliveries are made one at a time, on the thread that brings one about or on that of
// another that does so at the moment, with no lock held.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

#include "common/base/ids.h"
#include "common/base/sync.h"
#include "server/runtime/ordered_events.h"

namespace panal {

// Frames of one link that may wait behind a verification. Guess: a verification takes a
// millisecond; at 256 KiB each, 64 MiB a link at worst.
inline constexpr size_t kHeldFramesMax = 256;

class FrameOrder {
 public:
  using Deliver = std::function<void()>;
  // Names a place that was kept. 0: none.
  using Place = uint64_t;

  explicit FrameOrder(size_t held_max = kHeldFramesMax) : held_max_(held_max) {}

  // Delivers at once, or behind what is verified. False: held_max wait already; it is dropped.
  bool Pass(const PeerId& link, Deliver deliver);
  // The same for what must not be lost and is rare: that a link came up or ended.
  void PassAlways(const PeerId& link, Deliver deliver);
  // Keeps a place for what is verified. 0: held_max wait already.
  Place Keep(const PeerId& link);
  // Delivers what the place was kept for, and what waited for it only. Empty: it was refused. Once
  // for every place.
  void Settle(const PeerId& link, Place place, Deliver deliver);

 private:
  struct Waiting {
    Place place = 0;
    bool settled = false;
    Deliver deliver;
  };

  void Append(const PeerId& link, Deliver deliver) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t held_max_;
  OrderedEvents ready_;
  Mutex mutex_;
  Place next_place_ ABSL_GUARDED_BY(mutex_) = 1;
  // Links with something that waits; the first of each is a place not settled yet.
  std::map<PeerId, std::deque<Waiting>> links_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
