#include "server/application/search_servant.h"

#include <limits>
#include <string>
#include <vector>

#include "common/wire/status_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/application/servant_world.h"

namespace panal {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kSearch[] = "/panal.v1.SearchObject/Search";

v1::SearchRequest Query(const std::string& text) {
  v1::SearchRequest request;
  request.set_query(text);
  return request;
}

Hit FileHit(uint8_t file, uint8_t publisher, const std::string& name = "a.txt") {
  Hit hit;
  hit.record.kind = RecordKind::kFile;
  hit.record.name = name;
  hit.record.id.bytes[0] = file;
  hit.record.size_bytes = 100;
  hit.record.attributes = {{"lang", "en"}};
  hit.publisher = {TestPeer(publisher), {"10.0.0.1:7401"}};
  return hit;
}

std::string FileId(uint8_t file) { return FileHit(file, 0).record.id.ToText(); }

class SearchServantTest : public ServantWorld {
 protected:
  SearchServantTest() {
    EXPECT_TRUE(router.Add(std::make_shared<SearchServant>(dispatcher, mesh)).ok());
  }

  static SearchSummary Complete() {
    return {.peers_reached = 5, .mesh_size = 5, .recall = 1, .complete = true};
  }
};

TEST_F(SearchServantTest, FillsInWhatTheRequestLeavesEmpty) {
  auto call = Begin(kSearch, Query("report"));

  EXPECT_EQ(mesh.search_query, "report");
  EXPECT_EQ(mesh.search_recall, 0.99);
  EXPECT_EQ(mesh.search_limit, 100u);
  EXPECT_EQ(mesh.search_timeout, absl::Seconds(10));
  mesh.search.on_done(Complete());
}

TEST_F(SearchServantTest, PassesWhatTheRequestSays) {
  v1::SearchRequest request = Query("report");
  request.set_recall(1);
  request.set_limit(10'000);
  request.set_timeout("5m");

  auto call = Begin(kSearch, request);

  EXPECT_EQ(mesh.search_recall, 1);
  EXPECT_EQ(mesh.search_limit, 10'000u);
  EXPECT_EQ(mesh.search_timeout, absl::Minutes(5));
  mesh.search.on_done(Complete());
}

TEST_F(SearchServantTest, StreamsHitsAsTheyArriveAndEndsWithTheSummary) {
  auto call = Begin(kSearch, Query("report"));

  mesh.search.on_hits({FileHit(1, 1)});
  ASSERT_THAT(call->written, SizeIs(1));
  mesh.search.on_done({.peers_reached = 4, .mesh_size = 9, .recall = 0.995, .complete = true});

  const auto responses = call->Messages<v1::SearchResponse>();
  ASSERT_THAT(responses, SizeIs(2));
  const v1::Hit& hit = responses[0].hit();
  EXPECT_EQ(hit.id(), FileId(1));
  EXPECT_EQ(hit.kind(), "file");
  EXPECT_EQ(hit.name(), "a.txt");
  EXPECT_EQ(hit.size_bytes(), 100);
  EXPECT_EQ(hit.attributes().at("lang"), "en");
  EXPECT_EQ(hit.publisher(), TestPeer(1).ToText());
  EXPECT_THAT(hit.publisher_addresses(), ElementsAre("10.0.0.1:7401"));
  EXPECT_EQ(hit.sources(), 1);
  const v1::SearchSummary& summary = responses[1].summary();
  EXPECT_EQ(summary.peers_reached(), 4);
  EXPECT_EQ(summary.mesh_size(), 9);
  EXPECT_EQ(summary.recall(), 0.995);
  EXPECT_TRUE(summary.complete());
  EXPECT_EQ(summary.cut_short(), "");
  EXPECT_EQ(summary.hits(), 1);
  EXPECT_TRUE(call->status().ok());
}

TEST_F(SearchServantTest, SendsEachIdOnceAndCountsItsSources) {
  auto call = Begin(kSearch, Query("report"));

  mesh.search.on_hits({FileHit(1, 1), FileHit(1, 2), FileHit(2, 1)});
  mesh.search.on_hits({FileHit(1, 3)});
  // The same publisher under another name is no further source.
  mesh.search.on_hits({FileHit(2, 1, "b.txt")});
  mesh.search.on_done(Complete());

  const auto responses = call->Messages<v1::SearchResponse>();
  ASSERT_THAT(responses, SizeIs(3));
  EXPECT_EQ(responses[0].hit().id(), FileId(1));
  EXPECT_EQ(responses[0].hit().sources(), 2);
  EXPECT_EQ(responses[1].hit().id(), FileId(2));
  EXPECT_EQ(responses[1].hit().sources(), 1);
  EXPECT_EQ(responses[2].summary().hits(), 2);
  EXPECT_THAT(responses[2].summary().sources(), UnorderedElementsAre(Pair(FileId(1), 3)));
}

TEST_F(SearchServantTest, SendsAsManyHitsAsItsLimitAndSaysSo) {
  v1::SearchRequest request = Query("report");
  request.set_limit(2);
  auto call = Begin(kSearch, request);

  mesh.search.on_hits({FileHit(1, 1), FileHit(2, 1), FileHit(3, 1)});
  mesh.search.on_done(Complete());

  const auto responses = call->Messages<v1::SearchResponse>();
  ASSERT_THAT(responses, SizeIs(3));
  EXPECT_EQ(responses[2].summary().hits(), 2);
  EXPECT_EQ(responses[2].summary().cut_short(), "limit");
  EXPECT_TRUE(responses[2].summary().complete());
}

TEST_F(SearchServantTest, PassesOnWhatIsEnoughUpToItsLimit) {
  for (int enough : {-1, 0, 7, 8}) {
    v1::SearchRequest request = Query("report");
    request.set_limit(7);
    request.set_enough(enough);
    auto call = Begin(kSearch, request);
    if (enough < 0 || enough > 7) {
      EXPECT_EQ(call->status().code(), absl::StatusCode::kInvalidArgument) << enough;
      continue;
    }
    EXPECT_EQ(mesh.search_enough, static_cast<uint32_t>(enough));
    mesh.search.on_done(Complete());
  }
}

TEST_F(SearchServantTest, SaysWhyItWasCutShort) {
  const std::vector<std::pair<CutShort, std::string>> cases = {{CutShort::kTimeout, "timeout"},
                                                               {CutShort::kPeersLost, "peers lost"},
                                                               {CutShort::kEnough, "enough"}};
  for (const auto& [cut_short, name] : cases) {
    auto call = Begin(kSearch, Query("report"));
    mesh.search.on_done({.cut_short = cut_short});
    EXPECT_EQ(call->Messages<v1::SearchResponse>()[0].summary().cut_short(), name);
  }
}

TEST_F(SearchServantTest, RefusesOneSearchTooManyAndSaysWhenToTryAgain) {
  auto refused_by_the_mesh = Begin(kSearch, Query("report"));
  mesh.search.on_done({.mesh_size = 9, .cut_short = CutShort::kOverloaded});
  mesh.search_number = 0;
  auto refused_by_the_mailbox = Begin(kSearch, Query("report"));

  for (const auto& call : {refused_by_the_mesh, refused_by_the_mailbox}) {
    EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kOverloaded);
    EXPECT_EQ(RetryAfterOf(call->status()), absl::Seconds(1));
    EXPECT_THAT(call->written, SizeIs(0));
  }
}

TEST_F(SearchServantTest, NamesAnObjectByItsReference) {
  auto call = Begin(kSearch, Query("kind:object"));
  Hit hit;
  hit.record.kind = RecordKind::kObject;
  hit.record.name = "thumbs";
  hit.record.attributes = {{"service", "acme.v1.Thumbnailer"}, {"key", "eu 1"}};
  hit.publisher.id = TestPeer(3);

  mesh.search.on_hits({hit});
  mesh.search.on_done(Complete());

  EXPECT_EQ(call->Messages<v1::SearchResponse>()[0].hit().id(),
            "panal://" + TestPeer(3).ToText() + "/acme.v1.Thumbnailer/eu%201");
}

TEST_F(SearchServantTest, RefusesAQueryThatDoesNotParseOrIsTooLong) {
  EXPECT_EQ(Refusal(kSearch, Query("(report")), "QUERY_INVALID");
  EXPECT_EQ(Refusal(kSearch, Query("")), "QUERY_INVALID");
  EXPECT_EQ(Refusal(kSearch, Query(std::string(kQuerySizeMax + 1, 'a'))), "QUERY_INVALID");
}

TEST_F(SearchServantTest, NamesEveryFieldThatIsOutOfRange) {
  v1::SearchRequest request = Query("report");
  request.set_recall(1.01);
  request.set_limit(10'001);
  request.set_timeout("6m");

  auto call = Begin(kSearch, request);

  const std::vector<FieldViolation> violations = FieldViolationsOf(call->status());
  ASSERT_THAT(violations, SizeIs(3));
  EXPECT_EQ(violations[0].field, "recall");
  EXPECT_EQ(violations[1].field, "limit");
  EXPECT_EQ(violations[2].field, "timeout");
}

TEST_F(SearchServantTest, RefusesNumbersThatAreNone) {
  v1::SearchRequest recall = Query("report");
  recall.set_recall(std::numeric_limits<double>::quiet_NaN());
  v1::SearchRequest negative_recall = Query("report");
  negative_recall.set_recall(-0.5);
  v1::SearchRequest limit = Query("report");
  limit.set_limit(-1);
  v1::SearchRequest timeout = Query("report");
  timeout.set_timeout("0");
  v1::SearchRequest unit = Query("report");
  unit.set_timeout("10 parsecs");

  for (const auto& request : {recall, negative_recall, limit, timeout, unit}) {
    EXPECT_EQ(Refusal(kSearch, request), "ARGUMENT_INVALID") << request.ShortDebugString();
  }
}

TEST_F(SearchServantTest, CancelsTheSearchWhenTheCallerCancels) {
  auto call = Begin(kSearch, Query("report"));

  call->CallerCancels();
  mesh.search.on_hits({FileHit(1, 1)});
  mesh.search.on_done(Complete());

  EXPECT_THAT(mesh.cancelled_searches, ElementsAre(7));
  EXPECT_THAT(call->written, SizeIs(0));
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(SearchServantTest, DropsHitsThatASlowCallerDoesNotTakeAndSaysSo) {
  v1::SearchRequest request = Query("report");
  request.set_limit(10'000);
  auto call = Begin(kSearch, request, /*hold_writes=*/true);
  int sent = 0;
  // Hits of about 9 KiB fill the queue of the writer well before the limit.
  for (int i = 0; i < 2000; ++i) {
    Hit hit = FileHit(0, 1);
    hit.record.id.bytes[0] = static_cast<uint8_t>(i / 256);
    hit.record.id.bytes[1] = static_cast<uint8_t>(i % 256);
    for (int k = 0; k < 32; ++k) {
      hit.record.attributes["k" + std::to_string(k)] = std::string(256, 'v');
    }
    mesh.search.on_hits({hit});
  }
  mesh.search.on_done(Complete());

  while (call->writing()) {
    ++sent;
    call->CompleteWrite();
  }

  EXPECT_LT(sent, 2000);
  const v1::SearchSummary summary = call->Messages<v1::SearchResponse>().back().summary();
  EXPECT_EQ(summary.cut_short(), "overloaded");
  EXPECT_FALSE(summary.complete());
  EXPECT_EQ(summary.hits(), sent - 1);
}

}  // namespace
}  // namespace panal
