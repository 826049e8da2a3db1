// Scenarios of facts: what one peer says all must know, in whatever order they come to learn it.

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

SimulationOptions WithFacts(uint64_t seed) {
  SimulationOptions options{.seed = seed};
  options.core.admission.facts = true;
  return options;
}

bool IsRevoked(const Simulation& sim, PeerIndex at, PeerIndex peer) {
  return sim.RevocationsOf(at).Check({{.subject = sim.IdOf(peer)}}).has_value();
}

bool AllKnow(const Simulation& sim, PeerIndex revoked) {
  const std::vector<PeerIndex> live = sim.Live();
  return std::all_of(live.begin(), live.end(),
                     [&](PeerIndex peer) { return IsRevoked(sim, peer, revoked); });
}

// Same facts, same counting set, the same in the core as on the disk.
bool AllAgree(const Simulation& sim) {
  const std::vector<PeerIndex> live = sim.Live();
  const FactDigest digest = sim.CoreOf(live[0]).Facts();
  for (PeerIndex peer : live) {
    if (sim.CoreOf(peer).Facts() != digest) return false;
    if (sim.FactsOf(peer).size() != digest.count) return false;
    for (const FactPtr& fact : sim.FactsOf(live[0])) {
      if (sim.RevocationsOf(peer).Counts(*fact) != sim.RevocationsOf(live[0]).Counts(*fact)) {
        return false;
      }
    }
  }
  return true;
}

uint64_t FactFrames(const Simulation& sim) {
  uint64_t frames = 0;
  for (const auto& [kind, count] : sim.traffic().by_kind) {
    if (kind.rfind("fact_", 0) == 0) frames += count.frames;
  }
  return frames;
}

TEST(FactScenarios, OneRevocationReachesThreeHundredPeersWithinASecond) {
  Simulation sim(WithFacts(71));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(300);
  sim.Run(absl::Seconds(30));
  const uint64_t quiet = FactFrames(sim);
  sim.Run(absl::Seconds(30));
  const uint64_t idle = FactFrames(sim) - quiet;
  const absl::Time said = sim.now();
  const uint64_t before = FactFrames(sim);
  sim.SayFact(peers[17], Revocation{.target = sim.IdOf(peers[5])});

  EXPECT_TRUE(sim.RunUntil([&] { return AllKnow(sim, peers[5]); }, absl::Seconds(1)));

  const absl::Duration took = sim.now() - said;
  sim.Run(absl::Seconds(1));
  const uint64_t frames = FactFrames(sim) - before;
  sim.Run(absl::Minutes(3));
  const uint64_t after = FactFrames(sim) - before;
  std::printf("known to all after %d ms, %d frames a peer, %d with digests; idle %d in 30 s\n",
              static_cast<int>(absl::ToInt64Milliseconds(took)), static_cast<int>(frames / 300),
              static_cast<int>(after / 300), static_cast<int>(idle));
  EXPECT_TRUE(AllAgree(sim));
  // Once over every link in one direction, and in both where they cross.
  EXPECT_LE(frames, 300u * 20);
  sim.CheckInvariants();
}

TEST(FactScenarios, BothSidesOfACutAgreeOnceItHeals) {
  Simulation sim(WithFacts(72));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(100, absl::Milliseconds(50));
  sim.Run(absl::Minutes(2));
  sim.Partition({peers.begin(), peers.begin() + 50});
  sim.Run(absl::Seconds(5));
  // Two admins revoke each other, and each somebody else, more than a frame holds.
  for (PeerIndex i = 0; i < 80; ++i) {
    sim.SayFact(peers[10], Revocation{.target = sim.IdOf(peers[20 + i % 5]), .reason = "one"});
    sim.Run(absl::Milliseconds(10));
    sim.SayFact(peers[60], Revocation{.target = sim.IdOf(peers[70 + i % 5]), .reason = "other"});
  }
  sim.SayFact(peers[10], Revocation{.target = sim.IdOf(peers[60])});
  sim.Run(absl::Seconds(1));
  sim.SayFact(peers[60], Revocation{.target = sim.IdOf(peers[10])});
  sim.SayFact(peers[60], Revocation{.target = sim.IdOf(peers[90])});
  sim.Run(absl::Seconds(30));
  EXPECT_FALSE(AllAgree(sim));
  EXPECT_TRUE(IsRevoked(sim, peers[61], peers[10]));

  sim.Heal();
  const absl::Time healed = sim.now();

  EXPECT_TRUE(sim.RunUntil([&] { return AllAgree(sim); }, absl::Minutes(4)));
  std::printf("agree %.3f s after the cut healed\n", absl::ToDoubleSeconds(sim.now() - healed));
  // The earlier of the two counts; what the other said since does not.
  EXPECT_TRUE(AllKnow(sim, peers[60]));
  for (PeerIndex peer : sim.Live()) {
    EXPECT_FALSE(IsRevoked(sim, peer, peers[10]));
    EXPECT_FALSE(IsRevoked(sim, peer, peers[90]));
  }
  sim.CheckInvariants();
}

TEST(FactScenarios, APeerThatWasOffLearnsWhenItReturnsAndRemembersWhatItKnew) {
  Simulation sim(WithFacts(73));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(40);
  sim.Run(absl::Seconds(30));
  sim.SayFact(peers[1], Revocation{.target = sim.IdOf(peers[30])});
  sim.Run(absl::Seconds(5));
  sim.Crash(peers[9]);
  sim.SayFact(peers[1], Revocation{.target = sim.IdOf(peers[31])});
  sim.Run(absl::Seconds(30));

  sim.Restart(peers[9]);

  EXPECT_TRUE(IsRevoked(sim, peers[9], peers[30]));
  EXPECT_FALSE(IsRevoked(sim, peers[9], peers[31]));
  EXPECT_TRUE(sim.RunUntil([&] { return AllAgree(sim); }, absl::Seconds(5)));
  EXPECT_TRUE(IsRevoked(sim, peers[9], peers[31]));
}

TEST(FactScenarios, ANewcomerLearnsThousandsOfFactsAndNobodyElseIsSentAny) {
  Simulation sim(WithFacts(74));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(20);
  sim.Run(absl::Seconds(30));
  for (int i = 0; i < 2000; ++i) {
    sim.SayFact(peers[static_cast<size_t>(i % 4)], Redemption{.ticket = Serial(kSerialSize, 't')});
    sim.Run(absl::Milliseconds(300));
  }
  sim.Run(absl::Minutes(3));
  ASSERT_TRUE(AllAgree(sim));
  const Traffic before = sim.traffic();
  const absl::Time added = sim.now();

  sim.AddPeer();

  EXPECT_TRUE(sim.RunUntil([&] { return AllAgree(sim); }, absl::Seconds(30)));
  std::printf("learned 2000 facts in %d ms\n",
              static_cast<int>(absl::ToInt64Milliseconds(sim.now() - added)));
  sim.Run(absl::Minutes(3));
  const uint64_t bodies =
      sim.traffic().by_kind["fact_bodies"].frames - before.by_kind.at("fact_bodies").frames;
  EXPECT_EQ(bodies, (2000 + kFactsPerFrameMax - 1) / kFactsPerFrameMax);
  sim.CheckInvariants();
}

TEST(FactScenarios, WhatIsLostOnTheWayIsFoundByDigests) {
  SimulationOptions options = WithFacts(75);
  options.loss = 0.3;
  options.check_every_event = true;
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(30);
  sim.Run(absl::Seconds(30));
  for (int i = 0; i < 20; ++i) {
    sim.SayFact(peers[3], Revocation{.target = sim.IdOf(peers[7])});
  }

  EXPECT_TRUE(sim.RunUntil([&] { return AllAgree(sim); }, absl::Minutes(10)));
  EXPECT_EQ(sim.FactsOf(peers[29]).size(), 20u);
}

TEST(FactScenarios, ForgedFactsStayWithWhoMadeThemAndCostNoMoreThanTheirRate) {
  SimulationOptions options = WithFacts(76);
  options.check_every_event = true;
  uint64_t forged = 0;
  uint64_t verified = 0;
  // Peer 0 makes up its facts and answers.
  options.tamper = [&](PeerIndex from, PeerIndex, Frame& frame) {
    if (from != 0) return absl::ZeroDuration();
    if (auto* bodies = std::get_if<FactBodies>(&frame)) {
      for (std::string& fact : bodies->facts) fact = absl::StrCat("forged ", ++forged);
    }
    if (auto* digest = std::get_if<FactDigest>(&frame)) digest->count = 999;
    if (auto* names = std::get_if<FactNames>(&frame)) {
      for (uint8_t i = 0; i < 200; ++i) names->names.push_back({255, i});
    }
    return absl::ZeroDuration();
  };
  options.on_output = [&](PeerIndex peer, const Output& output) {
    const auto* verify = std::get_if<VerifyFacts>(&output);
    if (verify != nullptr && peer != 0) verified += verify->facts.size();
  };
  Simulation sim(options);
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = sim.AddPeers(12);
  sim.Run(absl::Seconds(10));
  for (int i = 0; i < 1000; ++i) {
    sim.SayFact(peers[0], Revocation{.target = sim.IdOf(peers[1])});
    sim.Run(absl::Milliseconds(20));
  }

  sim.SayFact(peers[5], Revocation{.target = sim.IdOf(peers[0])});

  EXPECT_TRUE(sim.RunUntil(
      [&] {
        return std::all_of(peers.begin() + 1, peers.end(),
                           [&](PeerIndex peer) { return IsRevoked(sim, peer, peers[0]); });
      },
      absl::Seconds(2)));
  for (size_t i = 1; i < peers.size(); ++i) EXPECT_FALSE(IsRevoked(sim, peers[i], peers[1]));
  EXPECT_GT(forged, 5000u);
  EXPECT_LT(verified, 11 * (256 + 20 * 4 + 100)) << "of " << forged;
}

}  // namespace
}  // namespace panal::sim
