// A simulated mesh whose peers know how many they are.
#pragma once

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sim/simulator.h"

namespace panal::sim {

// Whether every live peer has measured the number of live peers within 5 %.
inline bool IsMeasured(const Simulation& sim) {
  const auto size = static_cast<double>(sim.Live().size());
  for (PeerIndex peer : sim.Live()) {
    const MeshEstimate estimate = sim.CoreOf(peer).Estimate();
    if (!estimate.measured || std::abs(estimate.peers / size - 1) > 0.05) return false;
  }
  return true;
}

inline std::vector<PeerIndex> MakeMesh(Simulation& sim, int count) {
  std::vector<PeerIndex> peers = sim.AddPeers(count);
  EXPECT_TRUE(sim.RunUntil([&] { return IsMeasured(sim); }, absl::Seconds(120)));
  return peers;
}

}  // namespace panal::sim
