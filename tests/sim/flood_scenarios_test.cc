// Scenarios of peers that send more than a neighbor takes.

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/processing/search/bubble.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

Cast FloodCast(const Simulation& sim, PeerIndex from, int number) {
  Cast cast;
  std::memcpy(cast.bubble.bytes.data(), &number, sizeof(number));
  cast.origin = sim.IdOf(from);
  cast.hops = 1;
  cast.budget_ms = kBudgetMsMax;
  cast.payload = QueryPayload{"flood", 10};
  return cast;
}

TEST(FloodScenario, OneLinkBringsTheMeshNoMoreBubblesForEveryoneThanItsBucketHolds) {
  Simulation sim({.seed = 61});
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(160, absl::Milliseconds(200));
  sim.Run(absl::Minutes(2));
  const PeerIndex hostile = peers[0];
  const PeerIndex victim = sim.LinksOf(hostile).front();
  const uint64_t before = sim.QueriesEvaluated();

  for (int i = 0; i < 20 * static_cast<int>(kEveryoneOfNeighbor.burst); ++i) {
    Cast cast = FloodCast(sim, hostile, i);
    cast.everyone = true;
    sim.Feed(victim, FrameReceived{sim.IdOf(hostile), std::move(cast)});
  }
  sim.Run(absl::Seconds(5));

  const auto most = static_cast<uint64_t>(kEveryoneOfNeighbor.burst) * peers.size();
  EXPECT_LE(sim.QueriesEvaluated() - before, most);
  EXPECT_GE(sim.QueriesEvaluated() - before, most / 2);
  sim.CheckInvariants();
  // Others ask everyone as before.
  const SearchResult result = sim.Search(peers[80], "all", {.recall = 1});
  EXPECT_EQ(result.summary.peers_reached, 160u);
  EXPECT_EQ(result.summary.recall, 1);
}

// Two of 60 peers fill what their neighbors remember, with bubbles that never end.
TEST(FloodScenario, FreshBubblesOfOneNeighborCostTheOthersNothing) {
  SimulationOptions options{.seed = 62, .check_every_event = true};
  options.core.search.bubbles_max = 256;
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(60);
  sim.Run(absl::Minutes(1));
  sim.Publish(peers[7], {FileRecord("report")});
  sim.Run(absl::Seconds(10));

  int number = 0;
  for (int i = 0; i < 300; ++i) {
    for (PeerIndex hostile : {0u, 1u}) {
      for (PeerIndex to : sim.LinksOf(hostile)) {
        sim.Feed(to, FrameReceived{sim.IdOf(hostile), FloodCast(sim, hostile, number++)});
      }
    }
    if (i % 50 == 0) sim.Run(absl::Milliseconds(100));
  }

  for (int i = 0; i < 20; ++i) {
    const uint64_t request = sim.StartSearch(peers[10 + 2 * i], "report", {.recall = 0.9999});
    sim.Run(absl::Seconds(5));
    ASSERT_TRUE(sim.ResultOf(request).done);
    EXPECT_TRUE(sim.ResultOf(request).summary.complete);
    EXPECT_EQ(sim.ResultOf(request).hits.size(), 1u);
  }
  sim.CheckInvariants();
}

}  // namespace
}  // namespace panal::sim
