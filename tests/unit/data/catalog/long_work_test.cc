// Nothing quadratic up to 100,000 files: counted operations and bytes at 1,000, 10,000 and 100,000.
// Not in the default run: scripts/test long.
#include <gtest/gtest.h>

#include "tests/unit/data/catalog/lifetime.h"

namespace panal::catalog_test {
namespace {

// The promise of the project for operations and for bytes kept.
constexpr double kSlopeMax = 1.15;
// Pages written for one file in each step of its life. They do not grow in proportion while an
// index of random keys is smaller than a transaction, which then writes all of it: a file costs
// little. Once it is larger a file costs up to one page for each such index, published_id or
// record_id, and no more however many files there are. A removal touches two of them and the words.
constexpr double kPagesPerFileMax = 1.5;
constexpr double kPagesPerRemovalMax = 2;

void ExpectLinear(const Work& few, const Work& many, const char* what) {
  EXPECT_LE(Slope(few.rows, many.rows), kSlopeMax)
      << what << " rows " << few.rows << " " << many.rows;
  EXPECT_LE(Slope(few.steps, many.steps), kSlopeMax)
      << what << " steps " << few.steps << " " << many.steps;
}

void ExpectLinear(const Lifetime& few, const Lifetime& many) {
  ExpectLinear(few.publish, many.publish, "publish");
  ExpectLinear(few.sign, many.sign, "sign");
  ExpectLinear(few.remove, many.remove, "remove");
  EXPECT_LE(Slope(few.database_pages, many.database_pages), kSlopeMax) << "bytes kept";
  EXPECT_LE(many.add_one_batch.rows, 1.2 * few.add_one_batch.rows);
  EXPECT_LE(many.add_one_batch.steps, 1.2 * few.add_one_batch.steps);
}

TEST(Catalog, WorksInProportionUpToAHundredThousandFiles) {
  std::vector<Lifetime> lives;
  for (int count : {1'000, 10'000, 100'000}) {
    lives.push_back(LiveThrough(count));
    const Lifetime& life = lives.back();
    printf(
        "%d files: pages a file: publish %.2f sign %.2f remove %.2f; database %.0f bytes a file\n",
        count, life.publish.pages / count, life.sign.pages / count, life.remove.pages / count,
        life.database_pages * 4096 / count);
    EXPECT_LE(life.publish.pages, kPagesPerFileMax * count);
    EXPECT_LE(life.sign.pages, kPagesPerFileMax * count);
    EXPECT_LE(life.remove.pages, kPagesPerRemovalMax * count);
  }
  ExpectLinear(lives[0], lives[1]);
  ExpectLinear(lives[1], lives[2]);
}

}  // namespace
}  // namespace panal::catalog_test
