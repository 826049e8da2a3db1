#include "server/processing/search/departures.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace panal {

void Departures::SetNeighbors(size_t count, absl::Time now) {
  Advance(now);
  neighbors_ = static_cast<double>(count);
}

void Departures::OnDeparture(absl::Time now) {
  Advance(now);
  const double counted = std::min(countable_, 1.0);
  departures_ += counted;
  countable_ -= counted;
}

double Departures::Oversize(absl::Time now) {
  Advance(now);
  const double oversize = std::exp(departures_ / (exposure_ + kDeparturePrior));
  const double steps = std::round((oversize - 1) / kOversizeStep);
  return std::min(1 + steps * kOversizeStep, kOversizeMax);
}

void Departures::Advance(absl::Time now) {
  const absl::Time before = std::exchange(advanced_, std::max(advanced_, now));
  if (before == absl::InfinitePast() || now <= before) return;
  const double intervals = absl::FDivDuration(now - before, refresh_interval_);
  const double kept = std::exp(-intervals / kDepartureMemory);
  departures_ *= kept;
  exposure_ = exposure_ * kept + neighbors_ * kDepartureMemory * (1 - kept);
  countable_ =
      std::min(kDeparturesBurst, countable_ + neighbors_ * intervals * std::log(kOversizeMax));
}

}  // namespace panal
