// Scenarios of meshes that are cut and healed: they must become one again with nobody's help.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

constexpr absl::Duration kCut = absl::Minutes(10);
// A few feeler intervals.
constexpr absl::Duration kMerged = absl::Minutes(6);

bool IsMeasured(const Simulation& sim) {
  auto size = static_cast<double>(sim.LiveCount());
  for (PeerIndex peer : sim.Live()) {
    if (std::abs(sim.CoreOf(peer).Estimate().peers / size - 1) > 0.05) return false;
  }
  return true;
}

bool IsOne(const Simulation& sim) {
  return sim.CheckConnected().empty() && sim.CheckSymmetric().empty() && IsMeasured(sim);
}

struct Cut {
  const char* name;
  int peers;
  std::vector<size_t> sides;  // Sizes; the rest is one more side.
};

class CutScenario : public testing::TestWithParam<Cut> {};

TEST_P(CutScenario, BecomesOneMeshAgain) {
  const Cut& cut = GetParam();
  Simulation sim({.seed = 61, .check_every_event = cut.peers <= 20});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(cut.peers, absl::Milliseconds(50));
  sim.Run(absl::Minutes(2));
  ASSERT_TRUE(IsMeasured(sim));
  // Not in the order they joined.
  for (size_t i = peers.size(); i > 1; --i) std::swap(peers[i - 1], peers[sim.random().Below(i)]);
  std::vector<std::vector<PeerIndex>> sides;
  auto next = peers.begin();
  for (size_t size : cut.sides) {
    sides.emplace_back(next, next + static_cast<ptrdiff_t>(size));
    next += static_cast<ptrdiff_t>(size);
  }

  sim.PartitionInto(sides);
  sim.Run(kCut);
  EXPECT_NE(sim.CheckConnected(), "");
  sim.Heal();
  absl::Time healed = sim.now();

  EXPECT_TRUE(sim.RunUntil([&] { return IsOne(sim); }, kMerged)) << sim.CheckConnected();
  RecordProperty("seconds", static_cast<int>(absl::ToInt64Seconds(sim.now() - healed)));
  std::printf("one again after %d s\n", static_cast<int>(absl::ToInt64Seconds(sim.now() - healed)));
  sim.CheckInvariants();
}

INSTANTIATE_TEST_SUITE_P(Sizes, CutScenario,
                         testing::Values(Cut{"Halves", 200, {100}}, Cut{"Thirds", 200, {67, 67}},
                                         Cut{"FiveOfAHundred", 100, {5}}, Cut{"TwoAndTwo", 4, {2}},
                                         Cut{"OneAndTwo", 3, {1}}, Cut{"OneOfTwenty", 20, {1}},
                                         Cut{"SixAndSix", 12, {6}}, Cut{"AllAlone", 4, {1, 1, 1}}),
                         [](const testing::TestParamInfo<Cut>& info) {
                           return std::string(info.param.name);
                         });

// BubbleStorm's mix of capacities, in which few links cross after the halves have met.
TEST(UnequalCutScenario, BothHalvesSoonKnowOfEachOther) {
  for (uint64_t seed : {1, 2}) {
    Simulation sim({.seed = seed});
    SCOPED_TRACE(ReplayLine(sim));
    std::vector<PeerIndex> half;
    for (int i = 0; i < 200; ++i) {
      const double draw = sim.random().Unit();
      const double capacity = draw < 0.5    ? 1
                              : draw < 0.7  ? 1.5
                              : draw < 0.85 ? 2
                              : draw < 0.95 ? 4
                                            : 8;
      const PeerIndex peer = sim.AddPeer({.capacity = capacity});
      if (i % 2 == 0) half.push_back(peer);
      sim.Run(absl::Milliseconds(50));
    }
    ASSERT_TRUE(sim.RunUntil([&] { return IsMeasured(sim); }, absl::Minutes(1)));

    sim.Partition(half);
    sim.Run(absl::Minutes(2));
    EXPECT_NE(sim.CheckConnected(), "");
    sim.Heal();

    EXPECT_TRUE(sim.RunUntil([&] { return IsOne(sim); }, absl::Minutes(3)));
  }
}

}  // namespace
}  // namespace panal::sim
