// How neighbors answered lately: which are silent, late or overloaded, how much more they may be
// given, and how long parts take here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/ids.h"

namespace panal {

// A silent neighbor gets parts only where there is nobody else, until it answers something or for
// this long. Guess: longer than a search, so that a dead peer costs one search a delay and not
// every one.
inline constexpr absl::Duration kSuspectTime = absl::Seconds(10);
// A neighbor that was late so many times running counts as silent. Guess: once it may be the peers
// below it.
inline constexpr int kLateTimesMax = 2;
// A part is late when it takes late_factor (SearchOptions) times as long as half of its siblings
// took, or as such parts took here before, and this much more. Guess: what a round trip varies by.
inline constexpr absl::Duration kLateSlack = absl::Milliseconds(50);
// Parts that are late and cast again: so many at once, and in the long run one for every so many
// parts. Guess; bounds what a mesh that is slow as a whole adds to its load.
inline constexpr double kLateCastsMax = 8;
inline constexpr double kLateCastsShare = 0.25;
// Weight of the newest part in the mean time of parts (of a round trip in TCP, RFC 6298).
inline constexpr double kPaceShare = 0.125;
// Splits in four of the largest bubble: log4 of kBubbleSizeMax, and one.
inline constexpr size_t kLevelsMax = 16;

// Casts that a neighbor may have without a final answer, the window, as TCP's: it begins with the
// first, becomes one larger for a window of answers, half at a refusal, and never leaves these
// bounds. Guesses: 64 is what 256 searches at once give each of 16 neighbors; 512 are as many
// visits as a peer takes on (visits_max).
inline constexpr double kWindowBegin = 64;
inline constexpr double kWindowMin = 1;
inline constexpr double kWindowMax = 512;
// A neighbor that refused is passed over for so long. Guess: what a full index takes to become less
// so.
inline constexpr absl::Duration kRefusedTime = absl::Milliseconds(200);

// Bounded by the neighbors: Forget must be called for one that is gone. Not thread-safe.
class Conduct {
 public:
  // It said nothing for long.
  void OnSilent(const PeerId& peer, absl::Time now);
  // A part that it holds is late.
  void OnLate(const PeerId& peer, absl::Time now);
  // It answered something: not silent, but it may be late.
  void OnAnswer(const PeerId& peer);
  // It answered a part before that was late.
  void OnInTime(const PeerId& peer);

  // A part was cast to it; it ends by one of the three below.
  void OnCast(const PeerId& peer);
  void OnDone(const PeerId& peer);
  // It did nothing of it, for want of room.
  void OnRefused(const PeerId& peer, absl::Time now);
  // Nobody waits for the answer any more.
  void OnGivenUp(const PeerId& peer);

  // Whether it may be given another part.
  bool HasCredit(const PeerId& peer) const;
  bool RefusedLately(const PeerId& peer, absl::Time now) const;

  // Casts to all neighbors that did not end yet.
  size_t in_flight() const { return in_flight_; }

  void Forget(const PeerId& peer);

  bool IsSuspect(const PeerId& peer, absl::Time now) const;

  size_t size() const { return neighbors_.size(); }

 private:
  struct Neighbor {
    absl::Time suspect_until = absl::InfinitePast();
    int late = 0;  // Times running.
    absl::Time late_until = absl::InfinitePast();
    double window = kWindowBegin;
    size_t in_flight = 0;
    absl::Time refused_until = absl::InfinitePast();
  };

  Neighbor& End(const PeerId& peer);

  absl::btree_map<PeerId, Neighbor> neighbors_;
  size_t in_flight_ = 0;
};

// How long parts take until they are answered. Not thread-safe.
class Pace {
 public:
  explicit Pace(double late_factor) : late_factor_(late_factor) {}

  // A part of so many positions was cast.
  void OnCast();
  void OnAnswered(uint32_t positions, absl::Duration took);
  // After which time a part is late. `siblings`: when half of its siblings were answered; zero: not
  // yet. Infinite where nothing is known.
  absl::Duration LateAfter(uint32_t positions, absl::Duration siblings) const;
  // Whether a late part may be cast again, which is then accounted for.
  bool TakeLateCast();

 private:
  const double late_factor_;
  // Mean time by the splits below a part; zero: none was answered yet.
  std::array<absl::Duration, kLevelsMax> means_ = {};
  double late_casts_ = kLateCastsMax;
};

}  // namespace panal
