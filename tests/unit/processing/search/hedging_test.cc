// Parts that are late are cast to a second neighbor (docs/protocol/bubbles.md, 3.6).

#include <gtest/gtest.h>

#include <set>

#include "server/processing/search/conduct.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

constexpr absl::Duration kRoundTrip = absl::Milliseconds(40);
// When parts of siblings that took a round trip are late.
const absl::Duration kLate = SearchOptions{}.late_factor * kRoundTrip + kLateSlack;

const Cast& CastOf(const SendFrame& sent) { return std::get<Cast>(sent.frame); }

const Answer& AnswerOf(const SendFrame& sent) { return std::get<Answer>(sent.frame); }

// The four parts of a range; two of them are answered after a round trip.
std::vector<SendFrame> CastHalfAnswered(OnePeer& peer, const Cast& cast) {
  peer.Receive(peer.links[0], cast);
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  EXPECT_EQ(casts.size(), 4u);
  peer.Pass(kRoundTrip);
  for (size_t i : {0, 1}) peer.AnswerTo(casts[i], CastOf(casts[i]).end - CastOf(casts[i]).begin);
  return casts;
}

Cast LongCast(uint8_t bubble) { return OnePeer::QueryCast(bubble, 10, 31, 20'000); }

TEST(Hedging, APartMuchLaterThanItsSiblingsIsCastToAnother) {
  OnePeer peer(12);
  const std::vector<SendFrame> casts = CastHalfAnswered(peer, LongCast(1));

  peer.Pass(kLate - kRoundTrip - absl::Milliseconds(1));
  EXPECT_TRUE(peer.Sent<Cast>().empty());
  peer.Pass(absl::Milliseconds(2));

  const std::vector<SendFrame> again = peer.Sent<Cast>();
  ASSERT_EQ(again.size(), 2u);
  for (size_t i : {0, 1}) {
    EXPECT_EQ(CastOf(again[i]).begin, CastOf(casts[2 + i]).begin);
    EXPECT_EQ(CastOf(again[i]).end, CastOf(casts[2 + i]).end);
    for (const SendFrame& sent : casts) EXPECT_NE(again[i].to, sent.to);
  }
}

TEST(Hedging, WhoeverAnswersFirstFinishesThePartAndBothCount) {
  OnePeer peer(12);
  const std::vector<SendFrame> casts = CastHalfAnswered(peer, LongCast(1));
  peer.AnswerIndex();
  peer.Pass(kLate);
  const std::vector<SendFrame> again = peer.Sent<Cast>();
  ASSERT_EQ(again.size(), 2u);

  peer.AnswerTo(casts[2], 3);  // The first neighbor of one part,
  peer.AnswerTo(again[1], 4);  // the second of the other.

  std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(AnswerOf(answers[0]).final);
  EXPECT_EQ(AnswerOf(answers[0]).unanswered, 0u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 1u + 5u + 5u + 3u + 4u);
  // The rest of a part of five positions.
  peer.AnswerTo(again[0], 5);
  answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).visited, 2u);
  peer.core->CheckInvariants();
}

TEST(Hedging, IsBoundedByTheTriesForAPart) {
  OnePeer peer(12, {.saturated_factor = 0, .range_tries_max = 2});
  CastHalfAnswered(peer, LongCast(1));

  peer.Pass(absl::Seconds(5));

  EXPECT_EQ(peer.Sent<Cast>().size(), 2u);
}

TEST(Hedging, CanBeSwitchedOff) {
  OnePeer peer(12, {.saturated_factor = 0, .late_factor = 0});
  CastHalfAnswered(peer, LongCast(1));

  peer.Pass(absl::Seconds(2));

  EXPECT_TRUE(peer.Sent<Cast>().empty());
}

TEST(Hedging, PagesWaitForTheirKeepers) {
  OnePeer peer(12);
  Cast cast = LongCast(1);
  cast.payload = PagePayload{MakePage(PeerIdOf(9), 1, 1, {"a"}), true, nullptr};
  CastHalfAnswered(peer, cast);

  peer.Pass(absl::Seconds(2));

  EXPECT_TRUE(peer.Sent<Cast>().empty());
}

TEST(Hedging, APartWithoutSiblingsIsJudgedByThoseBefore) {
  OnePeer peer(12);
  peer.Receive(peer.links[0], OnePeer::QueryCast(1, 10, 12, 20'000));
  std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), 1u);
  peer.Pass(kRoundTrip);
  EXPECT_TRUE(peer.Sent<Cast>().empty());
  peer.AnswerTo(casts[0], 1);

  peer.Receive(peer.links[0], OnePeer::QueryCast(2, 10, 12, 20'000));
  EXPECT_EQ(peer.Sent<Cast>().size(), 1u);
  peer.Pass(kLate - absl::Milliseconds(1));
  EXPECT_TRUE(peer.Sent<Cast>().empty());
  peer.Pass(absl::Milliseconds(2));

  EXPECT_EQ(peer.Sent<Cast>().size(), 1u);
}

TEST(Conduct, ANeighborThatIsLateTwiceRunningIsASuspect) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  const PeerId peer = PeerIdOf(1);
  Conduct conduct;
  conduct.OnLate(peer, now);
  conduct.OnInTime(peer);
  conduct.OnLate(peer, now);
  EXPECT_FALSE(conduct.IsSuspect(peer, now));

  conduct.OnLate(peer, now);

  EXPECT_TRUE(conduct.IsSuspect(peer, now));
  // That it lives says nothing; time does.
  conduct.OnAnswer(peer);
  EXPECT_TRUE(conduct.IsSuspect(peer, now));
  EXPECT_FALSE(conduct.IsSuspect(peer, now + kSuspectTime));
  // The next delay brings the suspicion back.
  conduct.OnLate(peer, now + kSuspectTime);
  EXPECT_TRUE(conduct.IsSuspect(peer, now + kSuspectTime));
  conduct.OnInTime(peer);
  conduct.OnLate(peer, now + 2 * kSuspectTime);
  EXPECT_FALSE(conduct.IsSuspect(peer, now + 2 * kSuspectTime));
  conduct.Forget(peer);
  EXPECT_EQ(conduct.size(), 0u);
}

TEST(Pace, LateCastsAreBoundedByTheCastsOfParts) {
  Pace pace(2);
  for (int i = 0; i < static_cast<int>(kLateCastsMax); ++i) EXPECT_TRUE(pace.TakeLateCast());
  EXPECT_FALSE(pace.TakeLateCast());

  for (int i = 0; i < 4; ++i) pace.OnCast();

  EXPECT_TRUE(pace.TakeLateCast());
  EXPECT_FALSE(pace.TakeLateCast());
}

TEST(Pace, KnowsPartsByTheirSize) {
  Pace pace(2);
  EXPECT_EQ(pace.LateAfter(1, absl::ZeroDuration()), absl::InfiniteDuration());
  pace.OnAnswered(1, absl::Milliseconds(40));
  pace.OnAnswered(100, absl::Milliseconds(400));

  EXPECT_EQ(pace.LateAfter(1, absl::ZeroDuration()), 2 * absl::Milliseconds(40) + kLateSlack);
  EXPECT_EQ(pace.LateAfter(100, absl::ZeroDuration()), 2 * absl::Milliseconds(400) + kLateSlack);
  EXPECT_EQ(pace.LateAfter(100, absl::Milliseconds(10)), 2 * absl::Milliseconds(10) + kLateSlack);
}

}  // namespace
}  // namespace panal
