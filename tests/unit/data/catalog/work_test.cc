// Nothing quadratic: counted work at 1,000 and 10,000 files, by the slope in the log-log plane.
// 100,000 are in long_work_test.cc.
#include <gtest/gtest.h>

#include "tests/support/catalog_support.h"
#include "tests/unit/data/catalog/lifetime.h"

namespace panal::catalog_test {
namespace {

// The promise of the project: slope at most 1.15.
constexpr double kSlopeMax = 1.15;
// Database pages written for a file. Measured: 0.6 for a removal, less for the rest.
constexpr double kPagesPerFileMax = 1.5;
constexpr int kFew = 1'000;
constexpr int kMany = 10'000;

void ExpectLinear(const Work& few, const Work& many, const char* what) {
  EXPECT_LE(Slope(few.rows, many.rows), kSlopeMax)
      << what << " rows " << few.rows << " " << many.rows;
  EXPECT_LE(Slope(few.steps, many.steps), kSlopeMax)
      << what << " steps " << few.steps << " " << many.steps;
  // While an index is smaller than a batch, a batch writes all of it and no more: the slope of the
  // pages says little at this size. What a file costs at most does.
  EXPECT_LE(few.pages, kPagesPerFileMax * kFew) << what;
  EXPECT_LE(many.pages, kPagesPerFileMax * kMany) << what;
}

TEST(Catalog, WorksInProportionToWhatIsPublished) {
  Lifetime few = LiveThrough(kFew);
  Lifetime many = LiveThrough(kMany);

  ExpectLinear(few.publish, many.publish, "publish");
  ExpectLinear(few.sign, many.sign, "sign");
  ExpectLinear(few.remove, many.remove, "remove");
  EXPECT_LE(Slope(few.database_pages, many.database_pages), kSlopeMax);
  // A batch costs the same however much is published already; a repeated one changes nothing.
  EXPECT_LE(many.add_one_batch.rows, 1.2 * few.add_one_batch.rows);
  EXPECT_LE(many.add_one_batch.steps, 1.2 * few.add_one_batch.steps);
  EXPECT_EQ(few.again.rows, 0);
  EXPECT_EQ(many.again.rows, 0);
}

// Instructions that one search took.
int64_t SearchSteps(SqliteCatalog& catalog, absl::string_view query, int limit, size_t hits) {
  auto steps = [&] { return catalog.readers().Acquire()->connection().work().vm_steps; };
  int64_t before = steps();
  auto result = catalog.Search(ParseOrDie(query), limit, absl::Minutes(1), kNow);
  EXPECT_TRUE(result.ok() && result->hits.size() == hits) << query;
  return steps() - before;
}

// Records of which every one holds the words `very` and `common`.
void KeepCommon(SqliteCatalog& catalog, int records) {
  int pages = (records + static_cast<int>(kPageRecordsMax) - 1) / static_cast<int>(kPageRecordsMax);
  for (int page = 0; page < pages; ++page) {
    std::vector<Record> on_page;
    for (size_t i = 0; i < kPageRecordsMax; ++i) {
      on_page.push_back(MakeRecord(absl::StrCat("very common ", page, " ", i)));
    }
    auto kept = catalog.StorePage(
        MakePage(Peer(absl::StrCat(page % 7)), static_cast<uint32_t>(page), 1, std::move(on_page)),
        true, kNow);
    PANAL_CHECK(kept.ok());
  }
}

TEST(Search, ForVeryCommonWordsCostsItsLimitAndNotTheirNumber) {
  constexpr int kRecords = 100'000;
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  KeepCommon(*catalog, kRecords);

  int64_t steps = SearchSteps(*catalog, "very common", 20, 20);

  // 21 candidates; 100 is a generous number of instructions for each.
  EXPECT_LT(steps, 21 * 100);
  EXPECT_LT(SearchSteps(*catalog, "very", 20, 20), 21 * 100);
  EXPECT_LT(SearchSteps(*catalog, "*", 20, 20), 21 * 100);
  EXPECT_LT(SearchSteps(*catalog, "ve* com*", 20, 20), 21 * 100);
  EXPECT_LT(SearchSteps(*catalog, "kind:peer", 20, 0), 100);
  EXPECT_LT(SearchSteps(*catalog, "common id:" + MakeRecord("very common 0 0").id.ToText(), 20, 1),
            kRecords * 20);
}

}  // namespace
}  // namespace panal::catalog_test
