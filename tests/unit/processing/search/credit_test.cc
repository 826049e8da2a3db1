// Credits of neighbors and refusals for want of room (docs/protocol/bubbles.md, 3.7).

#include <gtest/gtest.h>

#include "server/processing/search/bubble.h"
#include "server/processing/search/conduct.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

const Cast& CastOf(const SendFrame& sent) { return std::get<Cast>(sent.frame); }

const Answer& AnswerOf(const SendFrame& sent) { return std::get<Answer>(sent.frame); }

int CreditOf(const Conduct& before, const PeerId& peer) {
  Conduct conduct = before;
  int credit = 0;
  for (; conduct.HasCredit(peer); ++credit) conduct.OnCast(peer);
  return credit;
}

TEST(Credit, EndsWithTheWindowAndComesBackWithAnswers) {
  const PeerId peer = PeerIdOf(1);
  Conduct conduct;
  for (int i = 0; i < static_cast<int>(kWindowBegin); ++i) {
    EXPECT_TRUE(conduct.HasCredit(peer));
    conduct.OnCast(peer);
  }
  EXPECT_FALSE(conduct.HasCredit(peer));

  conduct.OnGivenUp(peer);

  EXPECT_EQ(CreditOf(conduct, peer), 1);
  EXPECT_TRUE(conduct.HasCredit(PeerIdOf(2)));
}

TEST(Credit, GrowsByOneForAWindowOfAnswersUpToItsLimit) {
  const PeerId peer = PeerIdOf(1);
  Conduct conduct;
  for (int i = 0; i <= static_cast<int>(kWindowBegin); ++i) {
    conduct.OnCast(peer);
    conduct.OnDone(peer);
  }
  EXPECT_EQ(CreditOf(conduct, peer), static_cast<int>(kWindowBegin) + 1);

  for (int i = 0; i < 200'000; ++i) {
    conduct.OnCast(peer);
    conduct.OnDone(peer);
  }

  EXPECT_EQ(CreditOf(conduct, peer), static_cast<int>(kWindowMax));
}

TEST(Credit, IsHalvedByARefusalButOnceForThoseOfOneMoment) {
  const PeerId peer = PeerIdOf(1);
  Conduct conduct;
  for (int i = 0; i < 3; ++i) conduct.OnCast(peer);
  conduct.OnRefused(peer, kNow);
  conduct.OnRefused(peer, kNow + absl::Milliseconds(1));
  EXPECT_TRUE(conduct.RefusedLately(peer, kNow + absl::Milliseconds(200)));
  EXPECT_FALSE(conduct.RefusedLately(peer, kNow + absl::Milliseconds(201)));
  conduct.OnGivenUp(peer);
  EXPECT_EQ(CreditOf(conduct, peer), static_cast<int>(kWindowBegin) / 2);

  for (int i = 1; i <= 20; ++i) {
    conduct.OnCast(peer);
    conduct.OnRefused(peer, kNow + i * absl::Seconds(1));
  }

  EXPECT_EQ(CreditOf(conduct, peer), static_cast<int>(kWindowMin));
  conduct.OnCast(peer);
  conduct.Forget(peer);
  EXPECT_EQ(conduct.in_flight(), 0u);
}

TEST(Credit, ASliceForWhichNobodyHasCreditIsUnanswered) {
  OnePeer peer(1);
  for (int i = 0; i < static_cast<int>(kWindowBegin); ++i) {
    peer.Receive(peer.links[0], OnePeer::QueryCast(static_cast<uint8_t>(i), 10, 13, 60'000));
  }
  EXPECT_EQ(peer.Sent<Cast>().size(), static_cast<size_t>(kWindowBegin));

  peer.Receive(peer.links[0], OnePeer::QueryCast(200, 10, 13, 60'000));
  for (const QueryIndex& query : peer.Take<QueryIndex>()) {
    peer.core->OnIndexAnswered({.token = query.token}, peer.now, peer.outputs);
  }

  const std::vector<SendFrame> sent = peer.Take<SendFrame>();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_TRUE(AnswerOf(sent[0]).final);
  EXPECT_EQ(AnswerOf(sent[0]).visited, 1u);
  EXPECT_EQ(AnswerOf(sent[0]).unanswered, 2u);
  peer.core->CheckInvariants();
}

TEST(Credit, IsGivenBackWhenNobodyWaitsAnyMore) {
  OnePeer peer(1);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < static_cast<int>(kWindowBegin); ++i) {
      Cast cast = OnePeer::QueryCast(static_cast<uint8_t>(i), 10, 13, 500);
      cast.bubble.bytes[1] = static_cast<uint8_t>(round);
      peer.Receive(peer.links[0], cast);
    }
    EXPECT_EQ(peer.Sent<Cast>().size(), static_cast<size_t>(kWindowBegin));
    peer.Pass(absl::Seconds(1));
    peer.core->CheckInvariants();
  }
}

TEST(Credit, ANeighborThatRefusedIsPassedOver) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 31));
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), 4u);
  peer.AnswerTo(casts[0], 0, CastOf(casts[0]).end - CastOf(casts[0]).begin);
  EXPECT_EQ(peer.Sent<Cast>().size(), 1u);

  for (uint8_t bubble = 2; bubble < 12; ++bubble) {
    peer.Receive(peer.links[0], OnePeer::QueryCast(bubble, 10, 31));
  }

  for (const SendFrame& sent : peer.Sent<Cast>()) EXPECT_NE(sent.to, casts[0].to);
}

TEST(Overload, VisitsAtOnceAreBoundedAndOneMoreIsRefused) {
  OnePeer peer(8, {.saturated_factor = 0, .visits_max = 5});
  for (uint8_t i = 0; i < 5; ++i) peer.Receive(peer.links[0], OnePeer::QueryCast(i, 10, 11));
  EXPECT_TRUE(peer.Sent<Answer>().empty());

  peer.Receive(peer.links[0], OnePeer::QueryCast(5, 10, 31));
  Cast page = OnePeer::QueryCast(6, 10, 31);
  page.payload = PagePayload{MakePage(PeerIdOf(9), 1, 1, {"a"}), true, nullptr};
  peer.Receive(peer.links[0], page);

  const std::vector<SendFrame> sent = peer.Take<SendFrame>();
  ASSERT_EQ(sent.size(), 2u);  // Nothing was cast.
  for (const SendFrame& answer : sent) EXPECT_EQ(AnswerOf(answer).unanswered, 21u);
  // A range of a bubble that was here needs no visit.
  peer.Receive(peer.links[1], OnePeer::QueryCast(1, 20, 22));
  EXPECT_EQ(peer.Sent<Cast>().size(), 1u);
  peer.core->CheckInvariants();
}

TEST(Overload, VisitsEndWithTheirTimeWhateverTheCatalogDoes) {
  OnePeer peer(8, {.saturated_factor = 0, .visits_max = 1});
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 11));
  peer.Pass(absl::Seconds(2));
  peer.Sent<Answer>();

  peer.Receive(peer.links[0], OnePeer::QueryCast(2, 10, 11));

  EXPECT_EQ(peer.Take<QueryIndex>().size(), 2u);
  EXPECT_TRUE(peer.Sent<Answer>().empty());
  peer.core->CheckInvariants();
}

TEST(Overload, APeerWhoseCatalogCannotAnswerRefusesForAWhile) {
  OnePeer peer(8);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 11));
  peer.AnswerIndex({}, /*failed=*/true);
  peer.Sent<Answer>();

  peer.Receive(peer.links[0], OnePeer::QueryCast(2, 10, 15));
  const std::vector<SendFrame> sent = peer.Take<SendFrame>();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(AnswerOf(sent[0]).unanswered, 5u);

  peer.Pass(kOverloadTime);
  peer.Receive(peer.links[0], OnePeer::QueryCast(3, 10, 15));
  EXPECT_EQ(peer.Take<QueryIndex>().size(), 1u);
}

}  // namespace
}  // namespace panal
