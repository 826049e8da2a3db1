// What a peer remembers of bubbles, and how much of it for one neighbor (docs/protocol/bubbles.md,
// 8).

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "server/processing/search/bubble.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

const Answer& AnswerOf(const SendFrame& sent) { return std::get<Answer>(sent.frame); }

// Of one position, which is taken at once or refused at once.
Cast CastNumber(int number, uint32_t budget_ms = 60'000) {
  Cast cast = OnePeer::QueryCast(static_cast<uint8_t>(number), 10, 11, budget_ms);
  cast.bubble.bytes[1] = static_cast<uint8_t>(number / 256);
  return cast;
}

void AnswerIndexes(OnePeer& peer, const std::vector<QueryIndex>& queries) {
  for (const QueryIndex& query : queries) {
    peer.core->OnIndexAnswered({.token = query.token}, peer.now, peer.outputs);
  }
}

enum class Verdict { kTaken, kKnown, kRefused };

// What the peer does with it; what it asks its catalog is answered, so that nothing is under way.
Verdict Offer(OnePeer& peer, const PeerId& from, const Cast& cast) {
  peer.Receive(from, cast);
  const std::vector<QueryIndex> queries = peer.Take<QueryIndex>();
  AnswerIndexes(peer, queries);
  peer.core->CheckInvariants();
  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_TRUE(AnswerOf(answers.at(0)).final);
  if (AnswerOf(answers[0]).unanswered > 0) return Verdict::kRefused;
  return queries.empty() ? Verdict::kKnown : Verdict::kTaken;
}

bool Takes(OnePeer& peer, const PeerId& from, const Cast& cast) {
  return Offer(peer, from, cast) == Verdict::kTaken;
}

TEST(BubbleTable, OneNeighborHoldsHalfOfItAndIsRefusedOneMore) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 10});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(i)));

  EXPECT_EQ(Offer(peer, peer.links[0], CastNumber(5)), Verdict::kRefused);

  // What is there already is no bubble more.
  Cast known = CastNumber(1);
  known.begin = 20;
  known.end = 22;
  peer.Receive(peer.links[0], known);
  EXPECT_EQ(peer.Sent<Cast>().size(), 1u);
  // The others have room.
  EXPECT_TRUE(Takes(peer, peer.links[1], CastNumber(6)));
}

TEST(BubbleTable, SeveralNeighborsShareItAndSomeIsLeftForTheNext) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 80});
  std::vector<int> held(4);
  int number = 0;
  for (int i = 0; i < 80; ++i) {
    for (int neighbor = 0; neighbor < 3; ++neighbor) {
      if (Takes(peer, peer.links[neighbor], CastNumber(number++))) ++held[neighbor];
    }
  }

  // A quarter each, and one is left over for a fourth.
  for (int neighbor = 0; neighbor < 3; ++neighbor) EXPECT_EQ(held[neighbor], 20) << neighbor;
  while (Takes(peer, peer.links[3], CastNumber(number++))) ++held[3];
  EXPECT_EQ(held[3], 10);
}

TEST(BubbleTable, AllTogetherAreNeverMoreThanItHolds) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 10});
  int taken = 0, number = 0;
  for (int i = 0; i < 20; ++i) {
    for (const PeerId& link : peer.links) taken += Takes(peer, link, CastNumber(number++)) ? 1 : 0;
  }

  // One each, and one a second: its last place is left for one who has none.
  EXPECT_EQ(taken, 9);
}

TEST(BubbleTable, ANeighborAtItsLimitPushesOutItsOwnWhoseBudgetIsOver) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 4});
  EXPECT_TRUE(Takes(peer, peer.links[1], CastNumber(0, 1000)));
  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(1, 1000)));
  peer.Pass(absl::Seconds(2));
  // It holds one of four, two are free.
  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(2)));
  for (int i = 3; i < 100; ++i) Takes(peer, peer.links[0], CastNumber(i, 1));

  // The other's is still known, and not evaluated again.
  EXPECT_EQ(Offer(peer, peer.links[1], CastNumber(0, 1000)), Verdict::kKnown);
  // Its own oldest is not.
  EXPECT_TRUE(Takes(peer, peer.links[1], CastNumber(1, 1000)));
}

TEST(BubbleTable, WhoHoldsLessTakesWhatIsOverOfWhoHoldsMost) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 8});
  // One after the other leaves half of what was free: four, two, one and one.
  int number = 0;
  for (int neighbor = 0; neighbor < 4; ++neighbor) {
    while (Takes(peer, peer.links[neighbor], CastNumber(number, neighbor == 0 ? 1000 : 60'000)))
      ++number;
  }
  ASSERT_EQ(number, 8);
  EXPECT_FALSE(Takes(peer, peer.links[4], CastNumber(20)));

  // Their budget is over: they are remembered until somebody needs the room.
  peer.Pass(absl::Seconds(2));

  EXPECT_TRUE(Takes(peer, peer.links[4], CastNumber(21)));
  EXPECT_EQ(Offer(peer, peer.links[1], CastNumber(7)), Verdict::kKnown);
}

TEST(BubbleTable, OwnSearchesThatAreOverTakeNoMoreThanHalf) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 4});
  for (uint64_t i = 1; i <= 6; ++i) {
    SearchRequested request{.request = i, .query = "q", .recall = 0.9, .limit = 10};
    request.timeout = absl::Seconds(10);
    peer.core->OnSearchRequested(request, peer.now, peer.outputs);
    AnswerIndexes(peer, peer.Take<QueryIndex>());
    peer.core->OnSearchCancelled({i}, peer.now, peer.outputs);
    peer.core->CheckInvariants();
  }
  peer.outputs.clear();

  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(1)));
}

TEST(BubbleTable, BubblesWhoseBudgetIsOverMakeRoom) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 1});
  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(1, 1000)));
  peer.Pass(absl::Milliseconds(999));
  EXPECT_EQ(Offer(peer, peer.links[0], CastNumber(2)), Verdict::kRefused);
  peer.Pass(absl::Milliseconds(1));

  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(2)));
}

TEST(BubbleTable, BubblesAreForgottenAfterTheirTime) {
  OnePeer peer(8);
  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(1, 1000)));
  peer.Pass(absl::Seconds(61));
  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(2)));
  EXPECT_EQ(Offer(peer, peer.links[0], CastNumber(1, 1)), Verdict::kKnown);
  peer.Pass(kForgetInterval);

  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(3)));
  EXPECT_TRUE(Takes(peer, peer.links[0], CastNumber(1)));
}

TEST(BubbleTable, WhatANeighborBroughtCountsAlsoWhenItIsGone) {
  OnePeer peer(8, {.saturated_factor = 0, .bubbles_max = 4});
  const PeerId neighbor = peer.links[0];
  EXPECT_TRUE(Takes(peer, neighbor, CastNumber(1)));
  EXPECT_TRUE(Takes(peer, neighbor, CastNumber(2)));
  peer.LoseLink(neighbor);
  peer.core->CheckInvariants();
  peer.links.insert(std::lower_bound(peer.links.begin(), peer.links.end(), neighbor), neighbor);
  peer.core->SetNeighbors(peer.links);

  EXPECT_EQ(Offer(peer, neighbor, CastNumber(3)), Verdict::kRefused);
}

}  // namespace
}  // namespace panal
