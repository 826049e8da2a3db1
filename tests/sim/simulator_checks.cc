// What must hold of the whole mesh, seen from outside.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "server/processing/overlay/membership.h"
#include "tests/sim/simulator.h"
#include "tests/sim/simulator_impl.h"

namespace panal::sim {

std::string Simulation::CheckSymmetric() const {
  std::string wrong;
  for (PeerIndex peer : Live()) {
    for (const PeerId& id : CoreOf(peer).ActiveView()) {
      // Nothing for a peer that came back with another key.
      std::optional<PeerIndex> known = IndexOf(id);
      if (!known || !IsLive(*known)) {
        absl::StrAppend(&wrong, "peer ", peer, " has a dead peer; ");
        continue;
      }
      PeerIndex other = *known;
      std::vector<PeerId> back = CoreOf(other).ActiveView();
      bool mutual = std::binary_search(back.begin(), back.end(), IdOf(peer));
      if (!mutual) absl::StrAppend(&wrong, "peer ", peer, " -> ", other, " is one-sided; ");
    }
  }
  return wrong;
}

std::string Simulation::CheckConnected() const {
  std::vector<PeerIndex> live = Live();
  if (live.empty()) return "";
  absl::btree_set<PeerIndex> seen = {live.front()};
  std::vector<PeerIndex> open = {live.front()};
  while (!open.empty()) {
    PeerIndex peer = open.back();
    open.pop_back();
    for (const PeerId& id : CoreOf(peer).ActiveView()) {
      std::optional<PeerIndex> other = IndexOf(id);
      if (other && IsLive(*other) && seen.insert(*other).second) open.push_back(*other);
    }
  }
  if (seen.size() == live.size()) return "";
  return absl::StrCat("peer ", live.front(), " reaches ", seen.size(), " of ", live.size());
}

std::string Simulation::CheckDegrees(size_t least, size_t most) const {
  std::string wrong;
  for (PeerIndex peer : Live()) {
    size_t degree = CoreOf(peer).ActiveView().size();
    if (degree < least || degree > most) {
      absl::StrAppend(&wrong, "peer ", peer, " has ", degree, " neighbors; ");
    }
  }
  return wrong;
}

void Simulation::CheckInvariants() const {
  for (PeerIndex peer : Live()) {
    CoreOf(peer).CheckInvariants();
    const SimCatalog& catalog = *impl_->peers_[peer].catalog;
    const size_t own = catalog.OwnPages().size();
    PANAL_CHECK(catalog.pages().size() <= own + impl_->options_.catalog_pages_max);
    PANAL_CHECK(impl_->peers_[peer].links.size() <= kLinksTrackedMax);
  }
}

}  // namespace panal::sim
