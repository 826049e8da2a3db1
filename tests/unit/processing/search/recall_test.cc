// The promise: a search for recall r misses a page with probability 1 - r at most. Measured over
// whole meshes, every page and query through the real bubbles.

#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/unit/processing/search/search_mesh.h"

namespace panal {
namespace {

struct Measured {
  double miss = 0;
  double reached = 0;
  double copies = 0;
  double frames = 0;
};

// `searches` for everything, in meshes with `pages` pages each.
Measured MeasureMiss(int peers, int degree, double recall, int meshes, int pages, int searches,
                     SearchOptions options = {}) {
  Measured measured;
  int trials = 0;
  for (int m = 0; m < meshes; ++m) {
    options.page_refresh_interval = absl::Hours(1000);
    SearchMesh mesh(1000 + m, options);
    mesh.AddPeers(peers);
    mesh.LinkRings(degree);
    mesh.Start();
    for (int p = 0; p < pages; ++p) {
      const int publisher = static_cast<int>(mesh.random().Below(peers));
      const auto number = static_cast<uint32_t>(p + 1);
      mesh.Publish(publisher, MakePage(PeerIdOf(publisher), number, 1, {absl::StrCat("p", p)}));
      if (p % 16 == 0) mesh.Run(absl::Seconds(1));
    }
    mesh.Run(absl::Seconds(40));
    for (int i = 0; i < peers; ++i) {
      for (const PageSpread& spread : mesh.spreads(i)) {
        measured.copies += static_cast<double>(spread.copies) / (meshes * pages);
      }
    }
    mesh.ClearFrames();
    for (int s = 0; s < searches; ++s) {
      const uint64_t request =
          mesh.Search(static_cast<int>(mesh.random().Below(peers)), "*", recall);
      mesh.Run(absl::Seconds(5));
      const SearchMesh::Result& result = mesh.ResultOf(request);
      EXPECT_TRUE(result.done && result.summary.complete);
      EXPECT_LE(result.hits.size(), static_cast<size_t>(pages));
      measured.miss += pages - static_cast<double>(result.hits.size());
      measured.reached += static_cast<double>(result.summary.peers_reached);
      trials += pages;
    }
    measured.frames += static_cast<double>(mesh.frames("cast"));
  }
  const double all = static_cast<double>(meshes) * searches;
  measured.miss /= trials;
  measured.reached /= all;
  measured.frames /= all;
  std::printf("n=%d d=%d recall=%g: miss %.5f reached %.1f copies %.1f casts %.1f (%d trials)\n",
              peers, degree, recall, measured.miss, measured.reached, measured.copies,
              measured.frames, trials);
  return measured;
}

// Three standard deviations of a share of `promise` over `trials`; trials of one search are nearly
// independent, because pages go to different peers.
double Bound(double promise, int trials) { return promise + 3 * std::sqrt(promise / trials); }

TEST(RecallPromise, HoldsAt64Peers) {
  EXPECT_LE(MeasureMiss(64, 16, 0.99, 6, 100, 60).miss, Bound(0.01, 36'000));
}

TEST(RecallPromise, HoldsAt200Peers) {
  EXPECT_LE(MeasureMiss(200, 16, 0.99, 3, 150, 80).miss, Bound(0.01, 36'000));
}

TEST(RecallPromise, HoldsAt1000Peers) {
  EXPECT_LE(MeasureMiss(1000, 16, 0.99, 1, 400, 100).miss, Bound(0.01, 40'000));
}

TEST(RecallPromise, HoldsForOtherRecalls) {
  EXPECT_LE(MeasureMiss(300, 16, 0.9, 2, 150, 60).miss, Bound(0.1, 18'000));
  EXPECT_LE(MeasureMiss(300, 16, 0.999, 2, 150, 60).miss, Bound(0.001, 18'000));
}

TEST(RecallPromise, HoldsAtASmallDegree) {
  EXPECT_LE(MeasureMiss(300, 8, 0.99, 2, 150, 60).miss, Bound(0.01, 18'000));
}

TEST(RecallPromise, FewerThanHalfOfSixtyFourPeersAreAsked) {
  const Measured measured = MeasureMiss(64, 16, 0.99, 1, 20, 20);

  EXPECT_LT(measured.reached, 32);
  EXPECT_GE(measured.reached, 8);
}

TEST(RecallPromise, SaturatedMeshesMissNothing) {
  EXPECT_EQ(MeasureMiss(5, 4, 0.99, 2, 20, 20).miss, 0);
  EXPECT_EQ(MeasureMiss(36, 16, 0.5, 2, 20, 20).miss, 0);
}

TEST(RecallPromise, HoldsInSmallMeshesWithTheSaturatedCaseOff) {
  const SearchOptions options{.saturated_factor = 0};

  EXPECT_LE(MeasureMiss(5, 4, 0.99, 5, 30, 30, options).miss, 0.01);
  EXPECT_LE(MeasureMiss(20, 16, 0.99, 5, 60, 60, options).miss, Bound(0.01, 18'000));
}

}  // namespace
}  // namespace panal
