#include "server/processing/core.h"

#include <algorithm>
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
