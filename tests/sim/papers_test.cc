// What the design takes from papers, each claim as small as it can be checked. Others are checked
// where their code is tested: grep for the authors.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/graph.h"
#include "tests/sim/program/mesh.h"
#include "tests/sim/program/statistics.h"

namespace panal::sim {
namespace {

double Number(const Row& row, const std::string& name) {
  for (const auto& [key, value] : row.values()) {
    if (key != name) continue;
    const auto* whole = std::get_if<int64_t>(&value);
    return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value);
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

// BubbleStorm (Terpstra, Kangasharju, Leng, Buchmann, SIGCOMM 2007), the matching of bubbles: a
// query and a record whose bubbles have the product lambda * n miss each other with e^-lambda. Ours
// miss as often where n is large, and less in small meshes, whose bubbles have no repeats.
TEST(BubbleStormPaper, TwoBubblesMissEachOtherWithTheExponentialOfTheirProduct) {
  for (double recall : {0.63, 0.9}) {
    const Parameters parameters{.experiment = "recall",
                                .peers = 500,
                                .recalls = {recall},
                                .trials = 10'000,
                                .digests = false};

    const Row row = RunRecall(parameters).front();

    EXPECT_NEAR(Number(row, "promised_miss"), 1 - recall, 0.15 * (1 - recall)) << recall;
    EXPECT_LE(Number(row, "measured_miss"), Number(row, "promised_miss")) << recall;
    EXPECT_GE(Number(row, "measured_miss"), 0.5 * Number(row, "promised_miss")) << recall;
  }
}

// The same, abstract: the promise holds right after half of the peers crashed, since copies and
// peers get fewer alike, and after nine tenths left.
TEST(BubbleStormPaper, ThePromiseHoldsRightAfterHalfCrashedAndAfterNineTenthsLeft) {
  Parameters parameters{
      .experiment = "crash", .peers = 500, .recalls = {0.9}, .trials = 2500, .fail = 0.5};
  const Row crashed = RunCrash(parameters).front();
  parameters.experiment = "leave";
  parameters.fail = 0.9;
  const Row left = RunLeave(parameters).front();

  EXPECT_LE(Number(crashed, "measured_miss"), 1.2 * 0.1);
  EXPECT_LE(Number(left, "measured_miss"), 1.2 * 0.1);
}

// Plumtree (Leitao, Pereira, Rodrigues, SRDS 2007), Table 1: flooding over active views of five
// costs four payloads for each peer but the first, 39,984 at 10,000 peers, a redundancy of three;
// a bubble that asks everyone costs the same, and an answer for each.
TEST(PlumtreePaper, ABubbleForEveryoneCostsWhatEagerPushDoes) {
  const Parameters parameters{
      .experiment = "broadcast", .peers = 400, .fail = 0.1, .variant = "hyparview"};

  const Row row = RunBroadcast(parameters).front();

  EXPECT_EQ(Number(row, "bubble_reached"), 400);
  EXPECT_EQ(Number(row, "bubble_payload"), Number(row, "flood_messages"));
  EXPECT_NEAR(Number(row, "bubble_redundancy"), 3, 0.1);
  EXPECT_GE(Number(row, "bubble_control"), Number(row, "bubble_payload"));
}

// Lv, Cao, Cohen, Li, Shenker (ICS 2002), abstract: 32 random walkers find what is replicated with
// about two orders of magnitude fewer messages than flooding. Here a hundredth of the peers keep it.
TEST(LvPaper, WalkersNeedTwoOrdersFewerMessagesThanFlooding) {
  constexpr int kPeers = 1000;
  Mesh mesh({.experiment = "graph", .peers = kPeers}, LinksOnly(/*hyparview=*/false));
  mesh.Grow();
  mesh.sim().Run(absl::Minutes(2));
  const Graph graph = GraphOf(mesh.sim());
  const Walked flood = Flood(graph, 0, kPeers);
  ASSERT_EQ(flood.visited.size(), size_t{kPeers});
  Random random(7);
  constexpr int kQueries = 300;
  double messages = 0;
  for (int query = 0; query < kQueries; ++query) {
    std::vector<bool> keeps(kPeers, false);
    for (int copy = 0; copy < kPeers / 100; ++copy) keeps[random.Below(kPeers)] = true;
    const auto origin = static_cast<uint32_t>(random.Below(kPeers));
    for (int steps = 4;; steps += 4) {  // They ask the origin every fourth step whether to go on.
      Random walk(query);               // The same walks, longer.
      const Walked walked = Walk(graph, origin, 32, steps, walk);
      const bool found = std::any_of(walked.visited.begin(), walked.visited.end(),
                                     [&](uint32_t peer) { return keeps[peer]; });
      if (!found) continue;
      messages += static_cast<double>(walked.messages) / kQueries;
      break;
    }
  }
  std::printf("flooding %lu messages, walkers %.0f\n", flood.messages, messages);
  EXPECT_GE(static_cast<double>(flood.messages) / messages, 50);
}

// Stutzbach and Rejaie (IMC 2006), the fit of the Debian swarm's sessions: Weibull with shape 0.38
// and scale 42.4 minutes, whose mean is 163 minutes and whose median 16.
TEST(StutzbachPaper, SessionsHaveTheMeanAndTheMedianOfTheFit) {
  Random random(1);
  std::vector<double> minutes;
  double mean = 0;
  constexpr int kDraws = 400'000;
  for (int i = 0; i < kDraws; ++i) {
    minutes.push_back(WeibullOf(0.38, 42.4, random.Unit()));
    mean += minutes.back() / kDraws;
  }

  EXPECT_NEAR(mean, 42.4 * std::tgamma(1 + 1 / 0.38), 3);
  EXPECT_NEAR(mean, 163, 3);
  EXPECT_NEAR(Quantile(minutes, 0.5), 16, 0.5);
  EXPECT_DOUBLE_EQ(WeibullOf(1, 60, 1 - std::exp(-1)), 60);  // Exponential.
}

// Gia (Chawathe, Ratnasamy, Breslau, Lanham, Shenker, SIGCOMM 2003), Table 1: capacities over four
// orders of magnitude, of which links follow no more than a factor of eight.
TEST(GiaPaper, CapacitiesAreThoseOfItsTableAndLinksAreClamped) {
  constexpr int kPeers = 400;
  Mesh mesh({.experiment = "graph", .peers = kPeers, .mix = Mix::kGia},
            LinksOnly(/*hyparview=*/false));
  mesh.Grow();
  mesh.sim().Run(absl::Minutes(3));

  auto share = [&](double capacity) {
    return static_cast<double>(
               std::count(mesh.capacities().begin(), mesh.capacities().end(), capacity)) /
           kPeers;
  };
  EXPECT_NEAR(share(0.1), 0.2, 0.05);
  EXPECT_NEAR(share(1), 0.45, 0.06);
  EXPECT_NEAR(share(10), 0.3, 0.06);
  EXPECT_NEAR(share(100), 0.049, 0.03);
  for (PeerIndex peer = 0; peer < kPeers; ++peer) {
    const size_t links = mesh.sim().CoreOf(peer).ActiveView().size();
    const bool strong = mesh.capacities()[peer] >= 10;
    EXPECT_LE(links, strong ? 132u : 20u) << peer;
    EXPECT_GE(links, strong ? 90u : 12u) << peer;
  }
}

}  // namespace
}  // namespace panal::sim
