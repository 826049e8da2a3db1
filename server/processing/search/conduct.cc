#include "server/processing/search/conduct.h"

#include <algorithm>

namespace panal {
namespace {

size_t LevelOf(uint32_t positions) {
  size_t level = 0;
  for (; positions > 1 && level + 1 < kLevelsMax; positions /= 4) ++level;
  return level;
}

}  // namespace

void Conduct::OnSilent(const PeerId& peer, absl::Time now) {
  neighbors_[peer].suspect_until = now + kSuspectTime;
}

void Conduct::OnLate(const PeerId& peer, absl::Time now) {
  Neighbor& neighbor = neighbors_[peer];
  neighbor.late = std::min(neighbor.late + 1, kLateTimesMax);
  if (neighbor.late >= kLateTimesMax) neighbor.suspect_until = now + kSuspectTime;
}

void Conduct::OnAnswer(const PeerId& peer) {
  auto it = neighbors_.find(peer);
  if (it != neighbors_.end()) it->second.suspect_until = absl::InfinitePast();
}

void Conduct::OnInTime(const PeerId& peer) {
  auto it = neighbors_.find(peer);
  if (it != neighbors_.end()) it->second.late = 0;
}

bool Conduct::IsSuspect(const PeerId& peer, absl::Time now) const {
  auto it = neighbors_.find(peer);
  return it != neighbors_.end() && it->second.suspect_until > now;
}

void Pace::OnCast() { late_casts_ = std::min(late_casts_ + kLateCastsShare, kLateCastsMax); }

void Pace::OnAnswered(uint32_t positions, absl::Duration took) {
  absl::Duration& mean = means_[LevelOf(positions)];
  took = std::max(took, absl::Microseconds(1));
  mean = mean == absl::ZeroDuration() ? took : (1 - kPaceShare) * mean + kPaceShare * took;
}

absl::Duration Pace::LateAfter(uint32_t positions, absl::Duration siblings) const {
  const absl::Duration mean = means_[LevelOf(positions)];
  const absl::Duration pace = siblings > absl::ZeroDuration() ? siblings : mean;
  if (late_factor_ == 0 || pace == absl::ZeroDuration()) return absl::InfiniteDuration();
  return late_factor_ * pace + kLateSlack;
}

bool Pace::TakeLateCast() {
  if (late_casts_ < 1) return false;
  late_casts_ -= 1;
  return true;
}

}  // namespace panal
