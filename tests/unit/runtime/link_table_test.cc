#include "server/runtime/link_table.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "common/base/random.h"
#include "common/base/status.h"

namespace panal {
namespace {

PeerId Peer(uint8_t number) {
  PeerId id;
  id.bytes[0] = number;
  return id;
}

PeerContact Contact(uint8_t number) { return {Peer(number), {"10.0.0.1:1", "10.0.0.2:2"}}; }

template <typename Action>
std::vector<Action> Only(const LinkActions& actions) {
  std::vector<Action> found;
  for (const LinkAction& action : actions) {
    if (const auto* match = std::get_if<Action>(&action)) found.push_back(*match);
  }
  return found;
}

const absl::Time kNow = absl::UnixEpoch();
const absl::Status kUnreachable = Error(ErrorReason::kPeerUnreachable, "unreachable");

// A link that `peer` dialled, answered and confirmed.
LinkStreamId LinkFrom(LinkTable& table, const PeerId& peer, LinkActions& actions) {
  const LinkStreamId stream = table.NewStream();
  table.HelloCame(stream, peer, false, {}, kNow, actions);
  table.Confirmed(stream, peer, actions);
  return stream;
}

TEST(LinkTable, TriesAddressesInOrderAndThenGivesUp) {
  LinkTable table(Peer(5), 10);
  LinkActions first, second, last;

  table.Dial(Contact(1), first);
  const LinkStreamId stream = Only<OpenLinkStream>(first).at(0).stream;
  table.Ended(stream, Peer(1), kUnreachable, second);
  table.Ended(Only<OpenLinkStream>(second).at(0).stream, Peer(1), kUnreachable, last);

  EXPECT_EQ(Only<OpenLinkStream>(first).at(0).address, "10.0.0.1:1");
  EXPECT_EQ(Only<OpenLinkStream>(second).at(0).address, "10.0.0.2:2");
  EXPECT_EQ(Only<ReportDialFailed>(last).size(), 1u);
}

TEST(LinkTable, DoesNotAskElsewhereWhenThePeerRefused) {
  LinkTable table(Peer(5), 10);
  LinkActions first, last;

  table.Dial(Contact(1), first);
  table.Ended(Only<OpenLinkStream>(first).at(0).stream, Peer(1),
              Error(ErrorReason::kMeshMismatch, "other mesh"), last);

  ASSERT_EQ(Only<ReportDialFailed>(last).size(), 1u);
  EXPECT_EQ(ReasonOf(Only<ReportDialFailed>(last)[0].why), ErrorReason::kMeshMismatch);
}

TEST(LinkTable, DoesNotDialItself) {
  LinkTable table(Peer(5), 10);
  LinkActions actions;

  table.Dial(Contact(5), actions);

  EXPECT_EQ(Only<ReportDialFailed>(actions).size(), 1u);
  EXPECT_TRUE(Only<OpenLinkStream>(actions).empty());
}

TEST(LinkTable, FailsADialWithoutAddresses) {
  LinkTable table(Peer(5), 10);
  LinkActions actions;

  table.Dial({Peer(1), {}}, actions);

  EXPECT_EQ(Only<ReportDialFailed>(actions).size(), 1u);
}

TEST(LinkTable, DoesNothingWhenALinkIsUp) {
  LinkTable table(Peer(5), 10);
  LinkActions up, again;
  LinkFrom(table, Peer(1), up);

  table.Dial(Contact(1), again);

  EXPECT_TRUE(again.empty());
}

TEST(LinkTable, HigherIdGivesUpItsDialForTheLowerOnes) {
  LinkTable table(Peer(5), 10);
  LinkActions dial, hello, ended;
  table.Dial(Contact(1), dial);
  const LinkStreamId own = Only<OpenLinkStream>(dial).at(0).stream;
  const LinkStreamId theirs = table.NewStream();

  table.HelloCame(theirs, Peer(1), false, {}, kNow, hello);
  table.Ended(own, Peer(1), kUnreachable, ended);

  EXPECT_EQ(Only<EndLinkStream>(hello).at(0).stream, own);
  EXPECT_EQ(Only<AnswerHello>(hello).at(0).stream, theirs);
  EXPECT_TRUE(Only<ReportUp>(hello).empty());
  EXPECT_TRUE(ended.empty());
  table.Confirmed(theirs, Peer(1), hello);
  EXPECT_EQ(Only<ReportUp>(hello).size(), 1u);
  EXPECT_EQ(table.LinkTo(Peer(1)), theirs);
}

TEST(LinkTable, LowerIdHoldsTheCallerUntilItsOwnDialFails) {
  LinkTable table(Peer(1), 10);
  LinkActions dial, hello, ended;
  table.Dial({Peer(5), {"10.0.0.1:1"}}, dial);
  const LinkStreamId own = Only<OpenLinkStream>(dial).at(0).stream;
  const LinkStreamId theirs = table.NewStream();

  table.HelloCame(theirs, Peer(5), false, {}, kNow, hello);
  table.Ended(own, Peer(5), kUnreachable, ended);

  EXPECT_TRUE(Only<ReportUp>(hello).empty());
  EXPECT_EQ(Only<HoldLinkStream>(hello).at(0).stream, theirs);
  EXPECT_EQ(Only<AnswerHello>(ended).size(), 1u);
  EXPECT_TRUE(Only<ReportDialFailed>(ended).empty());
  table.Confirmed(theirs, Peer(5), ended);
  EXPECT_EQ(table.LinkTo(Peer(5)), theirs);
}

TEST(LinkTable, LowerIdTakesTheHeldCallerWhenItsOwnDialTakesTooLong) {
  LinkTable table(Peer(1), 10);
  LinkActions dial, hello, late;
  table.Dial(Contact(5), dial);
  const LinkStreamId theirs = table.NewStream();
  table.HelloCame(theirs, Peer(5), false, {}, kNow, hello);

  table.HeldTooLong(theirs, Peer(5), late);

  EXPECT_EQ(Only<EndLinkStream>(late).at(0).stream, Only<OpenLinkStream>(dial).at(0).stream);
  table.Confirmed(theirs, Peer(5), late);
  EXPECT_EQ(table.LinkTo(Peer(5)), theirs);
}

TEST(LinkTable, ReportsTheOldLinkLostBeforeTheNewOneIsUp) {
  LinkTable table(Peer(5), 10);
  LinkActions up, again, ended;
  const LinkStreamId old_stream = LinkFrom(table, Peer(1), up);
  const LinkStreamId new_stream = table.NewStream();

  table.HelloCame(new_stream, Peer(1), false, {}, kNow, again);
  table.Ended(old_stream, Peer(1), kUnreachable, ended);

  EXPECT_EQ(Only<EndLinkStream>(again).at(0).stream, old_stream);
  table.Confirmed(new_stream, Peer(1), ended);
  ASSERT_EQ(ended.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<ReportLost>(ended[0]));
  EXPECT_TRUE(std::holds_alternative<AnswerHello>(ended[1]));
  EXPECT_TRUE(std::holds_alternative<ReportUp>(ended[2]));
  EXPECT_EQ(table.LinkTo(Peer(1)), new_stream);
}

TEST(LinkTable, LowerIdRefusesADialThatCrossedAndReplacesTheLinkForALaterOne) {
  LinkTable table(Peer(1), 10);
  LinkActions dial, up, crossing, later;
  table.Dial(Contact(5), dial);
  const LinkStreamId own = Only<OpenLinkStream>(dial).at(0).stream;
  table.HelloCame(own, Peer(5), true, {}, kNow, up);
  const LinkStreamId first = table.NewStream();
  const LinkStreamId second = table.NewStream();

  table.HelloCame(first, Peer(5), false, {}, kNow + kCrossingMax - absl::Seconds(1), crossing);
  table.HelloCame(second, Peer(5), false, {}, kNow + kCrossingMax, later);

  ASSERT_EQ(Only<EndLinkStream>(crossing).size(), 1u);
  EXPECT_EQ(Only<EndLinkStream>(crossing)[0].stream, first);
  ASSERT_EQ(Only<EndLinkStream>(later).size(), 1u);
  EXPECT_EQ(Only<EndLinkStream>(later)[0].stream, own);
  EXPECT_TRUE(table.IsHeld(second, Peer(5)));
}

TEST(LinkTable, DialsAgainAfterAClosedLinkHasEnded) {
  LinkTable table(Peer(5), 10);
  LinkActions up, close, dial, ended;
  const LinkStreamId stream = LinkFrom(table, Peer(1), up);
  table.Close(Peer(1), close);

  table.Dial(Contact(1), dial);
  table.Ended(stream, Peer(1), kUnreachable, ended);

  EXPECT_TRUE(dial.empty());
  EXPECT_EQ(Only<ReportLost>(ended).size(), 1u);
  EXPECT_EQ(Only<OpenLinkStream>(ended).size(), 1u);
}

TEST(LinkTable, AcceptsAsManyAsItsLimitAndNotOneMore) {
  LinkTable table(Peer(200), 3);
  LinkActions within, beyond, freed;
  for (uint8_t i = 1; i <= 3; ++i) table.HelloCame(i, Peer(i), false, {}, kNow, within);

  table.HelloCame(4, Peer(4), false, {}, kNow, beyond);
  table.Ended(1, Peer(1), kUnreachable, freed);
  table.HelloCame(5, Peer(5), false, {}, kNow, freed);

  EXPECT_EQ(Only<AnswerHello>(within).size(), 3u);
  ASSERT_EQ(Only<EndLinkStream>(beyond).size(), 1u);
  EXPECT_EQ(ReasonOf(Only<EndLinkStream>(beyond)[0].why), ErrorReason::kOverloaded);
  EXPECT_EQ(Only<AnswerHello>(freed).size(), 1u);
}

TEST(LinkTable, NeverShowsACallerThatGoesBeforeItConfirms) {
  LinkTable table(Peer(5), 10);
  LinkActions actions;
  const LinkStreamId stream = table.NewStream();

  table.HelloCame(stream, Peer(1), false, {}, kNow, actions);
  table.Ended(stream, Peer(1), kUnreachable, actions);

  EXPECT_TRUE(Only<ReportUp>(actions).empty());
  EXPECT_TRUE(Only<ReportLost>(actions).empty());
  EXPECT_TRUE(Only<ReportDialFailed>(actions).empty());
}

TEST(LinkTable, FailsADialThatWaitedForACallerWhoDidNotConfirm) {
  LinkTable table(Peer(5), 10);
  LinkActions dial, hello, ended;
  table.Dial({Peer(1), {"10.0.0.1:1"}}, dial);
  const LinkStreamId theirs = table.NewStream();
  table.HelloCame(theirs, Peer(1), false, {}, kNow, hello);

  table.Ended(theirs, Peer(1), kUnreachable, ended);

  EXPECT_EQ(Only<ReportDialFailed>(ended).size(), 1u);
}

TEST(LinkTable, RefusesEverybodyOnceStopped) {
  LinkTable table(Peer(5), 10);
  LinkActions dial, hello;
  table.Stop();

  table.Dial(Contact(1), dial);
  table.HelloCame(table.NewStream(), Peer(2), false, {}, kNow, hello);

  EXPECT_EQ(Only<ReportDialFailed>(dial).size(), 1u);
  EXPECT_EQ(Only<EndLinkStream>(hello).size(), 1u);
}

// Two tables joined by streams whose messages arrive in a seeded order: both dial, and whatever the
// order, both end with one link, the same one.
class Pair {
 public:
  explicit Pair(uint64_t seed) : random_(seed) {}

  void Dial(int side) {
    LinkActions actions;
    tables_[side].Dial({id(1 - side), {"a"}}, actions);
    Perform(side, std::move(actions));
  }

  void Close(int side) {
    LinkActions actions;
    tables_[side].Close(id(1 - side), actions);
    Perform(side, std::move(actions));
  }

  void RunDry() {
    while (!messages_.empty()) RunOne();
  }

  void RunUntilUp() {
    while (!messages_.empty() && (ups_[0] == 0 || ups_[1] == 0)) RunOne();
  }

  int ups(int side) const { return ups_[side]; }

  int losts(int side) const { return losts_[side]; }

  int failures(int side) const { return failures_[side]; }

  // The number of the wire that is the link.
  int LinkOf(int side) {
    const LinkStreamId stream = tables_[side].LinkTo(id(1 - side));
    return stream == 0 ? -1 : wires_[side][stream];
  }

 private:
  void RunOne() {
    std::swap(messages_[random_.Below(messages_.size())], messages_.back());
    std::function<void()> message = std::move(messages_.back());
    messages_.pop_back();
    message();
  }

  static PeerId id(int side) { return Peer(side == 0 ? 1 : 9); }

  void Perform(int side, LinkActions actions) {
    for (const LinkAction& action : actions) {
      if (const auto* open = std::get_if<OpenLinkStream>(&action)) {
        const int wire = next_wire_++;
        wires_[side][open->stream] = wire;
        ends_[wire][side] = open->stream;
        messages_.push_back([this, side, wire] { HelloArrives(1 - side, wire, false); });
      } else if (const auto* answer = std::get_if<AnswerHello>(&action)) {
        const int wire = wires_[side][answer->stream];
        messages_.push_back([this, side, wire] { HelloArrives(1 - side, wire, true); });
      } else if (const auto* confirm = std::get_if<ConfirmAnswer>(&action)) {
        const int wire = wires_[side][confirm->stream];
        messages_.push_back([this, side, wire] { ConfirmationArrives(1 - side, wire); });
      } else if (const auto* end = std::get_if<EndLinkStream>(&action)) {
        const int wire = wires_[side][end->stream];
        for (int at : {0, 1}) messages_.push_back([this, at, wire] { EndArrives(at, wire); });
      } else if (std::holds_alternative<ReportUp>(action)) {
        ++ups_[side];
      } else if (std::holds_alternative<ReportLost>(action)) {
        ++losts_[side];
      } else if (std::holds_alternative<ReportDialFailed>(action)) {
        ++failures_[side];
      }
    }
  }

  void HelloArrives(int side, int wire, bool outbound) {
    if (over_[wire][side]) return;
    if (!outbound) {
      const LinkStreamId stream = tables_[side].NewStream();
      wires_[side][stream] = wire;
      ends_[wire][side] = stream;
    }
    LinkActions actions;
    tables_[side].HelloCame(ends_[wire][side], id(1 - side), outbound, {}, kNow, actions);
    Perform(side, std::move(actions));
  }

  void ConfirmationArrives(int side, int wire) {
    if (over_[wire][side]) return;
    LinkActions actions;
    tables_[side].Confirmed(ends_[wire][side], id(1 - side), actions);
    Perform(side, std::move(actions));
  }

  void EndArrives(int side, int wire) {
    if (over_[wire][side]) return;
    over_[wire][side] = true;
    if (ends_[wire].count(side) == 0) return;
    LinkActions actions;
    tables_[side].Ended(ends_[wire][side], id(1 - side), kUnreachable, actions);
    Perform(side, std::move(actions));
  }

  Random random_;
  LinkTable tables_[2] = {LinkTable(Peer(1), 10), LinkTable(Peer(9), 10)};
  std::vector<std::function<void()>> messages_;
  std::map<LinkStreamId, int> wires_[2];
  std::map<int, std::map<int, LinkStreamId>> ends_;
  std::map<int, std::map<int, bool>> over_;
  int next_wire_ = 0;
  int ups_[2] = {0, 0}, losts_[2] = {0, 0}, failures_[2] = {0, 0};
};

// Closing at once finds streams of the crossed dial still on their way: they must not come up.
TEST(LinkTable, DoubleDialsThatAreClosedAtOnceLeaveNothing) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Pair pair(seed);
    pair.Dial(0);
    pair.Dial(1);
    pair.RunUntilUp();
    pair.Close(static_cast<int>(seed % 2));
    pair.RunDry();

    for (int side : {0, 1}) {
      ASSERT_EQ(pair.LinkOf(side), -1) << "seed " << seed;
      ASSERT_EQ(pair.ups(side), 1) << "seed " << seed;
      ASSERT_EQ(pair.losts(side), 1) << "seed " << seed;
    }
  }
}

TEST(LinkTable, DoubleDialsEndInOneLinkWhateverTheOrder) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Pair pair(seed);
    pair.Dial(0);
    pair.Dial(1);
    pair.RunDry();

    ASSERT_EQ(pair.LinkOf(0), pair.LinkOf(1)) << "seed " << seed;
    ASSERT_NE(pair.LinkOf(0), -1) << "seed " << seed;
    for (int side : {0, 1}) {
      ASSERT_EQ(pair.ups(side), 1) << "seed " << seed;
      ASSERT_EQ(pair.losts(side), 0) << "seed " << seed;
      ASSERT_EQ(pair.failures(side), 0) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace panal
