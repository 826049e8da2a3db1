#include "server/processing/search/visitor.h"

#include <gtest/gtest.h>

#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

Cast PageCast(uint8_t bubble, const PagePtr& page, bool has_body) {
  Cast cast = OnePeer::QueryCast(bubble, 10, 11);
  cast.payload = PagePayload{page, has_body, nullptr};
  return cast;
}

// Answers the StorePage among the outputs.
void Stored(OnePeer& peer, PageOutcome outcome) {
  const std::vector<StorePage> stores = peer.Take<StorePage>();
  ASSERT_EQ(stores.size(), 1u);
  peer.core->OnPageStored({stores[0].token, outcome}, peer.now, peer.outputs);
}

Answer OnlyAnswer(OnePeer& peer) {
  const std::vector<SendFrame> sent = peer.Sent<Answer>();
  EXPECT_EQ(sent.size(), 1u);
  return sent.empty() ? Answer{} : std::get<Answer>(sent[0].frame);
}

class VisitorTest : public testing::Test {
 protected:
  OnePeer peer_{4};
  PagePtr page_ = MakePage(PeerIdOf(99), 1, 3, {"a"});
};

TEST_F(VisitorTest, APageKeptIsCounted) {
  peer_.Receive(peer_.links[0], PageCast(1, page_, true));
  Stored(peer_, PageOutcome::kKept);

  const Answer answer = OnlyAnswer(peer_);
  EXPECT_EQ(answer.visited, 1u);
  EXPECT_EQ(answer.kept, 1u);
  EXPECT_EQ(answer.full, 0u);
}

TEST_F(VisitorTest, AFullCatalogSaysSo) {
  peer_.Receive(peer_.links[0], PageCast(1, page_, true));
  Stored(peer_, PageOutcome::kFull);

  const Answer answer = OnlyAnswer(peer_);
  EXPECT_EQ(answer.visited, 1u);
  EXPECT_EQ(answer.kept, 0u);
  EXPECT_EQ(answer.full, 1u);
}

TEST_F(VisitorTest, ThePeerPageIsStoredFirst) {
  Cast cast = PageCast(1, page_, true);
  std::get<PagePayload>(cast.payload).peer_page = MakePage(PeerIdOf(99), 0, 1, {"peer"});

  peer_.Receive(peer_.links[0], cast);

  const std::vector<StorePage> stores = peer_.Take<StorePage>();
  ASSERT_EQ(stores.size(), 2u);
  EXPECT_EQ(stores[0].page->header.key.number, 0u);
  EXPECT_NE(stores[0].token, stores[1].token);
}

TEST_F(VisitorTest, AMissingBodyIsAskedForAndThenCounted) {
  peer_.Receive(peer_.links[0], PageCast(1, page_, false));
  Stored(peer_, PageOutcome::kBodyMissing);
  const std::vector<SendFrame> wants = peer_.Sent<PageWant>();
  ASSERT_EQ(wants.size(), 1u);
  EXPECT_EQ(wants[0].to, peer_.links[0]);
  EXPECT_EQ(std::get<PageWant>(wants[0].frame), (PageWant{page_->header.key, 3}));

  peer_.core->OnPageBody(peer_.links[0], {page_}, peer_.now, peer_.outputs);
  Stored(peer_, PageOutcome::kKept);

  EXPECT_EQ(OnlyAnswer(peer_).kept, 1u);
}

TEST_F(VisitorTest, ABodyThatWasNotAskedForIsRefused) {
  peer_.core->OnPageBody(peer_.links[0], {page_}, peer_.now, peer_.outputs);

  EXPECT_EQ(peer_.Take<FrameRefused>().size(), 1u);
  EXPECT_TRUE(peer_.Take<StorePage>().empty());
}

TEST_F(VisitorTest, ABodyFromAnotherNeighborOrOfAnOldVersionIsRefused) {
  peer_.Receive(peer_.links[0], PageCast(1, page_, false));
  Stored(peer_, PageOutcome::kBodyMissing);

  peer_.core->OnPageBody(peer_.links[1], {page_}, peer_.now, peer_.outputs);
  peer_.core->OnPageBody(peer_.links[0], {MakePage(PeerIdOf(99), 1, 2, {"old"})}, peer_.now,
                         peer_.outputs);

  EXPECT_EQ(peer_.Take<FrameRefused>().size(), 2u);
  EXPECT_TRUE(peer_.Take<StorePage>().empty());
}

TEST_F(VisitorTest, ALostNeighborsBodyIsNotWaitedFor) {
  const PeerId parent = peer_.links[0];
  peer_.Receive(parent, PageCast(1, page_, false));
  peer_.Receive(peer_.links[1], OnePeer::QueryCast(1, 10, 11));
  Stored(peer_, PageOutcome::kBodyMissing);

  peer_.LoseLink(parent);
  // The next event finds the visit over.
  peer_.Pass(absl::Milliseconds(1000));

  const std::vector<SendFrame> answers = peer_.Sent<Answer>();
  ASSERT_FALSE(answers.empty());
  EXPECT_EQ(std::get<Answer>(answers.back().frame).kept, 0u);
}

TEST_F(VisitorTest, WantsAreServedFromTheCatalog) {
  peer_.core->OnPageWant(peer_.links[2], {page_->header.key, 3}, peer_.now, peer_.outputs);
  const std::vector<LoadPage> loads = peer_.Take<LoadPage>();
  ASSERT_EQ(loads.size(), 1u);

  peer_.core->OnPageLoaded({loads[0].token, page_}, peer_.now, peer_.outputs);

  const std::vector<SendFrame> bodies = peer_.Sent<PageBodyFrame>();
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_EQ(bodies[0].to, peer_.links[2]);
}

TEST_F(VisitorTest, AnOldOrMissingPageIsNotServed) {
  for (const PagePtr& found : {PagePtr(), MakePage(PeerIdOf(99), 1, 2, {"old"})}) {
    peer_.core->OnPageWant(peer_.links[2], {page_->header.key, 3}, peer_.now, peer_.outputs);
    const std::vector<LoadPage> loads = peer_.Take<LoadPage>();
    ASSERT_EQ(loads.size(), 1u);
    peer_.core->OnPageLoaded({loads[0].token, found}, peer_.now, peer_.outputs);
  }

  EXPECT_TRUE(peer_.Sent<PageBodyFrame>().empty());
}

TEST_F(VisitorTest, ANeighborWaitsForABodyThatIsOnItsWay) {
  peer_.Receive(peer_.links[0], PageCast(1, page_, false));
  Stored(peer_, PageOutcome::kBodyMissing);
  peer_.Sent<PageWant>();

  peer_.core->OnPageWant(peer_.links[2], {page_->header.key, 3}, peer_.now, peer_.outputs);
  EXPECT_TRUE(peer_.Take<LoadPage>().empty());
  peer_.core->OnPageBody(peer_.links[0], {page_}, peer_.now, peer_.outputs);

  const std::vector<SendFrame> bodies = peer_.Sent<PageBodyFrame>();
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_EQ(bodies[0].to, peer_.links[2]);
}

TEST(VisitorLimits, BodiesAskedForAreBounded) {
  for (int limit : {2, 3}) {
    OnePeer peer(4, {.saturated_factor = 0, .pulls_max = limit});
    for (uint8_t i = 1; i <= 3; ++i) {
      peer.Receive(peer.links[i], PageCast(i, MakePage(PeerIdOf(99), i, 3, {"a"}), false));
      Stored(peer, PageOutcome::kBodyMissing);
      peer.core->CheckInvariants();
    }

    EXPECT_EQ(peer.Sent<PageWant>().size(), static_cast<size_t>(limit));
  }
}

TEST(VisitorLimits, ANeighborIsAskedForNoMoreThanAShareOfTheBodies) {
  OnePeer peer(4, {.saturated_factor = 0, .pulls_max = 8});
  for (int from : {0, 1}) {
    for (uint8_t i = 1; i <= 3; ++i) {
      const auto number = static_cast<uint8_t>(10 * from + i);
      peer.Receive(peer.links[from],
                   PageCast(number, MakePage(PeerIdOf(99), number, 3, {"a"}), false));
      Stored(peer, PageOutcome::kBodyMissing);
      peer.core->CheckInvariants();
    }
    EXPECT_EQ(peer.Sent<PageWant>().size(), 8 / kVisitorShares);
  }
}

// A bubble that finds no room to wait is answered at once: visited, and not kept.
TEST(VisitorLimits, BubblesThatWaitForOneBodyAreBounded) {
  for (int limit : {2, 3}) {
    OnePeer peer(4, {.saturated_factor = 0, .pull_waiters_max = limit});
    const PagePtr page = MakePage(PeerIdOf(99), 1, 3, {"a"});
    for (uint8_t i = 1; i <= 3; ++i) {
      peer.Receive(peer.links[0], PageCast(i, page, false));
      Stored(peer, PageOutcome::kBodyMissing);
      peer.core->CheckInvariants();
    }

    EXPECT_EQ(peer.Sent<Answer>().size(), static_cast<size_t>(3 - limit));
  }
}

TEST(VisitorLimits, NeighborsThatWaitForOneBodyAreBounded) {
  for (int limit : {2, 3}) {
    OnePeer peer(4, {.saturated_factor = 0, .pull_waiters_max = limit});
    const PagePtr page = MakePage(PeerIdOf(99), 1, 3, {"a"});
    peer.Receive(peer.links[0], PageCast(1, page, false));
    Stored(peer, PageOutcome::kBodyMissing);
    for (int i = 1; i <= 3; ++i) {
      peer.core->OnPageWant(peer.links[i], {page->header.key, 3}, peer.now, peer.outputs);
    }

    peer.core->OnPageBody(peer.links[0], {page}, peer.now, peer.outputs);

    EXPECT_EQ(peer.Sent<PageBodyFrame>().size(), static_cast<size_t>(limit));
    peer.core->CheckInvariants();
  }
}

TEST_F(VisitorTest, WhoAskedIsSaidToTheDriver) {
  peer_.Receive(peer_.links[0], PageCast(1, page_, true));
  peer_.Receive(peer_.links[1], OnePeer::QueryCast(2, 10, 11));
  peer_.core->OnPageWant(peer_.links[2], {page_->header.key, 3}, peer_.now, peer_.outputs);
  peer_.core->OnSearchRequested({1, "q", 0.99, 10, absl::Seconds(1)}, peer_.now, peer_.outputs);

  EXPECT_EQ(peer_.Take<StorePage>()[0].from, peer_.links[0]);
  const std::vector<QueryIndex> queries = peer_.Take<QueryIndex>();
  ASSERT_EQ(queries.size(), 2u);
  EXPECT_EQ(queries[0].from, peer_.links[1]);
  EXPECT_EQ(queries[1].from, PeerIdOf(0));
  EXPECT_EQ(peer_.Take<LoadPage>()[0].from, peer_.links[2]);
}

TEST_F(VisitorTest, PagesReadForNeighborsAreBounded) {
  OnePeer peer(5);
  for (uint32_t i = 0; i < 5 * kServesMax; ++i) {
    peer.core->OnPageWant(peer.links[i % 5], {{PeerIdOf(99), i}, 1}, peer.now, peer.outputs);
  }

  EXPECT_EQ(peer.Take<LoadPage>().size(), kServesMax);
  peer.core->CheckInvariants();
}

TEST_F(VisitorTest, ANeighborIsReadNoMoreThanAShareOfThem) {
  for (uint32_t i = 0; i < kServesMax; ++i) {
    peer_.core->OnPageWant(peer_.links[2], {{PeerIdOf(99), i}, 1}, peer_.now, peer_.outputs);
  }
  EXPECT_EQ(peer_.Take<LoadPage>().size(), kServesMax / kVisitorShares);

  peer_.core->OnPageWant(peer_.links[1], {{PeerIdOf(99), 0}, 1}, peer_.now, peer_.outputs);

  EXPECT_EQ(peer_.Take<LoadPage>().size(), 1u);
  peer_.core->CheckInvariants();
}

}  // namespace
}  // namespace panal
