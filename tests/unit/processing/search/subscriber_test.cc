#include "server/processing/search/subscriber.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

SubscribeRequested Request(uint64_t request) { return {request, "report", 0.99}; }

Hit HitOf(const std::string& name, uint64_t version = 1) {
  Hit hit;
  hit.record.name = name;
  hit.record.version = version;
  hit.record.id.bytes[0] = static_cast<uint8_t>(name.size());
  hit.publisher.id = PeerIdOf(50);
  return hit;
}

// A subscriber alone in its mesh: every search ends with the answer of its own catalog.
class SubscriberTest : public testing::Test {
 protected:
  explicit SubscriberTest(const SearchOptions& options = {}) : peer_(0, options, 1) {}

  void Subscribe(uint64_t request) {
    peer_.core->OnSubscribeRequested(Request(request), peer_.now, peer_.outputs);
  }

  // Subscribes, and answers the first search with what is there and the first round with nothing.
  void Begin(uint64_t request, std::vector<Hit> there = {}) {
    Subscribe(request);
    peer_.AnswerIndex(std::move(there));
    peer_.AnswerIndex();
  }

  // What came here and matches, as the driver's matching says.
  void Match(std::vector<Hit> hits) {
    peer_.core->OnStandingMatched({{{id_of_round_, std::move(hits)}}}, peer_.now, peer_.outputs);
  }

  // Learns the id that the round under way gave the subscription, from what it matches.
  void LearnId() {
    auto page = std::make_shared<Page>();
    page->header.key = {PeerIdOf(0), 1};
    page->records.push_back(HitOf("any").record);
    page->header.version = ++version_;
    peer_.core->OnOwnPagesSigned({{page}, false}, peer_.now, peer_.outputs);
    const std::vector<MatchStanding> matches = peer_.Take<MatchStanding>();
    ASSERT_EQ(matches.size(), 1u);
    ASSERT_EQ(matches[0].queries->size(), 1u);
    id_of_round_ = matches[0].queries->front().subscription;
  }

  std::vector<std::string> Told() {
    std::vector<std::string> names;
    for (const SubscriptionHits& hits : peer_.Take<SubscriptionHits>()) {
      for (const Hit& hit : hits.hits) names.push_back(hit.record.name);
    }
    return names;
  }

  using Names = std::vector<std::string>;

  OnePeer peer_;
  SubscriptionId id_of_round_;
  uint64_t version_ = 0;
};

TEST_F(SubscriberTest, BeginsWithWhatIsThereAndTellsNoneOfIt) {
  Subscribe(1);
  const std::vector<QueryIndex> first = peer_.Take<QueryIndex>();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].arrived_within, absl::InfiniteDuration());
  EXPECT_TRUE(peer_.Take<SubscriptionBegun>().empty());

  peer_.core->OnIndexAnswered({.token = first[0].token, .hits = {HitOf("old")}}, peer_.now,
                              peer_.outputs);

  ASSERT_EQ(peer_.Take<SubscriptionBegun>().size(), 1u);
  const std::vector<QueryIndex> second = peer_.Take<QueryIndex>();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].arrived_within, kSinceSlack);
  peer_.core->OnIndexAnswered({.token = second[0].token, .hits = {HitOf("old"), HitOf("new")}},
                              peer_.now, peer_.outputs);
  EXPECT_EQ(Told(), Names{"new"});
  ASSERT_EQ(peer_.Take<SubscriptionRound>().size(), 1u);
}

TEST_F(SubscriberTest, TellsEachVersionOfARecordOnce) {
  Begin(1);
  LearnId();

  Match({HitOf("a", 2)});
  Match({HitOf("a", 2)});
  Match({HitOf("a", 1)});
  EXPECT_EQ(Told(), Names{"a"});

  Match({HitOf("a", 3)});
  EXPECT_EQ(Told(), Names{"a"});
}

TEST_F(SubscriberTest, EveryRoundLooksBackToTheOneBeforeTheLast) {
  Begin(1);
  for (int round = 2; round <= 4; ++round) {
    peer_.Pass(absl::Seconds(60));
    const std::vector<QueryIndex> queries = peer_.Take<QueryIndex>();
    ASSERT_EQ(queries.size(), 1u);
    EXPECT_EQ(queries[0].arrived_within, std::min(round - 1, 2) * absl::Seconds(60) + kSinceSlack);
    peer_.core->OnIndexAnswered({.token = queries[0].token, .hits = {HitOf("late")}}, peer_.now,
                                peer_.outputs);
    EXPECT_EQ(Told(), round == 2 ? Names{"late"} : Names{});
  }
}

TEST_F(SubscriberTest, EveryTenthRoundLooksBackToTheBeginning) {
  Begin(1);
  for (int round = 2; round <= kDeepRoundEvery + 1; ++round) {
    peer_.Pass(absl::Seconds(60));
    const std::vector<QueryIndex> queries = peer_.Take<QueryIndex>();
    ASSERT_EQ(queries.size(), 1u);
    if (round == kDeepRoundEvery + 1) {
      EXPECT_EQ(queries[0].arrived_within, kDeepRoundEvery * absl::Seconds(60) + kSinceSlack);
    }
    peer_.core->OnIndexAnswered({.token = queries[0].token}, peer_.now, peer_.outputs);
  }
}

TEST(Subscriber, ARoundThatFellShortIsFollowedSoon) {
  OnePeer peer(0, {}, 20);  // A peer that lost its links.
  peer.core->OnSubscribeRequested(Request(1), peer.now, peer.outputs);
  peer.AnswerIndex();
  peer.AnswerIndex();
  const std::vector<SubscriptionRound> rounds = peer.Take<SubscriptionRound>();
  ASSERT_EQ(rounds.size(), 1u);
  EXPECT_FALSE(rounds[0].summary.complete);

  peer.Pass(absl::Milliseconds(9999));
  EXPECT_TRUE(peer.Take<QueryIndex>().empty());
  peer.Pass(absl::Milliseconds(1));
  EXPECT_EQ(peer.Take<QueryIndex>().size(), 1u);
}

TEST_F(SubscriberTest, EndsWhenItsTimeIsOver) {
  SubscribeRequested request = Request(1);
  request.timeout = absl::Seconds(20);
  peer_.core->OnSubscribeRequested(request, peer_.now, peer_.outputs);
  peer_.AnswerIndex();
  peer_.AnswerIndex();

  peer_.Pass(absl::Seconds(19));
  EXPECT_TRUE(peer_.Take<SubscriptionEnded>().empty());
  peer_.Pass(absl::Seconds(1));

  const std::vector<SubscriptionEnded> ended = peer_.Take<SubscriptionEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].why, SubscriptionEnd::kTimeout);
}

TEST_F(SubscriberTest, ACancelledOneAsksAndTellsNothingMore) {
  Begin(1);
  LearnId();

  peer_.core->OnSubscribeCancelled({1}, peer_.now, peer_.outputs);
  Match({HitOf("a")});
  peer_.Pass(absl::Minutes(5));

  EXPECT_TRUE(Told().empty());
  EXPECT_TRUE(peer_.Take<QueryIndex>().empty());
  peer_.core->CheckInvariants();
}

class TwoSubscriptions : public SubscriberTest {
 protected:
  TwoSubscriptions() : SubscriberTest({.subscriptions_max = 2}) {}
};

TEST_F(TwoSubscriptions, RefusesTheThird) {
  Begin(1);
  Begin(2);
  EXPECT_TRUE(peer_.Take<SubscriptionEnded>().empty());

  Subscribe(3);

  const std::vector<SubscriptionEnded> ended = peer_.Take<SubscriptionEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].request, 3u);
  EXPECT_EQ(ended[0].why, SubscriptionEnd::kOverloaded);
}

class FourRecords : public SubscriberTest {
 protected:
  FourRecords() : SubscriberTest({.subscription_records_max = 4}) {}
};

TEST_F(FourRecords, EndsAtTheRecordBeyondItsLimit) {
  Begin(1);
  LearnId();
  Match({HitOf("a"), HitOf("b"), HitOf("c"), HitOf("d")});
  EXPECT_EQ(Told().size(), 4u);
  Match({HitOf("a", 2)});  // A newer version takes no room.
  EXPECT_EQ(Told().size(), 1u);
  EXPECT_TRUE(peer_.Take<SubscriptionEnded>().empty());

  Match({HitOf("e")});

  EXPECT_TRUE(Told().empty());
  const std::vector<SubscriptionEnded> ended = peer_.Take<SubscriptionEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].why, SubscriptionEnd::kRecordsFull);
  peer_.core->CheckInvariants();
}

TEST_F(FourRecords, KnowsHalfOfThemFromBeforeAndSaysWhenThereWereMore) {
  Begin(1, {HitOf("a"), HitOf("b")});
  EXPECT_FALSE(peer_.Take<SubscriptionBegun>()[0].known_truncated);
  peer_.core->OnSubscribeCancelled({1}, peer_.now, peer_.outputs);

  Begin(2, {HitOf("a"), HitOf("b"), HitOf("c")});
  EXPECT_TRUE(peer_.Take<SubscriptionBegun>()[0].known_truncated);
}

// Whoever is visited knows the id of a subscription, and may cast a query of its own with it.
TEST(Subscriber, AnothersBubbleDoesNotTakeItsHitsAway) {
  OnePeer peer(2, {}, 3);
  peer.core->OnSubscribeRequested(Request(1), peer.now, peer.outputs);
  QueryPayload standing;
  for (int round = 0; round < 2; ++round) {
    peer.AnswerIndex();
    for (const SendFrame& cast : peer.Sent<Cast>()) {
      standing = std::get<QueryPayload>(std::get<Cast>(cast.frame).payload);
      peer.AnswerTo(cast, 1);
    }
  }
  ASSERT_TRUE(standing.standing.has_value());
  Cast cast = OnePeer::QueryCast(77, 7, 8);
  cast.payload = standing;
  peer.Receive(peer.links[0], cast);
  EXPECT_TRUE(peer.Take<QueryIndex>().empty());
  peer.outputs.clear();

  const StandingHits hits{standing.standing->subscription, {HitOf("new")}};
  peer.core->OnStandingHits(peer.links[1], hits, peer.now, peer.outputs);

  EXPECT_EQ(peer.Take<SubscriptionHits>().size(), 1u);
  EXPECT_TRUE(peer.Sent<StandingHits>().empty());
}

}  // namespace
}  // namespace panal
