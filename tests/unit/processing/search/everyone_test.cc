// How often one neighbor has everyone asked (docs/protocol/bubbles.md, 2.5).

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "server/processing/search/bubble.h"
#include "tests/unit/processing/search/one_peer.h"

namespace panal {
namespace {

constexpr auto kBurst = static_cast<int>(kEveryoneOfNeighbor.burst);
constexpr auto kSmallBurst = static_cast<int>(kEveryoneInSmallMesh.burst);

// A peer that has measured a mesh of so many peers, with room for any number of bubbles.
struct MeshPeer : OnePeer {
  explicit MeshPeer(double peers) : OnePeer(5, {.bubbles_max = 1'000'000}, peers) {}

  Cast Number(int number) {
    Cast cast = QueryCast(0, 0, 1);
    std::memcpy(cast.bubble.bytes.data(), &number, sizeof(number));
    cast.everyone = true;
    return cast;
  }

  // Whether it evaluates the query and hands it on; both, or neither.
  bool Takes(const PeerId& from, const Cast& cast) {
    Receive(from, cast);
    const std::vector<QueryIndex> queries = Take<QueryIndex>();
    for (const QueryIndex& query : queries) {
      core->OnIndexAnswered({.token = query.token}, now, outputs);
    }
    size_t casts = 0;
    for (const SendFrame& sent : Take<SendFrame>()) {
      if (std::holds_alternative<Cast>(sent.frame)) {
        ++casts;
        AnswerTo(sent, 1);
      } else {
        refusal = std::get<Answer>(sent.frame);
      }
    }
    Sent<Answer>();
    EXPECT_EQ(casts, queries.empty() ? 0 : links.size() - 1);
    return !queries.empty();
  }

  int TakenOf(int count, const PeerId& from) {
    int taken = 0;
    for (int i = 0; i < count; ++i) taken += Takes(from, Number(next++)) ? 1 : 0;
    core->CheckInvariants();
    return taken;
  }

  int next = 0;
  Answer refusal;
};

TEST(Everyone, IsAskedByOneNeighborSoOftenAtOnceAndNotOnceMore) {
  MeshPeer peer(1000);
  EXPECT_EQ(peer.TakenOf(kBurst, peer.links[0]), kBurst);

  EXPECT_FALSE(peer.Takes(peer.links[0], peer.Number(peer.next++)));

  EXPECT_TRUE(peer.refusal.final);
  EXPECT_EQ(peer.refusal.visited, 0u);
  EXPECT_EQ(peer.refusal.unanswered, 1u);
  // The others have their own.
  EXPECT_EQ(peer.TakenOf(kBurst + 1, peer.links[1]), kBurst);
}

TEST(Everyone, IsAskedOnceAPeriodInTheLongRun) {
  MeshPeer peer(1000);
  peer.TakenOf(kBurst, peer.links[0]);
  for (int i = 0; i < 3; ++i) {
    peer.Pass(kEveryoneOfNeighbor.period - absl::Milliseconds(1));
    EXPECT_EQ(peer.TakenOf(1, peer.links[0]), 0);
    peer.Pass(absl::Milliseconds(1));
    EXPECT_EQ(peer.TakenOf(2, peer.links[0]), 1);
  }
}

TEST(Everyone, WhatOneNeighborMayNotBringAnotherMay) {
  MeshPeer peer(1000);
  peer.TakenOf(kBurst, peer.links[0]);
  const Cast cast = peer.Number(peer.next++);
  EXPECT_FALSE(peer.Takes(peer.links[0], cast));

  EXPECT_TRUE(peer.Takes(peer.links[1], cast));
}

TEST(Everyone, DuplicatesAndRangesTakeNothing) {
  MeshPeer peer(1000);
  const Cast cast = peer.Number(peer.next++);
  EXPECT_TRUE(peer.Takes(peer.links[0], cast));
  for (int i = 0; i < 2 * kBurst; ++i) EXPECT_FALSE(peer.Takes(peer.links[0], cast));
  for (int i = 0; i < 2 * kBurst; ++i) {
    Cast range = peer.Number(1'000'000 + i);
    range.everyone = false;
    peer.Receive(peer.links[0], range);
    peer.AnswerIndex();
  }
  peer.outputs.clear();

  EXPECT_EQ(peer.TakenOf(kBurst, peer.links[0]), kBurst - 1);
}

TEST(Everyone, ABubbleThatIsKnownByARangeTakesOneToo) {
  MeshPeer peer(1000);
  peer.TakenOf(kBurst, peer.links[0]);
  Cast cast = peer.Number(peer.next++);
  cast.everyone = false;
  peer.Receive(peer.links[0], cast);
  peer.AnswerIndex();
  peer.outputs.clear();
  cast.everyone = true;

  peer.Receive(peer.links[0], cast);

  EXPECT_TRUE(peer.Sent<Cast>().empty());
  peer.core->CheckInvariants();
}

TEST(Everyone, ANeighborThatComesBackGainsNothing) {
  MeshPeer peer(1000);
  const PeerId neighbor = peer.links[0];
  peer.TakenOf(kBurst, neighbor);
  peer.LoseLink(neighbor);
  peer.links.insert(peer.links.begin(), neighbor);
  peer.core->SetNeighbors(peer.links);

  EXPECT_EQ(peer.TakenOf(1, neighbor), 0);
}

TEST(Everyone, IsAskedMoreOftenWhereSomebodyMayTakeTheMeshForSaturated) {
  // 4 * 4 * 9.21 peers.
  for (double peers : {30.0, 147.0, 148.0}) {
    SCOPED_TRACE(peers);
    MeshPeer peer(peers);

    EXPECT_EQ(peer.TakenOf(kSmallBurst + 1, peer.links[0]), peers == 148.0 ? kBurst : kSmallBurst);
  }
}

}  // namespace
}  // namespace panal
