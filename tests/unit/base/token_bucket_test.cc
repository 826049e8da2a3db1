#include "common/base/token_bucket.h"

#include <gtest/gtest.h>

namespace panal {
namespace {

constexpr absl::Time kStart = absl::UnixEpoch();

TEST(TokenBucket, GivesTheBurstAtOnceAndNoMore) {
  TokenBucket bucket({.burst = 3, .period = absl::Seconds(10)});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.Take(kStart));

  EXPECT_FALSE(bucket.Take(kStart));
  EXPECT_FALSE(bucket.Take(kStart + absl::Seconds(9)));
  EXPECT_TRUE(bucket.Take(kStart + absl::Seconds(10)));
  EXPECT_FALSE(bucket.Take(kStart + absl::Seconds(10)));
}

TEST(TokenBucket, NeverHoldsMoreThanTheBurst) {
  TokenBucket bucket({.burst = 2, .period = absl::Seconds(1)});
  EXPECT_TRUE(bucket.Take(kStart));

  const absl::Time later = kStart + absl::Hours(1);
  EXPECT_TRUE(bucket.Take(later));
  EXPECT_TRUE(bucket.Take(later));
  EXPECT_FALSE(bucket.Take(later));
}

TEST(TokenBucket, ATimeThatGoesBackFillsNothing) {
  TokenBucket bucket({.burst = 1, .period = absl::Seconds(1)});
  EXPECT_TRUE(bucket.Take(kStart + absl::Seconds(5)));

  EXPECT_FALSE(bucket.Has(kStart));
  EXPECT_FALSE(bucket.Has(kStart + absl::Seconds(5)));
  EXPECT_TRUE(bucket.Has(kStart + absl::Seconds(6)));
}

}  // namespace
}  // namespace panal
