#include "common/base/nearest.h"

#include <gtest/gtest.h>

namespace panal {
namespace {

const std::vector<std::string> kVerbs = {"search", "status", "stat"};

TEST(Nearest, TakesTheClosestWordAndTheFirstOfEquals) {
  EXPECT_EQ(Nearest("serch", kVerbs), "search");
  EXPECT_EQ(Nearest("stats", kVerbs), "status");
  EXPECT_EQ(Nearest("stat", kVerbs), "stat");
}

TEST(Nearest, GivesNothingBeyondItsLimit) {
  EXPECT_EQ(Nearest("searchxyz", kVerbs), "search");
  EXPECT_EQ(Nearest("searchwxyz", kVerbs), "");
}

TEST(Nearest, ChangesNoWordAsAWhole) {
  EXPECT_EQ(Nearest("x", {"a"}), "");
  EXPECT_EQ(Nearest("", {"a"}), "");
  EXPECT_EQ(Nearest("a", {}), "");
}

}  // namespace
}  // namespace panal
