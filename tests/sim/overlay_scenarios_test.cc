// Scenarios of the overlay: what a mesh does as a whole. Every number of seconds is virtual time.

#include <cmath>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"
#include "gtest/gtest.h"
#include "server/processing/overlay/measure.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

// Most neighbors of a peer of capacity 1: wanted and slack.
constexpr size_t kDegreeMax = 20;
constexpr size_t kDegreeMin = 8;

std::string CheckGraph(const Simulation& sim, size_t least = kDegreeMin) {
  sim.CheckInvariants();
  return sim.CheckConnected() + sim.CheckSymmetric() + sim.CheckDegrees(least, kDegreeMax);
}

// The largest relative error of any live peer's estimate.
double EstimateError(const Simulation& sim) {
  auto size = static_cast<double>(sim.Live().size());
  double error = 0;
  for (PeerIndex peer : sim.Live()) {
    MeshEstimate estimate = sim.CoreOf(peer).Estimate();
    if (!estimate.measured) return 1;
    error = std::max(error, std::abs(estimate.peers / size - 1));
  }
  return error;
}

bool IsEstimateExact(const Simulation& sim) {
  auto size = static_cast<double>(sim.Live().size());
  for (PeerIndex peer : sim.Live()) {
    if (std::round(sim.CoreOf(peer).Estimate().peers) != size) return false;
  }
  return true;
}

size_t LinksAcross(const Simulation& sim, const std::vector<PeerIndex>& side) {
  size_t links = 0;
  for (PeerIndex peer : side) {
    for (const PeerId& other : sim.CoreOf(peer).ActiveView()) {
      PeerIndex index = *sim.IndexOf(other);
      if (std::find(side.begin(), side.end(), index) == side.end()) ++links;
    }
  }
  return links;
}

std::vector<PeerIndex> Half(const std::vector<PeerIndex>& peers) {
  std::vector<PeerIndex> half;
  for (size_t i = 0; i < peers.size(); i += 2) half.push_back(peers[i]);
  return half;
}

class JoinScenario : public testing::TestWithParam<int> {};

TEST_P(JoinScenario, PeersThatJoinThroughOneContactFormOneMesh) {
  Simulation sim({.seed = 11});
  SCOPED_TRACE(ReplayLine(sim));
  int count = GetParam();

  sim.AddPeers(count, count < 500 ? absl::Milliseconds(20) : absl::Milliseconds(5));
  sim.Run(absl::Seconds(8));

  EXPECT_EQ(CheckGraph(sim, std::min<size_t>(count - 1, kDegreeMin)), "");
  EXPECT_TRUE(sim.RunUntil([&] { return EstimateError(sim) < 0.01; }, absl::Seconds(30)));
}

INSTANTIATE_TEST_SUITE_P(Sizes, JoinScenario, testing::Values(2, 5, 17, 64, 256, 1000));

TEST(SmallMeshScenario, EverybodyLinksToEverybodyWithinTwoSeconds) {
  for (int count : {2, 3, 5, 9, 17}) {
    Simulation sim({.seed = 12});
    SCOPED_TRACE(ReplayLine(sim));
    sim.AddPeers(count, absl::Milliseconds(300));

    bool linked = sim.RunUntil([&] { return sim.CheckDegrees(count - 1, count - 1).empty(); },
                               absl::Seconds(2));

    EXPECT_TRUE(linked) << count << " peers: " << sim.CheckDegrees(count - 1, count - 1);
    sim.Run(absl::Seconds(2));
    EXPECT_EQ(sim.CheckSymmetric(), "");
  }
}

// Kempe, Dobra, Gehrke (FOCS 2003), push-sum: all peers converge on the sum, exactly, because mass
// is conserved.
TEST(MeasurementScenario, IsExactWithinSecondsAfterAJoin) {
  for (int count : {5, 64, 256}) {
    Simulation sim({.seed = 13});
    SCOPED_TRACE(ReplayLine(sim));
    sim.AddPeers(count - 1);
    sim.Run(absl::Minutes(3));

    sim.AddPeer();

    EXPECT_TRUE(sim.RunUntil([&] { return IsEstimateExact(sim); }, absl::Seconds(10))) << count;
    sim.Run(absl::Minutes(2));
    EXPECT_TRUE(IsEstimateExact(sim)) << count;
  }
}

TEST(MeasurementScenario, KnowsTheDegreesOfAQuietMesh) {
  Simulation sim({.seed = 14});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(17, absl::Milliseconds(200));

  sim.Run(absl::Minutes(3));

  MeshEstimate estimate = sim.CoreOf(peers[5]).Estimate();
  EXPECT_NEAR(estimate.peers, 17, 0.01);
  EXPECT_NEAR(estimate.degree_sum, 17 * 16, 0.1);
  EXPECT_NEAR(estimate.degree_square_sum, 17 * 16 * 16, 1);
}

// Gia's mix (SIGCOMM 2003, Table 1) without its rarest: most neighbors of the weak are strong. Once
// it is measured the mesh is quiet again.
TEST(MeasurementScenario, IsExactWhereDegreesDiffer) {
  for (uint64_t seed : {7, 8}) {
    Simulation sim({.seed = seed});
    SCOPED_TRACE(ReplayLine(sim));
    for (int i = 0; i < 300; ++i) {
      const double draw = sim.random().Unit();
      sim.AddPeer({.capacity = draw < 0.2 ? 0.1 : draw < 0.65 ? 1.0 : 10.0});
      sim.Run(absl::Milliseconds(20));
    }

    EXPECT_TRUE(sim.RunUntil([&] { return IsEstimateExact(sim); }, absl::Seconds(60)));
    sim.Run(absl::Minutes(2));
    const uint64_t before = sim.traffic().by_kind["measure"].frames;
    sim.Run(absl::Minutes(4));
    EXPECT_TRUE(IsEstimateExact(sim));
    const double frames = static_cast<double>(sim.traffic().by_kind["measure"].frames - before);
    EXPECT_LT(frames / 300 / 240, 10);
  }
}

TEST(MeasurementScenario, FollowsAMeshThatShrinks) {
  Simulation sim({.seed = 15});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(6);
  sim.Run(absl::Seconds(20));

  for (PeerIndex peer : {1, 2, 3}) sim.Crash(peer);
  for (PeerIndex peer : {4, 5}) sim.Leave(peer);

  EXPECT_TRUE(sim.RunUntil([&] { return sim.CoreOf(0).Estimate().peers == 1; }, absl::Seconds(20)));
}

// One peer that lies as much as it can keeps rounds from settling; what is known stays.
TEST(LiarScenario, OneLiarAmongTwoHundredDoesNotBendTheEstimate) {
  constexpr PeerIndex kLiar = 7;
  bool lies = false;
  SimulationOptions options{.seed = 30};
  options.tamper = [&lies](PeerIndex from, PeerIndex, Frame& frame) {
    auto* share = std::get_if<Measure>(&frame);
    if (lies && share != nullptr && from == kLiar) {
      share->count = 1e7;
      share->last_count = 1e7;
    }
    return absl::ZeroDuration();
  };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(200);
  ASSERT_TRUE(sim.RunUntil([&] { return EstimateError(sim) < 0.01; }, absl::Seconds(60)));
  lies = true;

  double least = 200;
  double most = 200;
  for (int minute = 0; minute < 20; ++minute) {
    sim.Run(absl::Minutes(1));
    for (PeerIndex peer : sim.Live()) {
      least = std::min(least, sim.CoreOf(peer).Estimate().peers);
      if (peer != kLiar) most = std::max(most, sim.CoreOf(peer).Estimate().peers);
    }
  }

  EXPECT_GE(least, 190);
  EXPECT_LE(most, 210);
}

// One that enters every round as so many peers is believed, up to the bound of E10.
TEST(LiarScenario, OneThatEntersAsManyAddsAtMostWhatItsNeighborsLetIn) {
  constexpr PeerIndex kLiar = 7;
  bool lies = false;
  std::vector<std::pair<PeerIndex, uint64_t>> told;  // Neighbor and round.
  SimulationOptions options{.seed = 30};
  options.tamper = [&](PeerIndex from, PeerIndex to, Frame& frame) {
    auto* share = std::get_if<Measure>(&frame);
    if (!lies || share == nullptr || from != kLiar) return absl::ZeroDuration();
    std::pair<PeerIndex, uint64_t> first{to, share->round};
    if (std::find(told.begin(), told.end(), first) == told.end()) {
      told.push_back(first);
      share->count += 10;
    }
    return absl::ZeroDuration();
  };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(200);
  ASSERT_TRUE(sim.RunUntil([&] { return EstimateError(sim) < 0.01; }, absl::Seconds(60)));
  lies = true;

  sim.Run(absl::Minutes(10));

  double most = 0;
  for (PeerIndex peer : sim.Live()) most = std::max(most, sim.CoreOf(peer).Estimate().peers);
  EXPECT_GT(most, 220);  // It can lie.
  EXPECT_LE(most, 200 + 20 * kNeighborMassMax);
}

// One frame with a made-up round neither tears the mesh apart nor ends its measurement.
TEST(LiarScenario, OneMadeUpRoundIsFollowedByOthers) {
  for (uint64_t made_up : {uint64_t{1} << 47, ~uint64_t{0}}) {
    int frames = 0;  // Still to be tampered with.
    SimulationOptions options{.seed = 31};
    options.tamper = [&](PeerIndex from, PeerIndex, Frame& frame) {
      auto* share = std::get_if<Measure>(&frame);
      if (frames > 0 && share != nullptr && from == 7) {
        share->round = made_up;
        --frames;
      }
      return absl::ZeroDuration();
    };
    Simulation sim(options);
    SCOPED_TRACE(ReplayLine(sim));
    sim.AddPeers(60);
    ASSERT_TRUE(sim.RunUntil([&] { return IsEstimateExact(sim); }, absl::Minutes(2)));
    frames = 1;
    ASSERT_TRUE(sim.RunUntil([&] { return frames == 0; }, absl::Minutes(3)));
    sim.Run(absl::Minutes(3));  // Rounds after that one.

    EXPECT_EQ(sim.CheckConnected(), "");
    // A link that is being swapped is one-sided for a moment.
    EXPECT_TRUE(sim.RunUntil([&] { return CheckGraph(sim).empty(); }, absl::Seconds(5)));
    sim.Crash(8);
    EXPECT_TRUE(sim.RunUntil([&] { return IsEstimateExact(sim); }, absl::Minutes(2)));
  }
}

// One share with all the squared degrees that were let through once: everybody's bubbles shrank.
TEST(LiarScenario, OneShareAddsNoMoreDegreesThanItsPeersCanHave) {
  bool lies = false;
  int shares = 0;
  absl::btree_set<uint64_t> lied;  // Rounds: one share in each.
  SimulationOptions options{.seed = 32};
  options.tamper = [&](PeerIndex from, PeerIndex, Frame& frame) {
    auto* share = std::get_if<Measure>(&frame);
    if (lies && share != nullptr && from == 7 && lied.insert(share->round).second) {
      share->degree += 1e7;
      share->degree_squared += 1e9;
      ++shares;
    }
    return absl::ZeroDuration();
  };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(200);
  ASSERT_TRUE(sim.RunUntil([&] { return IsEstimateExact(sim); }, absl::Minutes(2)));
  sim.Run(absl::Minutes(5));  // Until everybody has its links.
  const MeshEstimate before = sim.CoreOf(0).Estimate();
  lies = true;
  sim.Run(absl::Minutes(10));

  EXPECT_GE(shares, 3);
  for (PeerIndex peer : sim.Live()) {
    const MeshEstimate after = sim.CoreOf(peer).Estimate();
    EXPECT_NEAR(after.peers, 200, 1);
    // One share counts at most so many peers (E10); links are swapped meanwhile.
    EXPECT_LE(after.degree_sum, 1.05 * before.degree_sum + kNeighborMassMax * kPeerDegreeMax);
    EXPECT_LE(after.degree_square_sum,
              1.1 * before.degree_square_sum + kNeighborMassMax * kPeerDegreeMax * kPeerDegreeMax);
  }
}

TEST(IdleScenario, AQuietMeshSendsLittle) {
  for (int count : {5, 64, 256}) {
    Simulation sim({.seed = 16});
    SCOPED_TRACE(ReplayLine(sim));
    sim.AddPeers(count);
    sim.Run(absl::Minutes(2));
    uint64_t before = sim.traffic().bytes;

    sim.Run(absl::Minutes(2));

    double bytes_per_second = static_cast<double>(sim.traffic().bytes - before) / 120 / count;
    EXPECT_LT(bytes_per_second, 1000) << count;
  }
}

TEST(CrashScenario, HalfOfTheMeshVanishesAndTheRestStaysOne) {
  Simulation sim({.seed = 17});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(256);
  sim.Run(absl::Seconds(60));

  for (PeerIndex peer : Half(peers)) sim.Crash(peer);
  sim.Run(absl::Seconds(20));

  EXPECT_EQ(CheckGraph(sim), "");
  EXPECT_TRUE(sim.RunUntil([&] { return EstimateError(sim) < 0.01; }, absl::Seconds(30)));
}

TEST(LeaveScenario, HalfOfTheMeshLeavesAndTheRestStaysOne) {
  Simulation sim({.seed = 18});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(256);
  sim.Run(absl::Seconds(30));

  for (PeerIndex peer : Half(peers)) sim.Leave(peer);
  sim.Run(absl::Seconds(1));
  EXPECT_EQ(sim.Live().size(), 128u);
  EXPECT_EQ(sim.CheckConnected(), "");
  sim.Run(absl::Seconds(10));

  EXPECT_EQ(CheckGraph(sim), "");
  EXPECT_TRUE(sim.RunUntil([&] { return EstimateError(sim) < 0.01; }, absl::Seconds(30)));
}

TEST(LeaveScenario, NobodyDialsAPeerThatLeft) {
  Simulation sim({.seed = 19});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(5);
  sim.Run(absl::Seconds(5));

  sim.Leave(peers[2]);
  sim.Run(absl::Seconds(5));

  for (PeerIndex peer : sim.Live()) {
    EXPECT_EQ(sim.CoreOf(peer).ActiveView().size(), 3u);
    for (const PeerContact& spare : sim.CoreOf(peer).PassiveView()) {
      EXPECT_NE(spare.id, sim.IdOf(peers[2]));
    }
  }
}

TEST(PartitionScenario, HalvesThatWereCutGrowTogetherAgain) {
  Simulation sim({.seed = 20});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(64);
  sim.Run(absl::Seconds(60));
  std::vector<PeerIndex> side = Half(peers);

  sim.Partition(side);
  sim.Run(absl::Minutes(3));
  EXPECT_EQ(LinksAcross(sim, side), 0u);
  EXPECT_EQ(sim.CheckDegrees(kDegreeMin, kDegreeMax), "");
  sim.Heal();

  EXPECT_TRUE(sim.RunUntil([&] { return sim.CheckConnected().empty(); }, absl::Minutes(5)));
  // Not by a thread: each of the 32 peers of a side has a quarter of its links to the other one.
  EXPECT_TRUE(sim.RunUntil([&] { return LinksAcross(sim, side) >= 32 * 4; }, absl::Minutes(20)));
  EXPECT_TRUE(sim.RunUntil([&] { return EstimateError(sim) < 0.01; }, absl::Minutes(3)));
}

TEST(RestartScenario, APeerComesBackWithoutABootstrapAddress) {
  Simulation sim({.seed = 21});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(64);
  sim.Run(absl::Seconds(20));
  sim.Crash(peers[0]);  // The contact of everybody.
  sim.Crash(peers[7]);
  sim.Run(absl::Seconds(10));

  sim.Restart(peers[0]);
  sim.Restart(peers[7], /*moved=*/true);
  sim.Run(absl::Seconds(5));

  EXPECT_EQ(CheckGraph(sim), "");
}

TEST(RestartScenario, AMeshThatWentDownAsAWholeComesBack) {
  Simulation sim({.seed = 22});
  SCOPED_TRACE(ReplayLine(sim));
  std::vector<PeerIndex> peers = sim.AddPeers(32);
  sim.Run(absl::Seconds(20));
  for (PeerIndex peer : peers) sim.Crash(peer);
  sim.Run(absl::Minutes(1));

  for (PeerIndex peer : peers) {
    sim.Restart(peer);
    sim.Run(absl::Milliseconds(500));
  }
  sim.Run(absl::Seconds(30));

  EXPECT_EQ(CheckGraph(sim), "");
}

TEST(RestartScenario, APeerAloneFindsItsOnlyFriendMinutesLater) {
  Simulation sim({.seed = 23});
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(2);
  sim.Run(absl::Seconds(5));
  sim.Crash(1);
  sim.Run(absl::Minutes(10));
  // It does not know anybody any more; the other one has to remember it.
  sim.Partition({0});
  sim.Restart(1);
  sim.Run(absl::Minutes(2));
  sim.Heal();

  EXPECT_TRUE(
      sim.RunUntil([&] { return sim.CoreOf(0).ActiveView().size() == 1; }, absl::Minutes(1)));
}

TEST(FlashScenario, TwoHundredJoinAtOnce) {
  Simulation sim({.seed = 24});
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(56);
  sim.Run(absl::Seconds(10));

  sim.AddPeers(200, absl::ZeroDuration());
  sim.Run(absl::Seconds(15));

  EXPECT_EQ(CheckGraph(sim), "");
  EXPECT_TRUE(sim.RunUntil([&] { return EstimateError(sim) < 0.01; }, absl::Seconds(30)));
}

TEST(FlashScenario, TwoHundredJoinAtOnceThroughANewMesh) {
  Simulation sim({.seed = 25});
  SCOPED_TRACE(ReplayLine(sim));

  sim.AddPeers(200, absl::ZeroDuration());
  sim.Run(absl::Seconds(30));

  EXPECT_EQ(CheckGraph(sim), "");
}

TEST(CapacityScenario, StrongPeersCarryMoreLinks) {
  Simulation sim({.seed = 26});
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(100);
  sim.Run(absl::Seconds(5));

  PeerIndex strong = sim.AddPeer({.capacity = 2.0});
  sim.Run(absl::Seconds(30));

  EXPECT_GE(sim.CoreOf(strong).ActiveView().size(), 30u);
  EXPECT_EQ(sim.CheckConnected() + sim.CheckSymmetric(), "");
}

TEST(LinkScenario, ABrokenLinkIsOpenedAgain) {
  Simulation sim({.seed = 27});
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(3);
  sim.Run(absl::Seconds(5));

  sim.BreakLink(0, 1);
  sim.Run(absl::Seconds(2));
  EXPECT_EQ(sim.CoreOf(0).ActiveView().size(), 1u);

  EXPECT_TRUE(sim.RunUntil([&] { return sim.CheckDegrees(2, 2).empty(); }, absl::Seconds(15)));
}

TEST(ChurnScenario, StaysOneMeshWhilePeersComeAndGo) {
  Simulation sim({.seed = 28});
  SCOPED_TRACE(ReplayLine(sim));
  sim.AddPeers(64);
  sim.Run(absl::Seconds(10));

  for (int step = 0; step < 120; ++step) {
    PeerIndex victim = sim.RandomLive();
    if (sim.random().Below(10) == 0) {
      sim.Crash(victim);
    } else {
      sim.Leave(victim);
    }
    sim.AddPeer();
    sim.Run(absl::Seconds(1));
    sim.CheckInvariants();
    ASSERT_EQ(sim.CheckConnected(), "") << "after " << step << " steps";
  }
  sim.Run(absl::Seconds(10));

  EXPECT_EQ(CheckGraph(sim), "");
}

uint64_t TraceOf(uint64_t seed) {
  Simulation sim({.seed = seed});
  std::vector<PeerIndex> peers = sim.AddPeers(40);
  sim.Run(absl::Seconds(10));
  sim.Publish(peers[3], {FileRecord("report.txt")});
  for (PeerIndex peer : Half(peers)) sim.Crash(peer);
  sim.Run(absl::Seconds(20));
  return sim.TraceHash();
}

TEST(Simulation, SameSeedGivesTheSameRun) {
  EXPECT_EQ(TraceOf(1), TraceOf(1));
  if (std::getenv("PANAL_SEED") == nullptr) EXPECT_NE(TraceOf(1), TraceOf(2));
}

TEST(Simulation, KeepsOneLinkWhenBothDial) {
  Simulation sim({.seed = 29});
  SCOPED_TRACE(ReplayLine(sim));
  PeerIndex a = sim.AddPeer({.without_contact = true});
  PeerIndex b = sim.AddPeer({.without_contact = true});

  sim.Feed(a, PeerLearned{{sim.IdOf(b), {"p1:7401"}}, /*join=*/false});
  sim.Feed(b, PeerLearned{{sim.IdOf(a), {"p0:7401"}}, /*join=*/false});
  sim.Run(absl::Seconds(2));

  EXPECT_EQ(sim.CheckDegrees(1, 1), "");
  EXPECT_EQ(sim.CheckSymmetric(), "");
}

}  // namespace
}  // namespace panal::sim
