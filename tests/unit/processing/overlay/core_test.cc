#include "server/processing/core.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace panal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

PeerContact Contact(uint8_t number) {
  PeerContact contact;
  contact.id.bytes[0] = number;
  contact.addresses = {"host:7401"};
  return contact;
}

template <typename T>
bool Any(const Outputs& outputs) {
  return std::any_of(outputs.begin(), outputs.end(),
                     [](const Output& output) { return std::holds_alternative<T>(output); });
}

class CoreTest : public testing::Test {
 protected:
  Outputs Handle(const Input& input) {
    Outputs outputs;
    core_->Handle(input, now_, outputs);
    core_->CheckInvariants();
    return outputs;
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  Random random_{1};
  std::unique_ptr<Core> core_ = Core::Create(Contact(1).id, CoreOptions(), random_);
};

TEST_F(CoreTest, AnAcceptedJoinMakesANeighborAndAnEstimate) {
  Handle(Start{Contact(1), {}});
  Handle(LinkUp{Contact(2), /*outbound=*/false});
  EXPECT_THAT(core_->ActiveView(), IsEmpty());

  Handle(FrameReceived{Contact(2).id, Join{}});

  EXPECT_THAT(core_->ActiveView(), ElementsAre(Contact(2).id));
  EXPECT_EQ(core_->Estimate().peers, 2);
}

TEST_F(CoreTest, TheReplyIsSentBeforeAnythingElseOnTheLink) {
  Handle(Start{Contact(1), {}});
  Handle(LinkUp{Contact(2), /*outbound=*/false});

  Outputs outputs = Handle(FrameReceived{Contact(2).id, Join{}});

  const auto* first = std::get_if<SendFrame>(&outputs.front());
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(std::get<NeighborReply>(first->frame), NeighborReply{.accepted = true});
}

TEST_F(CoreTest, MeasurementFramesOfAPeerThatIsNoNeighborAreIgnored) {
  Handle(Start{Contact(1), {}});
  Handle(LinkUp{Contact(2), /*outbound=*/false});

  EXPECT_THAT(Handle(FrameReceived{Contact(2).id, Measure{.sequence = 1, .round = 5}}), IsEmpty());
  EXPECT_THAT(Handle(FrameReceived{Contact(2).id, MeasureAck{1}}), IsEmpty());
}

TEST_F(CoreTest, LeavingEndsWithLeft) {
  Handle(Start{Contact(1), {}});
  Handle(LinkUp{Contact(2), /*outbound=*/false});
  Handle(FrameReceived{Contact(2).id, Join{}});

  Outputs outputs = Handle(Leave{});
  EXPECT_THAT(core_->ActiveView(), IsEmpty());
  // The neighbor closes the link once it has read the goodbye.
  EXPECT_FALSE(Any<Left>(outputs));
  EXPECT_FALSE(Any<CloseLink>(outputs));

  EXPECT_TRUE(Any<Left>(Handle(LinkLost{Contact(2).id})));
  EXPECT_FALSE(Any<Left>(Handle(TimerExpired{{TimerKind::kLeave, 0}})));
}

TEST_F(CoreTest, LeavingDoesNotWaitForeverForADeadNeighbor) {
  Handle(Start{Contact(1), {}});
  Handle(LinkUp{Contact(2), /*outbound=*/false});
  Handle(FrameReceived{Contact(2).id, Join{}});
  Outputs outputs = Handle(Leave{});
  bool timed = false;
  for (const Output& output : outputs) {
    const auto* timer = std::get_if<ScheduleTimer>(&output);
    timed = timed || (timer != nullptr && timer->timer.kind == TimerKind::kLeave &&
                      timer->delay == MembershipOptions().leave_timeout);
  }
  EXPECT_TRUE(timed);

  outputs = Handle(TimerExpired{{TimerKind::kLeave, 0}});

  EXPECT_TRUE(Any<CloseLink>(outputs));
  EXPECT_TRUE(Any<Left>(outputs));
  EXPECT_FALSE(Any<Left>(Handle(LinkLost{Contact(2).id})));
}

TEST_F(CoreTest, NeighborsThatBothLeaveDoNotWaitForEachOther) {
  Handle(Start{Contact(1), {}});
  Handle(LinkUp{Contact(2), /*outbound=*/false});
  Handle(FrameReceived{Contact(2).id, Join{}});
  Handle(Leave{});

  EXPECT_TRUE(Any<CloseLink>(Handle(FrameReceived{Contact(2).id, Disconnect{.leaving = true}})));
  EXPECT_TRUE(Any<Left>(Handle(LinkLost{Contact(2).id})));
}

TEST_F(CoreTest, APeerWithoutLinksLeavesAtOnce) {
  Handle(Start{Contact(1), {}});

  EXPECT_TRUE(Any<Left>(Handle(Leave{})));
}

// D of a peer whose 16 neighbors depart, or are swapped, one every five minutes: `end` makes the
// inputs by which one goes, and another joins.
uint32_t PageSizeWhere(const std::function<std::vector<Input>(const PeerId&)>& end) {
  constexpr uint8_t kNeighbors = 16, kGone = 20;
  CoreOptions options;
  options.search.saturated_factor = 0;
  Random random(1);
  const std::unique_ptr<Core> core = Core::Create(Contact(1).id, options, random);
  absl::Time now = absl::FromUnixSeconds(1000);
  Outputs outputs;
  auto join = [&](uint8_t number) {
    core->Handle(LinkUp{Contact(number), /*outbound=*/false}, now, outputs);
    core->Handle(FrameReceived{Contact(number).id, Join{}}, now, outputs);
  };
  core->Handle(Start{Contact(1), {}}, now, outputs);
  for (uint8_t i = 0; i < kNeighbors; ++i) join(2 + i);
  for (uint8_t i = 0; i < kGone; ++i) {
    now += absl::Minutes(5);
    for (const Input& input : end(Contact(2 + i).id)) core->Handle(input, now, outputs);
    join(2 + kNeighbors + i);
  }
  EXPECT_EQ(core->ActiveView().size(), kNeighbors);
  return core->PageBubbleSize();
}

TEST(CoreDepartures, CountWhoCrashedAndWhoLeftOnceEach) {
  auto swapped = [](const PeerId& peer) {
    return std::vector<Input>{FrameReceived{peer, Disconnect{}}, LinkLost{peer}};
  };
  auto crashed = [](const PeerId& peer) { return std::vector<Input>{LinkLost{peer}}; };
  auto left = [](const PeerId& peer) {
    return std::vector<Input>{FrameReceived{peer, Disconnect{.leaving = true}}, LinkLost{peer}};
  };

  const uint32_t quiet = PageSizeWhere(swapped);
  EXPECT_EQ(quiet, 15u);  // Of 17 peers.
  EXPECT_GT(PageSizeWhere(crashed), quiet);
  EXPECT_EQ(PageSizeWhere(left), PageSizeWhere(crashed));
}

TEST(CoreOptions, NamesTheOptionThatIsOutOfItsRange) {
  CoreOptions options;
  EXPECT_TRUE(options.Validate().ok());

  options.membership.active_view_size = 128;
  EXPECT_TRUE(options.Validate().ok());
  options.membership.active_view_size = 129;
  EXPECT_THAT(std::string(options.Validate().message()), HasSubstr("active_view_size"));

  options = {};
  options.membership.shuffle_passive = 13;  // With 3 of the active view and this peer: 17.
  EXPECT_FALSE(options.Validate().ok());
  options.membership.shuffle_passive = 12;
  EXPECT_TRUE(options.Validate().ok());

  options = {};
  options.capacity = 0;
  EXPECT_FALSE(options.Validate().ok());
  options.capacity = 1024;
  EXPECT_TRUE(options.Validate().ok());

  options = {};
  options.measure.tolerance = 0;
  EXPECT_FALSE(options.Validate().ok());
}

}  // namespace
}  // namespace panal
