#include "server/processing/search/searcher.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/base/sha256.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

SearchRequested Request(uint64_t request, double recall = 0.99) {
  return {request, "q", recall, 100, absl::Seconds(10)};
}

TEST(PositionsFor, MakesUpForPeersMetBefore) {
  EXPECT_EQ(PositionsFor(10, 0, 1000), 15u);
  EXPECT_EQ(PositionsFor(10, 500, 1000), 30u);
  EXPECT_EQ(PositionsFor(10, 1000, 1000), 80u);
}

TEST(Searcher, APeerAloneAnswersFromItsOwnCatalog) {
  OnePeer peer(0, {}, 1);
  peer.core->OnSearchRequested(Request(1), peer.now, peer.outputs);
  Hit hit;
  hit.record.name = "a";

  peer.AnswerIndex({hit});

  const std::vector<SearchHits> hits = peer.Take<SearchHits>();
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0].hits.size(), 1u);
  const std::vector<SearchDone> done = peer.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].summary.peers_reached, 1u);
  EXPECT_EQ(done[0].summary.mesh_size, 1u);
  EXPECT_EQ(done[0].summary.recall, 1.0);
  EXPECT_TRUE(done[0].summary.complete);
}

TEST(Searcher, APeerThatLostItsLinksDoesNotClaimTheMesh) {
  OnePeer peer(0, {}, 20);
  peer.core->OnSearchRequested(Request(1), peer.now, peer.outputs);

  peer.AnswerIndex();
  peer.Pass(absl::Seconds(10));

  const std::vector<SearchDone> done = peer.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_FALSE(done[0].summary.complete);
  EXPECT_LT(done[0].summary.recall, 0.99);
  EXPECT_EQ(done[0].summary.mesh_size, 20u);
  EXPECT_EQ(done[0].summary.cut_short, CutShort::kPeersLost);
}

TEST(Searcher, TopsUpWithFurtherPositionsOfTheSameBubble) {
  OnePeer peer(16);
  const uint32_t size = peer.core->QueryBubbleSize(0.99);
  peer.core->OnSearchRequested(Request(1), peer.now, peer.outputs);
  peer.AnswerIndex();
  const std::vector<SendFrame> first = peer.Sent<Cast>();
  ASSERT_EQ(first.size(), 4u);

  // Ten peers were met twice.
  uint32_t missing = 10;
  for (const SendFrame& sent : first) {
    const Cast& cast = std::get<Cast>(sent.frame);
    const uint32_t less = std::min(missing, cast.end - cast.begin);
    peer.AnswerTo(sent, cast.end - cast.begin - less);
    missing -= less;
  }

  const std::vector<SendFrame> second = peer.Sent<Cast>();
  ASSERT_FALSE(second.empty());
  EXPECT_EQ(std::get<Cast>(second[0].frame).bubble, std::get<Cast>(first[0].frame).bubble);
  EXPECT_NE(std::get<Cast>(second[0].frame).seed, std::get<Cast>(first[0].frame).seed);
  EXPECT_EQ(std::get<Cast>(second[0].frame).begin, size);
  EXPECT_TRUE(peer.Take<SearchDone>().empty());
}

Hit FileHit(const std::string& name) {
  Hit hit;
  hit.record.name = name;
  hit.record.id = Sha256(name);
  return hit;
}

// The positions cast; every part is answered, the first of them with `hits`.
uint32_t AnswerAll(OnePeer& peer, std::vector<Hit> hits = {}) {
  uint32_t positions = 0;
  for (const SendFrame& sent : peer.Sent<Cast>()) {
    const Cast& cast = std::get<Cast>(sent.frame);
    positions += cast.end - cast.begin;
    Answer answer{.bubble = cast.bubble, .begin = cast.begin, .final = true};
    answer.visited = cast.end - cast.begin;
    answer.hits = std::exchange(hits, {});
    peer.Receive(sent.to, answer);
  }
  return positions;
}

TEST(Searcher, AsksASixteenthAndAQuarterFirstWhereAFewHitsAreEnough) {
  OnePeer peer(16);
  const double size = peer.core->QueryBubbleSize(0.9999);
  SearchRequested request = Request(1, 0.9999);
  request.enough = 2;
  peer.core->OnSearchRequested(request, peer.now, peer.outputs);
  peer.AnswerIndex();

  // This peer's own position is one of the first slice.
  EXPECT_EQ(AnswerAll(peer, {FileHit("a")}) + 1, std::ceil(size / 16));
  EXPECT_EQ(AnswerAll(peer), std::ceil(size / 4) - std::ceil(size / 16));
  EXPECT_EQ(AnswerAll(peer), size - std::ceil(size / 4));

  const std::vector<SearchDone> done = peer.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(done[0].summary.complete);
  EXPECT_EQ(done[0].summary.cut_short, CutShort::kNothing);
}

TEST(Searcher, EndsOnceThereIsEnoughAndSaysWhatThatIsWorth) {
  for (uint32_t enough : {2u, 3u}) {
    OnePeer peer(16);
    SearchRequested request = Request(1, 0.9999);
    request.enough = enough;
    peer.core->OnSearchRequested(request, peer.now, peer.outputs);
    peer.AnswerIndex();

    const uint32_t asked = 1 + AnswerAll(peer, {FileHit("a"), FileHit("b")});

    const std::vector<SearchDone> done = peer.Take<SearchDone>();
    ASSERT_EQ(done.size(), enough == 2 ? 1u : 0u);
    if (done.empty()) continue;
    EXPECT_TRUE(peer.Sent<Cast>().empty());
    const SearchSummary& summary = done[0].summary;
    EXPECT_LE(summary.peers_reached, asked);
    EXPECT_LT(summary.recall, 0.9);
    EXPECT_FALSE(summary.complete);
    EXPECT_EQ(summary.cut_short, CutShort::kEnough);
    peer.core->CheckInvariants();
  }
}

// Neighbors that say they live and never finish.
TEST(Searcher, EndsAtItsDeadlineAndSaysSo) {
  OnePeer peer(16);
  const absl::Time start = peer.now;
  peer.core->OnSearchRequested(Request(1), peer.now, peer.outputs);
  peer.AnswerIndex();
  std::vector<SendFrame> casts;
  while (peer.now - start < absl::Milliseconds(9970)) {
    for (SendFrame& sent : peer.Sent<Cast>()) casts.push_back(sent);
    for (const SendFrame& sent : casts) {
      const Cast& cast = std::get<Cast>(sent.frame);
      peer.Receive(sent.to, Answer{.bubble = cast.bubble, .begin = cast.begin});
    }
    peer.Pass(absl::Milliseconds(5));
  }
  EXPECT_TRUE(peer.Take<SearchDone>().empty());

  peer.Pass(absl::Milliseconds(30));

  const std::vector<SearchDone> done = peer.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].summary.peers_reached, 1u);
  EXPECT_FALSE(done[0].summary.complete);
  EXPECT_EQ(done[0].summary.cut_short, CutShort::kTimeout);
  peer.core->CheckInvariants();
}

TEST(Searcher, SilentNeighborsEndItInTime) {
  OnePeer peer(16);
  peer.core->OnSearchRequested(Request(1), peer.now, peer.outputs);
  peer.AnswerIndex();

  peer.Pass(absl::Seconds(10));

  const std::vector<SearchDone> done = peer.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_FALSE(done[0].summary.complete);
  EXPECT_NE(done[0].summary.cut_short, CutShort::kNothing);
}

TEST(Searcher, SearchesAtOnceAreBounded) {
  OnePeer peer(4, {.searches_max = 3});
  for (uint64_t i = 1; i <= 3; ++i) {
    peer.core->OnSearchRequested(Request(i), peer.now, peer.outputs);
  }
  EXPECT_TRUE(peer.Take<SearchDone>().empty());

  peer.core->OnSearchRequested(Request(4), peer.now, peer.outputs);

  const std::vector<SearchDone> done = peer.Take<SearchDone>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].request, 4u);
  EXPECT_EQ(done[0].summary.cut_short, CutShort::kOverloaded);
  EXPECT_FALSE(done[0].summary.complete);
}

TEST(Searcher, ACancelledSearchIsSilentAndMakesRoom) {
  OnePeer peer(4, {.searches_max = 1});
  peer.core->OnSearchRequested(Request(1), peer.now, peer.outputs);
  const std::vector<SendFrame> casts = peer.Sent<Cast>();

  peer.core->OnSearchCancelled({1}, peer.now, peer.outputs);
  for (const SendFrame& sent : casts) peer.AnswerTo(sent, 1);
  peer.AnswerIndex();
  peer.Pass(absl::Seconds(20));

  EXPECT_TRUE(peer.Take<SearchDone>().empty());
  EXPECT_TRUE(peer.Take<SearchHits>().empty());
  peer.core->OnSearchRequested(Request(2), peer.now, peer.outputs);
  EXPECT_TRUE(peer.Take<SearchDone>().empty());
  peer.core->CheckInvariants();
}

TEST(Searcher, TheLimitCountsIdsAndNotTheirPublishers) {
  OnePeer peer(0, {}, 1);
  SearchRequested request = Request(1);
  request.limit = 5;
  peer.core->OnSearchRequested(request, peer.now, peer.outputs);
  std::vector<Hit> hits;
  for (uint8_t publisher = 1; publisher <= 5; ++publisher) {
    Hit& hit = hits.emplace_back();
    hit.record.name = "held by many";
    hit.publisher.id = PeerIdOf(publisher);
  }
  for (uint8_t id = 1; id <= 4; ++id) {
    Hit& hit = hits.emplace_back();
    hit.record.name = "held by one " + std::to_string(id);
    hit.record.id.bytes[0] = id;
    hit.publisher.id = PeerIdOf(1);
  }

  peer.AnswerIndex(hits);

  EXPECT_EQ(peer.Take<SearchHits>()[0].hits.size(), 9u);
  EXPECT_FALSE(peer.Take<SearchDone>()[0].summary.truncated);
}

TEST(Searcher, TheLimitLeavesOutHitsAndSaysSo) {
  OnePeer peer(0, {}, 1);
  SearchRequested request = Request(1);
  request.limit = 1;
  peer.core->OnSearchRequested(request, peer.now, peer.outputs);
  Hit a, b;
  a.record.name = "a";
  b.record.name = "b";
  b.record.id.bytes[0] = 1;

  peer.AnswerIndex({a, b});

  EXPECT_EQ(peer.Take<SearchHits>()[0].hits.size(), 1u);
  EXPECT_TRUE(peer.Take<SearchDone>()[0].summary.truncated);
}

}  // namespace
}  // namespace panal
