#include "server/processing/search/page_spreader.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

SearchMesh MakeMesh(int peers, SearchOptions options = {}) {
  SearchMesh mesh(21, options);
  mesh.AddPeers(peers);
  mesh.LinkRings(16);
  mesh.Start();
  return mesh;
}

TEST(PageSpreader, SpreadsAPageToAsManyPeersAsItSays) {
  SearchMesh mesh = MakeMesh(300);
  const PagePtr page = MakePage(PeerIdOf(5), 1, 1, {"a"});

  mesh.Publish(5, page);
  mesh.Run(absl::Seconds(10));

  ASSERT_EQ(mesh.spreads(5).size(), 1u);
  const PageSpread& spread = mesh.spreads(5)[0];
  EXPECT_EQ(spread.number, 1u);
  EXPECT_EQ(spread.version, 1u);
  EXPECT_EQ(spread.target, mesh.core(5).PageBubbleSize());
  EXPECT_GE(spread.copies, spread.target);
  EXPECT_EQ(mesh.Holders(page->header.key).size(), spread.copies);
}

TEST(PageSpreader, ThePeerPageTravelsWithEveryPage) {
  SearchMesh mesh = MakeMesh(100);
  mesh.Publish(5, MakePage(PeerIdOf(5), kPeerPageNumber, 1, {"peer"}));
  mesh.Run(absl::Seconds(10));

  mesh.Publish(5, MakePage(PeerIdOf(5), 3, 1, {"a"}));
  mesh.Run(absl::Seconds(10));

  const std::set<int> with_peer_page = mesh.Holders({PeerIdOf(5), kPeerPageNumber});
  for (int holder : mesh.Holders({PeerIdOf(5), 3})) {
    EXPECT_TRUE(with_peer_page.contains(holder)) << holder;
  }
}

TEST(PageSpreader, FullKeepersAreReplacedByOthers) {
  SearchMesh mesh = MakeMesh(300);
  for (int i = 0; i < 300; i += 3) {
    if (i != 5) mesh.SetFull(i);
  }
  const PagePtr page = MakePage(PeerIdOf(5), 1, 1, {"a"});

  mesh.Publish(5, page);
  mesh.Run(absl::Seconds(60));

  ASSERT_EQ(mesh.spreads(5).size(), 1u);
  EXPECT_GE(mesh.spreads(5)[0].copies, mesh.spreads(5)[0].target);
  EXPECT_EQ(mesh.Holders(page->header.key).size(), mesh.spreads(5)[0].copies);
}

TEST(PageSpreader, FewCopiesAreReportedAsFew) {
  SearchMesh mesh = MakeMesh(30);
  for (int i = 6; i < 30; ++i) mesh.SetFull(i);

  mesh.Publish(5, MakePage(PeerIdOf(5), 1, 1, {"a"}));
  mesh.Run(absl::Seconds(60));

  ASSERT_GE(mesh.spreads(5).size(), 1u);
  EXPECT_EQ(mesh.spreads(5)[0].copies, 6u);
  EXPECT_EQ(mesh.spreads(5)[0].target, 30u);
}

TEST(PageSpreader, AnOlderVersionSignedLateIsNotSpread) {
  SearchMesh mesh = MakeMesh(30);
  mesh.Publish(5, MakePage(PeerIdOf(5), 1, 2, {"new"}));
  mesh.Run(absl::Seconds(60));
  ASSERT_EQ(mesh.spreads(5).size(), 1u);

  mesh.Publish(5, MakePage(PeerIdOf(5), 1, 1, {"old"}));
  mesh.Run(absl::Seconds(60));

  EXPECT_EQ(mesh.spreads(5).size(), 1u);
}

TEST(PageSpreader, ARefreshGoesToTheSameKeepersWithoutBodies) {
  SearchMesh mesh = MakeMesh(300);
  const PagePtr page = MakePage(PeerIdOf(5), 1, 1, {"a"});
  mesh.Publish(5, page);
  mesh.Run(absl::Seconds(60));
  const std::set<int> before = mesh.Holders(page->header.key);
  mesh.ClearFrames();

  mesh.Run(kPageRefreshInterval + absl::Seconds(60));

  EXPECT_FALSE(mesh.refreshes(5).empty());
  ASSERT_GE(mesh.spreads(5).size(), 2u);
  EXPECT_GE(mesh.spreads(5)[1].copies, mesh.spreads(5)[1].target);
  EXPECT_EQ(mesh.Holders(page->header.key), before);
  EXPECT_EQ(mesh.frames("body"), 0u);
}

TEST(PageSpreader, BodiesArePulledWhereTheyAreMissing) {
  SearchMesh mesh = MakeMesh(200);
  const PagePtr page = MakePage(PeerIdOf(5), 1, 1, {"a"});
  // Known from before, spread by nobody: as after a restart with all keepers gone.
  mesh.Publish(5, page, /*spread_now=*/false);

  mesh.Run(kPageRefreshInterval + absl::Seconds(60));

  EXPECT_GT(mesh.frames("body"), 0u);
  ASSERT_GE(mesh.spreads(5).size(), 1u);
  EXPECT_GE(mesh.spreads(5)[0].copies, mesh.spreads(5)[0].target);
  EXPECT_EQ(mesh.Holders(page->header.key).size(), mesh.spreads(5)[0].copies);
  mesh.CheckInvariants();
}

TEST(PageSpreader, ADeletedPageReachesTheKeepers) {
  SearchMesh mesh = MakeMesh(300);
  mesh.Publish(5, MakePage(PeerIdOf(5), 1, 1, {"a"}));
  mesh.Run(absl::Seconds(10));

  mesh.Publish(5, MakePage(PeerIdOf(5), 1, 2, {}));
  mesh.Run(absl::Seconds(10));
  const uint64_t request = mesh.Search(9, "a", 1.0);
  mesh.Run(absl::Seconds(10));

  EXPECT_TRUE(mesh.ResultOf(request).hits.empty());
}

TEST(PageSpreader, AGrownMeshGetsMoreCopiesSoon) {
  SearchMesh mesh = MakeMesh(200);
  MeshEstimate small = mesh.TrueEstimate();
  small.peers = 40;
  small.degree_sum = 640;
  small.degree_square_sum = 640 * 16;
  mesh.TellEstimate(small);
  const PagePtr page = MakePage(PeerIdOf(5), 1, 1, {"a"});
  mesh.Publish(5, page);
  mesh.Run(absl::Seconds(10));
  const size_t before = mesh.Holders(page->header.key).size();

  mesh.TellEstimate(mesh.TrueEstimate());
  mesh.Run(absl::Seconds(20));

  EXPECT_GT(mesh.Holders(page->header.key).size(), before);
  EXPECT_GE(mesh.Holders(page->header.key).size(), mesh.core(5).PageBubbleSize());
}

TEST(PageSpreader, ALonelyPeersPagesSpreadOnceItHasNeighbors) {
  OnePeer peer(0, {}, 1);
  auto page = MakePage(PeerIdOf(0), 1, 1, {"a"});
  peer.core->OnOwnPagesSigned({{page}, true}, peer.now, peer.outputs);
  const std::vector<LoadPage> loads = peer.Take<LoadPage>();
  ASSERT_EQ(loads.size(), 1u);
  peer.core->OnPageLoaded({loads[0].token, page}, peer.now, peer.outputs);
  ASSERT_EQ(peer.Take<PageSpread>().size(), 1u);

  peer.core->SetNeighbors({PeerIdOf(1)});
  peer.core->SetEstimate({2, 2, 2, true});
  peer.core->OnNeighborUp(PeerIdOf(1), false, peer.now, peer.outputs);
  peer.Pass(absl::Seconds(6));

  EXPECT_EQ(peer.Sent<Cast>().size(), 1u);
}

TEST(PageSpreader, HoldsPagesBackUntilTheMeshIsMeasured) {
  OnePeer peer(16, {}, 17);
  peer.core->SetEstimate({.peers = 17, .measured = false});
  peer.core->OnOwnPagesSigned({{MakePage(PeerIdOf(0), 1, 1, {"a"})}, true}, peer.now, peer.outputs);
  peer.Pass(kMeasureWait / 2);
  EXPECT_TRUE(peer.Take<LoadPage>().empty());

  peer.core->SetEstimate({200, 3200, 51200, true});
  peer.Pass(kMeasureTick);

  EXPECT_EQ(peer.Take<LoadPage>().size(), 1u);
}

TEST(PageSpreader, HoldsNothingBackForEver) {
  OnePeer peer(16, {}, 17);
  peer.core->SetEstimate({.peers = 17, .measured = false});
  peer.core->OnOwnPagesSigned({{MakePage(PeerIdOf(0), 1, 1, {"a"})}, true}, peer.now, peer.outputs);
  peer.Pass(kMeasureWait - kMeasureTick);
  EXPECT_TRUE(peer.Take<LoadPage>().empty());

  peer.Pass(2 * kMeasureTick);

  EXPECT_EQ(peer.Take<LoadPage>().size(), 1u);
}

TEST(PageSpreader, SpreadsAtOnceAreBoundedAndTheRestTakesItsTurn) {
  OnePeer peer(0, {.spreads_max = 3}, 1);
  std::vector<PagePtr> pages;
  for (uint32_t i = 1; i <= 10; ++i) {
    pages.push_back(MakePage(PeerIdOf(0), i, 1, {absl::StrCat("p", i)}));
  }

  peer.core->OnOwnPagesSigned({pages, true}, peer.now, peer.outputs);

  std::vector<LoadPage> loads = peer.Take<LoadPage>();
  EXPECT_EQ(loads.size(), 3u);
  size_t spread = 0;
  while (!loads.empty()) {
    for (const LoadPage& load : loads) {
      peer.core->OnPageLoaded({load.token, pages[load.key.number - 1]}, peer.now, peer.outputs);
      peer.core->CheckInvariants();
    }
    spread += peer.Take<PageSpread>().size();
    loads = peer.Take<LoadPage>();
  }
  EXPECT_EQ(spread, 10u);
}

TEST(PageSpreader, RefreshesAreBatchedAndNotAllAtOnce) {
  OnePeer peer(0, {}, 1);
  std::vector<PagePtr> pages;
  for (uint32_t i = 1; i <= 1000; ++i) {
    auto page = std::make_shared<Page>(*MakePage(PeerIdOf(0), i, 1, {absl::StrCat("p", i)}));
    page->header.expires_ms = static_cast<uint64_t>(absl::ToUnixMillis(peer.now + kPageLifetime));
    pages.push_back(page);
  }
  peer.core->OnOwnPagesSigned({pages, false}, peer.now, peer.outputs);

  peer.Pass(kPageRefreshInterval * 0.74);
  EXPECT_TRUE(peer.Take<RefreshOwnPages>().empty());
  peer.Pass(kPageRefreshInterval * 0.27);

  const std::vector<RefreshOwnPages> refreshes = peer.Take<RefreshOwnPages>();
  EXPECT_GT(refreshes.size(), 10u);
  std::set<uint32_t> numbers;
  for (const RefreshOwnPages& refresh : refreshes) {
    EXPECT_LE(refresh.numbers.size(), kRefreshBatchMax);
    numbers.insert(refresh.numbers.begin(), refresh.numbers.end());
  }
  EXPECT_EQ(numbers.size(), 1000u);
}

// Answers every cast until the spread ends; who is visited keeps the page or not. Peers of the
// first range.
uint32_t SpreadOut(OnePeer& peer, const PagePtr& page, bool kept) {
  uint32_t first = 0;
  while (true) {
    for (const LoadPage& load : peer.Take<LoadPage>()) {
      peer.core->OnPageLoaded({load.token, page}, peer.now, peer.outputs);
    }
    const bool done = !peer.Take<PageSpread>().empty();
    const std::vector<SendFrame> casts = peer.Sent<Cast>();
    if (done || casts.empty()) return first;
    const bool is_first = first == 0;
    first += is_first ? 1 : 0;  // The publisher.
    for (const SendFrame& sent : casts) {
      const Cast& cast = std::get<Cast>(sent.frame);
      const uint32_t size = cast.end - cast.begin;
      if (is_first) first += size;
      Answer answer{.bubble = cast.bubble, .begin = cast.begin, .final = true, .visited = size};
      answer.kept = kept ? size : 0;
      peer.Receive(sent.to, answer);
    }
  }
}

TEST(PageSpreader, ASizeOfALargerMeshIsKeptForOneRefreshThoughThePageIsSpreadAgain) {
  OnePeer peer(8);
  peer.core->SetEstimate({2000, 32'000, 512'000, true});
  const uint32_t large = peer.core->PageBubbleSize();
  auto sign = [&](uint64_t version) {
    const PagePtr page = MakePage(PeerIdOf(0), 1, version, {"a"});
    peer.core->OnOwnPagesSigned({{page}, true}, peer.now, peer.outputs);
    return page;
  };
  const PagePtr page = sign(1);
  EXPECT_EQ(SpreadOut(peer, page, /*kept=*/false), large);
  peer.core->SetEstimate({500, 8000, 128'000, true});
  const uint32_t small = peer.core->PageBubbleSize();
  ASSERT_LT(small, large);

  // So few kept it that it goes out again.
  peer.Pass(kRespreadDelay + kRefreshTick);
  EXPECT_EQ(SpreadOut(peer, page, /*kept=*/true), large);

  EXPECT_EQ(SpreadOut(peer, sign(2), /*kept=*/true), large);
  EXPECT_EQ(SpreadOut(peer, sign(3), /*kept=*/true), small);
}

}  // namespace
}  // namespace panal
