// Scenarios of load: peers whose catalogs do not keep up.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/program/statistics.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

// What searches brought that began one after the other, `spacing` apart.
struct Outcome {
  double latency_ms = 0;  // Median.
  double complete = 0;    // Share.
  double found = 0;       // Share that found the one record there is.
};

Outcome SearchMuch(Simulation& sim, const std::vector<PeerIndex>& origins, int count,
                   absl::Duration spacing) {
  std::vector<uint64_t> requests;
  for (int i = 0; i < count; ++i) {
    requests.push_back(sim.StartSearch(origins[i % origins.size()], "report", {.recall = 0.999}));
    sim.Run(spacing);
  }
  sim.Run(absl::Seconds(15));
  Outcome outcome;
  std::vector<double> latencies;
  for (uint64_t request : requests) {
    const SearchResult& result = sim.ResultOf(request);
    EXPECT_TRUE(result.done);
    EXPECT_TRUE(result.summary.complete || result.summary.cut_short != CutShort::kNothing);
    latencies.push_back(absl::ToDoubleMilliseconds(result.elapsed));
    outcome.complete += (result.summary.complete ? 1.0 : 0.0) / count;
    outcome.found += (result.hits.empty() ? 0.0 : 1.0) / count;
  }
  outcome.latency_ms = Quantile(std::move(latencies), 0.5);
  std::printf("median %.0f ms, complete %.3f, found %.3f\n", outcome.latency_ms, outcome.complete,
              outcome.found);
  sim.CheckInvariants();
  return outcome;
}

TEST(LoadScenario, AnOverloadedPeerIsPassedOverAndCostsNeitherRecallNorTime) {
  auto casts = std::make_shared<std::vector<int>>(150, 0);
  SimulationOptions options{.seed = 51};
  options.on_frame = [casts](PeerIndex, PeerIndex to, const Frame& frame) {
    if (std::holds_alternative<Cast>(frame)) ++(*casts)[to];
  };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(150);
  sim.Run(absl::Minutes(2));
  sim.Publish(peers[7], {FileRecord("report")});
  sim.Run(absl::Seconds(10));
  std::vector<PeerIndex> origins(peers.begin() + 10, peers.end());
  const Outcome before = SearchMuch(sim, origins, 500, absl::Milliseconds(20));

  // Some ten visits a second come its way; it does two.
  sim.SlowDown(peers[3], {.index_time = absl::Milliseconds(500), .one_at_a_time = true});
  SearchMuch(sim, origins, 500, absl::Milliseconds(20));
  std::fill(casts->begin(), casts->end(), 0);
  const Outcome with = SearchMuch(sim, origins, 1000, absl::Milliseconds(20));

  double mean = 0;
  for (int count : *casts) mean += count / 150.0;
  std::printf("casts to the overloaded peer %d, mean %.1f\n", (*casts)[3], mean);
  EXPECT_LE((*casts)[3], 0.5 * mean);
  EXPECT_LE(with.latency_ms, 1.5 * before.latency_ms);
  EXPECT_GE(with.complete, 0.99);
  EXPECT_GE(with.found, 0.99);
}

TEST(LoadScenario, WhereEverybodyIsOverloadedTablesAreBoundedAndSummariesHonest) {
  SimulationOptions options{.seed = 52, .check_every_event = false, .watch_searches = true};
  options.core.search.visits_max = 20;
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(60);
  sim.Run(absl::Minutes(2));
  for (PeerIndex peer : peers) {
    sim.SlowDown(peer, {.index_time = absl::Milliseconds(100), .one_at_a_time = true});
  }

  // A catalog does ten visits a second; a hundred searches a second ask for a third of all peers:
  // digests say nothing of prefixes.
  std::vector<uint64_t> requests;
  for (int i = 0; i < 1000; ++i) {
    requests.push_back(
        sim.StartSearch(peers[i % 60], absl::StrCat("q", i, "*"), {.recall = 0.999}));
    sim.Run(absl::Milliseconds(10));
    if (i % 50 == 0) sim.CheckInvariants();
  }
  sim.Run(absl::Seconds(15));

  int complete = 0;
  for (uint64_t request : requests) {
    const SearchResult& result = sim.ResultOf(request);
    ASSERT_TRUE(result.done);
    EXPECT_EQ(sim.CheckAccount(request, /*nothing_lost=*/false), "");
    EXPECT_EQ(result.summary.complete, result.summary.recall >= 0.999 - 1e-9);
    EXPECT_TRUE(result.summary.complete || result.summary.cut_short != CutShort::kNothing);
    complete += result.summary.complete ? 1 : 0;
  }
  std::printf("%d of 1000 complete\n", complete);
  EXPECT_LT(complete, 900);
  // It passes: what was shed is not waited for.
  sim.Run(absl::Seconds(15));
  EXPECT_TRUE(sim.Search(peers[5], "after", {.recall = 0.999}).summary.complete);
  sim.CheckInvariants();
}

}  // namespace
}  // namespace panal::sim
