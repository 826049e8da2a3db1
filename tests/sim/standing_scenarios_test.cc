// Scenarios of standing queries over whole peers. Every number of seconds is virtual time.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/measured_mesh.h"
#include "tests/sim/replay.h"
#include "tests/sim/simulator.h"
#include "tests/sim/subscriptions.h"

namespace panal::sim {
namespace {

using Times = std::map<std::string, absl::Time>;

// `count` files `<prefix><i> common`, one every `spacing`, at random publishers. Returns when.
Times PublishLater(Simulation& sim, absl::string_view prefix, int count, absl::Duration spacing) {
  Times published;
  for (int i = 0; i < count; ++i) {
    const std::string name = absl::StrCat(prefix, i, " common");
    published[name] = sim.now();
    sim.Publish(sim.RandomLive(), {FileRecord(name)});
    sim.Run(spacing);
  }
  return published;
}

// How many of the files were told within the time of a spread and the way back, not by a later
// round.
int ToldAtOnce(const Subscribed& subscribed, const Times& published) {
  return static_cast<int>(std::count_if(published.begin(), published.end(), [&](const auto& entry) {
    auto told = subscribed.told.find(entry.first);
    return told != subscribed.told.end() && told->second - entry.second < absl::Seconds(5);
  }));
}

// Files of `prefix` that were told to `subscribed`.
int Told(const Subscribed& subscribed, absl::string_view prefix) {
  return static_cast<int>(
      std::count_if(subscribed.told.begin(), subscribed.told.end(), [&](const auto& entry) {
        return entry.first.compare(0, prefix.size(), prefix.data(), prefix.size()) == 0;
      }));
}

void ExpectOnce(const Subscribed& subscribed) {
  for (const auto& [name, times] : subscribed.told_times) EXPECT_EQ(times, 1) << name;
}

TEST(StandingScenario, FivePeersTellWhatComesOnceAndNotWhatWasThere) {
  Subscriptions subscriptions;
  Simulation sim(subscriptions.Watch({.seed = 61}));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 5);
  PublishLater(sim, "old", 10, absl::Seconds(1));
  const uint64_t request = subscriptions.Begin(sim, peers[2], "common");
  ASSERT_TRUE(subscriptions.Settle(sim));

  PublishLater(sim, "new", 10, absl::Seconds(1));
  sim.Publish(peers[1], {FileRecord("something else")});
  sim.Run(absl::Minutes(3));

  const Subscribed& told = subscriptions.Of(request);
  EXPECT_EQ(Told(told, "new"), 10);
  EXPECT_EQ(Told(told, "old"), 0);
  EXPECT_EQ(told.hits.size(), 10u);
  EXPECT_GE(told.rounds.size(), 3u);
  EXPECT_EQ(told.rounds.back().peers_reached, 5u);
  EXPECT_TRUE(told.rounds.back().complete);
  sim.CheckInvariants();
}

// The mesh is not saturated: a page goes to some 50 peers of 200, the query to some 20.
TEST(StandingScenario, TwoHundredPeersTellWhatComesExactlyOnce) {
  Subscriptions subscriptions;
  Simulation sim(subscriptions.Watch({.seed = 62}));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 200);
  PublishLater(sim, "old", 20, absl::Milliseconds(200));
  const uint64_t request = subscriptions.Begin(sim, peers[17], "common");
  ASSERT_TRUE(subscriptions.Settle(sim));

  const Times published = PublishLater(sim, "new", 60, absl::Seconds(5));
  sim.Run(absl::Minutes(3));

  const Subscribed& told = subscriptions.Of(request);
  EXPECT_GE(ToldAtOnce(told, published), 58);
  EXPECT_EQ(Told(told, "new"), 60);
  EXPECT_EQ(Told(told, "old"), 0);
  ExpectOnce(told);
  for (const SearchSummary& round : told.rounds) EXPECT_LT(round.peers_reached, 100u);
  sim.CheckInvariants();
}

TEST(StandingScenario, AChangedRecordIsToldInItsNewVersion) {
  Subscriptions subscriptions;
  Simulation sim(subscriptions.Watch({.seed = 63}));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 60);
  Record record = FileRecord("report common");
  record.version = 1;
  const std::vector<uint32_t> numbers = sim.Publish(peers[3], {record});
  sim.Run(absl::Seconds(5));
  const uint64_t request = subscriptions.Begin(sim, peers[17], "common");
  ASSERT_TRUE(subscriptions.Settle(sim));

  Record other = FileRecord("another common");
  other.version = 2;
  sim.Republish(peers[3], numbers[0], {record, other});
  sim.Run(absl::Seconds(70));
  EXPECT_EQ(subscriptions.Of(request).told_times,
            (std::map<std::string, int>{{"another common", 1}}));

  record.version = 3;
  record.size_bytes = 7;
  sim.Republish(peers[3], numbers[0], {record, other});
  sim.Run(absl::Seconds(70));
  EXPECT_EQ(subscriptions.Of(request).told_times,
            (std::map<std::string, int>{{"another common", 1}, {"report common", 1}}));
  EXPECT_EQ(subscriptions.Of(request).hits.back().record.version, 3u);
}

TEST(StandingScenario, NeighborsOfTheSubscriberCrashAndNothingIsLost) {
  Subscriptions subscriptions;
  Simulation sim(subscriptions.Watch({.seed = 64}));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 200);
  const uint64_t request = subscriptions.Begin(sim, peers[17], "common");
  ASSERT_TRUE(subscriptions.Settle(sim));

  const std::vector<PeerIndex> neighbors = sim.LinksOf(peers[17]);
  for (size_t i = 0; i < neighbors.size(); i += 2) sim.Crash(neighbors[i]);
  PublishLater(sim, "new", 40, absl::Seconds(2));
  sim.Run(absl::Minutes(3));

  const Subscribed& told = subscriptions.Of(request);
  EXPECT_EQ(Told(told, "new"), 40);
  ExpectOnce(told);
  sim.CheckInvariants();
}

TEST(StandingScenario, KeepersCrashAndLeaveAndNothingIsLost) {
  Subscriptions subscriptions;
  Simulation sim(subscriptions.Watch({.seed = 65}));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 200);
  const uint64_t request = subscriptions.Begin(sim, peers[17], "common");
  ASSERT_TRUE(subscriptions.Settle(sim));

  for (int i = 0; i < 40; ++i) {
    sim.Publish(sim.RandomLive(), {FileRecord(absl::StrCat("new", i, " common"))});
    sim.Run(absl::Seconds(3));
    PeerIndex victim = sim.RandomLive();
    if (victim == peers[17]) continue;
    if (i % 2 == 0) {
      sim.Crash(victim);
    } else {
      sim.Leave(victim);
    }
  }
  sim.Run(absl::Minutes(3));

  const Subscribed& told = subscriptions.Of(request);
  EXPECT_EQ(Told(told, "new"), 40);
  ExpectOnce(told);
  sim.CheckInvariants();
}

TEST(StandingScenario, WhatCameOnTheOtherSideOfAPartitionIsToldOnceItHeals) {
  Subscriptions subscriptions;
  Simulation sim(subscriptions.Watch({.seed = 66}));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 120);
  const uint64_t request = subscriptions.Begin(sim, peers[7], "common");
  ASSERT_TRUE(subscriptions.Settle(sim));

  sim.Partition({peers.begin() + 60, peers.end()});
  sim.Run(absl::Minutes(1));
  for (int i = 0; i < 10; ++i) {
    sim.Publish(peers[60 + i], {FileRecord(absl::StrCat("new", i, " common"))});
  }
  sim.Run(absl::Minutes(4));
  EXPECT_EQ(Told(subscriptions.Of(request), "new"), 0);
  sim.Heal();

  EXPECT_TRUE(sim.RunUntil([&] { return Told(subscriptions.Of(request), "new") == 10; },
                           absl::Minutes(15)));
  ExpectOnce(subscriptions.Of(request));
}

TEST(StandingScenario, ACancelledSubscriptionCostsNothingAfterItsLease) {
  Subscriptions subscriptions;
  Simulation sim(subscriptions.Watch({.seed = 67}));
  SCOPED_TRACE(ReplayLine(sim));
  const std::vector<PeerIndex> peers = MakeMesh(sim, 60);
  const uint64_t request = subscriptions.Begin(sim, peers[7], "common");
  ASSERT_TRUE(subscriptions.Settle(sim));

  subscriptions.Cancel(sim, request);
  sim.Run(absl::Minutes(2));
  const uint64_t evaluated = sim.QueriesEvaluated();
  PublishLater(sim, "new", 10, absl::Seconds(10));

  EXPECT_EQ(sim.QueriesEvaluated(), evaluated);
  EXPECT_TRUE(subscriptions.Of(request).hits.empty());
  EXPECT_EQ(sim.traffic().by_kind.count("standing_hits"), 0u);
}

}  // namespace
}  // namespace panal::sim
