// What a peer remembers of bubbles, and how much of it for one neighbor (docs/protocol/bubbles.md,
// 8).

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/sha256.h"
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

Hit MakeHit(int number) {
  Hit hit;
  hit.record.name = std::to_string(number);
  hit.record.id = Sha256(hit.record.name);
  return hit;
}

// Bubbles of two neighbors whose links break before the catalog answers with two hits each.
class LateHits : public testing::Test {
 protected:
  // The bubbles' numbers begin with this.
  void Bring(const PeerId& from, int first, int count) {
    for (int i = 0; i < count; ++i) peer_.Receive(from, CastNumber(first + i));
    const std::vector<QueryIndex> queries = peer_.Take<QueryIndex>();
    peer_.LoseLink(from);
    for (const QueryIndex& query : queries) {
      IndexAnswered answer{.token = query.token, .hits = {MakeHit(1), MakeHit(2)}};
      peer_.core->OnIndexAnswered(answer, peer_.now, peer_.outputs);
      peer_.core->CheckInvariants();
    }
    EXPECT_TRUE(peer_.Sent<Answer>().empty());
  }

  // What was kept for a bubble; it is handed out, and no longer kept.
  Answer Fetch(int number) {
    Cast cast = CastNumber(number);
    cast.begin = 50;
    cast.end = 51;
    peer_.Receive(peer_.links.back(), cast);
    peer_.core->CheckInvariants();
    const std::vector<SendFrame> answers = peer_.Sent<Answer>();
    EXPECT_EQ(answers.size(), 1u);
    return AnswerOf(answers.at(0));
  }

  OnePeer peer_{8, {.saturated_factor = 0, .late_hits_max = 12}};
};

TEST_F(LateHits, AreKeptUpToHalfForOneNeighbor) {
  const PeerId one = peer_.links[0], other = peer_.links[1];
  Bring(one, 0, 4);
  Bring(other, 10, 1);

  for (int number = 0; number < 3; ++number) {
    const Answer answer = Fetch(number);
    EXPECT_EQ(answer.hits.size(), 2u) << number;
    EXPECT_FALSE(answer.truncated);
  }
  // One past it: it is counted, and its hits are left out.
  const Answer past = Fetch(3);
  EXPECT_EQ(past.visited, 1u);
  EXPECT_TRUE(past.hits.empty());
  EXPECT_TRUE(past.truncated);
  // There was room for the other's.
  EXPECT_EQ(Fetch(10).hits.size(), 2u);
}

TEST_F(LateHits, MakeRoomForOthersOnceTheyAreHandedOutOrForgotten) {
  Bring(peer_.links[0], 0, 3);
  Fetch(0);
  Bring(peer_.links[0], 10, 3);  // Four are kept: four more, and then none.
  EXPECT_EQ(Fetch(10).hits.size() + Fetch(11).hits.size() + Fetch(12).hits.size(), 4u);

  peer_.Pass(absl::Minutes(3));
  Bring(peer_.links[0], 20, 3);

  EXPECT_EQ(Fetch(22).hits.size(), 2u);
}

}  // namespace
}  // namespace panal
