#include "server/processing/overlay/membership.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace panal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

PeerId Id(uint32_t number) {
  PeerId id;
  id.bytes[0] = static_cast<uint8_t>(number >> 8);
  id.bytes[1] = static_cast<uint8_t>(number);
  return id;
}

PeerContact Contact(uint32_t number) { return {Id(number), {absl::StrCat("p", number, ":7401")}}; }

template <typename T>
std::vector<T> All(const Outputs& outputs) {
  std::vector<T> found;
  for (const Output& output : outputs) {
    if (const T* value = std::get_if<T>(&output)) found.push_back(*value);
  }
  return found;
}

// The frames of type F that were sent to `to`.
template <typename F>
std::vector<F> Sent(const Outputs& outputs, const PeerId& to) {
  std::vector<F> found;
  for (const SendFrame& send : All<SendFrame>(outputs)) {
    const F* frame = std::get_if<F>(&send.frame);
    if (frame != nullptr && send.to == to) found.push_back(*frame);
  }
  return found;
}

template <typename F>
size_t CountSent(const Outputs& outputs) {
  size_t count = 0;
  for (const SendFrame& send : All<SendFrame>(outputs))
    count += std::holds_alternative<F>(send.frame);
  return count;
}

// Membership of peer 1 with views small enough to fill.
class MembershipTest : public testing::Test {
 protected:
  static MembershipOptions SmallOptions() {
    MembershipOptions options;
    options.active_view_size = 4;
    options.active_view_slack = 1;
    options.passive_view_size = 6;
    return options;
  }

  Outputs Begin(std::vector<PeerContact> known = {}) {
    Outputs outputs;
    membership_.OnStart({Contact(1), std::move(known)}, now_, outputs);
    return outputs;
  }

  Outputs Up(uint32_t peer, bool outbound) {
    Outputs outputs;
    membership_.OnLinkUp({Contact(peer), outbound}, now_, outputs);
    membership_.CheckInvariants();
    return outputs;
  }

  // A neighbor that dialled and asked with low priority.
  void AddNeighbor(uint32_t peer) {
    Up(peer, /*outbound=*/false);
    Outputs outputs;
    membership_.OnNeighborAsk(Id(peer), {}, now_, outputs);
    ASSERT_TRUE(membership_.IsActive(Id(peer)));
  }

  void AddNeighbors(uint32_t first, uint32_t count) {
    for (uint32_t peer = first; peer < first + count; ++peer) AddNeighbor(peer);
  }

  Outputs Repair(absl::Duration after = absl::Seconds(1)) {
    now_ += after;
    Outputs outputs;
    membership_.OnTimer({TimerKind::kRepair, 0}, now_, outputs);
    membership_.CheckInvariants();
    return outputs;
  }

  Outputs Lost(uint32_t peer) {
    Outputs outputs;
    membership_.OnLinkLost(Id(peer), now_, outputs);
    membership_.CheckInvariants();
    return outputs;
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  Random random_{1};
  Membership membership_{Id(1), SmallOptions(), 1.0, random_};
};

TEST_F(MembershipTest, JoinsThroughTheBootstrapPeerOnceItsLinkIsUp) {
  Begin();
  Outputs learned;
  membership_.OnPeerLearned({Contact(2), /*join=*/true}, now_, learned);

  Outputs up = Up(2, /*outbound=*/true);
  EXPECT_THAT(Sent<Join>(up, Id(2)), SizeIs(1));
  EXPECT_FALSE(membership_.IsActive(Id(2)));
  Outputs accepted;
  membership_.OnNeighborReply(Id(2), {.accepted = true}, now_, accepted);

  EXPECT_THAT(All<Dial>(learned), IsEmpty());  // The runtime has dialled.
  EXPECT_TRUE(membership_.IsActive(Id(2)));
  EXPECT_THAT(All<NeighborUp>(accepted), SizeIs(1));
}

TEST_F(MembershipTest, TriesKnownPeersInOrderUntilOneLinkIsUp) {
  Outputs outputs = Begin({Contact(9), Contact(3), Contact(5), Contact(2), Contact(7)});

  std::vector<Dial> dials = All<Dial>(outputs);
  ASSERT_THAT(dials, SizeIs(4));  // dials_max.
  EXPECT_EQ(dials[0].peer.id, Id(9));
  EXPECT_EQ(dials[1].peer.id, Id(3));
  EXPECT_EQ(dials[3].peer.id, Id(2));
  EXPECT_THAT(Sent<Join>(Up(9, true), Id(9)), SizeIs(1));
  EXPECT_THAT(Sent<NeighborAsk>(Up(3, true), Id(3)), SizeIs(1));
}

TEST_F(MembershipTest, IgnoresItselfAmongKnownPeers) {
  Outputs outputs = Begin({Contact(1)});

  EXPECT_THAT(All<Dial>(outputs), IsEmpty());
  membership_.CheckInvariants();
}

TEST_F(MembershipTest, AnAcceptedLinkIsNoNeighborBeforeItAsks) {
  Begin();
  Outputs outputs = Up(2, /*outbound=*/false);
  EXPECT_THAT(All<NeighborUp>(outputs), IsEmpty());

  EXPECT_THAT(All<CloseLink>(Repair(absl::Seconds(4))), IsEmpty());
  EXPECT_THAT(All<CloseLink>(Repair(absl::Seconds(1))), SizeIs(1));
}

TEST_F(MembershipTest, AcceptsUpToWantedAndSlackAndDeclinesTheNext) {
  Begin();
  AddNeighbors(2, 5);

  Up(7, /*outbound=*/false);
  Outputs outputs;
  membership_.OnNeighborAsk(Id(7), {}, now_, outputs);

  ASSERT_THAT(Sent<NeighborReply>(outputs, Id(7)), SizeIs(1));
  EXPECT_FALSE(Sent<NeighborReply>(outputs, Id(7))[0].accepted);
  EXPECT_THAT(membership_.active(), SizeIs(5));
}

TEST_F(MembershipTest, HighPriorityMakesRoomAndNamesTheReplacement) {
  Begin();
  AddNeighbors(2, 5);

  Up(7, /*outbound=*/false);
  Outputs outputs;
  membership_.OnNeighborAsk(Id(7), {.high_priority = true}, now_, outputs);

  EXPECT_TRUE(membership_.IsActive(Id(7)));
  EXPECT_THAT(membership_.active(), SizeIs(5));
  std::vector<NeighborDown> down = All<NeighborDown>(outputs);
  ASSERT_THAT(down, SizeIs(1));
  std::vector<Disconnect> goodbye = Sent<Disconnect>(outputs, down[0].peer);
  ASSERT_THAT(goodbye, SizeIs(1));
  EXPECT_FALSE(goodbye[0].leaving);
  EXPECT_EQ(goodbye[0].replacements.front().id, Id(7));
  EXPECT_THAT(All<CloseLink>(outputs), SizeIs(1));
}

TEST_F(MembershipTest, AJoinIsAlwaysAcceptedAndKeepsTheDegree) {
  Begin();
  AddNeighbors(2, 4);

  Up(7, /*outbound=*/false);
  Outputs outputs;
  membership_.OnJoin(Id(7), now_, outputs);

  EXPECT_TRUE(membership_.IsActive(Id(7)));
  EXPECT_THAT(membership_.active(), SizeIs(4));
  EXPECT_EQ(CountSent<ForwardJoin>(outputs),
            2u);  // Half of the links wanted: each walk brings two.
}

TEST_F(MembershipTest, AShortContactHasAllNeighborsTakeTheNewcomer) {
  Begin();
  AddNeighbors(2, 2);

  Up(7, /*outbound=*/false);
  Outputs outputs;
  membership_.OnJoin(Id(7), now_, outputs);

  ASSERT_THAT(Sent<ForwardJoin>(outputs, Id(2)), SizeIs(1));
  EXPECT_EQ(Sent<ForwardJoin>(outputs, Id(2))[0].ttl, 0);
  EXPECT_EQ(Sent<ForwardJoin>(outputs, Id(2))[0].newcomer.id, Id(7));
  EXPECT_THAT(Sent<ForwardJoin>(outputs, Id(3)), SizeIs(1));
}

TEST_F(MembershipTest, ARepeatedJoinBringsNoFurtherWalks) {
  Begin();
  AddNeighbors(2, 2);
  Up(7, /*outbound=*/false);
  Outputs first;
  membership_.OnJoin(Id(7), now_, first);

  Outputs second;
  membership_.OnJoin(Id(7), now_, second);

  EXPECT_EQ(CountSent<ForwardJoin>(second), 0u);
}

TEST_F(MembershipTest, AWalkGoesOnToANeighborItDidNotComeFrom) {
  Begin();
  AddNeighbors(2, 2);

  Outputs outputs;
  membership_.OnForwardJoin(Id(2), {Contact(9), 5}, now_, outputs);

  ASSERT_THAT(Sent<ForwardJoin>(outputs, Id(3)), SizeIs(1));
  EXPECT_EQ(Sent<ForwardJoin>(outputs, Id(3))[0].ttl, 4);
}

TEST_F(MembershipTest, AWalkEndsWithADialAndASplice) {
  Begin();
  AddNeighbors(2, 4);

  Outputs end;
  membership_.OnForwardJoin(Id(2), {Contact(9), 0}, now_, end);
  EXPECT_THAT(All<Dial>(end), SizeIs(1));
  Outputs up = Up(9, /*outbound=*/true);
  EXPECT_THAT(Sent<NeighborAsk>(up, Id(9)), SizeIs(1));
  Outputs accepted;
  membership_.OnNeighborReply(Id(9), {.accepted = true}, now_, accepted);

  EXPECT_THAT(membership_.active(), SizeIs(4));
  std::vector<NeighborDown> down = All<NeighborDown>(accepted);
  ASSERT_THAT(down, SizeIs(1));
  EXPECT_EQ(Sent<Disconnect>(accepted, down[0].peer)[0].replacements.front().id, Id(9));
}

TEST_F(MembershipTest, AsManyNewcomersAreSplicedInAtOnceAsTheLimitAndNotOneMore) {
  Begin();
  AddNeighbors(2, 4);
  Outputs outputs;
  for (uint32_t i = 0; i < kSplicesMax; ++i) {
    membership_.OnForwardJoin(Id(3 + i % 3), {Contact(100 + i), 0}, now_, outputs);
  }
  ASSERT_THAT(All<Dial>(outputs), SizeIs(kSplicesMax));

  Outputs beyond;
  membership_.OnForwardJoin(Id(2), {Contact(200), 0}, now_, beyond);

  EXPECT_THAT(All<Dial>(beyond), IsEmpty());
  EXPECT_THAT(membership_.Passive(), SizeIs(1));  // It waits there for its turn.
  membership_.CheckInvariants();
}

TEST_F(MembershipTest, WalksOfANeighborAreTakenAtARate) {
  Begin();
  AddNeighbors(2, 4);
  auto walk = [&](uint32_t from, uint32_t newcomer) {
    Outputs outputs;
    membership_.OnForwardJoin(Id(from), {Contact(newcomer), 5}, now_, outputs);
    EXPECT_EQ(CountSent<ForwardJoin>(outputs) + All<FrameRefused>(outputs).size(), 1u);
    membership_.CheckInvariants();
    return CountSent<ForwardJoin>(outputs) == 1;
  };
  const auto burst = static_cast<uint32_t>(kWalksOfNeighbor.burst);
  for (uint32_t i = 0; i < burst; ++i) EXPECT_TRUE(walk(2, 100 + i));

  EXPECT_FALSE(walk(2, 200));
  EXPECT_TRUE(walk(3, 201));  // The others have their own.
  now_ += kWalksOfNeighbor.period;
  EXPECT_TRUE(walk(2, 202));
  EXPECT_FALSE(walk(2, 203));
}

TEST_F(MembershipTest, ShufflesAndRepliesOfANeighborAreTakenAtARate) {
  Begin();
  AddNeighbors(2, 4);
  auto shuffle = [&] {
    Outputs outputs;
    membership_.OnShuffle(Id(2), {.ttl = 1, .path = {Id(2)}}, now_, outputs);
    return CountSent<ShuffleReply>(outputs) == 1;
  };
  auto reply = [&] {
    Outputs outputs;
    membership_.OnShuffleReply(Id(2), {.path = {Id(50), Id(3), Id(1)}}, now_, outputs);
    return CountSent<ShuffleReply>(outputs) == 1;
  };
  for (int i = 0; i < static_cast<int>(kShufflesBurst); ++i) {
    EXPECT_TRUE(shuffle());
    EXPECT_TRUE(reply());
  }

  EXPECT_FALSE(shuffle());
  EXPECT_FALSE(reply());
  now_ += SmallOptions().shuffle_interval / kShufflesPerInterval;
  EXPECT_TRUE(shuffle());
  EXPECT_TRUE(reply());
  EXPECT_FALSE(shuffle());
  EXPECT_FALSE(reply());
}

TEST_F(MembershipTest, AWalkForThisPeerItselfIsDropped) {
  Begin();
  AddNeighbors(2, 2);

  Outputs outputs;
  membership_.OnForwardJoin(Id(2), {Contact(1), 0}, now_, outputs);

  EXPECT_THAT(outputs, IsEmpty());
}

TEST_F(MembershipTest, FramesOfPeersThatAreNoNeighborsAreIgnored) {
  Begin();
  AddNeighbors(2, 2);
  Up(8, /*outbound=*/false);

  Outputs outputs;
  membership_.OnForwardJoin(Id(8), {Contact(9), 0}, now_, outputs);
  membership_.OnShuffle(Id(8), {.ttl = 1, .path = {Id(8)}, .peers = {Contact(9)}}, now_, outputs);
  membership_.OnNeighborReply(Id(8), {.accepted = true}, now_, outputs);

  EXPECT_THAT(outputs, IsEmpty());
  EXPECT_THAT(membership_.Passive(), IsEmpty());
  EXPECT_FALSE(membership_.IsActive(Id(8)));
}

TEST_F(MembershipTest, ReplacesALostNeighborFromThePassiveViewAtOnce) {
  Begin();
  AddNeighbors(2, 4);
  Outputs shuffled;
  membership_.OnShuffle(Id(2), {.ttl = 1, .path = {Id(2)}, .peers = {Contact(9)}}, now_, shuffled);

  Outputs outputs = Lost(3);

  EXPECT_THAT(All<NeighborDown>(outputs), SizeIs(1));
  ASSERT_THAT(All<Dial>(outputs), SizeIs(1));
  EXPECT_EQ(All<Dial>(outputs)[0].peer.id, Id(9));
}

TEST_F(MembershipTest, BothAskingAcceptEachOther) {
  Begin();
  Outputs dialled;
  membership_.OnPeerLearned({Contact(2), false}, now_, dialled);
  Up(2, /*outbound=*/true);

  Outputs outputs;
  membership_.OnNeighborAsk(Id(2), {}, now_, outputs);
  membership_.OnNeighborReply(Id(2), {.accepted = true}, now_, outputs);

  EXPECT_TRUE(membership_.IsActive(Id(2)));
  EXPECT_THAT(All<NeighborUp>(outputs), SizeIs(1));
}

TEST_F(MembershipTest, ADialThatLostAgainstTheOtherEndsDialWaitsForItsAsk) {
  Begin();
  Outputs dialled;
  membership_.OnPeerLearned({Contact(2), false}, now_, dialled);
  EXPECT_THAT(All<Dial>(dialled), SizeIs(1));

  Outputs up = Up(2, /*outbound=*/false);
  Outputs failed;
  membership_.OnDialFailed(Id(2), now_, failed);
  Outputs asked;
  membership_.OnNeighborAsk(Id(2), {}, now_, asked);

  EXPECT_EQ(CountSent<NeighborAsk>(up), 0u);
  EXPECT_TRUE(membership_.IsActive(Id(2)));
}

TEST_F(MembershipTest, AFailedCandidateRestsTwiceAsLongEachTime) {
  Begin();
  AddNeighbor(2);
  Outputs outputs;
  membership_.OnPeerLearned({Contact(9), false}, now_, outputs);
  EXPECT_THAT(All<Dial>(outputs), SizeIs(1));
  Outputs declined;
  Up(9, true);
  membership_.OnNeighborReply(Id(9), {.accepted = false}, now_, declined);
  EXPECT_THAT(All<CloseLink>(declined), SizeIs(1));
  Lost(9);

  EXPECT_THAT(All<Dial>(Repair(absl::Seconds(4))), IsEmpty());
  EXPECT_THAT(All<Dial>(Repair(absl::Seconds(1))), SizeIs(1));
  Up(9, true);
  membership_.OnNeighborReply(Id(9), {.accepted = false}, now_, declined);
  Lost(9);
  EXPECT_THAT(All<Dial>(Repair(absl::Seconds(9))), IsEmpty());
  EXPECT_THAT(All<Dial>(Repair(absl::Seconds(1))), SizeIs(1));
}

TEST_F(MembershipTest, APeerThatCannotBeDialledLeavesThePassiveView) {
  Begin();
  AddNeighbor(2);
  Outputs outputs;
  membership_.OnPeerLearned({Contact(9), false}, now_, outputs);

  membership_.OnDialFailed(Id(9), now_, outputs);
  membership_.OnPeerLearned({Contact(9), false}, now_, outputs);

  EXPECT_THAT(membership_.Passive(), IsEmpty());
}

TEST_F(MembershipTest, ThePassiveViewIsBounded) {
  Begin();
  AddNeighbors(2, 4);

  Outputs outputs;
  for (uint32_t peer = 100; peer < 106; ++peer) {
    membership_.OnPeerLearned({Contact(peer), false}, now_, outputs);
  }
  EXPECT_THAT(membership_.Passive(), SizeIs(6));
  membership_.OnPeerLearned({Contact(106), false}, now_, outputs);

  EXPECT_THAT(membership_.Passive(), SizeIs(6));
  membership_.CheckInvariants();
}

// Peers that may be dialled, and those that were not resting, tell who is remembered.
TEST_F(MembershipTest, RestingCandidatesAreBoundedAndTheFirstToWakeGoes) {
  for (int limit : {2, 3}) {
    MembershipOptions options = SmallOptions();
    options.resting_max = limit;
    Membership membership(Id(1), options, 1.0, random_);
    Outputs outputs;
    membership.OnStart({Contact(1), {}}, now_, outputs);
    for (uint32_t peer : {60, 61, 62}) {
      membership.OnDialFailed(Id(peer), now_ + absl::Milliseconds(peer), outputs);
      membership.CheckInvariants();
    }

    // One that rests is barred from the passive view.
    for (uint32_t peer : {60, 61, 62}) {
      membership.OnPeerLearned({Contact(peer), false}, now_ + absl::Seconds(1), outputs);
    }

    std::vector<PeerId> dialled;
    for (const Dial& dial : All<Dial>(outputs)) dialled.push_back(dial.peer.id);
    if (limit == 2) {
      EXPECT_THAT(dialled, ElementsAre(Id(60)));
    } else {
      EXPECT_THAT(dialled, IsEmpty());
    }
  }
}

TEST_F(MembershipTest, RememberedPeersAreBoundedAndTheOldestGoes) {
  for (int limit : {2, 3}) {
    MembershipOptions options = SmallOptions();
    options.remembered_max = limit;
    Membership membership(Id(1), options, 1.0, random_);
    Outputs outputs;
    membership.OnStart({Contact(1), {}}, now_, outputs);
    for (uint32_t peer : {60, 61, 62}) {
      now_ += absl::Milliseconds(1);
      membership.OnLinkUp({Contact(peer), /*outbound=*/false}, now_, outputs);
      membership.OnNeighborAsk(Id(peer), {}, now_, outputs);
      ASSERT_TRUE(membership.IsActive(Id(peer)));
      // Left by its own will, a neighbor would be forgotten.
      membership.OnLinkLost(Id(peer), now_, outputs);
      membership.CheckInvariants();
    }
    outputs.clear();

    membership.OnTimer({TimerKind::kRepair, 0}, now_, outputs);

    std::vector<PeerId> reported;
    for (const RememberPeers& report : All<RememberPeers>(outputs)) {
      for (const PeerContact& peer : report.peers) reported.push_back(peer.id);
    }
    if (limit == 2) {
      EXPECT_THAT(reported, ElementsAre(Id(61), Id(62)));
    } else {
      EXPECT_THAT(reported, ElementsAre(Id(60), Id(61), Id(62)));
    }
  }
}

TEST_F(MembershipTest, LinksBeyondTheLimitAreClosed) {
  Begin();
  uint32_t peer = 2;
  for (size_t i = 0; i < kLinksTrackedMax; ++i) {
    EXPECT_THAT(All<CloseLink>(Up(peer++, false)), IsEmpty());
  }

  EXPECT_THAT(All<CloseLink>(Up(peer, false)), SizeIs(1));
}

TEST_F(MembershipTest, AShuffleIsAnsweredAtItsEndAndGoesBackAlongItsPath) {
  Begin();
  AddNeighbors(2, 3);

  Outputs outputs;
  membership_.OnShuffle(Id(2), {.ttl = 1, .path = {Id(50), Id(2)}, .peers = {Contact(50)}}, now_,
                        outputs);

  std::vector<ShuffleReply> replies = Sent<ShuffleReply>(outputs, Id(2));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_THAT(replies[0].path, ElementsAre(Id(50), Id(2)));
  EXPECT_EQ(membership_.Passive().front().id, Id(50));
}

TEST_F(MembershipTest, AShuffleReplyOfAnotherPeerIsPassedBack) {
  Begin();
  AddNeighbors(2, 3);

  Outputs outputs;
  membership_.OnShuffleReply(Id(2), {.path = {Id(50), Id(3), Id(1)}, .peers = {Contact(60)}}, now_,
                             outputs);

  ASSERT_THAT(Sent<ShuffleReply>(outputs, Id(3)), SizeIs(1));
  EXPECT_THAT(Sent<ShuffleReply>(outputs, Id(3))[0].path, ElementsAre(Id(50), Id(3)));
  EXPECT_THAT(membership_.Passive(), IsEmpty());
}

TEST_F(MembershipTest, AShuffleReplyNobodyAskedForIsIgnored) {
  Begin();
  AddNeighbors(2, 4);

  Outputs outputs;
  membership_.OnShuffleReply(Id(2), {.path = {Id(1)}, .peers = {Contact(60)}}, now_, outputs);
  EXPECT_THAT(membership_.Passive(), IsEmpty());

  membership_.OnTimer({TimerKind::kShuffle, 0}, now_, outputs);
  membership_.OnShuffleReply(Id(2), {.path = {Id(1)}, .peers = {Contact(60)}}, now_, outputs);
  EXPECT_THAT(membership_.Passive(), SizeIs(1));
}

TEST_F(MembershipTest, ALeavingPeerPairsItsNeighbors) {
  Begin();
  AddNeighbors(2, 4);

  Outputs outputs;
  membership_.OnLeave(now_, outputs);

  for (uint32_t peer = 2; peer < 6; ++peer) {
    std::vector<Disconnect> goodbye = Sent<Disconnect>(outputs, Id(peer));
    ASSERT_THAT(goodbye, SizeIs(1));
    EXPECT_TRUE(goodbye[0].leaving);
    EXPECT_THAT(goodbye[0].replacements, SizeIs(3));
    PeerId partner = goodbye[0].replacements.front().id;
    EXPECT_EQ(Sent<Disconnect>(outputs, partner)[0].replacements.front().id, Id(peer));
  }
  EXPECT_THAT(membership_.active(), IsEmpty());
  // They close: that says that the goodbye was read.
  EXPECT_THAT(All<CloseLink>(outputs), IsEmpty());
  EXPECT_TRUE(membership_.HasLinks());
  for (uint32_t peer = 2; peer < 6; ++peer) Lost(peer);
  EXPECT_FALSE(membership_.HasLinks());
}

TEST_F(MembershipTest, ALeavingPeerClosesWhatItsNeighborsDidNot) {
  Begin();
  AddNeighbors(2, 2);
  Outputs outputs;
  membership_.OnLeave(now_, outputs);
  Lost(2);

  Outputs closed;
  membership_.OnLeaveTimeout(closed);

  ASSERT_THAT(All<CloseLink>(closed), SizeIs(1));
  EXPECT_EQ(All<CloseLink>(closed)[0].peer, Id(3));
}

TEST_F(MembershipTest, OfAPairTheLowerIdDials) {
  Begin();
  AddNeighbors(2, 2);

  Outputs outputs;
  membership_.OnDisconnect(Id(2), {.leaving = true, .replacements = {Contact(9)}}, now_, outputs);

  ASSERT_THAT(All<Dial>(outputs), SizeIs(1));
  EXPECT_EQ(All<Dial>(outputs)[0].peer.id, Id(9));
}

TEST_F(MembershipTest, APeerThatLeftIsNoCandidate) {
  Begin();
  AddNeighbors(2, 2);
  Outputs outputs;
  membership_.OnDisconnect(Id(2), {.leaving = true}, now_, outputs);
  Lost(2);

  membership_.OnShuffle(Id(3), {.ttl = 1, .path = {Id(3)}, .peers = {Contact(2)}}, now_, outputs);

  EXPECT_THAT(membership_.Passive(), IsEmpty());
  EXPECT_THAT(All<Dial>(Repair(absl::Seconds(10))), IsEmpty());
}

TEST_F(MembershipTest, AnIsolatedPeerJoinsAgainThroughARememberedOne) {
  Begin();
  AddNeighbor(2);
  EXPECT_THAT(All<RememberPeers>(Repair()), SizeIs(1));
  Lost(2);
  Outputs failed;
  Outputs first = Repair(absl::Seconds(5));
  ASSERT_THAT(All<Dial>(first), SizeIs(1));
  membership_.OnDialFailed(Id(2), now_, failed);
  EXPECT_THAT(membership_.Passive(), IsEmpty());

  EXPECT_THAT(All<Dial>(Repair(absl::Seconds(10))), SizeIs(1));
  EXPECT_THAT(Sent<Join>(Up(2, true), Id(2)), SizeIs(1));
}

TEST_F(MembershipTest, AFeelerSwapsOneLinkForARememberedPeer) {
  Begin();
  AddNeighbors(2, 4);
  Outputs gone;
  membership_.OnDisconnect(Id(2), {}, now_, gone);
  Lost(2);
  AddNeighbor(20);
  ASSERT_THAT(membership_.active(), SizeIs(4));

  std::vector<Dial> dials = All<Dial>(Repair(absl::Minutes(4)));

  ASSERT_THAT(dials, SizeIs(1));
  EXPECT_EQ(dials[0].peer.id, Id(2));
}

// Gia (SIGCOMM 2003), Table 1: capacities differ by four orders of magnitude; links by a factor of
// eight.
TEST_F(MembershipTest, CapacityScalesTheLinksWanted) {
  Membership strong(Id(1), {}, 2.5, random_);
  Membership weak(Id(1), {}, 0.1, random_);
  Membership huge(Id(1), {}, 1000, random_);

  EXPECT_EQ(strong.wanted(), 40u);
  EXPECT_EQ(weak.wanted(), 16u);
  EXPECT_EQ(huge.wanted(), 128u);
}

}  // namespace
}  // namespace panal
