// The parts of panal-sim that say how good the mesh is: they must be right themselves.

#include "tests/sim/program/experiments.h"

#include <cstdio>
#include <fstream>
#include <numeric>
#include <string>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/sim/program/graph.h"
#include "tests/sim/program/mesh.h"
#include "tests/sim/program/report.h"
#include "tests/sim/program/statistics.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RateHigh, SaysSomethingWhereNothingWasMissed) {
  Random random(1);

  // Three and a bit in so many: the exact Poisson bound, -ln(0.025).
  EXPECT_NEAR(RateHigh({.records = 100, .queries = 100}, random), 3.689 / 10'000, 1e-6);
}

TEST(RateHigh, IsFarAboveTheRateWhereOneQueryMissedEverything) {
  Random random(1);
  Misses misses{.records = 100, .queries = 100};
  for (int record = 0; record < 100; ++record) misses.missed.push_back({record, 7});

  EXPECT_DOUBLE_EQ(misses.rate(), 0.01);
  // As if ten thousand pairs were one query of a hundred: three of them may be as bad.
  EXPECT_GE(RateHigh(misses, random), 0.03);
}

TEST(RateHigh, IsCloseToTheRateOfManyIndependentMisses) {
  Random random(1);
  Misses misses{.records = 300, .queries = 300};
  for (int i = 0; i < 2000; ++i) {
    misses.missed.push_back(
        {static_cast<int>(random.Below(300)), static_cast<int>(random.Below(300))});
  }

  EXPECT_LE(RateHigh(misses, random), 1.1 * misses.rate());
  EXPECT_GE(RateHigh(misses, random), 1.02 * misses.rate());
}

TEST(JainIndex, IsOneForEqualsAndOneOfNForOne) {
  EXPECT_DOUBLE_EQ(JainIndex({3, 3, 3}), 1);
  EXPECT_DOUBLE_EQ(JainIndex({0, 0, 5, 0}), 0.25);
}

TEST(Quantile, TakesTheNearestRank) {
  EXPECT_EQ(Quantile({4, 1, 3, 2, 5}, 0.5), 3);
  EXPECT_EQ(Quantile({4, 1, 3, 2, 5}, 1), 5);
}

Graph Ring(uint32_t size) {
  Graph graph;
  for (uint32_t i = 0; i < size; ++i) {
    graph.neighbors.push_back({(i + size - 1) % size, (i + 1) % size});
  }
  return graph;
}

TEST(Flood, PassesTheQueryOnButNotBack) {
  Walked walked = Flood(Ring(10), 0, 3);

  EXPECT_EQ(walked.visited.size(), 7u);
  EXPECT_EQ(walked.messages, 6u);
  EXPECT_EQ(walked.hops, 3);
}

TEST(Flood, EndsWhereEverybodyWasReached) {
  Walked walked = Flood(Ring(10), 0, 100);

  EXPECT_EQ(walked.visited.size(), 10u);
  // Five links away two waves meet, and each passes on once more.
  EXPECT_EQ(walked.messages, 11u);
  EXPECT_EQ(walked.hops, 5);
}

TEST(Walk, TakesAsManyStepsAsItIsTold) {
  Random random(3);

  Walked walked = Walk(Ring(1000), 0, 4, 50, random);

  EXPECT_EQ(walked.messages, 200u);
  EXPECT_LE(walked.visited.size(), 201u);
}

std::string WriteFile(const std::string& text) {
  std::string path = testing::TempDir() + "graph.txt";
  std::ofstream(path) << text;
  return path;
}

// The one peer of a mesh has nobody to walk to.
TEST(Walk, EndsWhereItBeganWithoutLinks) {
  Random random(3);

  Walked walked = Walk(Graph{.neighbors = {{}}}, 0, 32, 5, random);

  EXPECT_EQ(walked.messages, 0u);
  EXPECT_THAT(walked.visited, ElementsAre(0u));
}

TEST(Zipf, DrawsRanksByTheirPowerAndAllAlikeForZero) {
  Random random(1);
  std::vector<int> steep(4, 0), flat(4, 0);
  for (int i = 0; i < 25'000; ++i) {
    ++steep[Zipf(4, 1).Draw(random)];
    ++flat[Zipf(4, 0).Draw(random)];
  }

  // 1 + 1/2 + 1/3 + 1/4 = 25/12.
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_NEAR(steep[rank], 12'000 / (rank + 1), 300) << rank;
    EXPECT_NEAR(flat[rank], 6250, 300) << rank;
  }
}

TEST(SomeOf, LeavesOneUnlessAllAreAskedFor) {
  Mesh mesh({.experiment = "x", .peers = 3}, LinksOnly(false));
  mesh.Grow();

  EXPECT_EQ(SomeOf(mesh.sim(), 0.99).size(), 2u);
  EXPECT_EQ(SomeOf(mesh.sim(), 1).size(), 3u);
  EXPECT_EQ(SomeOf(mesh.sim(), 0).size(), 0u);
}

TEST(ReadGraph, KeepsTheLargestComponentAndNoRepeats) {
  auto graph = ReadGraph(WriteFile("6\n0\t1\n1\t0\n4\t5\n5\t3\n3\t4\n3\t3\n"));

  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(graph->neighbors,
              ElementsAre(ElementsAre(1, 2), ElementsAre(0, 2), ElementsAre(0, 1)));
}

TEST(ReadGraph, SaysWhatIsWrong) {
  EXPECT_THAT(ReadGraph(WriteFile("x")).status().message(), HasSubstr("number of nodes"));
  EXPECT_THAT(ReadGraph(WriteFile("2\n0 2\n")).status().message(), HasSubstr("edge 0 2"));
  EXPECT_THAT(ReadGraph(WriteFile("2\n0 1\n1 y\n")).status().message(), HasSubstr("no edge"));
}

TEST(Report, PrintsEachForm) {
  Row row;
  row.Add("peers", int64_t{3});
  row.Add("miss", 0.25);
  row.Add("mix", std::string("gia"));

  EXPECT_EQ(Print({row}, Format::kJson), "{\"peers\": 3, \"miss\": 0.25, \"mix\": \"gia\"}\n");
  EXPECT_EQ(Print({row, row}, Format::kCsv), "peers,miss,mix\n3,0.25,gia\n3,0.25,gia\n");
  EXPECT_THAT(Print({row}, Format::kTable), HasSubstr("miss             0.25"));
}

Value Get(const Row& row, const std::string& name) {
  for (const auto& [key, value] : row.values()) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no " << name;
  return int64_t{0};
}

TEST(RunRecall, IsTheSameForTheSameSeedOnly) {
  Parameters parameters{
      .experiment = "recall", .peers = 60, .seed = 5, .recalls = {0.98}, .trials = 100};
  std::string first = std::get<std::string>(Get(RunRecall(parameters).front(), "trace_hash"));

  EXPECT_EQ(std::get<std::string>(Get(RunRecall(parameters).front(), "trace_hash")), first);
  parameters.seed = 6;
  EXPECT_NE(std::get<std::string>(Get(RunRecall(parameters).front(), "trace_hash")), first);
}

TEST(RunRecall, FindsEverythingWhereEverybodyIsAsked) {
  Parameters parameters{
      .experiment = "recall", .peers = 30, .recalls = {0.63, 0.9999}, .trials = 400};

  for (const Row& row : RunRecall(parameters)) {
    EXPECT_EQ(std::get<double>(Get(row, "promised_miss")), 0);
    EXPECT_EQ(std::get<double>(Get(row, "measured_miss")), 0);
  }
}

TEST(RunRecall, KeepsThePromiseInEveryMix) {
  for (Mix mix : {Mix::kHomogeneous, Mix::kBubbleStorm, Mix::kGia}) {
    Parameters parameters{.experiment = "recall",
                          .peers = 200,
                          .recalls = {0.63, 0.98},
                          .trials = 10'000,
                          .mix = mix};

    for (const Row& row : RunRecall(parameters)) {
      EXPECT_LE(std::get<double>(Get(row, "measured_miss_high")),
                1.2 * std::get<double>(Get(row, "promised_miss")));
      EXPECT_EQ(std::get<double>(Get(row, "complete")), 1);
    }
  }
}

TEST(RunRecall, KeepsThePromiseOfEveryRankOfZipf) {
  Parameters parameters{.experiment = "recall",
                        .peers = 100,
                        .recalls = {0.9},
                        .trials = 2500,
                        .zipf = 1,
                        .digests = false};

  const Row row = RunRecall(parameters).front();

  // The popular are published by several, so that fewer of them are missed.
  EXPECT_EQ(std::get<int64_t>(Get(row, "pairs")), 2500);
  EXPECT_LE(std::get<double>(Get(row, "measured_miss_high")),
            std::get<double>(Get(row, "promised_miss")));
}

double Frames(const Row& row) {
  return std::get<double>(Get(row, "messages_per_query")) +
         std::get<double>(Get(row, "contacts_per_query"));
}

// What is rare costs a third; what no digest can answer, or what most peers have, no more than
// without. And nothing misses more than it says.
TEST(RunClasses, DigestsKeepThePromiseAndSaveFramesWhereTheyCan) {
  for (Mix mix : {Mix::kHomogeneous, Mix::kBubbleStorm, Mix::kGia}) {
    Parameters parameters{
        .experiment = "classes", .peers = 300, .recalls = {0.98}, .trials = 1000, .mix = mix};
    const std::vector<Row> with = RunClasses(parameters);
    parameters.digests = false;
    const std::vector<Row> without = RunClasses(parameters);

    ASSERT_EQ(with.size(), 4u);
    for (size_t i = 0; i < with.size(); ++i) {
      const std::string name = std::get<std::string>(Get(with[i], "class"));
      SCOPED_TRACE(name);
      EXPECT_LE(std::get<double>(Get(with[i], "measured_miss_high")),
                2 * (1 - parameters.recalls.front()));  // Wide: the pairs are few.
      EXPECT_EQ(std::get<double>(Get(with[i], "complete")), 1);
      const bool saves = name == "rare" || name == "tenth";
      EXPECT_LE(Frames(with[i]), (saves ? 0.5 : 1.1) * Frames(without[i]));
      EXPECT_EQ(std::get<double>(Get(without[i], "contacts_per_query")), 0);
    }
  }
}

// A tenth of the peers ask for a thousand times as much as they were asked: each brings about a few
// dozen casts, not thousands.
TEST(RunHostile, AmplifiersAddLittleAndCostNoRecall) {
  Parameters parameters{.experiment = "hostile",
                        .peers = 300,
                        .recalls = {0.9999},
                        .trials = 900,
                        .fail = 0,
                        .variant = "amplify"};
  const Row honest = RunHostile(parameters).front();
  parameters.fail = 0.1;

  const Row row = RunHostile(parameters).front();

  EXPECT_LE(std::get<double>(Get(row, "messages_per_query")),
            5 * std::get<double>(Get(honest, "messages_per_query")));
  EXPECT_GE(std::get<double>(Get(row, "complete")), 0.9);
  EXPECT_LE(std::get<double>(Get(row, "measured_miss")), 0.002);
}

// A tenth of the peers answer nothing, or late: a search takes three times as long, not all of its
// time.
TEST(RunHostile, SilentAndLatePeersCostLittleTime) {
  Parameters parameters{.experiment = "hostile",
                        .peers = 600,
                        .recalls = {0.9999},
                        .trials = 1600,
                        .fail = 0,
                        .variant = "drop"};
  const double honest = std::get<double>(Get(RunHostile(parameters).front(), "latency_ms"));
  parameters.fail = 0.1;
  for (const char* variant : {"drop", "late"}) {
    parameters.variant = variant;

    const Row row = RunHostile(parameters).front();

    EXPECT_LE(std::get<double>(Get(row, "latency_ms")), 3 * honest) << variant;
    EXPECT_EQ(std::get<double>(Get(row, "complete")), 1) << variant;
  }
}

Row RunVariant(const std::string& variant, double fail) {
  return RunHostile({.experiment = "hostile",
                     .peers = 100,
                     .recalls = {0.99},
                     .trials = 900,
                     .fail = fail,
                     .variant = variant})
      .front();
}

// A fifth of the peers claim to have asked everybody and keep what was found to themselves. Neighbors
// that find more find them out: half as much is missed.
TEST(RunHostile, WhoLiesAboutCountsIsFoundOut) {
  const Row row = RunHostile({.experiment = "hostile",
                              .peers = 300,
                              .recalls = {0.99},
                              .trials = 2500,
                              .fail = 0.2,
                              .variant = "counts",
                              .use_minutes = 7})
                      .front();

  EXPECT_LE(std::get<double>(Get(row, "measured_miss")), 0.022);
  EXPECT_EQ(std::get<double>(Get(row, "complete")), 1);
}

// Whoever resends all it ever sent, one second and half a minute later, costs frames, no recall.
TEST(RunHostile, ReplayedFramesCostNoRecall) {
  const Row row = RunVariant("replay", 0.1);

  EXPECT_LE(std::get<double>(Get(row, "measured_miss")), 0.01);
  EXPECT_EQ(std::get<double>(Get(row, "complete")), 1);
  EXPECT_LE(std::get<double>(Get(row, "size_error")), 0.15);
}

// Who passes on expired, older and forged pages, and answers with what was: something is found of
// every record, now and then in its old version, and only there.
TEST(RunHostile, StalePagesCostNoRecall) {
  // Those that the later bubble did not visit keep the older version until it expires.
  EXPECT_LE(std::get<double>(Get(RunVariant("stale", 0), "stale")), 0.01);

  const Row row = RunVariant("stale", 0.1);

  EXPECT_LE(std::get<double>(Get(row, "measured_miss")), 0.01);
  EXPECT_GT(std::get<double>(Get(row, "stale")), 0.01);
  EXPECT_LE(std::get<double>(Get(row, "stale")), 0.2);
}

// A claim of eight times the capacity draws eight times the links and queries, and no more.
TEST(RunHostile, AFalseCapacityDrawsItsShareOfLinksAndQueries) {
  const Row row = RunVariant("capacity", 0.1);

  const double hostile = std::get<double>(Get(row, "hostile"));
  const double most = 8 * hostile / (8 * hostile + 1 - hostile);
  EXPECT_LE(std::get<double>(Get(row, "hostile_links")), most + 0.02);
  EXPECT_GE(std::get<double>(Get(row, "hostile_links")), 2 * hostile);
  EXPECT_LE(std::get<double>(Get(row, "hostile_queries")), most + 0.1);
  EXPECT_LE(std::get<double>(Get(row, "measured_miss")), 0.01);
}

// More bubbles, walks or shuffles than a neighbor takes: the mesh stands, and finds what it did.
TEST(RunHostile, FloodsCostNoRecall) {
  for (const char* variant : {"flood", "joins", "shuffles"}) {
    SCOPED_TRACE(variant);
    const Row row = RunHostile({.experiment = "hostile",
                                .peers = 150,
                                .recalls = {0.99},
                                .trials = 400,
                                .fail = 0.1,
                                .variant = variant})
                        .front();

    EXPECT_LE(std::get<double>(Get(row, "measured_miss")), 0.01);
    EXPECT_EQ(std::get<double>(Get(row, "complete")), 1);
    EXPECT_LE(std::get<double>(Get(row, "size_error")), 0.05);
  }
}

TEST(RunBaseline, SaysWhatIsWrongWithAGraph) {
  Parameters parameters{.experiment = "baseline", .graph = WriteFile("x")};

  EXPECT_THAT(RunBaseline(parameters).status().message(), HasSubstr("number of nodes"));
}

TEST(RunBaseline, ReadsAGraphAndNamesItPlainly) {
  Parameters parameters{.experiment = "baseline", .recalls = {0.9}, .trials = 100};
  parameters.graph = WriteFile("4\n0 1\n1 2\n2 0\n");

  const auto rows = RunBaseline(parameters);

  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 6u);  // Three ways, with one copy and with as many as Panal makes.
  for (const Row& row : *rows) {
    EXPECT_EQ(std::get<int64_t>(Get(row, "peers")), 3);
    EXPECT_EQ(std::get<std::string>(Get(row, "graph")), "graph.txt");
    EXPECT_LE(std::get<double>(Get(row, "measured_miss")), 0.1);
  }
}

// One in fifty frames lost, one in fifty doubled, all of them out of turn.
TEST(Faults, OfLinksCostTimeButNotRecall) {
  SimulationOptions options;
  options.loss = 0.02;
  options.duplication = 0.02;
  options.reorder_max = absl::Milliseconds(50);
  Mesh mesh({.experiment = "faults", .peers = 150}, options);
  mesh.Grow();
  ASSERT_TRUE(mesh.Settle());
  mesh.PublishRecords(60);

  Searched searched = mesh.SearchAll(60, 0.98);

  EXPECT_LE(searched.misses.rate(), 1.2 * 0.02);
  EXPECT_GE(searched.complete, 0.9);
  mesh.sim().CheckInvariants();
}

// HyParView, section 5.2, Figure 2: no visible loss of reliability up to 80 % of failures.
// Section 5.4, Figure 4: 1 cycle heals up to 60 % of failures, 2 heal 80 %, 4 heal 90 %. Table 1:
// next to no clustering, a few hops. The paper has 10,000 peers; `panal-sim broadcast` does them.
TEST(RunBroadcast, HealsInAsFewCyclesAsThePaperWithItsParameters) {
  for (auto [fail, cycles] : {std::pair(0.5, 1), std::pair(0.8, 2), std::pair(0.9, 4)}) {
    Parameters parameters{
        .experiment = "broadcast", .peers = 1000, .fail = fail, .variant = "hyparview"};

    Row row = RunBroadcast(parameters).front();

    EXPECT_LE(std::get<int64_t>(Get(row, "healing_cycles")), cycles) << fail;
    EXPECT_EQ(std::get<double>(Get(row, "reliability_healed")), 1) << fail;
    EXPECT_GE(std::get<double>(Get(row, "reliability")), 0.95) << fail;
    EXPECT_LE(std::get<double>(Get(row, "clustering")), 0.02);
    EXPECT_LE(std::get<int64_t>(Get(row, "path_max")), 9);
  }
}

TEST(RunBroadcast, HealsInOneCycleWithPanalsParameters) {
  Parameters parameters{.experiment = "broadcast", .peers = 200, .fail = 0.8};

  Row row = RunBroadcast(parameters).front();

  EXPECT_LE(std::get<int64_t>(Get(row, "healing_cycles")), 1);
  EXPECT_GE(std::get<double>(Get(row, "reliability")), 0.99);
}

}  // namespace
}  // namespace panal::sim
