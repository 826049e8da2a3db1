#include "common/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace panal {
namespace {

// Computed by a second implementation in another language.
TEST(Random, GivesTheReferenceSequence) {
  Random zero(0);
  EXPECT_EQ(zero.Next(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(zero.Next(), 0xbf6e1f784956452au);
  EXPECT_EQ(zero.Next(), 0x1a5f849d4933e6e0u);
  EXPECT_EQ(zero.Next(), 0x6aa594f1262d2d2cu);

  Random other(42);
  EXPECT_EQ(other.Next(), 0x15780b2e0c2ec716u);
  EXPECT_EQ(other.Next(), 0x6104d9866d113a7eu);
}

TEST(Random, GivesTheReferenceValuesOfEveryKind) {
  Random below(42);
  std::vector<uint64_t> values;
  for (int i = 0; i < 8; ++i) values.push_back(below.Below(100));
  EXPECT_EQ(values, (std::vector<uint64_t>{8, 37, 68, 92, 99, 76, 71, 85}));

  EXPECT_EQ(Random(42).Bytes(9), "\x16\xc7\x2e\x0c\x2e\x0b\x78\x15\x7e");
  EXPECT_EQ(Random(42).Fork().Next(), 0x8ee445d14631c453u);
  EXPECT_EQ(Random(42).Unit(), static_cast<double>(0x15780b2e0c2ec716u >> 11) * 0x1.0p-53);
}

TEST(Random, ShufflesTheSameWayEveryTime) {
  auto shuffled = [](uint64_t seed) {
    std::vector<int> items = {0, 1, 2, 3, 4, 5, 6, 7};
    Random(seed).Shuffle(items);
    return items;
  };

  EXPECT_EQ(shuffled(1), shuffled(1));
  EXPECT_NE(shuffled(1), shuffled(2));
  std::vector<int> sorted = shuffled(1);
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Random, ShufflesEveryOrderAboutEquallyOften) {
  Random random(9);
  std::map<std::vector<int>, int> counts;
  for (int round = 0; round < 24'000; ++round) {
    std::vector<int> items = {0, 1, 2, 3};
    random.Shuffle(items);
    ++counts[items];
  }
  EXPECT_EQ(counts.size(), 24u);
  for (const auto& [items, count] : counts) EXPECT_NEAR(count, 1000, 160);
}

TEST(Random, StaysBelowItsBound) {
  Random random(10);
  for (uint64_t bound : {uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{1} << 63, ~uint64_t{0}}) {
    for (int i = 0; i < 1000; ++i) ASSERT_LT(random.Below(bound), bound);
  }
}

TEST(Random, ReachesEveryValueBelowItsBoundAboutEquallyOften) {
  Random random(11);
  std::vector<int> counts(10, 0);
  for (int i = 0; i < 100'000; ++i) ++counts[random.Below(10)];
  for (int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

// Two thirds of 2^64: taking the remainder would give the lower half twice as often.
TEST(Random, HasNoBiasForABoundThatDoesNotDivideTheRange) {
  const uint64_t bound = (~uint64_t{0} / 3) * 2;
  Random random(12);
  int low = 0;
  for (int i = 0; i < 30'000; ++i) low += random.Below(bound) < bound / 2 ? 1 : 0;
  EXPECT_NEAR(low, 15'000, 450);
}

TEST(RandomDeathTest, AbortsOnABoundOfZero) {
  Random random(1);
  EXPECT_DEATH(random.Below(0), "check failed");
}

TEST(Random, KeepsUnitsBelowOne) {
  Random random(13);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    double unit = random.Unit();
    ASSERT_GE(unit, 0.0);
    ASSERT_LT(unit, 1.0);
    sum += unit;
  }
  EXPECT_NEAR(sum / 100'000, 0.5, 0.01);
}

TEST(Random, GivesAsManyBytesAsAsked) {
  Random random(14);
  for (size_t size : {0, 1, 7, 8, 9, 1000}) EXPECT_EQ(random.Bytes(size).size(), size);
}

TEST(Random, LetsAForkRunWithoutDisturbingItsParent) {
  Random a(15);
  Random b(15);
  Random fork = a.Fork();
  b.Fork();
  for (int i = 0; i < 100; ++i) fork.Next();
  EXPECT_EQ(a.Next(), b.Next());
}

TEST(Mix64, MapsDifferentValuesApart) {
  EXPECT_EQ(Mix64(0x9e3779b97f4a7c15u), 0xe220a8397b1dcdafu);
  std::set<uint64_t> mixed;
  for (uint64_t i = 0; i < 10'000; ++i) mixed.insert(Mix64(i));
  EXPECT_EQ(mixed.size(), 10'000u);
}

TEST(RandomSeedFromSystem, DiffersFromCallToCall) {
  EXPECT_NE(RandomSeedFromSystem(), RandomSeedFromSystem());
}

}  // namespace
}  // namespace panal
