#include "server/runtime/links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/wire/frame_codec.h"
#include "tests/integration/freezable_proxy.h"
#include "tests/integration/mesh_peer.h"
#include "tests/integration/raw_acceptor.h"

namespace panal {
namespace {

using Kind = LinkEvent::Kind;

// A port of this machine where nobody listens.
std::string DeadAddress() {
  MeshPeer peer;
  return peer.address();
}

TEST(Links, ReportTheLinkUpOnBothSidesWithWhatTheOtherSaid) {
  MeshPeer a({.hello = {.capacity = 2.0, .addresses = {"a:1"}, .version = "1.2.3"}});
  MeshPeer b;

  a.links().Dial(b.contact());

  ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1));
  ASSERT_TRUE(b.WaitFor(Kind::kUp, a.id(), 1));
  EXPECT_TRUE(a.Last(Kind::kUp, b.id()).outbound);
  EXPECT_FALSE(b.Last(Kind::kUp, a.id()).outbound);
  EXPECT_EQ(b.Last(Kind::kUp, a.id()).hello.capacity, 2.0);
  EXPECT_EQ(b.Last(Kind::kUp, a.id()).hello.version, "1.2.3");
}

TEST(Links, DeliverFramesInOrderBetweenThreePeers) {
  MeshPeer a, b, c;
  a.links().Dial(b.contact());
  a.links().Dial(c.contact());
  ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1) && a.WaitFor(Kind::kUp, c.id(), 1));
  ASSERT_TRUE(b.WaitFor(Kind::kUp, a.id(), 1) && c.WaitFor(Kind::kUp, a.id(), 1));

  for (uint64_t i = 1; i <= 100; ++i) {
    a.links().Send(b.id(), MeasureAck{i});
    c.links().Send(a.id(), MeasureAck{i});
  }

  ASSERT_TRUE(b.WaitFor(Kind::kFrame, a.id(), 100));
  ASSERT_TRUE(a.WaitFor(Kind::kFrame, c.id(), 100));
  uint64_t expected = 1;
  for (const LinkEvent& event : b.events()) {
    if (event.kind != Kind::kFrame) continue;
    EXPECT_EQ(std::get<MeasureAck>(*event.frame).sequence, expected++);
  }
}

TEST(Links, DropFramesForWhomThereIsNoLink) {
  MeshPeer a, b;

  a.links().Send(b.id(), Join{});
  a.links().Close(b.id());

  EXPECT_TRUE(a.events().empty());
}

TEST(Links, TryAddressesInOrder) {
  MeshPeer a, b;

  a.links().Dial({b.id(), {DeadAddress(), b.address()}});

  EXPECT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1));
}

TEST(Links, FailTheDialWhenNobodyAnswers) {
  MeshPeer a;
  const PeerId nobody = Identity::Generate().peer_id();

  a.links().Dial({nobody, {DeadAddress()}});

  ASSERT_TRUE(a.WaitFor(Kind::kDialFailed, nobody, 1));
  EXPECT_EQ(ReasonOf(a.Last(Kind::kDialFailed, nobody).why), ErrorReason::kPeerUnreachable);
}

TEST(Links, FailTheDialWhenTheConnectionIsTakenButNothingIsSaid) {
  FreezableProxy silent("127.0.0.1:1");
  silent.Freeze();
  MeshPeer a;
  const PeerId nobody = Identity::Generate().peer_id();
  const absl::Time begin = absl::Now();

  a.links().Dial({nobody, {silent.address()}});

  ASSERT_TRUE(a.WaitFor(Kind::kDialFailed, nobody, 1));
  EXPECT_EQ(ReasonOf(a.Last(Kind::kDialFailed, nobody).why), ErrorReason::kPeerUnreachable);
  EXPECT_GE(absl::Now() - begin, absl::Seconds(4));
}

TEST(Links, RefuseAnotherPeerThanTheExpectedOne) {
  MeshPeer a, b;
  const PeerId expected = Identity::Generate().peer_id();

  a.links().Dial({expected, {b.address()}});

  ASSERT_TRUE(a.WaitFor(Kind::kDialFailed, expected, 1));
  EXPECT_EQ(ReasonOf(a.Last(Kind::kDialFailed, expected).why), ErrorReason::kPeerIdMismatch);
  EXPECT_TRUE(b.events().empty());
}

TEST(Links, FailTheDialOfThePeerItself) {
  MeshPeer a;

  a.links().Dial(a.contact());

  EXPECT_TRUE(a.WaitFor(Kind::kDialFailed, a.id(), 1));
}

TEST(Links, RefuseAPeerOfAnotherMesh) {
  MeshPeer a({.mesh = "one"});
  MeshPeer b({.mesh = "two"});

  a.links().Dial(b.contact());

  ASSERT_TRUE(a.WaitFor(Kind::kDialFailed, b.id(), 1));
  EXPECT_EQ(ReasonOf(a.Last(Kind::kDialFailed, b.id()).why), ErrorReason::kMeshMismatch);
  EXPECT_TRUE(b.events().empty());
}

TEST(Links, NameBothRangesWhenNoProtocolVersionIsInCommon) {
  MeshPeer a({.hello = {.protocol_min = 1, .protocol_max = 2}});
  MeshPeer b({.hello = {.protocol_min = 3, .protocol_max = 4}});

  a.links().Dial(b.contact());

  ASSERT_TRUE(a.WaitFor(Kind::kDialFailed, b.id(), 1));
  const absl::Status why = a.Last(Kind::kDialFailed, b.id()).why;
  EXPECT_EQ(ReasonOf(why), ErrorReason::kProtocolVersionUnsupported);
  EXPECT_NE(why.message().find("3 to 4 and 1 to 2"), absl::string_view::npos) << why;
}

TEST(Links, AgreeOnOneVersionOfOverlappingRanges) {
  MeshPeer a({.hello = {.protocol_min = 1, .protocol_max = 2}});
  MeshPeer b({.hello = {.protocol_min = 2, .protocol_max = 3}});

  a.links().Dial(b.contact());

  EXPECT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1));
}

// Dials an address and waits for the answer.
absl::StatusOr<PeerId> DialAddress(MeshPeer& peer, const std::string& address,
                                   std::optional<PeerId> expected = std::nullopt) {
  Mutex mutex;
  Condition done;
  std::optional<absl::StatusOr<PeerId>> answer;
  peer.links().DialAddress(address, expected, [&](absl::StatusOr<PeerId> result) {
    MutexLock lock(&mutex);
    answer = std::move(result);
    done.SignalAll();
  });
  MutexLock lock(&mutex);
  while (!answer) done.Wait(&mutex);
  return *answer;
}

TEST(Links, LearnTheIdOfAnAddress) {
  MeshPeer a, b;

  EXPECT_EQ(DialAddress(a, b.address()).value(), b.id());
  EXPECT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1));
  EXPECT_TRUE(b.WaitFor(Kind::kUp, a.id(), 1));
}

TEST(Links, DialAnAddressWhoseIdIsExpected) {
  MeshPeer a, b;

  EXPECT_EQ(DialAddress(a, b.address(), b.id()).value(), b.id());
  EXPECT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1));
}

TEST(Links, SayWhyAnAddressCannotBeUsed) {
  MeshPeer a, b, other({.mesh = "other"});

  EXPECT_EQ(ReasonOf(DialAddress(a, b.address(), other.id()).status()),
            ErrorReason::kPeerIdMismatch);
  EXPECT_EQ(ReasonOf(DialAddress(a, other.address()).status()), ErrorReason::kMeshMismatch);
  EXPECT_EQ(ReasonOf(DialAddress(a, DeadAddress()).status()), ErrorReason::kPeerUnreachable);
  // Its own: no error, and no link.
  EXPECT_EQ(DialAddress(a, a.address()).value(), a.id());
  EXPECT_TRUE(a.events().empty());
}

TEST(Links, AskAsManyAddressesAtOnceAsTheLimitAndNotOneMore) {
  FreezableProxy silent("127.0.0.1:1");
  silent.Freeze();
  MeshPeer a({.probes_max = 2});
  Mutex mutex;
  Condition changed;
  std::vector<ErrorReason> ends;
  auto done = [&](const absl::StatusOr<PeerId>& result) {
    MutexLock lock(&mutex);
    ends.push_back(ReasonOf(result.status()));
    changed.SignalAll();
  };

  for (int i = 0; i < 3; ++i) a.links().DialAddress(silent.address(), std::nullopt, done);

  MutexLock lock(&mutex);
  while (ends.size() < 3) changed.Wait(&mutex);
  EXPECT_THAT(ends, testing::ElementsAre(ErrorReason::kOverloaded, ErrorReason::kPeerUnreachable,
                                         ErrorReason::kPeerUnreachable));
}

TEST(Links, RefuseAnAcceptorThatDoesNotShowThatItIsOfTheMesh) {
  MeshPeer a;
  const Identity identity = Identity::Generate();
  for (const BadAcceptor& bad : BadAcceptors(identity)) {
    // Its Hello is there before anything is read.
    RawAcceptor acceptor(identity, bad.metadata, EncodeFrame(Hello{}));
    const int failed = a.Count(Kind::kDialFailed, identity.peer_id());

    a.links().Dial(acceptor.contact());

    ASSERT_TRUE(a.WaitFor(Kind::kDialFailed, identity.peer_id(), failed + 1)) << bad.name;
    EXPECT_EQ(ReasonOf(a.Last(Kind::kDialFailed, identity.peer_id()).why), bad.reason) << bad.name;
    EXPECT_EQ(ReasonOf(DialAddress(a, acceptor.contact().addresses[0]).status()), bad.reason)
        << bad.name;
  }
  EXPECT_EQ(a.Count(Kind::kUp, identity.peer_id()), 0);
}

TEST(Links, TakeAnAcceptorThatShowsThatItIsOfTheMesh) {
  MeshPeer a;
  const Identity identity = Identity::Generate();
  RawAcceptor acceptor(identity, GoodMetadata(identity), EncodeFrame(Hello{}));

  a.links().Dial(acceptor.contact());

  EXPECT_TRUE(a.WaitFor(Kind::kUp, identity.peer_id(), 1));
}

TEST(Links, KeepOneLinkWhenAnAddressIsALinkedPeers) {
  MeshPeer a, b;
  a.links().Dial(b.contact());
  ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1));

  EXPECT_EQ(DialAddress(a, b.address()).value(), b.id());
  EXPECT_EQ(DialAddress(b, a.address()).value(), a.id());

  EXPECT_EQ(a.Count(Kind::kUp, b.id()), 1);
  EXPECT_EQ(b.Count(Kind::kUp, a.id()), 1);
}

TEST(Links, CloseAfterWhatIsQueuedWasWritten) {
  for (const bool dialler_closes : {true, false}) {
    MeshPeer a, b;
    a.links().Dial(b.contact());
    ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1) && b.WaitFor(Kind::kUp, a.id(), 1));
    MeshPeer& closer = dialler_closes ? a : b;
    MeshPeer& other = dialler_closes ? b : a;

    for (uint64_t i = 0; i < 50; ++i) closer.links().Send(other.id(), MeasureAck{i});
    closer.links().Send(other.id(), Disconnect{.leaving = true});
    closer.links().Close(other.id());

    ASSERT_TRUE(other.WaitFor(Kind::kLost, closer.id(), 1));
    ASSERT_TRUE(closer.WaitFor(Kind::kLost, other.id(), 1));
    EXPECT_EQ(other.Count(Kind::kFrame, closer.id()), 51);
  }
}

TEST(Links, LinkAgainAfterAClose) {
  MeshPeer a, b;
  a.links().Dial(b.contact());
  ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1));

  a.links().Close(b.id());
  a.links().Dial(b.contact());

  ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 2));
  ASSERT_TRUE(b.WaitFor(Kind::kUp, a.id(), 2));
  EXPECT_EQ(a.Count(Kind::kLost, b.id()), 1);
}

TEST(Links, NoticeThatThePeerShutDown) {
  MeshPeer a, b;
  a.links().Dial(b.contact());
  ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1) && b.WaitFor(Kind::kUp, a.id(), 1));

  b.Stop();

  ASSERT_TRUE(a.WaitFor(Kind::kLost, b.id(), 1));
  EXPECT_EQ(b.Count(Kind::kLost, a.id()), 1);
}

TEST(Links, RefuseEverythingOnceShutDown) {
  MeshPeer a, b;
  a.Stop();

  a.links().Dial(b.contact());

  EXPECT_TRUE(a.WaitFor(Kind::kDialFailed, b.id(), 1));
  EXPECT_EQ(ReasonOf(DialAddress(a, b.address()).status()), ErrorReason::kShuttingDown);
}

// A peer that dies without closing its connections: the path swallows everything, both ends keep
// their sockets.
TEST(Links, NoticeWithinFifteenSecondsThatThePeerIsSilent) {
  MeshPeer a, b;
  FreezableProxy path(b.address());
  a.links().Dial({b.id(), {path.address()}});
  ASSERT_TRUE(a.WaitFor(Kind::kUp, b.id(), 1) && b.WaitFor(Kind::kUp, a.id(), 1));
  const absl::Time begin = absl::Now();

  path.Freeze();

  ASSERT_TRUE(a.WaitFor(Kind::kLost, b.id(), 1));
  ASSERT_TRUE(b.WaitFor(Kind::kLost, a.id(), 1));
  EXPECT_LE(absl::Now() - begin, absl::Seconds(18));
}

// One round: both dial at nearly the same moment; the link works in both directions; it is closed.
void DoubleDial(MeshPeer& low, MeshPeer& high, int round, Random& random) {
  const uint64_t spins_low = random.Below(20'000);
  const uint64_t spins_high = random.Below(20'000);
  auto dial = [](MeshPeer& from, MeshPeer& to, uint64_t spins) {
    for (volatile uint64_t i = 0; i < spins; i = i + 1) {
    }
    from.links().Dial(to.contact());
  };
  std::thread other([&] { dial(low, high, spins_low); });
  dial(high, low, spins_high);
  other.join();
  ASSERT_TRUE(low.WaitFor(Kind::kUp, high.id(), round));
  ASSERT_TRUE(high.WaitFor(Kind::kUp, low.id(), round));

  low.links().Send(high.id(), Join{});
  high.links().Send(low.id(), Join{});

  ASSERT_TRUE(low.WaitFor(Kind::kFrame, high.id(), round));
  ASSERT_TRUE(high.WaitFor(Kind::kFrame, low.id(), round));
  EXPECT_NE(low.Last(Kind::kUp, high.id()).outbound, high.Last(Kind::kUp, low.id()).outbound);
}

TEST(Links, KeepExactlyOneLinkOfEveryDoubleDial) {
  constexpr int kRounds = 200;
  const auto [first, second] = OrderedIdentities();
  MeshPeer low({}, first), high({}, second);
  Random random(20260101);

  for (int round = 1; round <= kRounds; ++round) {
    ASSERT_NO_FATAL_FAILURE(DoubleDial(low, high, round, random)) << "round " << round;
    if (random.Below(2) == 0) {
      low.links().Close(high.id());
    } else {
      high.links().Close(low.id());
    }
    ASSERT_TRUE(low.WaitFor(Kind::kLost, high.id(), round)) << "round " << round;
    ASSERT_TRUE(high.WaitFor(Kind::kLost, low.id(), round)) << "round " << round;
  }

  for (MeshPeer* peer : {&low, &high}) {
    const PeerId other = peer == &low ? high.id() : low.id();
    EXPECT_EQ(peer->Count(Kind::kUp, other), kRounds);
    EXPECT_EQ(peer->Count(Kind::kLost, other), kRounds);
    EXPECT_EQ(peer->Count(Kind::kDialFailed, other), 0);
  }
}

}  // namespace
}  // namespace panal
