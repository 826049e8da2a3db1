// Scenarios of canaries: a mesh whose bubbles are worse than they should be gets its recall back.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

constexpr int kPeers = 120;
constexpr double kRecall = 0.9;

SimulationOptions Options(uint64_t seed) {
  SimulationOptions options{.seed = seed, .peer_pages = true};
  options.core.canary.interval = absl::Seconds(15);  // Four times as often, for a short test.
  return options;
}

double MeanFactor(const Simulation& sim) {
  double sum = 0;
  for (PeerIndex peer : sim.Live()) sum += sim.CoreOf(peer).CanaryFactor();
  return sum / static_cast<double>(sim.LiveCount());
}

// Share of (record, query) pairs that were missed.
double MissRate(Simulation& sim, int records) {
  int found = 0;
  constexpr int kQueries = 60;
  for (int i = 0; i < kQueries; ++i) {
    SearchResult result = sim.Search(static_cast<PeerIndex>(i), "common", {.recall = kRecall});
    found += static_cast<int>(result.hits.size());
  }
  return 1 - static_cast<double>(found) / (kQueries * records);
}

TEST(CanaryScenario, AHealthyMeshStaysAsItIs) {
  Simulation sim(Options(71));
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(kPeers, absl::Milliseconds(50));

  for (int minute = 0; minute < 15; ++minute) {
    sim.Run(absl::Minutes(1));
    sim.CheckInvariants();
    EXPECT_LE(MeanFactor(sim), 1.02) << minute;
  }
}

struct Dropped {
  double before = 0;
  double after = 0;
  double factor = 0;
};

// Half of the peers keep nothing of what they say they keep.
Dropped RunDropped(bool canaries) {
  SimulationOptions options = Options(72);
  if (!canaries) options.core.canary.interval = absl::InfiniteDuration();
  options.drops_pages = [](PeerIndex peer) { return peer % 2 == 0; };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(kPeers, absl::Milliseconds(50));
  sim.Run(absl::Minutes(1));
  constexpr int kRecords = 60;
  // Of few publishers: a peer page travels with every page of its peer and would be everywhere.
  for (int i = 0; i < kRecords; ++i) {
    sim.Publish(peers[i % 6], {FileRecord(absl::StrCat("common ", i))});
    sim.Run(absl::Milliseconds(100));
  }
  sim.Run(absl::Seconds(10));
  Dropped result;
  result.before = MissRate(sim, kRecords);
  sim.Run(absl::Minutes(8));  // Before any page is refreshed: only queries grow.
  result.after = MissRate(sim, kRecords);
  result.factor = MeanFactor(sim);
  sim.CheckInvariants();
  return result;
}

TEST(CanaryScenario, AMeshWhereHalfKeepNothingMissesLess) {
  Dropped with = RunDropped(true);
  Dropped without = RunDropped(false);

  EXPECT_EQ(without.factor, 1);
  EXPECT_GE(with.factor, 1.1);
  EXPECT_LE(with.after, 1 - kRecall) << with.before;
  EXPECT_LE(with.after, 0.8 * without.after) << without.before;
}

}  // namespace
}  // namespace panal::sim
