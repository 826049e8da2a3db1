#include "server/processing/search/conduct.h"

#include <algorithm>

#include "common/base/check.h"

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
  if (neighbor.late >= kLateTimesMax) neighbor.late_until = now + kSuspectTime;
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
  return it != neighbors_.end() && std::max(it->second.suspect_until, it->second.late_until) > now;
}

void Conduct::Forget(const PeerId& peer) {
  auto it = neighbors_.find(peer);
  if (it == neighbors_.end()) return;
  in_flight_ -= it->second.in_flight;
  neighbors_.erase(it);
}

void Conduct::OnCast(const PeerId& peer) {
  ++neighbors_[peer].in_flight;
  ++in_flight_;
}

Conduct::Neighbor& Conduct::End(const PeerId& peer) {
  Neighbor& neighbor = neighbors_[peer];
  PANAL_CHECK(neighbor.in_flight > 0);
  --neighbor.in_flight;
  --in_flight_;
  return neighbor;
}

void Conduct::OnDone(const PeerId& peer) {
  Neighbor& neighbor = End(peer);
  neighbor.window = std::min(neighbor.window + 1 / neighbor.window, kWindowMax);
}

void Conduct::OnRefused(const PeerId& peer, absl::Time now) {
  Neighbor& neighbor = End(peer);
  // What was sent before the first refusal came says nothing new.
  if (neighbor.refused_until <= now) neighbor.window = std::max(neighbor.window / 2, kWindowMin);
  neighbor.refused_until = now + kRefusedTime;
}

void Conduct::OnGivenUp(const PeerId& peer) { End(peer); }

bool Conduct::HasCredit(const PeerId& peer) const {
  auto it = neighbors_.find(peer);
  return it == neighbors_.end() ||
         static_cast<double>(it->second.in_flight) + 1 <= it->second.window;
}

bool Conduct::RefusedLately(const PeerId& peer, absl::Time now) const {
  auto it = neighbors_.find(peer);
  return it != neighbors_.end() && it->second.refused_until > now;
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
