#include "common/rpc/lru_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace panal {
namespace {

TEST(LruCache, KeepsAsManyAsItsCapacity) {
  LruCache<int, std::string> cache(2);
  cache.Insert(1, "one");
  cache.Insert(2, "two");

  EXPECT_EQ(cache.Find(1), "one");
  EXPECT_EQ(cache.Find(2), "two");
  EXPECT_EQ(cache.size(), 2u);
}

TEST(LruCache, ForgetsTheLeastRecentlyUsedOnePastItsCapacity) {
  LruCache<int, std::string> cache(2);
  cache.Insert(1, "one");
  cache.Insert(2, "two");
  ASSERT_TRUE(cache.Find(1).has_value());
  cache.Insert(3, "three");

  EXPECT_EQ(cache.Find(2), std::nullopt);
  EXPECT_EQ(cache.Find(1), "one");
  EXPECT_EQ(cache.size(), 2u);
}

TEST(LruCache, ReplacesAValueWithoutGrowing) {
  LruCache<int, std::string> cache(2);
  cache.Insert(1, "one");
  cache.Insert(1, "uno");

  EXPECT_EQ(cache.Find(1), "uno");
  EXPECT_EQ(cache.size(), 1u);
}

TEST(LruCache, ErasesWhatIsThereAndNothingElse) {
  LruCache<int, std::string> cache(2);
  cache.Insert(1, "one");
  cache.Erase(2);
  cache.Erase(1);

  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace panal
