// Neighbors that claim visits and find nothing (docs/protocol/bubbles.md, 3.9).

#include "server/processing/search/audit.h"

#include <gtest/gtest.h>

#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
const PeerId kAnn = PeerIdOf(1);
const PeerId kBob = PeerIdOf(2);

// A record of each of the publishers.
std::vector<Hit> HitsOf(int first, int count) {
  std::vector<Hit> hits;
  for (int i = first; i < first + count; ++i) {
    Hit hit;
    hit.publisher.id = PeerIdOf(1000 + i);
    hit.record.name = "q";
    hit.record.id.bytes[0] = static_cast<uint8_t>(i);
    hit.record.id.bytes[1] = static_cast<uint8_t>(i >> 8);
    hits.push_back(hit);
  }
  return hits;
}

TEST(Finds, CountWhatOthersFound) {
  Finds finds;
  finds.Note(kAnn, HitsOf(0, 5));
  finds.Note(kBob, HitsOf(3, 5));

  EXPECT_EQ(finds.Compare(kAnn).others, 5);
  EXPECT_EQ(finds.Compare(kAnn).common, 2);
  EXPECT_EQ(finds.Compare(PeerIdOf(3)).others, 8);
  EXPECT_EQ(finds.Compare(PeerIdOf(3)).common, 0);
}

TEST(Finds, CountAPublisherOnceHoweverManyRecords) {
  Finds finds;
  std::vector<Hit> hits = HitsOf(0, 1);
  hits.push_back(hits.front());
  hits.back().record.name = "other";
  finds.Note(kAnn, hits);
  finds.Note(kAnn, hits);

  EXPECT_EQ(finds.Compare(kBob).others, 1);
}

TEST(Finds, AreBounded) {
  Finds finds;
  finds.Note(kAnn, HitsOf(0, kFindsMax));
  EXPECT_EQ(finds.Compare(kBob).others, static_cast<int>(kFindsMax));

  finds.Note(kAnn, HitsOf(kFindsMax, 1));
  EXPECT_EQ(finds.Compare(kBob).others, static_cast<int>(kFindsMax));

  for (size_t i = 2; i <= kFindersMax; ++i) finds.Note(PeerIdOf(i), HitsOf(0, 1));
  EXPECT_EQ(finds.Compare(PeerIdOf(kFindersMax)).common, 1);
  finds.Note(PeerIdOf(kFindersMax + 1), HitsOf(0, 1));
  EXPECT_EQ(finds.Compare(PeerIdOf(kFindersMax + 1)).common, 0);
}

TEST(Audit, DistrustsWhoFindsFarLessThanItShould) {
  // 20 are expected; 8 are honest, with a standard deviation of 2.53.
  Audit honest;
  honest.OnCompared(kAnn, 0.5, {.others = 40, .common = 1}, kNow);
  EXPECT_FALSE(honest.Distrusts(kAnn, kNow));

  Audit liar;
  liar.OnCompared(kAnn, 0.5, {.others = 40, .common = 0}, kNow);
  EXPECT_TRUE(liar.Distrusts(kAnn, kNow));
}

TEST(Audit, LearnsFromMuchLittle) {
  Audit audit;
  int answers = 0;
  while (!audit.Distrusts(kAnn, kNow) && answers < 1000) {
    audit.OnCompared(kAnn, 0.1, {.others = 1, .common = 0}, kNow);
    ++answers;
  }
  EXPECT_GE(answers, 200);  // 20 expected.
  EXPECT_LE(answers, 260);
  for (int i = 0; i < 3000; ++i) {
    audit.OnCompared(kBob, 0.1, {.others = 1, .common = i % 20 == 0}, kNow);
    ASSERT_FALSE(audit.Distrusts(kBob, kNow)) << i;
  }
}

// Where all find little, copies are missing: that is nobody's lie.
TEST(Audit, ComparesWithTheOtherNeighbors) {
  Audit audit;
  for (int i = 3; i < 13; ++i) {
    audit.OnCompared(PeerIdOf(i), 0.5, {.others = 80, .common = 10}, kNow);
  }
  audit.OnCompared(kAnn, 0.5, {.others = 80, .common = 5}, kNow);
  EXPECT_FALSE(audit.Distrusts(kAnn, kNow));

  Audit alone;
  alone.OnCompared(kAnn, 0.5, {.others = 80, .common = 5}, kNow);
  EXPECT_TRUE(alone.Distrusts(kAnn, kNow));
}

TEST(Audit, TrustsAgainAfterAWhileAndLessAtOnce) {
  Audit audit;
  audit.OnCompared(kAnn, 0.5, {.others = 60, .common = 0}, kNow);
  ASSERT_TRUE(audit.Distrusts(kAnn, kNow + kDistrustTime - absl::Seconds(1)));
  const absl::Time later = kNow + kDistrustTime;
  ASSERT_FALSE(audit.Distrusts(kAnn, later));

  audit.OnCompared(kAnn, 0.5, {.others = 20, .common = 0}, later);  // Too few alone.
  EXPECT_TRUE(audit.Distrusts(kAnn, later));
  audit.Forget(kAnn);
  EXPECT_FALSE(audit.Distrusts(kAnn, later));
  EXPECT_EQ(audit.size(), 0u);
  audit.OnCompared(kAnn, 0.5, {.others = 20, .common = 0}, later);
  EXPECT_FALSE(audit.Distrusts(kAnn, later));
}

TEST(Audit, ForgetsWhatIsLongAgo) {
  Audit audit;
  for (int i = 0; i < 100; ++i) audit.OnCompared(kAnn, 0.5, {.others = 40, .common = 20}, kNow);
  int answers = 0;
  for (; !audit.Distrusts(kAnn, kNow) && answers < 100; ++answers) {
    audit.OnCompared(kAnn, 0.5, {.others = 40, .common = 0}, kNow);
  }
  EXPECT_LE(answers, 20);
}

TEST(Audit, SaysNothingOfWhoClaimsNothing) {
  Audit audit;
  audit.OnCompared(kAnn, 0, {.others = 40, .common = 0}, kNow);
  audit.OnCompared(kAnn, 0.5, {}, kNow);
  EXPECT_EQ(audit.size(), 0u);
}

const Cast& CastOf(const SendFrame& sent) { return std::get<Cast>(sent.frame); }

// The four parts of a range are answered as visited whole; all but the first find the records of 40
// publishers.
std::vector<SendFrame> CastWithALiar(OnePeer& peer, uint8_t bubble) {
  Cast cast = OnePeer::QueryCast(bubble, 10, 111, 20'000);
  cast.hops = 1;
  cast.origin = peer.links[0];
  peer.Receive(peer.links[0], cast);
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  EXPECT_EQ(casts.size(), 4u);
  peer.AnswerIndex();
  for (size_t i = 0; i < casts.size(); ++i) {
    const Cast& part = CastOf(casts[i]);
    Answer answer{.bubble = part.bubble, .begin = part.begin, .final = true};
    answer.visited = part.end - part.begin;
    if (i > 0) answer.hits = HitsOf(0, 40);
    peer.Receive(casts[i].to, answer);
  }
  return casts;
}

TEST(BubbleAudit, ALyingNeighborsPartGoesToAnotherAndNothingElseToIt) {
  OnePeer peer(12);
  const std::vector<SendFrame> casts = CastWithALiar(peer, 1);

  const std::vector<SendFrame> again = peer.Sent<Cast>();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(CastOf(again[0]).begin, CastOf(casts[0]).begin);
  EXPECT_EQ(CastOf(again[0]).end, CastOf(casts[0]).end);
  EXPECT_NE(again[0].to, casts[0].to);
  EXPECT_TRUE(peer.Sent<Answer>().empty());
  peer.AnswerTo(again[0], 25);
  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(std::get<Answer>(answers[0].frame).final);
  EXPECT_EQ(std::get<Answer>(answers[0].frame).unanswered, 0u);
  peer.core->CheckInvariants();

  for (uint8_t bubble = 2; bubble < 20; ++bubble) {
    peer.Receive(peer.links[0], OnePeer::QueryCast(bubble, 10, 31, 20'000));
    for (const SendFrame& sent : peer.Sent<Cast>()) EXPECT_NE(sent.to, casts[0].to);
  }
}

TEST(BubbleAudit, WhereEveryNeighborWasTriedTheRangeIsAnsweredAllTheSame) {
  OnePeer peer(5);
  CastWithALiar(peer, 1);

  peer.Pass(absl::Seconds(20));

  const std::vector<SendFrame> answers = peer.Sent<Answer>();
  ASSERT_FALSE(answers.empty());
  EXPECT_TRUE(std::get<Answer>(answers.back().frame).final);
  peer.core->CheckInvariants();
}

TEST(BubbleAudit, RemembersNothingOfANeighborThatIsGone) {
  OnePeer peer(12);
  Cast cast = OnePeer::QueryCast(1, 10, 111, 20'000);
  cast.hops = 1;
  cast.origin = peer.links[0];
  peer.Receive(peer.links[0], cast);
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), 4u);
  for (const SendFrame& sent : casts) {
    const Cast& part = CastOf(sent);
    Answer answer{.bubble = part.bubble, .begin = part.begin, .final = true};
    answer.visited = part.end - part.begin;
    answer.hits = HitsOf(0, 40);
    peer.Receive(sent.to, answer);
  }
  for (const SendFrame& sent : casts) peer.LoseLink(sent.to);

  peer.AnswerIndex();

  peer.core->CheckInvariants();
}

TEST(BubbleAudit, CanBeSwitchedOff) {
  SearchOptions options{.saturated_factor = 0};
  options.rules.audit = false;
  OnePeer peer(12, options);
  CastWithALiar(peer, 1);

  EXPECT_TRUE(peer.Sent<Cast>().empty());
}

}  // namespace
}  // namespace panal
