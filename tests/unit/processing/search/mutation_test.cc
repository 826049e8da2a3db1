// Checks of the checks: each passes with the rules as they ship and fails with one of them switched
// off (SearchOptions::Rules; of ranges that are sent again range_tries_max is the switch).

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/processing/search/search_mesh.h"

namespace panal {
namespace {

struct Promise {
  double promised = 0;  // Miss.
  double miss = 0;
  double complete = 0;

  bool Kept() const { return complete >= 0.95 && miss <= promised; }
};

// Searches for many pages in a mesh of which `crashed` of 10 peers died unnoticed.
Promise SearchAll(const SearchOptions& options, int peers, int crashed, int pages, int searches,
                  double recall, absl::Duration timeout) {
  SearchMesh mesh(77, options);
  mesh.AddPeers(peers);
  mesh.LinkRings(16);
  mesh.Start();
  for (int p = 0; p < pages; ++p) {
    const int publisher = static_cast<int>(mesh.random().Below(peers));
    mesh.Publish(publisher, MakePage(PeerIdOf(publisher), static_cast<uint32_t>(p + 1), 1,
                                     {absl::StrCat("p", p)}));
    if (p % 16 == 0) mesh.Run(absl::Seconds(1));
  }
  mesh.Run(absl::Seconds(40));
  for (int i = 0; i < peers; ++i) {
    if (i % 10 < crashed) mesh.Crash(i, absl::Hours(1));
  }
  Promise promise{.promised = 1 - recall};
  for (int s = 0; s < searches; ++s) {
    const int origin = 10 * static_cast<int>(mesh.random().Below(peers / 10)) + 9;
    const uint64_t request = mesh.Search(origin, "*", recall, timeout);
    mesh.Run(timeout + absl::Seconds(1));
    const SearchMesh::Result& result = mesh.ResultOf(request);
    promise.complete += (result.summary.complete ? 1.0 : 0.0) / searches;
    promise.miss += (1 - static_cast<double>(result.hits.size()) / pages) / searches;
  }
  std::printf("miss %.5f, promised %.5f, complete %.2f\n", promise.miss, promise.promised,
              promise.complete);
  mesh.CheckInvariants();
  return promise;
}

// A third of the peers is dead and nobody knows: two seconds are enough, by sending ranges again.
TEST(MutationCheck, RecallAfterACrashNeedsRangesThatAreSentAgain) {
  SearchOptions options;
  options.page_refresh_interval = absl::Hours(1000);
  EXPECT_TRUE(SearchAll(options, 400, 3, 50, 40, 0.99, absl::Seconds(2)).Kept());

  options.range_tries_max = 1;

  EXPECT_FALSE(SearchAll(options, 400, 3, 50, 40, 0.99, absl::Seconds(2)).Kept());
}

// BubbleStorm (SIGCOMM 2007): two bubbles through one peer share its links, which D2 / (D2 - 2 D1)
// makes up for.
TEST(MutationCheck, RecallNeedsTheCompensatorOfSharedLinks) {
  SearchOptions options;
  options.page_refresh_interval = absl::Hours(1000);
  EXPECT_TRUE(SearchAll(options, 1500, 0, 200, 150, 0.99, absl::Seconds(5)).Kept());

  options.rules.compensate = false;

  EXPECT_FALSE(SearchAll(options, 1500, 0, 200, 150, 0.99, absl::Seconds(5)).Kept());
}

// Searches whose summary says exactly how many peers evaluated them, of 40.
int ExactAccounts(SearchOptions options) {
  options.late_factor = 0;  // Ranges that are cast twice may count less.
  int exact = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SearchMesh mesh(seed, options);
    mesh.AddPeers(60);
    mesh.LinkRings(8);
    mesh.Start();
    // A mesh thought to be larger is never done early: every answer is waited for.
    MeshEstimate estimate = mesh.TrueEstimate();
    estimate.peers *= 4;
    estimate.degree_sum *= 4;
    estimate.degree_square_sum *= 4;
    mesh.TellEstimate(estimate);
    const uint64_t request = mesh.Search(0, "q", 0.999);
    mesh.RunUntilQuiet(absl::Seconds(30));
    const bool same = mesh.ResultOf(request).summary.peers_reached == mesh.Evaluated("q").size();
    exact += same ? 1 : 0;
  }
  std::printf("%d of 40 exact\n", exact);
  return exact;
}

TEST(MutationCheck, ExactAccountsNeedBubblesThatVisitOnce) {
  SearchOptions options;
  EXPECT_EQ(ExactAccounts(options), 40);

  options.rules.visit_once = false;

  EXPECT_LT(ExactAccounts(options), 20);
}

// Searches, from the third refresh on, in a mesh whose peers stay for 6 minutes on average, but for
// those that publish.
Promise SearchWhilePeersComeAndGo(const SearchOptions& options) {
  constexpr int kPublishers = 60, kOthers = 540, kLinks = 16;
  constexpr int kMinutes = 60, kQuietMinutes = 30, kSearches = 3, kGoneAMinute = kOthers / 6;
  SearchMesh mesh(79, options);
  mesh.AddPeers(kPublishers + kOthers);
  mesh.LinkRings(kLinks);
  mesh.Start();
  for (int p = 0; p < kPublishers; ++p) {
    mesh.SetFull(p);  // Or those that stay would gather every page.
    mesh.Publish(p, MakePage(PeerIdOf(p), 1, 1, {absl::StrCat("p", p)}));
  }
  Promise promise{.promised = 0.01};
  for (int minute = 0; minute < kMinutes; ++minute) {
    for (int gone = 0; gone < kGoneAMinute;) {
      const auto peer =
          kPublishers + static_cast<int>(mesh.random().Below(mesh.size() - kPublishers));
      if (!mesh.alive(peer)) continue;
      mesh.Crash(peer, absl::Seconds(1));
      mesh.Join(kLinks);
      mesh.Run(absl::Minutes(1) / kGoneAMinute);
      ++gone;
    }
    mesh.TellEstimate(mesh.TrueEstimate());
    for (int s = 0; s < (minute < kQuietMinutes ? 0 : kSearches); ++s) {
      const auto origin = static_cast<int>(mesh.random().Below(kPublishers));
      const uint64_t request = mesh.Search(origin, "*", 1 - promise.promised);
      mesh.Run(absl::Seconds(11));
      const SearchMesh::Result& result = mesh.ResultOf(request);
      constexpr double kShare = 1.0 / (kSearches * (kMinutes - kQuietMinutes));
      promise.complete += (result.summary.complete ? 1.0 : 0.0) * kShare;
      promise.miss += (1 - static_cast<double>(result.hits.size()) / kPublishers) * kShare;
    }
  }
  std::printf("miss %.5f, promised %.5f, complete %.2f, copies %u of %u\n", promise.miss,
              promise.promised, promise.complete, mesh.spreads(0).back().copies,
              mesh.spreads(0).back().target);
  mesh.CheckInvariants();
  return promise;
}

// Keepers depart between refreshes: overlay.md 10.8, e^(tau/S) times the copies.
TEST(MutationCheck, RecallWherePeersComeAndGoNeedsTheOversizeOfPages) {
  SearchOptions options;
  EXPECT_TRUE(SearchWhilePeersComeAndGo(options).Kept());

  options.rules.oversize = false;

  EXPECT_FALSE(SearchWhilePeersComeAndGo(options).Kept());
}

}  // namespace
}  // namespace panal
