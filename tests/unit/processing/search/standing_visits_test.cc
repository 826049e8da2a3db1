#include "server/processing/search/standing_visits.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

SubscriptionId IdOf(uint8_t number) {
  SubscriptionId id;
  id.bytes[0] = number;
  return id;
}

QueryPayload Standing(uint8_t subscription, absl::Duration lease = absl::Seconds(90)) {
  QueryPayload query{"report", 100};
  query.standing = StandingTerms{IdOf(subscription),
                                 static_cast<uint32_t>(absl::ToInt64Milliseconds(lease)), 5000};
  return query;
}

Cast StandingCast(uint8_t bubble, uint8_t subscription) {
  Cast cast = OnePeer::QueryCast(bubble, 7, 8);
  cast.payload = Standing(subscription);
  return cast;
}

Hit HitOf(const std::string& name, uint64_t version = 1) {
  Hit hit;
  hit.record.name = name;
  hit.record.version = version;
  hit.publisher.id = PeerIdOf(50);
  return hit;
}

class StandingVisitsTest : public testing::Test {
 protected:
  explicit StandingVisitsTest(const SearchOptions& options = {.saturated_factor = 0})
      : peer_(4, options) {}

  // `from` casts the standing query; this peer's catalog has nothing.
  void Visit(int from, uint8_t bubble, uint8_t subscription = 1) {
    peer_.Receive(peer_.links[from], StandingCast(bubble, subscription));
    peer_.AnswerIndex();
  }

  // A page comes in a cast of link 0 and is stored; its records at `fresh` are new.
  void StorePageOf(const std::vector<std::string>& names, std::vector<uint32_t> fresh) {
    Cast cast = OnePeer::QueryCast(static_cast<uint8_t>(100 + ++pages_), 7, 8);
    cast.payload = PagePayload{MakePage(PeerIdOf(50), 1, pages_, names), true, nullptr};
    peer_.Receive(peer_.links[0], cast);
    const std::vector<StorePage> stores = peer_.Take<StorePage>();
    ASSERT_EQ(stores.size(), 1u);
    peer_.core->OnPageStored({stores[0].token, PageOutcome::kKept, std::move(fresh)}, peer_.now,
                             peer_.outputs);
  }

  void Match(std::vector<Hit> hits, uint8_t subscription = 1) {
    peer_.core->OnStandingMatched({{{IdOf(subscription), std::move(hits)}}}, peer_.now,
                                  peer_.outputs);
  }

  OnePeer peer_;
  int pages_ = 0;
};

TEST_F(StandingVisitsTest, AVisitEvaluatesWhatCameSinceAndCounts) {
  peer_.Receive(peer_.links[1], StandingCast(1, 1));
  const std::vector<QueryIndex> queries = peer_.Take<QueryIndex>();
  ASSERT_EQ(queries.size(), 1u);
  EXPECT_EQ(queries[0].arrived_within, absl::Seconds(5));

  peer_.core->OnIndexAnswered({.token = queries[0].token, .hits = {HitOf("report")}}, peer_.now,
                              peer_.outputs);

  const std::vector<SendFrame> answers = peer_.Sent<Answer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(std::get<Answer>(answers[0].frame).visited, 1u);
  EXPECT_EQ(std::get<Answer>(answers[0].frame).hits.size(), 1u);
}

TEST_F(StandingVisitsTest, MatchesOnlyTheRecordsThatAreNewHere) {
  Visit(1, 1);

  StorePageOf({"a", "b", "c"}, {0, 2});

  const std::vector<MatchStanding> matches = peer_.Take<MatchStanding>();
  ASSERT_EQ(matches.size(), 1u);
  ASSERT_EQ(matches[0].records.size(), 2u);
  EXPECT_EQ(matches[0].records[0].record.name, "a");
  EXPECT_EQ(matches[0].records[1].record.name, "c");
  EXPECT_EQ(matches[0].records[1].publisher.id, PeerIdOf(50));
  ASSERT_EQ(matches[0].queries->size(), 1u);
  EXPECT_EQ(matches[0].queries->front().subscription, IdOf(1));
  EXPECT_EQ(matches[0].from, peer_.links[0]);
}

TEST_F(StandingVisitsTest, MatchesNothingWithoutAQueryOrWithoutNews) {
  StorePageOf({"a"}, {0});
  Visit(1, 1);
  StorePageOf({"a"}, {});

  EXPECT_TRUE(peer_.Take<MatchStanding>().empty());
}

TEST_F(StandingVisitsTest, TellsTheNeighborThatBroughtTheQueryEachRecordOnce) {
  Visit(1, 1);

  Match({HitOf("a"), HitOf("b")});
  Match({HitOf("a")});
  peer_.core->OnStandingHits(peer_.links[2], {IdOf(1), {HitOf("b"), HitOf("c")}}, peer_.now,
                             peer_.outputs);

  const std::vector<SendFrame> sent = peer_.Sent<StandingHits>();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].to, peer_.links[1]);
  EXPECT_EQ(std::get<StandingHits>(sent[0].frame).hits.size(), 2u);
  ASSERT_EQ(std::get<StandingHits>(sent[1].frame).hits.size(), 1u);
  EXPECT_EQ(std::get<StandingHits>(sent[1].frame).hits[0].record.name, "c");
}

TEST_F(StandingVisitsTest, ANewerVersionIsToldAgain) {
  Visit(1, 1);
  Match({HitOf("a", 2)});
  Match({HitOf("a", 3)});
  Match({HitOf("a", 2)});

  EXPECT_EQ(peer_.Sent<StandingHits>().size(), 2u);
}

TEST_F(StandingVisitsTest, NothingComesDownTheTree) {
  Visit(1, 1);

  peer_.core->OnStandingHits(peer_.links[1], {IdOf(1), {HitOf("a")}}, peer_.now, peer_.outputs);
  peer_.core->OnStandingHits(peer_.links[2], {IdOf(9), {HitOf("a")}}, peer_.now, peer_.outputs);

  EXPECT_TRUE(peer_.Sent<StandingHits>().empty());
}

TEST_F(StandingVisitsTest, TheNewestRoundsWayBackIsTakenAndAnOlderOneWhereItIsGone) {
  Visit(1, 1);
  Visit(2, 2);
  Match({HitOf("a")});
  EXPECT_EQ(peer_.Sent<StandingHits>().at(0).to, peer_.links[2]);

  const PeerId first = peer_.links[1];
  peer_.LoseLink(peer_.links[2]);
  Match({HitOf("b")});
  EXPECT_EQ(peer_.Sent<StandingHits>().at(0).to, first);

  peer_.LoseLink(first);
  Match({HitOf("c")});
  EXPECT_TRUE(peer_.Sent<StandingHits>().empty());

  // What could not be told is not taken for told.
  Visit(0, 3);
  Match({HitOf("c")});
  EXPECT_EQ(peer_.Sent<StandingHits>().size(), 1u);
}

TEST_F(StandingVisitsTest, ALeaseEnds) {
  Visit(1, 1);
  peer_.Pass(absl::Seconds(89));
  StorePageOf({"a"}, {0});
  EXPECT_EQ(peer_.Take<MatchStanding>().size(), 1u);

  peer_.Pass(absl::Seconds(1));
  StorePageOf({"b"}, {0});

  EXPECT_TRUE(peer_.Take<MatchStanding>().empty());
  peer_.core->CheckInvariants();
}

TEST_F(StandingVisitsTest, OwnPagesTellWhatIsNewerThanTheirLastVersion) {
  PagePtr first = MakePage(PeerIdOf(0), 1, 5, {"a"});
  peer_.core->OnOwnPagesSigned({{first}, false}, peer_.now, peer_.outputs);
  Visit(1, 1);
  auto second = std::make_shared<Page>(*first);
  second->header.version = 9;
  second->records[0].version = 3;
  second->records.push_back(HitOf("b", 8).record);

  peer_.core->OnOwnPagesSigned({{second}, false}, peer_.now, peer_.outputs);
  peer_.core->OnOwnPagesSigned({{second}, false}, peer_.now, peer_.outputs);  // A refresh.

  const std::vector<MatchStanding> matches = peer_.Take<MatchStanding>();
  ASSERT_EQ(matches.size(), 1u);
  ASSERT_EQ(matches[0].records.size(), 1u);
  EXPECT_EQ(matches[0].records[0].record.name, "b");
}

TEST_F(StandingVisitsTest, ForgetsTheOldestOfTheRecordsPassedOn) {
  Visit(1, 1);
  for (size_t i = 0; i < kPassedRecordsMax; ++i) Match({HitOf(absl::StrCat("r", i))});
  EXPECT_EQ(peer_.Sent<StandingHits>().size(), kPassedRecordsMax);
  Match({HitOf("r0")});
  EXPECT_TRUE(peer_.Sent<StandingHits>().empty());

  Match({HitOf("one more")});
  Match({HitOf("r0")});

  EXPECT_EQ(peer_.Sent<StandingHits>().size(), 2u);
  peer_.core->CheckInvariants();
}

class ThreeKept : public StandingVisitsTest {
 protected:
  ThreeKept()
      : StandingVisitsTest(
            {.saturated_factor = 0, .standing_kept_max = 3, .standing_kept_per_neighbor_max = 2}) {}

  // Whether a cast of `subscription` by `from` is evaluated and counted.
  bool Accepts(int from, uint8_t bubble, uint8_t subscription) {
    peer_.Receive(peer_.links[from], StandingCast(bubble, subscription));
    const std::vector<QueryIndex> queries = peer_.Take<QueryIndex>();
    for (const QueryIndex& query : queries) {
      peer_.core->OnIndexAnswered({.token = query.token}, peer_.now, peer_.outputs);
    }
    uint32_t visited = 0;
    for (const SendFrame& sent : peer_.Sent<Answer>()) {
      visited += std::get<Answer>(sent.frame).visited;
    }
    EXPECT_EQ(visited, queries.size());
    peer_.core->CheckInvariants();
    return visited == 1;
  }
};

TEST_F(ThreeKept, ANeighborBringsNoMoreThanItsShare) {
  EXPECT_TRUE(Accepts(1, 1, 1));
  EXPECT_TRUE(Accepts(1, 2, 2));
  EXPECT_FALSE(Accepts(1, 3, 3));
  EXPECT_TRUE(Accepts(1, 4, 2));  // A renewal.
  EXPECT_TRUE(Accepts(2, 5, 3));
  EXPECT_FALSE(Accepts(1, 6, 3));  // It would be a third of this neighbor's.
}

TEST_F(ThreeKept, RefusesTheFourthUntilALeaseEnds) {
  EXPECT_TRUE(Accepts(1, 1, 1));
  EXPECT_TRUE(Accepts(2, 2, 2));
  EXPECT_TRUE(Accepts(3, 3, 3));
  EXPECT_FALSE(Accepts(0, 4, 4));
  EXPECT_TRUE(Accepts(0, 5, 3));

  peer_.Pass(absl::Seconds(90));

  EXPECT_TRUE(Accepts(0, 6, 4));
}

}  // namespace
}  // namespace panal
