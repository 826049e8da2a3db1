// Scenarios of search and publishing over whole peers. Every number of seconds is virtual time.

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/measured_mesh.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

// `count` pages, each with one file `report<i> common`, at random publishers.
void PublishReports(Simulation& sim, int count) {
  for (int i = 0; i < count; ++i) {
    sim.Publish(sim.RandomLive(), {FileRecord(absl::StrCat("report", i, " common"))});
    if (i % 20 == 19) sim.Run(absl::Seconds(1));
  }
  sim.Run(absl::Seconds(10));
}

struct Measured {
  double miss = 0;
  int incomplete = 0;
  double reached = 0;
};

Measured SearchForAll(Simulation& sim, int pages, int searches, double recall = 0.99) {
  Measured measured;
  for (int i = 0; i < searches; ++i) {
    const SearchResult result = sim.Search(sim.RandomLive(), "common", {.recall = recall});
    EXPECT_TRUE(result.done);
    measured.miss += 1 - static_cast<double>(result.hits.size()) / pages;
    measured.incomplete += result.summary.complete ? 0 : 1;
    measured.reached += static_cast<double>(result.summary.peers_reached);
  }
  measured.miss /= searches;
  measured.reached /= searches;
  std::printf("%zu peers: miss %.5f, reached %.1f, incomplete %d of %d\n", sim.Live().size(),
              measured.miss, measured.reached, measured.incomplete, searches);
  sim.CheckInvariants();
  return measured;
}

TEST(SearchScenario, FivePeersFindEverything) {
  Simulation sim({.seed = 31});
  SCOPED_TRACE(ReplayLine(sim));
  MakeMesh(sim, 5);

  PublishReports(sim, 20);

  const Measured measured = SearchForAll(sim, 20, 20, 1.0);
  EXPECT_EQ(measured.miss, 0);
  EXPECT_EQ(measured.reached, 5);
}

TEST(SearchScenario, FivePeersFindEverythingWithTheSaturatedCaseOff) {
  SimulationOptions options{.seed = 32};
  options.core.search.saturated_factor = 0;
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  MakeMesh(sim, 5);

  PublishReports(sim, 20);

  const Measured measured = SearchForAll(sim, 20, 20);
  EXPECT_LE(measured.miss, 0.01);
  EXPECT_EQ(measured.incomplete, 0);
}

TEST(SearchScenario, SixtyFourPeersKeepThePromiseAndAskFewerThanHalf) {
  Simulation sim({.seed = 33});
  SCOPED_TRACE(ReplayLine(sim));
  MakeMesh(sim, 64);

  PublishReports(sim, 100);

  const Measured measured = SearchForAll(sim, 100, 100);
  EXPECT_LE(measured.miss, 0.01);
  EXPECT_LT(measured.reached, 32);
  EXPECT_EQ(measured.incomplete, 0);
}

TEST(SearchScenario, AThousandPeersKeepThePromise) {
  Simulation sim({.seed = 34});
  SCOPED_TRACE(ReplayLine(sim));
  MakeMesh(sim, 1000);

  PublishReports(sim, 200);

  const Measured measured = SearchForAll(sim, 200, 100);
  EXPECT_LE(measured.miss, 0.0125);
  EXPECT_LT(measured.reached, 80);
  EXPECT_LE(measured.incomplete, 1);
}

TEST(SearchScenario, WhatIsPopularIsFoundByAskingFew) {
  Simulation sim({.seed = 39});
  SCOPED_TRACE(ReplayLine(sim));
  MakeMesh(sim, 300);
  PublishReports(sim, 100);

  double reached = 0;
  for (int i = 0; i < 30; ++i) {
    const SearchResult result =
        sim.Search(sim.RandomLive(), "common", {.recall = 0.9999, .enough = 10});
    ASSERT_TRUE(result.done);
    EXPECT_GE(result.hits.size(), 10u);
    EXPECT_EQ(result.summary.complete, result.summary.recall >= 0.9999 - 1e-9);
    reached += static_cast<double>(result.summary.peers_reached) / 30;
  }
  const double whole = sim.CoreOf(0).QueryBubbleSize(0.9999);
  std::printf("reached %.1f of %.0f\n", reached, whole);
  EXPECT_LE(reached, whole / 4);

  // What is rare costs the whole bubble, and is found.
  const SearchResult rare = sim.Search(sim.RandomLive(), "report7", {.enough = 10});
  EXPECT_EQ(rare.hits.size(), 1u);
  EXPECT_TRUE(rare.summary.complete);
  sim.CheckInvariants();
}

// BubbleStorm (SIGCOMM 2007, abstract) survives a crash of half of the peers.
// Half of the peers vanish: queries and what is left of the pages still meet.
TEST(SearchScenario, HalfOfThePeersCrashAndThePromiseHoldsForWhatIsLeft) {
  Simulation sim({.seed = 35});
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 400);
  PublishReports(sim, 100);

  for (size_t i = 0; i < peers.size(); i += 2) sim.Crash(peers[i]);
  sim.Run(absl::Seconds(20));

  const Measured measured = SearchForAll(sim, 100, 50);
  EXPECT_LE(measured.miss, 0.02);
}

TEST(SearchScenario, SearchesRightAfterACrashAreHonest) {
  Simulation sim({.seed = 36});
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 200);
  PublishReports(sim, 50);

  for (size_t i = 0; i < peers.size(); i += 5) sim.Crash(peers[i]);
  const uint64_t before = sim.QueriesEvaluated();
  const SearchResult result = sim.Search(peers[1], "common");
  sim.Run(absl::Seconds(10));

  EXPECT_TRUE(result.done);
  EXPECT_LE(result.summary.peers_reached, sim.QueriesEvaluated() - before);
  EXPECT_TRUE(result.summary.complete || result.summary.cut_short != CutShort::kNothing);
}

TEST(SearchScenario, PagesOutliveTheirPublishersNeighborsAndAreRefreshed) {
  Simulation sim({.seed = 37});
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 100);
  const std::vector<uint32_t> numbers = sim.Publish(peers[7], {FileRecord("report")});
  sim.Run(absl::Seconds(10));
  const PageKey key{sim.IdOf(peers[7]), numbers[0]};
  const size_t before = sim.HoldersOf(key).size();

  // A fifth of the keepers is replaced by newcomers before two lifetimes have passed.
  for (int i = 20; i < 40; ++i) sim.Crash(peers[i]);
  sim.AddPeers(20);
  sim.Run(2 * kPageLifetime);

  EXPECT_GE(sim.HoldersOf(key).size() * 10, before * 9);
  sim.CheckInvariants();
}

TEST(SearchScenario, ADeletedPageIsFoundNoMore) {
  Simulation sim({.seed = 38});
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 20);
  const std::vector<uint32_t> numbers = sim.Publish(peers[7], {FileRecord("report")});
  sim.Run(absl::Seconds(10));
  ASSERT_EQ(sim.Search(peers[3], "report", {.recall = 1.0}).hits.size(), 1u);

  sim.Republish(peers[7], numbers[0], {});
  sim.Run(absl::Seconds(10));

  EXPECT_TRUE(sim.Search(peers[3], "report", {.recall = 1.0}).hits.empty());
}

}  // namespace
}  // namespace panal::sim
