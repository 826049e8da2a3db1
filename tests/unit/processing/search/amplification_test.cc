// What a peer does at most for one bubble, whatever it is told (docs/protocol/bubbles.md, 2.6).

#include <gtest/gtest.h>

#include "server/processing/search/bubble.h"
#include "server/processing/search/sizes.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

const Cast& CastOf(const SendFrame& sent) { return std::get<Cast>(sent.frame); }

const Answer& AnswerOf(const SendFrame& sent) { return std::get<Answer>(sent.frame); }

// Longest plausible range of a query in the mesh of `OnePeer`, one link away from the origin.
uint32_t Longest() {
  BubbleSizes sizes{SearchOptions{.saturated_factor = 0}};
  sizes.SetEstimate({1000, 16'000, 256'000, true});
  return sizes.QueryRangeMax();
}

// Positions after `begin` that the peer cast.
uint32_t Forwarded(OnePeer& peer) {
  uint32_t positions = 0;
  for (const SendFrame& sent : peer.Sent<Cast>())
    positions += CastOf(sent).end - CastOf(sent).begin;
  return positions;
}

// What the peer casts, and leaves unanswered, of a range of `length` that came over `hops` links.
struct Taken {
  uint32_t forwarded = 0;
  uint32_t unanswered = 0;
};

Taken Take(OnePeer& peer, Cast cast, const PeerId& from) {
  Taken taken;
  peer.Receive(from, cast);
  std::vector<SendFrame> sent = peer.Take<SendFrame>();
  for (const SendFrame& one : sent) {
    const auto* part = std::get_if<Cast>(&one.frame);
    if (part == nullptr) continue;
    taken.forwarded += part->end - part->begin;
    peer.AnswerTo(one, 1);
  }
  for (const QueryIndex& query : peer.Take<QueryIndex>()) {
    peer.core->OnIndexAnswered({.token = query.token}, peer.now, peer.outputs);
  }
  for (const SendFrame& one : peer.Sent<Answer>()) sent.push_back(one);
  for (const SendFrame& one : sent) {
    const auto* answer = std::get_if<Answer>(&one.frame);
    if (answer != nullptr && answer->final) taken.unanswered = answer->unanswered;
  }
  return taken;
}

TEST(Amplification, ARangeIsTakenUpToWhatIsPlausibleAndTheRestIsUnanswered) {
  uint32_t longest = Longest();
  for (int hops = 1; hops <= 3; ++hops) {
    for (uint32_t excess : {0u, 1u, 5000u}) {
      SCOPED_TRACE(testing::Message() << "hops " << hops << ", excess " << excess);
      OnePeer peer(8);
      Cast cast = OnePeer::QueryCast(1, 1, 1 + longest + excess);
      cast.hops = hops;
      if (hops == 1) cast.origin = peer.links[0];

      const Taken taken = Take(peer, cast, peer.links[0]);

      EXPECT_EQ(taken.forwarded, longest - 1);
      EXPECT_EQ(taken.unanswered, excess);
    }
    longest /= kHopShrink;
  }
}

TEST(Amplification, OnlyTheOriginIsOneLinkAway) {
  OnePeer peer(8);
  Cast cast = OnePeer::QueryCast(1, 1, 1 + Longest());
  cast.hops = 1;

  EXPECT_EQ(Take(peer, cast, peer.links[0]).forwarded, Longest() / kHopShrink - 1);
}

TEST(Amplification, APeerThatHasMeasuredNothingTakesWhatItIsGiven) {
  OnePeer peer(8);
  peer.core->SetEstimate({9, 0, 0, false});

  EXPECT_EQ(Take(peer, OnePeer::QueryCast(1, 1, 5001), peer.links[0]).forwarded, 4999u);
}

TEST(Amplification, AllRangesOfABubbleTogetherAreBounded) {
  OnePeer peer(8);
  Cast cast = OnePeer::QueryCast(1, 0, Longest() / 2 + 1);
  cast.origin = peer.links[0];
  cast.hops = 1;
  for (uint32_t begin : {0u, 1000u}) {
    cast.begin = begin;
    cast.end = begin + Longest() / 2 + 1;
    EXPECT_EQ(Take(peer, cast, peer.links[0]).forwarded, Longest() / 2);
  }

  // One more position is refused at once, so that the sender asks another neighbor.
  cast.begin = 2000;
  cast.end = 2002;
  const Taken taken = Take(peer, cast, peer.links[0]);

  EXPECT_EQ(taken.forwarded, 0u);
  EXPECT_EQ(taken.unanswered, 2u);
  peer.core->CheckInvariants();
}

TEST(Amplification, CastsForOneBubbleAreBounded) {
  OnePeer peer(8);
  for (uint32_t i = 0; i < kRangesPerBubbleMax; ++i) {
    peer.Receive(peer.links[0], OnePeer::QueryCast(1, 100 * i, 100 * i + 5));
  }
  const std::vector<SendFrame> casts = peer.Sent<Cast>();
  ASSERT_EQ(casts.size(), kCastsPerBubbleMax);
  ASSERT_EQ(CastOf(casts[0]).begin, 1u);
  peer.AnswerTo(casts[1], 1);
  peer.AnswerTo(casts[2], 1);
  peer.AnswerTo(casts[3], 1);

  // The first part is refused, and there is no cast left to send it elsewhere.
  peer.AnswerTo(casts[0], 0, 1);

  EXPECT_TRUE(peer.Sent<Cast>().empty());
  peer.AnswerIndex();
  EXPECT_TRUE(peer.Sent<Answer>().size() == 1u);
  peer.core->CheckInvariants();
}

TEST(Amplification, ABubbleGoesToEveryoneOnceWhateverItsSeed) {
  OnePeer peer(5);
  Cast cast = OnePeer::QueryCast(1, 0, 1);
  cast.everyone = true;
  peer.Receive(peer.links[0], cast);
  EXPECT_EQ(peer.Sent<Cast>().size(), 4u);

  cast.seed = 6;
  peer.Receive(peer.links[0], cast);

  EXPECT_EQ(Forwarded(peer), 0u);
}

TEST(Amplification, PagesForEveryoneAreRefusedInALargeMesh) {
  // 4 * 4 * 9.21 peers.
  for (double peers : {147.0, 148.0}) {
    OnePeer peer(5, {}, peers);
    Cast cast = OnePeer::QueryCast(1, 0, 1);
    cast.everyone = true;
    cast.payload = PagePayload{MakePage(PeerIdOf(9), 1, 1, {"a"}), true, nullptr};

    peer.Receive(peer.links[0], cast);

    EXPECT_EQ(peer.Take<StorePage>().size(), peers == 147.0 ? 1u : 0u);
    const std::vector<SendFrame> answers = peer.Sent<Answer>();
    ASSERT_EQ(answers.size(), peers == 147.0 ? 0u : 1u);
    if (!answers.empty()) EXPECT_EQ(AnswerOf(answers[0]).unanswered, 1u);
    peer.core->CheckInvariants();
  }
}

TEST(Amplification, AMeshThatShrankIsJudgedAsItWas) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  BubbleSizes sizes{SearchOptions{}};
  sizes.SetEstimate({10'000, 160'000, 2'560'000, true});
  sizes.Advance(start);
  const uint32_t query = sizes.QueryRangeMax();
  const uint32_t page = sizes.PageRangeMax();
  EXPECT_EQ(page, static_cast<uint32_t>(kPageRangeFactor * sizes.PageSize() + 0.5));

  sizes.SetEstimate({1000, 16'000, 256'000, true});
  EXPECT_GE(sizes.QueryRangeMax(), query);
  EXPECT_EQ(sizes.PageRangeMax(), page);

  sizes.Advance(start + absl::Minutes(11));
  EXPECT_LT(sizes.QueryRangeMax(), query);
  EXPECT_LT(sizes.PageRangeMax(), page);
}

}  // namespace
}  // namespace panal
