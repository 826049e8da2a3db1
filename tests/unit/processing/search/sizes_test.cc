#include "server/processing/search/sizes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/base/random.h"

namespace panal {
namespace {

MeshEstimate Regular(double peers, double degree) {
  return {.peers = peers,
          .degree_sum = peers * degree,
          .degree_square_sum = peers * degree * degree,
          .measured = true};
}

// Share of bubbles of `reached` distinct peers that miss `copies` distinct keepers, both drawn with
// probability proportional to degree.
double MissByMonteCarlo(const std::vector<double>& degrees, int copies, int reached, int trials) {
  Random random(11);
  const int n = static_cast<int>(degrees.size());
  // Successive sampling: the `k` smallest of exponential(degree).
  auto draw = [&](int k) {
    std::vector<std::pair<double, int>> keys(n);
    for (int i = 0; i < n; ++i) keys[i] = {-std::log(1 - random.Unit()) / degrees[i], i};
    std::nth_element(keys.begin(), keys.begin() + k - 1, keys.end());
    std::vector<bool> chosen(n);
    for (int i = 0; i < k; ++i) chosen[keys[i].second] = true;
    return chosen;
  };
  int misses = 0;
  for (int trial = 0; trial < trials; ++trial) {
    const std::vector<bool> page = draw(copies);
    const std::vector<bool> query = draw(reached);
    bool met = false;
    for (int i = 0; i < n && !met; ++i) met = page[i] && query[i];
    misses += met ? 0 : 1;
  }
  return static_cast<double>(misses) / trials;
}

TEST(MeshShape, RegularMeshWeighsEveryPeerTheSame) {
  const MeshShape shape = ShapeOf(Regular(1000, 16));

  EXPECT_DOUBLE_EQ(shape.mass, 1000);
  EXPECT_NEAR(shape.compensator, 16.0 / 14.0, 1e-12);
}

TEST(MeshShape, UnequalDegreesMakeTheMeshLookSmaller) {
  const MeshShape shape = ShapeOf({100, 7200, 832000, true});

  EXPECT_NEAR(shape.mass, 62.3, 0.1);
}

TEST(MeshShape, TinyMeshesStayFinite) {
  for (double degree : {0.0, 1.0, 2.0, 3.0}) {
    const MeshShape shape = ShapeOf(Regular(degree + 1, degree));
    EXPECT_GE(shape.compensator, 1);
    EXPECT_LE(shape.compensator, kCompensatorMax);
    EXPECT_GE(shape.mass, 1);
    EXPECT_LE(shape.mass, shape.peers);
  }
}

TEST(MeshShape, NonsenseIsAMeshOfOne) {
  EXPECT_EQ(ShapeOf({std::nan(""), std::nan(""), -1, true}).peers, 1);
  EXPECT_EQ(ShapeOf({-5, 0, 0, false}).peers, 1);
}

// The table of docs/protocol/bubbles.md.
TEST(Sizes, FollowTheTable) {
  struct Row {
    double peers;
    uint32_t copies, q99, q9999;
  };

  for (const Row& row : {Row{64, 28, 11, 21}, Row{100, 35, 14, 26}, Row{1000, 110, 47, 92},
                         Row{10'000, 347, 151, 299}, Row{100'000, 1097, 479, 955},
                         Row{1'000'000, 3469, 1517, 3030}}) {
    const MeshShape shape = ShapeOf(Regular(row.peers, 16));
    EXPECT_EQ(PageCopies(shape, 9.21), row.copies) << row.peers;
    EXPECT_EQ(QueryPeers(shape, row.copies, 0.99), row.q99) << row.peers;
    EXPECT_EQ(QueryPeers(shape, row.copies, 0.9999), row.q9999) << row.peers;
  }
}

TEST(Sizes, NeverExceedTheMesh) {
  for (double peers : {1.0, 2.0, 3.0, 5.0, 20.0}) {
    const MeshShape shape = ShapeOf(Regular(peers, peers - 1));
    EXPECT_LE(PageCopies(shape, 9.21), peers);
    EXPECT_LE(QueryPeers(shape, 1, 0.999999), peers);
    EXPECT_EQ(QueryPeers(shape, 1, 1.0), peers);
    EXPECT_GE(QueryPeers(shape, 1, 0.0), 1u);
  }
}

TEST(Sizes, QuerySizeGivesTheRecallAskedFor) {
  for (double peers : {40.0, 64.0, 1000.0, 1e6}) {
    const MeshShape shape = ShapeOf(Regular(peers, 16));
    const double copies = PageCopies(shape, 9.21);
    for (double recall : {0.5, 0.9, 0.99, 0.9999}) {
      const uint32_t q = QueryPeers(shape, copies, recall);
      EXPECT_GE(RecallOf(shape, copies, q), recall - 1e-9) << peers << " " << recall;
      if (q > 1) {
        EXPECT_LT(RecallOf(shape, copies, q - 1), recall) << peers << " " << recall;
      }
    }
  }
}

TEST(Sizes, RecallIsCertainOnlyWhenEverybodyWasReached) {
  const MeshShape shape = ShapeOf(Regular(100, 16));

  EXPECT_EQ(RecallOf(shape, 3, 100), 1);
  EXPECT_LT(RecallOf(shape, 3, 99), 1);
  EXPECT_EQ(RecallOf(shape, 3, 0), 0);
}

// BubbleStorm (SIGCOMM 2007): bubbles visit peers in proportion to their degree, so that they miss
// each other as in a mesh of D1^2 / D2 equal peers.
TEST(Sizes, RecallIsNoMoreThanMonteCarloFinds) {
  struct Case {
    std::vector<double> degrees;
    int copies, reached;
  };

  std::vector<double> mixed(100, 16.0);
  std::fill(mixed.begin() + 50, mixed.end(), 128.0);
  for (const Case& c :
       {Case{std::vector<double>(100, 16.0), 10, 20}, Case{std::vector<double>(300, 16.0), 20, 30},
        Case{mixed, 8, 15}, Case{mixed, 6, 40}}) {
    MeshEstimate estimate{.peers = static_cast<double>(c.degrees.size()), .measured = true};
    for (double d : c.degrees) {
      estimate.degree_sum += d;
      estimate.degree_square_sum += d * d;
    }
    MeshShape shape = ShapeOf(estimate);
    // Ideal samples share no links.
    shape.compensator = 1;

    const double miss = MissByMonteCarlo(c.degrees, c.copies, c.reached, 20'000);

    const double promised = 1 - RecallOf(shape, c.copies, c.reached);
    EXPECT_LE(miss, promised + 0.01);
    EXPECT_GE(miss, promised * 0.3) << "the promise is far from what happens";
  }
}

// The table of docs/protocol/bubbles.md, 12.
TEST(Sizes, FewPeersWhoseLinksAreConsultedGiveTheRecallAskedFor) {
  struct Row {
    double peers;
    uint32_t k99, k9999;
  };

  for (const Row& row : {Row{64, 1, 2}, Row{100, 1, 2}, Row{1000, 4, 7}, Row{10'000, 11, 21},
                         Row{100'000, 32, 64}, Row{1e6, 102, 203}}) {
    const MeshShape shape = ShapeOf(Regular(row.peers, 16));
    const double copies = PageCopies(shape, 9.21);
    EXPECT_EQ(FurtherPeers(shape, copies, 0.99, {}, 14), row.k99) << row.peers;
    EXPECT_EQ(FurtherPeers(shape, copies, 0.9999, {}, 14), row.k9999) << row.peers;
    // With nothing consulted it is the plain size.
    EXPECT_EQ(FurtherPeers(shape, copies, 0.9999, {}, 0), QueryPeers(shape, copies, 0.9999));
    // What is there already need not be reached again.
    const double half = row.k9999 / 2;
    EXPECT_EQ(FurtherPeers(shape, copies, 0.9999, {half, 14 * half}, 14), row.k9999 - row.k9999 / 2)
        << row.peers;
  }
}

// Share of copies missed when `peers` distinct peers and the ends of `links` random links are
// asked.
double MissOfLinks(const std::vector<double>& degrees, int copies, int links) {
  Random random(5);
  std::vector<int> ends;
  for (size_t peer = 0; peer < degrees.size(); ++peer) {
    ends.insert(ends.end(), static_cast<size_t>(degrees[peer]), static_cast<int>(peer));
  }
  int missed = 0;
  constexpr int kTrials = 20'000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<bool> keeps(degrees.size(), false);
    for (int kept = 0; kept < copies;) {
      const int peer = ends[random.Below(ends.size())];
      kept += keeps[peer] ? 0 : 1;
      keeps[peer] = true;
    }
    bool found = false;
    for (int i = 0; i <= links; ++i) found = found || keeps[ends[random.Below(ends.size())]];
    missed += found ? 0 : 1;
  }
  return static_cast<double>(missed) / kTrials;
}

TEST(Sizes, RecallByLinksIsNoMoreThanMonteCarloFinds) {
  std::vector<double> mixed(400, 16.0);
  std::fill(mixed.begin() + 300, mixed.end(), 128.0);
  for (const std::vector<double>& degrees : {std::vector<double>(400, 16.0), mixed}) {
    MeshEstimate estimate{.peers = 400, .measured = true};
    for (double d : degrees) {
      estimate.degree_sum += d;
      estimate.degree_square_sum += d * d;
    }
    MeshShape shape = ShapeOf(estimate);
    shape.compensator = 1;
    for (int links : {20, 100, 400}) {
      const int copies = 600 / links;
      const double miss = MissOfLinks(degrees, copies, links);
      const double promised = 1 - RecallOf(shape, copies, {1, static_cast<double>(links)});
      EXPECT_LE(miss, promised + 0.01) << links;
      EXPECT_GE(miss, promised * 0.3) << links;
    }
  }
}

TEST(BubbleSizes, ConsultsAllLinksButThoseOfTheTree) {
  BubbleSizes sizes{SearchOptions{}};
  sizes.SetEstimate(Regular(1000, 16));

  EXPECT_EQ(sizes.LinksConsulted(), 14);
  EXPECT_EQ(sizes.ConsultedPerPeerMax(), 48u);
  EXPECT_EQ(sizes.ConsultingQuerySize(0.9999, 14), 7u);
  EXPECT_GT(sizes.ConsultingQuerySize(0.9999, 7), 7u);
  EXPECT_EQ(sizes.ConsultingQuerySize(0.9999, 0), sizes.QuerySize(0.9999));
  EXPECT_EQ(sizes.LinksWanted(0.9999, 7), 13u);
  EXPECT_EQ(sizes.LinksWanted(0.63, 2), 5u);
  EXPECT_EQ(sizes.LinksWanted(0.9999, 92), 0u);
  EXPECT_GT(sizes.LinksWanted(1 - 1e-12, 1), kLinksPerPeerMax);
  EXPECT_LT(sizes.ConsultingRangeMax(), sizes.QueryRangeMax());
  sizes.SetEstimate(Regular(1000, 100));
  EXPECT_EQ(sizes.ConsultedPerPeerMax(), kLinksPerPeerMax);
}

TEST(BubbleSizes, OversizeIsExpectedToBeThereInPart) {
  BubbleSizes sizes{SearchOptions()};
  sizes.SetEstimate({1000, 16'000, 256'000, true});
  const Coverage coverage{.peers = 40};
  const double least = sizes.Recall(coverage);
  EXPECT_EQ(sizes.ExpectedRecall(coverage), least);

  sizes.SetOversize(2);

  EXPECT_EQ(sizes.Recall(coverage), least);
  const double copies = PageCopies(sizes.shape(), SearchOptions().lambda) / std::log(2.0);
  EXPECT_NEAR(sizes.ExpectedRecall(coverage), RecallOf(sizes.shape(), copies, 40), 1e-9);
}

TEST(BubbleSizes, OversizeMakesPagesLargerAndQueriesDoNotCountOnIt) {
  BubbleSizes sizes{SearchOptions{}};
  sizes.SetEstimate(Regular(1000, 16));
  const uint32_t query = sizes.QuerySize(0.99);

  sizes.SetOversize(1.5);

  EXPECT_EQ(sizes.PageSize(), 165u);
  EXPECT_EQ(sizes.PageRangeMax(), 248u);
  EXPECT_EQ(sizes.QuerySize(0.99), query);
  sizes.SetEstimate(Regular(40, 16));
  sizes.SetOversize(2);
  EXPECT_EQ(sizes.PageSize(), 40u);
}

TEST(BubbleSizes, SaturatedUpToFourLambda) {
  BubbleSizes sizes{SearchOptions{}};

  sizes.SetEstimate(Regular(36, 16));
  EXPECT_TRUE(sizes.Saturated());
  EXPECT_EQ(sizes.PageSize(), 36u);
  EXPECT_EQ(sizes.QuerySize(0.5), 36u);

  sizes.SetEstimate(Regular(37, 16));
  EXPECT_FALSE(sizes.Saturated());
  EXPECT_LT(sizes.PageSize(), 37u);
}

TEST(BubbleSizes, PagesGoToEveryoneOnlyOnceThatIsKnownToBeFew) {
  BubbleSizes sizes{SearchOptions{}};

  sizes.SetEstimate({.peers = 17, .measured = false});
  EXPECT_TRUE(sizes.Saturated());
  EXPECT_FALSE(sizes.PagesToEveryone());
  EXPECT_EQ(sizes.PageSize(), 17u);

  sizes.SetEstimate(Regular(36, 16));
  EXPECT_TRUE(sizes.PagesToEveryone());
  EXPECT_EQ(sizes.PageSize(), 36u);

  sizes.SetEstimate(Regular(37, 16));
  EXPECT_FALSE(sizes.PagesToEveryone());
}

TEST(BubbleSizes, SaturatedCaseCanBeSwitchedOff) {
  BubbleSizes sizes{SearchOptions{.saturated_factor = 0}};

  sizes.SetEstimate(Regular(5, 4));

  EXPECT_FALSE(sizes.Saturated());
}

// Half of the peers and half of the copies are gone: as many peers as before must be asked until
// the pages are refreshed.
TEST(BubbleSizes, QueriesDoNotShrinkBeforePagesAreRefreshed) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  BubbleSizes sizes{SearchOptions{}};
  sizes.SetEstimate(Regular(10'000, 16));
  sizes.Advance(start);
  const uint32_t before = sizes.QuerySize(0.99);

  sizes.SetEstimate(Regular(5'000, 16));
  sizes.Advance(start + absl::Minutes(9));
  EXPECT_NEAR(sizes.QuerySize(0.99), before, 3);

  sizes.Advance(start + absl::Minutes(11));
  EXPECT_NEAR(sizes.QuerySize(0.99), before / std::sqrt(2.0), 3);
}

TEST(BubbleSizes, OneWrongMeasurementCostsAFactorOfFourAtMost) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  BubbleSizes sizes{SearchOptions{}};
  sizes.SetEstimate(Regular(1e9, 16));
  sizes.Advance(start);

  sizes.SetEstimate(Regular(1000, 16));

  EXPECT_LE(sizes.QuerySize(0.99), 4 * QueryPeers(ShapeOf(Regular(1000, 16)), 110, 0.99));
}

}  // namespace
}  // namespace panal
