// Properties of bubbles over random meshes, checked against an observer who sees every evaluation.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "tests/unit/processing/search/search_mesh.h"

namespace panal {
namespace {

SearchOptions Unsaturated() { return {.saturated_factor = 0}; }

// Number of peers of a random mesh: 5 to 300, small ones more often.
int MeshSizeFor(uint64_t seed) {
  Random random(seed);
  return 5 + static_cast<int>(random.Below(1 + random.Below(296)));
}

// Searches of many meshes without loss, and what they counted against what was evaluated.
void CountPeers(double late_factor, const std::function<void(uint64_t, size_t)>& check) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    SearchOptions options;
    if (seed % 2 == 1) options = Unsaturated();
    options.late_factor = late_factor;
    SearchMesh mesh(seed, options);
    mesh.AddPeers(MeshSizeFor(seed));
    if (seed % 3 == 0) {
      mesh.LinkRandomly(mesh.size());
    } else {
      mesh.LinkRings(8);
    }
    mesh.Start();
    // A mesh thought to be larger is never done early: every answer is waited for.
    MeshEstimate estimate = mesh.TrueEstimate();
    estimate.peers *= 4;
    estimate.degree_sum *= 4;
    estimate.degree_square_sum *= 4;
    mesh.TellEstimate(estimate);

    const uint64_t request = mesh.Search(0, "q", seed % 5 == 0 ? 1.0 : 0.999999);
    mesh.RunUntilQuiet(absl::Seconds(30));

    const SearchMesh::Result& result = mesh.ResultOf(request);
    EXPECT_EQ(result.times_done, 1);
    check(result.summary.peers_reached, mesh.Evaluated("q").size());
    EXPECT_EQ(static_cast<size_t>(mesh.Evaluations("q")), mesh.Evaluated("q").size());
    mesh.CheckInvariants();
  }
}

TEST(SearchMesh, CountsExactlyThePeersThatEvaluated) {
  CountPeers(0, [](uint64_t counted, size_t evaluated) { EXPECT_EQ(counted, evaluated); });
}

// A range that two neighbors were given may reach more peers than it has positions: they do not all
// count, and none counts twice.
TEST(SearchMesh, CountsNoMoreThanThosePeersWhereRangesAreCastTwice) {
  uint64_t counted_all = 0;
  size_t evaluated_all = 0;
  CountPeers(SearchOptions{}.late_factor, [&](uint64_t counted, size_t evaluated) {
    EXPECT_LE(counted, evaluated);
    counted_all += counted;
    evaluated_all += evaluated;
  });
  EXPECT_LE(counted_all, evaluated_all);
  EXPECT_GE(100 * counted_all, 99 * evaluated_all);
}

TEST(SearchMesh, EverySearchWithoutLossIsComplete) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    SearchMesh mesh(seed, {});
    mesh.AddPeers(MeshSizeFor(seed));
    mesh.LinkRings(seed % 3 == 0 ? 6 : 16);
    mesh.Start();

    const uint64_t request = mesh.Search(0, "q", 0.99);
    mesh.RunUntilQuiet(absl::Seconds(30));

    const SearchMesh::Result& result = mesh.ResultOf(request);
    EXPECT_TRUE(result.summary.complete);
    EXPECT_EQ(result.summary.cut_short, CutShort::kNothing);
    EXPECT_LE(result.summary.peers_reached, mesh.Evaluated("q").size());
    mesh.CheckInvariants();
  }
}

TEST(SearchMesh, NoLossMeansOneRoundMostly) {
  SearchMesh mesh(3, {});
  mesh.AddPeers(200);
  mesh.LinkRings(16);
  mesh.Start();

  const uint64_t request = mesh.Search(0, "q", 0.99);
  mesh.RunUntilQuiet(absl::Seconds(30));

  const uint32_t wanted = mesh.core(0).QueryBubbleSize(0.99);
  EXPECT_GE(mesh.ResultOf(request).summary.peers_reached, wanted);
  EXPECT_LE(mesh.ResultOf(request).summary.peers_reached, wanted + 3);
  EXPECT_LE(mesh.frames("cast"), 2 * wanted);
}

TEST(SearchMesh, RecallOfOneAsksEverybody) {
  SearchMesh mesh(4, {});
  mesh.AddPeers(150);
  mesh.LinkRings(8);
  mesh.Start();

  const uint64_t request = mesh.Search(7, "q", 1.0);
  mesh.RunUntilQuiet(absl::Seconds(30));

  EXPECT_EQ(mesh.Evaluated("q").size(), 150u);
  EXPECT_EQ(mesh.ResultOf(request).summary.recall, 1.0);
  EXPECT_EQ(mesh.ResultOf(request).summary.mesh_size, 150u);
  // One cast in either direction of a link, but on the links of the tree.
  EXPECT_LE(mesh.frames("cast"), 2u * 4u * 150u);
}

TEST(SearchMesh, SmallMeshesAreAskedWholeThroughRangesToo) {
  for (int peers : {5, 20}) {
    SCOPED_TRACE(peers);
    SearchMesh mesh(9, Unsaturated());
    mesh.AddPeers(peers);
    mesh.LinkRings(16);
    mesh.Start();
    const PagePtr page = MakePage(PeerIdOf(1), 1, 1, {"report"});
    mesh.Publish(1, page);
    mesh.Run(absl::Seconds(40));
    ASSERT_EQ(mesh.spreads(1).size(), 1u);
    EXPECT_GE(mesh.spreads(1)[0].copies, mesh.spreads(1)[0].target);
    EXPECT_EQ(mesh.Holders(page->header.key).size(), mesh.spreads(1)[0].copies);

    const uint64_t request = mesh.Search(4, "report", 0.99);
    mesh.Run(absl::Seconds(11));

    const SearchMesh::Result& result = mesh.ResultOf(request);
    EXPECT_TRUE(result.summary.complete);
    EXPECT_EQ(result.hits.size(), 1u);
    EXPECT_EQ(result.summary.peers_reached, mesh.Evaluated("report").size());
  }
}

// Positions that a search cast beyond its first round, on average, when a fifth of the peers is
// dead and nobody knows it yet. With range_tries_max = 1 no range is sent again.
double FurtherPositions(int tries) {
  double further = 0;
  constexpr int kSearches = 30;
  for (uint64_t seed = 1; seed <= kSearches; ++seed) {
    SearchOptions options;
    options.range_tries_max = tries;
    SearchMesh mesh(seed, options);
    mesh.AddPeers(600);
    mesh.LinkRings(16);
    mesh.Start();
    const uint32_t first = mesh.core(0).QueryBubbleSize(0.9999);
    uint32_t end = first;
    mesh.on_frame = [&end](int, int, const Frame& frame) {
      if (auto* cast = std::get_if<Cast>(&frame)) end = std::max(end, cast->end);
    };
    for (int i = 1; i <= 120; ++i) mesh.Crash(i * 5 - 1, absl::Seconds(60));

    const uint64_t request = mesh.Search(0, "q", 0.9999);
    mesh.RunUntilQuiet(absl::Seconds(30));

    const SearchMesh::Result& result = mesh.ResultOf(request);
    EXPECT_GE(result.summary.recall, 0.999) << seed;
    EXPECT_LE(result.summary.peers_reached, mesh.Evaluated("q").size());
    further += static_cast<double>(end - first) / kSearches;
    mesh.CheckInvariants();
  }
  return further;
}

TEST(SearchMesh, RangesOfSilentPeersAreSentElsewhere) {
  const double with = FurtherPositions(4);
  const double without = FurtherPositions(1);

  std::printf("further positions: %.1f with, %.1f without sending again\n", with, without);
  EXPECT_LE(with, 15);
  // The test measures the rule: without it whole subtrees are missing after the first round.
  EXPECT_GE(without, 2 * with + 10);
}

TEST(SearchMesh, CrashesInMidBubbleNeverCountTooMany) {
  int complete = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    SearchMesh mesh(seed, seed % 2 == 0 ? SearchOptions{} : Unsaturated());
    mesh.AddPeers(20 + MeshSizeFor(seed));
    mesh.LinkRings(12);
    mesh.Start();

    const uint64_t request = mesh.Search(0, "q", seed % 7 == 0 ? 1.0 : 0.999);
    for (int i = 0; i < mesh.size() / 5; ++i) {
      mesh.Run(absl::Milliseconds(1));
      const int victim = 1 + static_cast<int>(mesh.random().Below(mesh.size() - 1));
      if (mesh.alive(victim)) mesh.Crash(victim, absl::Milliseconds(20));
    }
    mesh.RunUntilQuiet(absl::Seconds(60));

    const SearchMesh::Result& result = mesh.ResultOf(request);
    EXPECT_EQ(result.times_done, 1);
    EXPECT_LE(result.summary.peers_reached, mesh.Evaluated("q").size());
    complete += result.summary.complete ? 1 : 0;
    mesh.CheckInvariants();
  }
  EXPECT_GE(complete, 50);
}

TEST(SearchMesh, BrokenLinksLoseNoAnswers) {
  int complete = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    SearchMesh mesh(seed, {});
    mesh.AddPeers(120);
    mesh.LinkRings(12);
    mesh.Start();

    const uint64_t request = mesh.Search(0, "q", 0.999);
    for (int i = 0; i < 100; ++i) {
      mesh.Run(absl::Microseconds(500));
      mesh.BreakLink(static_cast<int>(mesh.random().Below(120)),
                     static_cast<int>(mesh.random().Below(120)));
    }
    mesh.RunUntilQuiet(absl::Seconds(60));

    const SearchMesh::Result& result = mesh.ResultOf(request);
    EXPECT_LE(result.summary.peers_reached, mesh.Evaluated("q").size());
    EXPECT_EQ(static_cast<size_t>(mesh.Evaluations("q")), mesh.Evaluated("q").size());
    complete += result.summary.complete ? 1 : 0;
    mesh.CheckInvariants();
  }
  EXPECT_GE(complete, 58);
}

TEST(SearchMesh, ACrashInASaturatedMeshIsAskedAroundAgain) {
  int exact = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SearchMesh mesh(seed, {});
    mesh.AddPeers(30);
    mesh.LinkRings(12);
    mesh.Start();

    const uint64_t request = mesh.Search(0, "q", 1.0);
    mesh.Run(absl::Milliseconds(8));
    mesh.Crash(1 + static_cast<int>(seed % 29), absl::Milliseconds(100));
    mesh.RunUntilQuiet(absl::Seconds(30));

    const SearchMesh::Result& result = mesh.ResultOf(request);
    EXPECT_TRUE(result.done);
    if (result.summary.recall == 1.0) {
      ++exact;
      EXPECT_GE(mesh.Evaluated("q").size(), 29u);
    }
  }
  EXPECT_EQ(exact, 40);
}

TEST(SearchMesh, TheSummaryIsHonestWhenTimeRunsOut) {
  SearchMesh mesh(5, {});
  mesh.AddPeers(200);
  mesh.LinkRings(16);
  mesh.Start();
  for (int i = 1; i < 190; ++i) mesh.Mute(i);
  const absl::Time start = mesh.now();

  const uint64_t request = mesh.Search(0, "q", 0.99, absl::Seconds(2));
  mesh.RunUntilQuiet(absl::Seconds(30));

  const SearchMesh::Result& result = mesh.ResultOf(request);
  EXPECT_LE(result.finished - start, absl::Milliseconds(2001));
  EXPECT_FALSE(result.summary.complete);
  EXPECT_LT(result.summary.recall, 0.99);
  EXPECT_NE(result.summary.cut_short, CutShort::kNothing);
  EXPECT_LE(result.summary.peers_reached, mesh.Evaluated("q").size());
  EXPECT_EQ(result.summary.mesh_size, 200u);
  mesh.CheckInvariants();
}

TEST(SearchMesh, SameSeedSameFrames) {
  auto run = [] {
    SearchMesh mesh(77, {});
    uint64_t hash = 0;
    mesh.on_frame = [&hash](int from, int to, const Frame& frame) {
      hash = Mix64(hash ^ static_cast<uint64_t>(from * 1000 + to) ^ (frame.index() << 40));
    };
    mesh.AddPeers(100);
    mesh.LinkRings(12);
    mesh.Start();
    mesh.Publish(3, MakePage(PeerIdOf(3), 1, 1, {"a"}));
    mesh.Search(0, "a", 0.999);
    for (int i = 20; i < 30; ++i) mesh.Crash(i, absl::Milliseconds(15));
    mesh.Run(absl::Seconds(60));
    return hash;
  };

  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace panal
