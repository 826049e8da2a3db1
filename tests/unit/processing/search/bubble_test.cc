// The rules of docs/protocol/bubbles.md, one by one, at one peer.

#include "server/processing/search/bubble.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/sha256.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

Hit MakeHit(const std::string& name) {
  Hit hit;
  hit.record.name = name;
  hit.record.id = Sha256(name);
  return hit;
}

const Cast& CastOf(const SendFrame& sent) { return std::get<Cast>(sent.frame); }

const Answer& AnswerOf(const SendFrame& sent) { return std::get<Answer>(sent.frame); }

TEST(BubbleEngine, TakesThePositionAndSplitsTheRestOverFourNeighbors) {
  OnePeer peer(8);

  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 31));

  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), 4u);
  uint32_t next = 11;
  std::set<PeerId> receivers;
  for (const SendFrame& sent : casts) {
    EXPECT_EQ(CastOf(sent).begin, next);
    EXPECT_EQ(CastOf(sent).hops, 3);
    EXPECT_EQ(CastOf(sent).seed, 5u);
    EXPECT_LE(CastOf(sent).budget_ms, 900u);
    EXPECT_NE(sent.to, peer.links[0]);
    next = CastOf(sent).end;
    receivers.insert(sent.to);
  }
  EXPECT_EQ(next, 31u);
  EXPECT_EQ(receivers.size(), 4u);
  EXPECT_EQ(peer.Take<QueryIndex>().size(), 1u);
}

TEST(BubbleEngine, SameSeedChoosesTheSameNeighborsThoughAnotherHasGone) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 1, 30));
  const std::vector<SendFrame> before = peer.Sent<Cast>();
  std::set<PeerId> used;
  for (const SendFrame& sent : before) used.insert(sent.to);
  for (const PeerId& link : std::vector<PeerId>(peer.links.begin() + 1, peer.links.end())) {
    if (!used.contains(link)) peer.LoseLink(link);
  }

  peer.Receive(peer.links[0], OnePeer::QueryCast(2, 1, 30));

  const std::vector<SendFrame> after = peer.Sent<Cast>();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].to, before[i].to);
}

TEST(BubbleEngine, AnswersFinallyWhenItsPartsAndItselfAreDone) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 13));
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), 2u);

  peer.AnswerTo(casts[0], 1);
  peer.AnswerIndex({MakeHit("a")});
  EXPECT_TRUE(peer.Sent<Answer>().empty());
  peer.AnswerTo(casts[1], 0);

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].to, peer.links[0]);
  EXPECT_TRUE(AnswerOf(answers[0]).final);
  EXPECT_EQ(AnswerOf(answers[0]).begin, 10u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 2u);
  EXPECT_EQ(AnswerOf(answers[0]).unanswered, 0u);
  EXPECT_EQ(AnswerOf(answers[0]).hits.size(), 1u);
}

TEST(BubbleEngine, IsVisitedOnceButForwardsEveryRange) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12));
  peer.AnswerIndex();
  peer.Sent<Cast>();

  peer.Receive(peer.links[1], OnePeer::QueryCast(1, 20, 22));

  EXPECT_TRUE(peer.Take<QueryIndex>().empty());
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), 1u);
  EXPECT_EQ(CastOf(casts[0]).begin, 21u);
  peer.AnswerTo(casts[0], 1);
  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 1u);
}

TEST(BubbleEngine, TheSameRangeAnsweredIsAnsweredAtOnceWithNothingNew) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 11));
  peer.AnswerIndex({MakeHit("a")});
  peer.Sent<Answer>();

  peer.Receive(peer.links[1], OnePeer::QueryCast(1, 10, 11));

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].to, peer.links[1]);
  EXPECT_TRUE(AnswerOf(answers[0]).final);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 0u);
  EXPECT_TRUE(AnswerOf(answers[0]).hits.empty());
}

TEST(BubbleEngine, TheSameRangeUnderWayIsAnsweredToBoth) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 11));
  peer.Receive(peer.links[1], OnePeer::QueryCast(1, 10, 11));
  EXPECT_TRUE(peer.Sent<Answer>().empty());

  peer.AnswerIndex();

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(AnswerOf(answers[0]).visited + AnswerOf(answers[1]).visited, 1u);
}

TEST(BubbleEngine, EveryoneGoesToAllButTheSenderAndADuplicateIsAnsweredAtOnce) {
  OnePeer peer(5);
  Cast cast = OnePeer::QueryCast(1, 0, 1);
  cast.everyone = true;

  peer.Receive(peer.links[0], cast);
  EXPECT_EQ(peer.Sent<Cast>().size(), 4u);
  peer.Receive(peer.links[1], cast);

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].to, peer.links[1]);
  EXPECT_TRUE(AnswerOf(answers[0]).final);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 0u);
}

TEST(BubbleEngine, ALostNeighborsRangeGoesToTheNextAtOnce) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 31));
  const std::vector<SendFrame> casts = peer.Sent<Cast>();

  peer.LoseLink(casts[1].to);

  const std::vector<SendFrame> again = peer.Sent<Cast>();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(CastOf(again[0]).begin, CastOf(casts[1]).begin);
  EXPECT_EQ(CastOf(again[0]).end, CastOf(casts[1]).end);
  for (const SendFrame& sent : casts) EXPECT_NE(again[0].to, sent.to);
}

TEST(BubbleEngine, ASilentNeighborsRangeGoesToTheNextUntilTriesAreUsedUp) {
  OnePeer peer(8, {.saturated_factor = 0, .range_tries_max = 3});
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12));
  peer.AnswerIndex();
  std::set<PeerId> tried;
  for (const SendFrame& sent : peer.Sent<Cast>()) tried.insert(sent.to);

  peer.Pass(absl::Milliseconds(999));
  for (const SendFrame& send : peer.Take<SendFrame>()) {
    if (std::holds_alternative<Cast>(send.frame)) {
      EXPECT_TRUE(tried.insert(send.to).second) << "a neighbor was tried twice";
    } else if (AnswerOf(send).final) {
      EXPECT_EQ(AnswerOf(send).unanswered, 1u);
    }
  }

  EXPECT_EQ(tried.size(), 3u);
  peer.core->CheckInvariants();
}

TEST(BubbleEngine, NoNeighborLeftIsUnanswered) {
  OnePeer peer(1);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 30));
  // The sender is the last resort.
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), 1u);
  peer.AnswerIndex();

  peer.AnswerTo(casts[0], 0, 19);

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 1u);
  EXPECT_EQ(AnswerOf(answers[0]).unanswered, 19u);
}

TEST(BubbleEngine, ARefusedRangeGoesToTheNext) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12));
  const std::vector<SendFrame> casts = peer.Sent<Cast>();

  peer.AnswerTo(casts[0], 0, 1);

  ASSERT_EQ(peer.Sent<Cast>().size(), 1u);
}

TEST(BubbleEngine, ALateAnswerCountsAndIsPassedOn) {
  OnePeer peer(8, {.saturated_factor = 0, .range_tries_max = 1});
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12));
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  peer.AnswerIndex();
  peer.Pass(absl::Milliseconds(1000));
  std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_FALSE(answers.empty());
  EXPECT_TRUE(AnswerOf(answers.back()).final);
  EXPECT_EQ(AnswerOf(answers.back()).unanswered, 1u);

  peer.AnswerTo(casts[0], 1);

  answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 1u);
  EXPECT_FALSE(AnswerOf(answers[0]).final);
}

TEST(BubbleEngine, AnswersThatNobodyAskedForAreNotCounted) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12));
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  Answer stranger{.bubble = CastOf(casts[0]).bubble, .begin = 11, .final = true, .visited = 1};
  for (const PeerId& link : peer.links) {
    if (link != casts[0].to) peer.Receive(link, stranger);
  }
  peer.AnswerIndex();

  peer.AnswerTo(casts[0], 1000);

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  // One position cannot be a thousand peers.
  EXPECT_EQ(AnswerOf(answers[0]).visited, 2u);
}

TEST(BubbleEngine, AnAnswerWithoutParentWaitsForTheNextCastOfTheBubble) {
  OnePeer peer(8);
  const PeerId parent = peer.links[0];
  peer.Receive(parent, OnePeer::QueryCast(1, 10, 11));
  peer.LoseLink(parent);
  peer.AnswerIndex({MakeHit("a")});
  EXPECT_TRUE(peer.Sent<Answer>().empty());

  peer.Receive(peer.links[1], OnePeer::QueryCast(1, 50, 51));

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).begin, 50u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 1u);
  EXPECT_EQ(AnswerOf(answers[0]).hits.size(), 1u);
}

TEST(BubbleEngine, HitsDoNotWaitForSlowParts) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12, 100'000));
  peer.AnswerIndex({MakeHit("a")});

  peer.Pass(kHitDelay);

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(AnswerOf(answers[0]).final);
  EXPECT_EQ(AnswerOf(answers[0]).hits.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 1u);
}

TEST(BubbleEngine, SaysThatItLivesAfterItsShareOfTheBudget) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12, 10'000));
  peer.AnswerIndex();
  peer.Sent<Cast>();

  peer.Pass(absl::Milliseconds(2499));
  EXPECT_TRUE(peer.Sent<Answer>().empty());
  peer.Pass(absl::Milliseconds(1));

  EXPECT_EQ(peer.Sent<Answer>().size(), 1u);
}

TEST(BubbleEngine, ACatalogThatCannotAnswerIsNotCounted) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 11));

  peer.AnswerIndex({}, /*failed=*/true);

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 0u);
  EXPECT_EQ(AnswerOf(answers[0]).unanswered, 1u);
}

TEST(BubbleEngine, NoFurtherThanTheHopsAFrameAllows) {
  OnePeer peer(8);
  peer.core->SetEstimate({9, 0, 0, false});  // Any range is plausible.
  Cast cast = OnePeer::QueryCast(1, 10, 30);
  cast.hops = kCastHopsMax - 1;
  peer.Receive(peer.links[0], cast);
  EXPECT_FALSE(peer.Sent<Cast>().empty());

  cast.bubble.bytes[0] = 2;
  cast.hops = kCastHopsMax;
  peer.Receive(peer.links[0], cast);

  EXPECT_TRUE(peer.Sent<Cast>().empty());
}

TEST(BubbleEngine, RangesOfOneBubbleAreBounded) {
  OnePeer peer(8);
  for (uint32_t i = 0; i < kRangesPerBubbleMax; ++i) {
    peer.Receive(peer.links[0], OnePeer::QueryCast(1, 100 + i, 101 + i));
  }
  peer.AnswerIndex();
  for (const SendFrame& sent : peer.Sent<Answer>()) EXPECT_EQ(AnswerOf(sent).unanswered, 0u);

  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 1000, 1001));

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).unanswered, 1u);
  peer.core->CheckInvariants();
}

TEST(BubbleEngine, ParentsThatWaitForOneRangeAreBounded) {
  for (int limit : {2, 3}) {
    OnePeer peer(8, {.saturated_factor = 0, .further_parents_max = limit});
    for (int i = 0; i < 4; ++i) peer.Receive(peer.links[i], OnePeer::QueryCast(1, 10, 11));
    // One for which there is no room is answered at once.
    EXPECT_EQ(peer.Sent<Answer>().size(), static_cast<size_t>(3 - limit));

    peer.AnswerIndex();

    EXPECT_EQ(peer.Sent<Answer>().size(), static_cast<size_t>(1 + limit));
  }
}

TEST(BubbleEngine, HitsKeptForAParentThatIsGoneAreBounded) {
  for (int limit : {2, 3}) {
    OnePeer peer(8, {.saturated_factor = 0, .orphan_hits_max = limit});
    const PeerId parent = peer.links[0];
    peer.Receive(parent, OnePeer::QueryCast(1, 10, 11));
    peer.LoseLink(parent);
    peer.AnswerIndex({MakeHit("a"), MakeHit("b"), MakeHit("c")});
    peer.core->CheckInvariants();

    peer.Receive(peer.links[1], OnePeer::QueryCast(1, 50, 51));

    const std::vector<SendFrame> answers = peer.Sent<Answer>();
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(AnswerOf(answers[0]).hits.size(), static_cast<size_t>(limit));
    EXPECT_EQ(AnswerOf(answers[0]).truncated, limit < 3);
  }
}

TEST(BubbleEngine, HitsAreMergedAndLimited) {
  OnePeer peer(8);
  Cast cast = OnePeer::QueryCast(1, 10, 12);
  cast.payload = QueryPayload{"q", 2};
  peer.Receive(peer.links[0], cast);
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  peer.AnswerIndex({MakeHit("a"), MakeHit("b")});
  Answer answer{.bubble = cast.bubble, .begin = 11, .final = true, .visited = 1};
  answer.hits = {MakeHit("a"), MakeHit("c")};

  peer.Receive(casts[0].to, answer);

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).hits.size(), 2u);
  EXPECT_TRUE(AnswerOf(answers[0]).truncated);
}

}  // namespace
}  // namespace panal
