// How soon peers depart, as one of them sees it among its neighbors, and how many more copies a page
// needs for that: keepers depart between refreshes, so pages begin with e^(tau/S) times as many (tau
// the refresh interval, S the mean time that a peer will still be there).
//
// Neighbors are a sample of the mesh, as keepers are: one departs in S. That is estimated from the
// departures seen and from how long how many neighbors were there, both in refresh intervals and both
// fading, with a prior of no departures, so that a young or a quiet mesh pays nothing.
#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace panal {

// The largest oversize: that of peers that stay for 1.44 refresh intervals. Guess; bounds what
// neighbors that come and go on purpose bring about.
inline constexpr double kOversizeMax = 2.0;
// Oversizes are a multiple of this from 1 up, to the nearest: a page whose size stays meets its
// keepers again. Guess: less than what an estimate of the mesh varies by.
inline constexpr double kOversizeStep = 0.05;
// What was seen counts for less by a factor e after so many refresh intervals. Guess: two hours.
inline constexpr double kDepartureMemory = 12;
// As if so many neighbors had been there for a refresh interval and stayed. Guess: a quarter of an
// hour of 16 neighbors.
inline constexpr double kDeparturePrior = 24;
// Departures counted at once; in the long run as many as kOversizeMax stands for. More are one event,
// a cut or a failure of many, which the measurement of the mesh sees and which does not go on.
inline constexpr double kDeparturesBurst = 2;

// Not thread-safe.
class Departures {
 public:
  explicit Departures(absl::Duration refresh_interval) : refresh_interval_(refresh_interval) {}

  // So many neighbors are there from now on. Those that were swapped for others are no departures.
  void SetNeighbors(size_t count, absl::Time now);
  // A neighbor has left the mesh, crashed or not.
  void OnDeparture(absl::Time now);
  // From 1 to kOversizeMax.
  double Oversize(absl::Time now);

 private:
  void Advance(absl::Time now);

  const absl::Duration refresh_interval_;
  absl::Time advanced_ = absl::InfinitePast();
  double neighbors_ = 0;
  double departures_ = 0;
  double exposure_ = 0;  // Neighbors times refresh intervals.
  double countable_ = kDeparturesBurst;
};

}  // namespace panal
