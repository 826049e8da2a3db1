#include "server/processing/search/audit.h"

#include <algorithm>
#include <cmath>

namespace panal {

void Finds::Note(const PeerId& finder, const std::vector<Hit>& hits) {
  if (hits.empty()) return;
  auto place = std::find(finders_.begin(), finders_.end(), finder);
  if (place == finders_.end()) {
    if (finders_.size() == kFindersMax) return;
    place = finders_.insert(finders_.end(), finder);
  }
  const uint32_t bit = uint32_t{1} << (place - finders_.begin());
  for (const Hit& hit : hits) {
    auto found = found_.find(hit.publisher.id);
    if (found != found_.end()) {
      found->second |= bit;
    } else if (found_.size() < kFindsMax) {
      found_[hit.publisher.id] = bit;
    }
  }
}

Finds::Comparison Finds::Compare(const PeerId& finder) const {
  const auto place = std::find(finders_.begin(), finders_.end(), finder);
  const uint32_t own = place == finders_.end() ? 0 : uint32_t{1} << (place - finders_.begin());
  Comparison comparison;
  for (const auto& [publisher, finders] : found_) {
    if ((finders & ~own) == 0) continue;
    ++comparison.others;
    if ((finders & own) != 0) ++comparison.common;
  }
  return comparison;
}

void Audit::Halve(Evidence& evidence) {
  evidence.expected /= 2;
  evidence.variance /= 2;
  evidence.found /= 2;
}

double Audit::ShareOfOthers(const PeerId& peer) const {
  double expected = kAuditPrior;
  double found = kAuditPrior;
  for (const auto& [other, evidence] : neighbors_) {
    if (other == peer) continue;
    expected += evidence.expected;
    found += evidence.found;
  }
  return std::min(found / expected, 1.0);
}

void Audit::OnCompared(const PeerId& peer, double chance, const Finds::Comparison& finds,
                       absl::Time now) {
  if (finds.others == 0 || chance <= 0) return;
  Evidence& evidence = neighbors_[peer];
  evidence.expected += chance * finds.others;
  evidence.variance += kHonestShare * chance * (1 - kHonestShare * chance) * finds.others;
  evidence.found += finds.common;
  const double honest = kHonestShare * ShareOfOthers(peer) * evidence.expected;
  if (evidence.found + kAuditDoubt * std::sqrt(evidence.variance) < honest) {
    evidence.distrusted_until = now + kDistrustTime;
    Halve(evidence);
  } else if (evidence.expected > kEvidenceMax) {
    Halve(evidence);
  }
}

bool Audit::Distrusts(const PeerId& peer, absl::Time now) const {
  auto it = neighbors_.find(peer);
  return it != neighbors_.end() && it->second.distrusted_until > now;
}

}  // namespace panal
