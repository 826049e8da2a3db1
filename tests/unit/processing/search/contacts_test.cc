// Consulting digests and contacting neighbors (docs/protocol/bubbles.md, 12), at one peer.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "common/model/digest.h"
#include "server/processing/search/bubble.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

constexpr char kQuery[] = "report";

const Cast& CastOf(const SendFrame& sent) { return std::get<Cast>(sent.frame); }

const Answer& AnswerOf(const SendFrame& sent) { return std::get<Answer>(sent.frame); }

class ContactsTest : public testing::Test {
 protected:
  explicit ContactsTest(int neighbors = 8) : peer_(neighbors) {}

  ~ContactsTest() override { peer_.core->CheckInvariants(); }

  // `peer` tells that it has `term`.
  void Tell(const PeerId& peer, const std::string& term) {
    auto digest = std::make_shared<const TermDigest>(TermDigest::Of({DigestHash(term)}));
    peer_.core->OnDigest(peer, DigestFrame{1, digest}, peer_.now, peer_.outputs);
  }

  // Digests of all neighbors: the last `count` have the term.
  void TellAll(size_t count) {
    for (size_t i = 0; i < peer_.links.size(); ++i) {
      Tell(peer_.links[i], i + count >= peer_.links.size() ? kQuery : "other");
    }
  }

  static Cast Consulting(uint32_t begin, uint32_t end, const std::string& query = kQuery) {
    Cast cast = OnePeer::QueryCast(1, begin, end);
    cast.consult = kLinksPerPeerMax;
    cast.payload = QueryPayload{query, 100};
    return cast;
  }

  static Cast Contact() {
    Cast cast = Consulting(0, 1);
    cast.consult = 0;
    cast.contact = true;
    return cast;
  }

  // The one final answer sent; the visit is over.
  Answer Final() {
    const std::vector<SendFrame> answers = peer_.Sent<Answer>();
    EXPECT_EQ(answers.size(), 1u);
    if (answers.empty()) return {};
    EXPECT_TRUE(AnswerOf(answers.back()).final);
    return AnswerOf(answers.back());
  }

  OnePeer peer_;
};

TEST_F(ContactsTest, ContactsThoseWhoseDigestsDoNotRuleItOutAndCountsAll) {
  TellAll(2);

  peer_.Receive(peer_.links[0], Consulting(5, 6));

  const std::vector<SendFrame> casts = peer_.Sent<Cast>();
  ASSERT_EQ(casts.size(), 2u);
  for (const SendFrame& sent : casts) {
    EXPECT_TRUE(CastOf(sent).contact);
    EXPECT_EQ(CastOf(sent).consult, 0u);
    EXPECT_EQ(CastOf(sent).begin, 0u);
    EXPECT_EQ(CastOf(sent).end, 1u);
    EXPECT_EQ(CastOf(sent).hops, 3);
    EXPECT_GE(std::find(peer_.links.begin(), peer_.links.end(), sent.to), peer_.links.end() - 2);
  }
  peer_.AnswerIndex();
  peer_.AnswerTo(casts[0], 1);
  EXPECT_TRUE(peer_.Sent<Answer>().empty());
  peer_.AnswerTo(casts[1], 0);  // Visited before.

  const Answer answer = Final();
  EXPECT_EQ(answer.visited, 1u);
  EXPECT_EQ(answer.contacted, 1u);
  EXPECT_EQ(answer.consulted, 7u);  // All but the sender.
  EXPECT_EQ(answer.unanswered, 0u);
}

TEST_F(ContactsTest, LeavesOutTheOriginThoseWithPartsAndThoseWithoutDigest) {
  TellAll(8);
  Cast cast = Consulting(5, 8);
  cast.origin = peer_.links[1];
  peer_.core->OnDigest(peer_.links[2], DigestFrame{2, nullptr}, peer_.now, peer_.outputs);

  peer_.Receive(peer_.links[0], cast);

  std::set<PeerId> parts, contacts;
  for (const SendFrame& sent : peer_.Sent<Cast>()) {
    (CastOf(sent).contact ? contacts : parts).insert(sent.to);
  }
  EXPECT_EQ(parts.size(), 2u);
  for (const PeerId& peer : parts) EXPECT_FALSE(contacts.contains(peer));
  for (int i : {0, 1, 2}) EXPECT_FALSE(contacts.contains(peer_.links[i]));
  EXPECT_EQ(contacts.size(), 8u - 3 - parts.size() + (parts.contains(peer_.links[2]) ? 1 : 0));
}

TEST_F(ContactsTest, OnlyWhereItIsAskedForAndADigestCanTell) {
  TellAll(8);
  Cast plain = Consulting(5, 6);
  plain.consult = 0;
  peer_.Receive(peer_.links[0], plain);
  EXPECT_TRUE(peer_.Sent<Cast>().empty());
  peer_.AnswerIndex();
  EXPECT_EQ(Final().consulted, 0u);

  Cast prefix = Consulting(5, 6, "rep*");
  prefix.bubble.bytes[0] = 2;
  peer_.Receive(peer_.links[0], prefix);
  EXPECT_TRUE(peer_.Sent<Cast>().empty());
  Cast invalid = Consulting(5, 6, "(");
  invalid.bubble.bytes[0] = 3;
  peer_.Receive(peer_.links[0], invalid);
  EXPECT_TRUE(peer_.Sent<Cast>().empty());
}

TEST_F(ContactsTest, NoMoreThanAsManyLinksAsItIsAskedTo) {
  TellAll(8);
  Cast cast = Consulting(5, 6);
  cast.consult = 3;

  peer_.Receive(peer_.links[0], cast);

  const std::vector<SendFrame> casts = peer_.Sent<Cast>();
  ASSERT_EQ(casts.size(), 3u);
  peer_.AnswerIndex();
  for (const SendFrame& sent : casts) peer_.AnswerTo(sent, 1);
  EXPECT_EQ(Final().consulted, 3u);
}

TEST_F(ContactsTest, OnceABubble) {
  TellAll(1);
  peer_.Receive(peer_.links[0], Consulting(5, 6));
  EXPECT_EQ(peer_.Sent<Cast>().size(), 1u);

  peer_.Receive(peer_.links[1], Consulting(9, 10));

  const std::vector<SendFrame> frames = peer_.Take<SendFrame>();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_TRUE(AnswerOf(frames[0]).final);
  EXPECT_EQ(AnswerOf(frames[0]).consulted, 0u);
}

TEST_F(ContactsTest, CountsHalfOfAllWhereHalfOfTheContactsAnswer) {
  TellAll(2);
  peer_.Receive(peer_.links[0], Consulting(5, 6));
  const std::vector<SendFrame> casts = peer_.Sent<Cast>();
  ASSERT_EQ(casts.size(), 2u);
  peer_.AnswerIndex();
  peer_.AnswerTo(casts[0], 1);
  peer_.LoseLink(casts[1].to);

  const Answer answer = Final();
  EXPECT_EQ(answer.consulted, 3u);  // Of 7.
  EXPECT_EQ(answer.contacted, 1u);
  EXPECT_EQ(answer.unanswered, 0u);
}

TEST_F(ContactsTest, ASilentOneIsNotWaitedForLong) {
  TellAll(1);
  peer_.Receive(peer_.links[0], Consulting(5, 6));
  const std::vector<SendFrame> casts = peer_.Sent<Cast>();
  ASSERT_EQ(casts.size(), 1u);
  peer_.AnswerIndex();

  peer_.Pass(absl::Milliseconds(400));  // Of 1,000.

  std::vector<SendFrame> answers = peer_.Sent<Answer>();
  ASSERT_FALSE(answers.empty());
  EXPECT_TRUE(AnswerOf(answers.back()).final);
  EXPECT_EQ(AnswerOf(answers.back()).consulted, 0u);
  // What it has still counts when it comes.
  peer_.AnswerTo(casts[0], 1);
  answers = peer_.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(AnswerOf(answers[0]).contacted, 1u);
  EXPECT_EQ(AnswerOf(answers[0]).consulted, 0u);
}

TEST_F(ContactsTest, APeerThatIsContactedEvaluatesOnceAndForwardsNothing) {
  TellAll(8);

  peer_.Receive(peer_.links[0], Contact());
  EXPECT_TRUE(peer_.Sent<Cast>().empty());
  // Under way: answered at once, by another seed too.
  Cast other = Contact();
  other.seed = 77;
  peer_.Receive(peer_.links[1], other);
  EXPECT_EQ(Final().visited, 0u);
  peer_.AnswerIndex();

  const Answer answer = Final();
  EXPECT_EQ(answer.visited, 1u);
  EXPECT_EQ(answer.unanswered, 0u);
  peer_.Receive(peer_.links[2], Contact());
  EXPECT_EQ(Final().visited, 0u);
}

TEST_F(ContactsTest, APeerThatWasContactedConsultsWhenAPositionComes) {
  TellAll(1);
  peer_.Receive(peer_.links[0], Contact());
  peer_.AnswerIndex();
  EXPECT_EQ(Final().visited, 1u);

  peer_.Receive(peer_.links[0], Consulting(5, 6));

  EXPECT_TRUE(peer_.Take<QueryIndex>().empty());
  const std::vector<SendFrame> casts = peer_.Sent<Cast>();
  ASSERT_EQ(casts.size(), 1u);
  peer_.AnswerTo(casts[0], 1);
  const Answer answer = Final();
  EXPECT_EQ(answer.visited, 0u);
  EXPECT_EQ(answer.consulted, 7u);
}

TEST_F(ContactsTest, APartClaimsNoMoreThanItsPeersCanHave) {
  const uint32_t most = 48;  // Three times 16 links.
  for (uint32_t claimed : {most, most + 1}) {
    Cast cast = Consulting(5, 7);
    cast.bubble.bytes[0] = static_cast<uint8_t>(claimed);
    peer_.Receive(peer_.links[0], cast);
    const std::vector<SendFrame> casts = peer_.Sent<Cast>();
    ASSERT_EQ(casts.size(), 1u);
    EXPECT_EQ(CastOf(casts[0]).consult, kLinksPerPeerMax);
    peer_.AnswerIndex();
    Answer answer{.bubble = cast.bubble, .begin = 6, .final = true, .visited = 1};
    answer.consulted = claimed;
    answer.contacted = claimed;
    peer_.Receive(casts[0].to, answer);

    const Answer final = Final();
    EXPECT_EQ(final.visited, 2u);
    EXPECT_EQ(final.consulted, most);
    EXPECT_EQ(final.contacted, most);
  }
}

TEST_F(ContactsTest, ConsultingRangesAreCutSooner) {
  const SearchOptions options{.saturated_factor = 0};
  BubbleSizes sizes(options);
  sizes.SetEstimate({1000, 16'000, 256'000, true});
  const uint32_t most = sizes.ConsultingRangeMax();
  EXPECT_LT(most, sizes.QueryRangeMax());
  Cast cast = Consulting(1, 1 + most + 10);
  cast.origin = peer_.links[0];
  cast.hops = 1;

  peer_.Receive(peer_.links[0], cast);

  uint32_t positions = 1;
  for (const SendFrame& sent : peer_.Sent<Cast>()) {
    positions += CastOf(sent).end - CastOf(sent).begin;
  }
  EXPECT_EQ(positions, most);
}

// --- Searching

class ConsultingSearchTest : public ContactsTest {
 protected:
  ConsultingSearchTest() : ContactsTest(16) {}

  void Search(const std::string& query, double recall = 0.9999) {
    peer_.core->OnSearchRequested({.request = 1, .query = query, .recall = recall}, peer_.now,
                                  peer_.outputs);
    peer_.AnswerIndex();
  }

  // Answers all casts sent as peers that reached everything do; `consulted` links a position.
  // Returns the positions cast.
  uint32_t AnswerAll(uint32_t consulted) {
    uint32_t positions = 0;
    for (const SendFrame& sent : peer_.Sent<Cast>()) {
      const Cast& cast = CastOf(sent);
      Answer answer{.bubble = cast.bubble, .begin = cast.begin, .final = true};
      answer.visited = cast.end - cast.begin;
      if (!cast.contact) positions += answer.visited;
      if (cast.consult > 0) answer.consulted = consulted * answer.visited;
      peer_.Receive(sent.to, answer);
    }
    return positions;
  }
};

TEST_F(ConsultingSearchTest, CastsFewPositionsAndCountsWhatWasConsulted) {
  TellAll(0);
  Search(kQuery);

  const uint32_t positions = AnswerAll(14);

  EXPECT_LE(positions, 8u);
  const std::vector<SearchDone> done = peer_.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(done[0].summary.complete);
  EXPECT_GE(done[0].summary.recall, 0.9999);
  EXPECT_EQ(done[0].summary.peers_reached, positions + 1);
  // No more than were asked for; and those with parts are not the origin's to consult.
  EXPECT_EQ(done[0].summary.digests_consulted, 13 * positions + 12);
}

TEST_F(ConsultingSearchTest, AsksByPositionsAloneWhereADigestCannotTell) {
  TellAll(0);
  Search("rep*");

  EXPECT_EQ(AnswerAll(14), peer_.core->QueryBubbleSize(0.9999) - 1);
}

TEST_F(ConsultingSearchTest, AsksByPositionsAloneWhereFewNeighborsHaveDigests) {
  for (size_t i = 0; i < 7; ++i) Tell(peer_.links[i], "other");
  Search(kQuery);

  EXPECT_EQ(AnswerAll(14), peer_.core->QueryBubbleSize(0.9999) - 1);
}

TEST_F(ConsultingSearchTest, ConsultsOnlyWhereThatTakesFewerCasts) {
  TellAll(8);
  Search(kQuery);
  EXPECT_LE(AnswerAll(14), 8u);
  peer_.Take<SearchDone>();

  TellAll(16);
  Search(kQuery);
  EXPECT_EQ(AnswerAll(14), peer_.core->QueryBubbleSize(0.9999) - 1);
}

TEST_F(ConsultingSearchTest, AsksForNoMoreLinksThanTheRecallTakes) {
  TellAll(0);
  Search(kQuery, 0.63);

  const std::vector<SendFrame> casts = peer_.Sent<Cast>();
  ASSERT_FALSE(casts.empty());
  EXPECT_GE(CastOf(casts[0]).consult, 4u);
  EXPECT_LE(CastOf(casts[0]).consult, 7u);
}

TEST_F(ConsultingSearchTest, TopsUpByWhatWasConsulted) {
  TellAll(0);
  Search(kQuery);
  AnswerAll(7);
  EXPECT_TRUE(peer_.Take<SearchDone>().empty());

  AnswerAll(7);

  const std::vector<SearchDone> done = peer_.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(done[0].summary.complete);
  EXPECT_LT(done[0].summary.peers_reached, 30u);
}

TEST_F(ConsultingSearchTest, GoesOnByPositionsAloneWhereNobodyElseHasDigests) {
  TellAll(0);
  Search(kQuery);
  uint32_t positions = AnswerAll(0);
  for (int round = 0; round < 4; ++round) positions += AnswerAll(0);

  const std::vector<SearchDone> done = peer_.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(done[0].summary.complete);
  EXPECT_EQ(done[0].summary.digests_consulted, 12u);
  EXPECT_GE(positions, peer_.core->QueryBubbleSize(0.9999) - 20);
}

TEST_F(ConsultingSearchTest, WaitsForThoseThatContactOthers) {
  TellAll(0);
  Search(kQuery);
  const std::vector<SendFrame> casts = peer_.Sent<Cast>();
  // All but one say at once that they consulted enough for everything.
  for (size_t i = 0; i + 1 < casts.size(); ++i) {
    const Cast& cast = CastOf(casts[i]);
    Answer answer{.bubble = cast.bubble, .begin = cast.begin, .final = true};
    answer.visited = cast.end - cast.begin;
    answer.consulted = 48 * answer.visited;
    peer_.Receive(casts[i].to, answer);
  }
  EXPECT_TRUE(peer_.Take<SearchDone>().empty());

  // Time runs out: what was consulted in the round does not count.
  peer_.Pass(absl::Seconds(11));
  const std::vector<SearchDone> done = peer_.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
}

}  // namespace
}  // namespace panal
