#include "common/base/check.h"

#include <gtest/gtest.h>

namespace panal {
namespace {

TEST(Check, DoesNothingWhenTheConditionHolds) {
  int evaluated = 0;
  PANAL_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, NamesFileLineAndCondition) {
  EXPECT_DEATH(PANAL_CHECK(1 + 1 == 3), "check_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace panal
