#include "server/runtime/frame_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace panal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

PeerId Link(uint8_t number) {
  PeerId id;
  id.bytes[0] = number;
  return id;
}

class FrameOrderTest : public testing::Test {
 protected:
  FrameOrder::Deliver Note(int what) {
    return [this, what] { delivered_.push_back(what); };
  }

  FrameOrder order_{3};
  std::vector<int> delivered_;
};

TEST_F(FrameOrderTest, DeliversAtOnceWhereNothingIsVerified) {
  EXPECT_TRUE(order_.Pass(Link(1), Note(1)));
  EXPECT_TRUE(order_.Pass(Link(1), Note(2)));

  EXPECT_THAT(delivered_, ElementsAre(1, 2));
}

TEST_F(FrameOrderTest, WhatComesBehindAVerificationWaitsForItAndOtherLinksDoNot) {
  const FrameOrder::Place place = order_.Keep(Link(1));
  order_.Pass(Link(1), Note(2));
  order_.PassAlways(Link(1), Note(3));
  order_.Pass(Link(2), Note(9));
  EXPECT_THAT(delivered_, ElementsAre(9));

  order_.Settle(Link(1), place, Note(1));

  EXPECT_THAT(delivered_, ElementsAre(9, 1, 2, 3));
  order_.Pass(Link(1), Note(4));
  EXPECT_THAT(delivered_, ElementsAre(9, 1, 2, 3, 4));
}

TEST_F(FrameOrderTest, VerificationsThatEndInAnotherOrderAreDeliveredInTheirs) {
  const FrameOrder::Place first = order_.Keep(Link(1));
  const FrameOrder::Place second = order_.Keep(Link(1));
  order_.Settle(Link(1), second, Note(2));
  EXPECT_THAT(delivered_, IsEmpty());

  order_.Settle(Link(1), first, Note(1));

  EXPECT_THAT(delivered_, ElementsAre(1, 2));
}

TEST_F(FrameOrderTest, WhatWasRefusedHoldsNothingUp) {
  const FrameOrder::Place place = order_.Keep(Link(1));
  order_.Pass(Link(1), Note(2));

  order_.Settle(Link(1), place, nullptr);

  EXPECT_THAT(delivered_, ElementsAre(2));
}

TEST_F(FrameOrderTest, SoManyWaitAndOneMoreIsDropped) {
  const FrameOrder::Place place = order_.Keep(Link(1));
  EXPECT_TRUE(order_.Pass(Link(1), Note(2)));
  EXPECT_TRUE(order_.Pass(Link(1), Note(3)));
  EXPECT_FALSE(order_.Pass(Link(1), Note(4)));
  EXPECT_EQ(order_.Keep(Link(1)), 0u);
  EXPECT_NE(order_.Keep(Link(2)), 0u);
  order_.PassAlways(Link(1), Note(5));

  order_.Settle(Link(1), place, Note(1));

  EXPECT_THAT(delivered_, ElementsAre(1, 2, 3, 5));
  EXPECT_TRUE(order_.Pass(Link(1), Note(6)));
}

}  // namespace
}  // namespace panal
