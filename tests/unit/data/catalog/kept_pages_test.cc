#include "server/data/catalog/kept_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const PeerId kPublisher = Peer("publisher");

StorePageResult Store(Catalog& catalog, const Page& page, bool has_body = true,
                      absl::Time now = kNow) {
  auto result = catalog.StorePage(page, has_body, now);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.value_or(StorePageResult::kFull);
}

Page WithoutBody(Page page) {
  page.body.clear();
  page.records.clear();
  return page;
}

TEST(KeptPages, AreFoundAsTheyWereStored) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  // Records in no particular order: the body's order is kept.
  Page page = MakePage(kPublisher, 3, 7, {MakeRecord("b"), MakeRecord("a"), MakeRecord("c")});
  EXPECT_EQ(Store(*catalog, page), StorePageResult::kStored);
  Page next = MakePage(kPublisher, 3, 8, {MakeRecord("c"), MakeRecord("x"), MakeRecord("b")});
  EXPECT_EQ(Store(*catalog, next), StorePageResult::kStored);

  auto found = catalog->FindPage({kPublisher, 3});

  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(SamePage(**found, next));
  EXPECT_EQ(ReasonOf(catalog->FindPage({kPublisher, 4}).status()), ErrorReason::kFileNotFound);
}

TEST(KeptPages, AreReplacedOnlyByAHigherVersionOrALaterExpiry) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  absl::Time expires = kNow + kPageLifetime;
  std::vector<Record> records = {MakeRecord("a")};
  ASSERT_EQ(Store(*catalog, MakePage(kPublisher, 1, 5, records, expires)),
            StorePageResult::kStored);

  EXPECT_EQ(
      Store(*catalog, MakePage(kPublisher, 1, 4, {MakeRecord("old")}, expires + absl::Hours(1))),
      StorePageResult::kStale);
  EXPECT_EQ(Store(*catalog, MakePage(kPublisher, 1, 5, records, expires - absl::Seconds(1))),
            StorePageResult::kStale);
  EXPECT_EQ(
      Store(*catalog, MakePage(kPublisher, 1, 5, {MakeRecord("other")}, expires + absl::Hours(1))),
      StorePageResult::kStale);
  EXPECT_EQ(Store(*catalog, MakePage(kPublisher, 1, 5, records, expires)),
            StorePageResult::kRefreshed);
  EXPECT_THAT(Names(*catalog, "*"), ElementsAre("a"));

  Page later = WithoutBody(MakePage(kPublisher, 1, 5, records, expires + absl::Seconds(1)));
  EXPECT_EQ(Store(*catalog, later, /*has_body=*/false), StorePageResult::kRefreshed);
  EXPECT_EQ((*catalog->FindPage({kPublisher, 1}))->header, later.header);
  EXPECT_EQ(Store(*catalog, MakePage(kPublisher, 1, 6, {MakeRecord("new")}, expires)),
            StorePageResult::kStored);
  EXPECT_THAT(Names(*catalog, "*"), ElementsAre("new"));
}

TEST(KeptPages, WantTheirBodyWhereItIsNotHere) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Page page = MakePage(kPublisher, 1, 1, {MakeRecord("a")});
  EXPECT_EQ(Store(*catalog, WithoutBody(page), false), StorePageResult::kBodyMissing);
  ASSERT_EQ(Store(*catalog, page), StorePageResult::kStored);

  Page changed = MakePage(kPublisher, 1, 2, {MakeRecord("b")});
  EXPECT_EQ(Store(*catalog, WithoutBody(changed), false), StorePageResult::kBodyMissing);
  // A new version of the same body needs none.
  Page same = MakePage(kPublisher, 1, 3, {MakeRecord("a")});
  EXPECT_EQ(Store(*catalog, WithoutBody(same), false), StorePageResult::kRefreshed);
  EXPECT_TRUE(SamePage(**catalog->FindPage({kPublisher, 1}), same));
}

TEST(KeptPages, AreNotStoredOnceExpired) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Page page = MakePage(kPublisher, 1, 1, {MakeRecord("a")}, kNow);
  EXPECT_EQ(Store(*catalog, page, true, kNow), StorePageResult::kStale);
  EXPECT_EQ(Store(*catalog, page, true, kNow - absl::Milliseconds(1)), StorePageResult::kStored);
}

TEST(KeptPages, AreAtMostTheLimitsOfTheCatalogAndOfTheirPublisher) {
  TempDir dir;
  CatalogOptions options = OptionsIn(dir);
  options.kept_pages_max = 4;
  options.kept_pages_per_publisher_max = 3;
  auto catalog = OpenOrDie(options);
  auto page = [](absl::string_view publisher, uint32_t number) {
    return MakePage(Peer(publisher), number, 1, {MakeRecord("x")});
  };
  for (uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(Store(*catalog, page("a", i)), StorePageResult::kStored);
  EXPECT_EQ(Store(*catalog, page("a", 3)), StorePageResult::kFull);
  EXPECT_EQ(Store(*catalog, page("b", 0)), StorePageResult::kStored);
  EXPECT_EQ(Store(*catalog, page("b", 1)), StorePageResult::kFull);

  // What is kept can still change, own pages do not count, and expired pages make room.
  EXPECT_EQ(Store(*catalog, MakePage(Peer("a"), 0, 2, {MakeRecord("y")})),
            StorePageResult::kStored);
  ASSERT_TRUE(catalog->Publish({MakeFile("own")}).ok());
  SignDirtyPages(*catalog, Peer("self"));
  EXPECT_EQ(Store(*catalog, MakePage(Peer("b"), 1, 1, {}, kNow + absl::Hours(9)), true,
                  kNow + kPageLifetime),
            StorePageResult::kStored);
}

TEST(KeptPages, BeyondTheLimitsOfAPageAreRefused) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  std::vector<Record> records(kPageRecordsMax, MakeRecord("x"));
  for (size_t i = 0; i < records.size(); ++i) records[i].id.bytes[0] = static_cast<uint8_t>(i);
  EXPECT_EQ(Store(*catalog, MakePage(kPublisher, 1, 1, records)), StorePageResult::kStored);
  EXPECT_EQ(Names(*catalog, "x").size(), kPageRecordsMax);
  records.push_back(MakeRecord("x"));
  EXPECT_EQ(ReasonOf(catalog->StorePage(MakePage(kPublisher, 2, 1, records), true, kNow).status()),
            ErrorReason::kPageInvalid);

  Page page = MakePage(kPublisher, 3, 1, {});
  page.body = std::string(kPageBodySizeMax, 'b');
  page.header.body_hash = Sha256(page.body);
  EXPECT_EQ(Store(*catalog, page), StorePageResult::kStored);
  page.body += "b";
  page.header.version = 2;
  page.header.body_hash = Sha256(page.body);
  EXPECT_EQ(ReasonOf(catalog->StorePage(page, true, kNow).status()), ErrorReason::kPageInvalid);
}

TEST(KeptPages, TouchTheIndexOnlyForRecordsThatChanged) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  std::vector<Record> records;
  for (int i = 0; i < 200; ++i) records.push_back(MakeRecord(absl::StrCat("name ", i)));
  ASSERT_EQ(Store(*catalog, MakePage(kPublisher, 1, 1, records)), StorePageResult::kStored);
  records[7].version = 2;
  records[8].name = "renamed";
  int64_t before = catalog->writer().counters().work.rows_changed;

  ASSERT_EQ(Store(*catalog, MakePage(kPublisher, 1, 2, records)), StorePageResult::kStored);

  EXPECT_LT(catalog->writer().counters().work.rows_changed - before, 20);
  EXPECT_THAT(Names(*catalog, "renamed"), ElementsAre("renamed"));
  EXPECT_THAT(Names(*catalog, "\"name 8\""), IsEmpty());
  EXPECT_TRUE(catalog->CheckIntegrity().ok());
}

TEST(KeptPages, AreDroppedWithTheirRecordsOnceExpired) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  constexpr int kPages = 2 * catalog::kDropBatchMax + 1;
  for (uint32_t i = 0; i < kPages; ++i) {
    Store(*catalog, MakePage(kPublisher, i, 1, {MakeRecord("short")}, kNow + absl::Seconds(1)));
  }
  Store(*catalog, MakePage(Peer("b"), 1, 1, {MakeRecord("long")}, kNow + absl::Hours(1)));

  EXPECT_EQ(*catalog->DropExpiredPages(kNow), 0);
  EXPECT_EQ(*catalog->DropExpiredPages(kNow + absl::Seconds(1)), kPages);
  EXPECT_FALSE(catalog->FindPage({kPublisher, 0}).ok());
  EXPECT_THAT(Names(*catalog, "*"), ElementsAre("long"));
  EXPECT_TRUE(catalog->CheckIntegrity().ok());
}

}  // namespace
}  // namespace panal::catalog_test
