// Scenarios of faults, with everything checked that must hold: after every event in small meshes,
// at rest in large ones.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

SimulationOptions Watched(uint64_t seed) {
  return {.seed = seed, .check_every_event = true, .watch_searches = true};
}

// What must hold of a mesh at rest.
std::string CheckMesh(const Simulation& sim, size_t least, size_t most) {
  sim.CheckInvariants();
  return sim.CheckConnected() + sim.CheckSymmetric() + sim.CheckDegrees(least, most) +
         sim.CheckPages();
}

bool IsMeasured(const Simulation& sim, double error) {
  auto size = static_cast<double>(sim.LiveCount());
  for (PeerIndex peer : sim.Live()) {
    MeshEstimate estimate = sim.CoreOf(peer).Estimate();
    if (std::abs(estimate.peers / size - 1) > error) return false;
  }
  return true;
}

std::vector<PeerIndex> Take(const std::vector<PeerIndex>& peers, size_t begin, size_t end) {
  return {peers.begin() + static_cast<ptrdiff_t>(begin),
          peers.begin() + static_cast<ptrdiff_t>(end)};
}

TEST(OneWayScenario, LinksAcrossDieAndComeBackOnceItIsHealed) {
  Simulation sim(Watched(41));
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(12);
  sim.Run(absl::Minutes(1));
  std::vector<PeerIndex> side = Take(peers, 0, 5);

  sim.Mute(side);
  sim.Run(absl::Seconds(5));
  for (PeerIndex peer : side) {
    for (PeerIndex other : sim.LinksOf(peer)) EXPECT_LT(other, 5u);
    EXPECT_EQ(sim.CoreOf(peer).ActiveView().size(), 4u);
  }
  sim.Heal();

  EXPECT_TRUE(sim.RunUntil([&] { return sim.CheckDegrees(11, 11).empty(); }, absl::Minutes(8)));
  sim.Run(absl::Seconds(5));
  EXPECT_EQ(CheckMesh(sim, 11, 11), "");
}

TEST(OneWayScenario, AMutedPeerHearsUntilItsLinksAreLostAndNobodyHearsIt) {
  std::vector<int> sent(4);
  SimulationOptions options = Watched(42);
  options.on_frame = [&](PeerIndex from, PeerIndex, const Frame& frame) {
    if (std::holds_alternative<Answer>(frame)) ++sent[from];
  };
  options.crash_notice = absl::Seconds(3);
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(4);
  sim.Run(absl::Seconds(20));

  sim.Mute({3});
  uint64_t request = sim.StartSearch(0, "once");
  sim.Run(absl::Seconds(1));

  // It evaluated the query and answered; nobody counts it.
  EXPECT_EQ(sim.QueriesEvaluatedAt(3), 1u);
  EXPECT_GT(sent[3], 0);
  sim.Run(absl::Seconds(12));
  ASSERT_TRUE(sim.ResultOf(request).done);
  EXPECT_EQ(sim.ResultOf(request).summary.peers_reached, 3u);
  EXPECT_EQ(sim.CheckAccount(request, /*nothing_lost=*/false), "");
}

// Away for so long that nobody keeps its pages any more, a peer is found soon after its return, not
// when its pages would fall due.
TEST(RestartScenario, APeerThatWasAwayForLongIsFoundAgainSoon) {
  Simulation sim(Watched(42));
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(50);
  sim.Run(absl::Seconds(30));
  sim.Publish(peers[4], {FileRecord("report.txt")});
  sim.Run(absl::Seconds(5));
  ASSERT_EQ(sim.Search(peers[9], "report").hits.size(), 1u);

  sim.Crash(peers[4]);
  sim.Run(kPageLifetime + absl::Minutes(1));
  ASSERT_EQ(sim.Search(peers[9], "report").hits.size(), 0u);
  sim.Restart(peers[4]);
  sim.Run(absl::Seconds(45));  // kMeasureWait, and what spreading takes.

  EXPECT_EQ(sim.Search(peers[9], "report").hits.size(), 1u);
}

TEST(EmptyRestartScenario, APeerWithoutItsDiskKeepsItsIdAndGetsItsPagesNotBack) {
  Simulation sim(Watched(43));
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(12);
  sim.Run(absl::Seconds(20));
  std::vector<uint32_t> pages = sim.Publish(peers[4], {FileRecord("report.txt")});
  sim.Run(absl::Seconds(5));
  PeerId id = sim.IdOf(peers[4]);

  sim.Crash(peers[4]);
  sim.RestartEmpty(peers[4], /*new_key=*/false);
  sim.Run(absl::Seconds(20));

  EXPECT_EQ(sim.IdOf(peers[4]), id);
  EXPECT_FALSE(sim.Holds(peers[4], {id, pages[0]}));
  EXPECT_EQ(CheckMesh(sim, 11, 11), "");
  // The others kept it.
  EXPECT_EQ(sim.Search(peers[9], "report").hits.size(), 1u);
}

TEST(EmptyRestartScenario, APeerWithANewKeyIsAnotherPeer) {
  Simulation sim(Watched(44));
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(12);
  sim.Run(absl::Seconds(20));
  PeerId old = sim.IdOf(peers[4]);

  sim.Crash(peers[4]);
  sim.Run(absl::Milliseconds(300));  // Not even noticed yet.
  sim.RestartEmpty(peers[4], /*new_key=*/true);
  sim.Run(absl::Seconds(20));

  EXPECT_NE(sim.IdOf(peers[4]), old);
  EXPECT_FALSE(sim.IndexOf(old).has_value());
  EXPECT_EQ(CheckMesh(sim, 11, 11), "");
  EXPECT_TRUE(IsMeasured(sim, 0.01));
}

TEST(EmptyRestartScenario, EverybodyInTurnLosesItsDiskOrItsKey) {
  Simulation sim(Watched(45));
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(40);
  sim.Run(absl::Seconds(30));

  for (PeerIndex peer : peers) {
    sim.Crash(peer);
    sim.Run(absl::Milliseconds(700));
    sim.RestartEmpty(peer, /*new_key=*/peer % 2 == 1, sim.RandomLive());
    sim.Run(absl::Seconds(2));
    ASSERT_EQ(sim.CheckConnected(), "") << peer;
  }
  sim.Run(absl::Minutes(2));

  EXPECT_EQ(CheckMesh(sim, 8, 20), "");
  EXPECT_TRUE(IsMeasured(sim, 0.01));
}

TEST(SlowScenario, SlowPeersDelayASearchButAreCounted) {
  Simulation sim(Watched(46));
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(12);
  sim.Run(absl::Seconds(20));
  for (PeerIndex peer : {3, 4}) {
    sim.SlowDown(peer,
                 {.index_time = absl::Milliseconds(400), .added_latency = absl::Milliseconds(300)});
  }

  uint64_t request = sim.StartSearch(peers[0], "slow");
  sim.Run(absl::Seconds(12));

  ASSERT_TRUE(sim.ResultOf(request).done);
  EXPECT_GE(sim.ResultOf(request).elapsed, absl::Milliseconds(1000));
  EXPECT_EQ(sim.ResultOf(request).summary.peers_reached, 12u);
  EXPECT_EQ(sim.CheckAccount(request, /*nothing_lost=*/true), "");
  EXPECT_EQ(CheckMesh(sim, 11, 11), "");
}

TEST(SlowScenario, AnOverloadedPeerIsNotCounted) {
  Simulation sim(Watched(47));
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(12);
  sim.Run(absl::Seconds(20));
  sim.SlowDown(peers[3], {.index_time = absl::Milliseconds(100), .one_at_a_time = true});

  // 64 of them wait; the others are shed at once.
  std::vector<uint64_t> requests;
  for (int i = 0; i < 100; ++i) {
    requests.push_back(
        sim.StartSearch(peers[i % 12], absl::StrCat("q", i), {.timeout = absl::Seconds(20)}));
  }
  sim.Run(absl::Seconds(25));

  int without = 0;
  for (uint64_t request : requests) {
    ASSERT_TRUE(sim.ResultOf(request).done);
    EXPECT_EQ(sim.CheckAccount(request, /*nothing_lost=*/false), "");
    if (sim.ResultOf(request).summary.peers_reached == 11) ++without;
  }
  EXPECT_GT(without, 0);
}

TEST(AccountScenario, ClaimsAreExactWhereNothingIsLost) {
  for (int count : {1, 2, 3, 12, 60, 200}) {
    Simulation sim(Watched(48));
    SCOPED_TRACE(ReplayLine(sim));
    std::vector<PeerIndex> peers = sim.AddPeers(count);
    sim.Run(absl::Minutes(1));

    for (int i = 0; i < 10; ++i) {
      PeerIndex origin = peers[i % count];
      uint64_t all = sim.StartSearch(origin, absl::StrCat("all", i), {.recall = 1});
      // It ends as soon as it has enough: the answers under way by then are not claimed.
      uint64_t some = sim.StartSearch(origin, absl::StrCat("some", i), {.recall = 0.98});
      sim.Run(absl::Seconds(11));
      ASSERT_TRUE(sim.ResultOf(all).done && sim.ResultOf(some).done);
      EXPECT_EQ(sim.ResultOf(all).summary.peers_reached, static_cast<uint64_t>(count));
      EXPECT_EQ(sim.CheckAccount(all, /*nothing_lost=*/true), "") << count;
      EXPECT_EQ(sim.CheckAccount(some, /*nothing_lost=*/false), "") << count;
    }
    EXPECT_TRUE(sim.RunUntil([&] { return sim.CheckSymmetric().empty(); }, absl::Seconds(10)));
    EXPECT_EQ(CheckMesh(sim, std::min(count - 1, 8), 20), "");
  }
}

TEST(AccountScenario, NothingIsClaimedThatWasNotDoneUnderLossReplaysAndCrashes) {
  SimulationOptions options = Watched(49);
  options.loss = 0.03;
  options.duplication = 0.1;  // As a peer does that replays what it sent.
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(100);
  sim.Run(absl::Minutes(1));

  std::vector<uint64_t> requests;
  for (int i = 0; i < 30; ++i) {
    PeerIndex origin = sim.RandomLive();
    requests.push_back(sim.StartSearch(origin, absl::StrCat("q", i)));
    sim.Run(absl::Milliseconds(60));
    PeerIndex victim = sim.RandomLive();
    if (i % 2 == 0 && victim != origin) sim.Crash(victim);
    sim.Run(absl::Milliseconds(500));
  }
  sim.Run(absl::Seconds(12));

  int done = 0;
  for (uint64_t request : requests) {
    if (!sim.ResultOf(request).done) continue;  // Its origin crashed.
    ++done;
    EXPECT_EQ(sim.CheckAccount(request, /*nothing_lost=*/false), "");
  }
  EXPECT_GE(done, 15);
  EXPECT_EQ(sim.CheckPages(), "");
}

// A peer that forges every page it passes on, claiming a newer version.
TEST(PageScenario, NobodyKeepsAForgedPage) {
  SimulationOptions options = Watched(50);
  options.tamper = [](PeerIndex from, PeerIndex, Frame& frame) {
    auto* cast = std::get_if<Cast>(&frame);
    auto* payload = cast == nullptr ? nullptr : std::get_if<PagePayload>(&cast->payload);
    if (from != 2 || payload == nullptr) return absl::ZeroDuration();
    auto forged = std::make_shared<Page>(*payload->page);
    forged->header.version += 1000;
    forged->header.signature[0] = 'x';
    payload->page = std::move(forged);
    return absl::ZeroDuration();
  };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(60);
  sim.Run(absl::Minutes(1));

  for (int i = 0; i < 20; ++i) {
    sim.Publish(peers[i], {FileRecord(absl::StrCat("file", i))});
    sim.Run(absl::Seconds(1));
  }
  sim.Run(absl::Seconds(20));

  EXPECT_GT(sim.ForgedFrames(), 0u);
  EXPECT_EQ(sim.CheckPages(), "");
}

// The newest version wins wherever it meets an older one, in whatever order they come.
TEST(PageScenario, NobodyGoesBackToAnOlderVersion) {
  SimulationOptions options = Watched(51);
  options.reorder_max = absl::Milliseconds(200);
  options.duplication = 0.1;
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(12);
  sim.Run(absl::Seconds(30));
  uint32_t page = sim.Publish(peers[1], {FileRecord("first")}).front();
  for (int i = 0; i < 10; ++i) {
    sim.Run(absl::Milliseconds(100));
    sim.Republish(peers[1], page, {FileRecord(absl::StrCat("version", i))});
  }
  sim.Run(absl::Seconds(30));

  EXPECT_EQ(sim.CheckPages(), "");
  std::vector<PeerIndex> holders = sim.HoldersOf({sim.IdOf(peers[1]), page});
  EXPECT_GE(holders.size(), 10u);
  EXPECT_EQ(sim.Search(peers[8], "version9").hits.size(), 1u);
  EXPECT_EQ(sim.Search(peers[8], "version8").hits.size(), 0u);
}

// A fifth of the peers send every share of the measurement again, while its round lasts and later.
TEST(ReplayedShareScenario, AddsNothing) {
  struct Sent {
    PeerIndex from, to;
    Measure share;
  };

  std::vector<Sent> sent;
  SimulationOptions options{.seed = 53};
  options.on_frame = [&](PeerIndex from, PeerIndex to, const Frame& frame) {
    const auto* share = std::get_if<Measure>(&frame);
    if (share != nullptr && from % 5 == 0) sent.push_back({from, to, *share});
  };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(100);
  ASSERT_TRUE(sim.RunUntil([&] { return IsMeasured(sim, 0.01); }, absl::Minutes(1)));

  size_t replayed = 0;
  for (int step = 0; step < 600; ++step) {
    std::vector<Sent> again;
    again.swap(sent);
    sim.Run(absl::Milliseconds(500));
    for (const Sent& one : again) {
      const std::vector<PeerIndex> links = sim.LinksOf(one.to);
      if (!std::binary_search(links.begin(), links.end(), one.from)) continue;
      sim.Feed(one.to, FrameReceived{sim.IdOf(one.from), one.share});
      ++replayed;
    }
    ASSERT_TRUE(IsMeasured(sim, 0.005));
  }
  EXPECT_GT(replayed, 1000u);
}

// What a broken invariant prints is enough to see it again.
TEST(ReplayDeathTest, ABrokenInvariantPrintsTheLineThatRepeatsIt) {
  EXPECT_DEATH(
      {
        Simulation sim(Watched(52));
        SCOPED_TRACE(ReplayLine(sim));
        sim.AddPeers(3);
        sim.Crash(1);
        static_cast<void>(sim.CoreOf(1));
      },
      "replay: PANAL_SEED=[0-9]+ GTEST_FILTER='ReplayDeathTest.ABrokenInvariantPrintsTheLine");
}

}  // namespace
}  // namespace panal::sim
