#include "server/data/catalog/own_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const PeerId kSelf = Peer("self");
// Above every version that a new catalog gives.
constexpr uint64_t kFarVersion = uint64_t{1} << 60;

std::vector<PublishedFile> Files(int first, int count, Attributes attributes = {}) {
  std::vector<PublishedFile> files;
  for (int i = first; i < first + count; ++i) {
    files.push_back(MakeFile(absl::StrCat("file ", i), absl::StrCat(i), attributes));
  }
  return files;
}

Attributes LargeAttributes(size_t count = kRecordAttributesMax) {
  Attributes attributes;
  for (size_t i = 0; i < count; ++i) {
    attributes[absl::StrCat("k", i, std::string(kAttributeKeySizeMax - 3, 'x')).substr(0, 64)] =
        std::string(kAttributeValueSizeMax, 'v');
  }
  return attributes;
}

TEST(OwnPages, HoldAtMostTheirLimitOfRecords) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));

  ASSERT_TRUE(catalog->Publish(Files(0, kPageRecordsMax)).ok());
  ASSERT_THAT(*catalog->DirtyPages(10), SizeIs(1));
  EXPECT_THAT(catalog->DirtyPages(10)->front().records, SizeIs(kPageRecordsMax));

  ASSERT_TRUE(catalog->Publish(Files(1000, 1)).ok());
  ASSERT_THAT(*catalog->DirtyPages(10), SizeIs(2));
  EXPECT_THAT(catalog->DirtyPages(10)->back().records, SizeIs(1));
  EXPECT_THAT(*catalog->DirtyPages(1), SizeIs(1));
}

TEST(OwnPages, HoldAtMostTheirLimitOfBytes) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish(Files(0, 40, LargeAttributes())).ok());

  auto pages = catalog->DirtyPages(100);
  EXPECT_GT(pages->size(), 5u);
  for (const DirtyPage& page : *pages) {
    size_t bytes = 0;
    for (const Record& record : page.records) {
      for (const auto& [key, value] : record.attributes) bytes += key.size() + value.size() + 4;
    }
    EXPECT_LE(bytes, kPageBodySizeMax);
  }
}

TEST(OwnPages, AreSplitWhenTheirRecordsGrow) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish(Files(0, 100)).ok());
  ASSERT_THAT(*catalog->DirtyPages(100), SizeIs(1));

  ASSERT_TRUE(catalog->Publish(Files(0, 100, LargeAttributes(4))).ok());

  auto pages = catalog->DirtyPages(100);
  EXPECT_GT(pages->size(), 1u);
  size_t records = 0;
  for (const DirtyPage& page : *pages) records += page.records.size();
  EXPECT_EQ(records, 100u);
  EXPECT_TRUE(catalog->CheckIntegrity().ok());
}

TEST(OwnPages, ReuseTheRoomOfWhatWasRemoved) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish(Files(0, 2 * kPageRecordsMax)).ok());
  SignDirtyPages(*catalog, kSelf);
  ASSERT_TRUE(catalog->Unpublish(File("7")).ok());
  SignDirtyPages(*catalog, kSelf);

  ASSERT_TRUE(catalog->Publish(Files(1000, 1)).ok());

  auto dirty = catalog->DirtyPages(10);
  ASSERT_THAT(*dirty, SizeIs(1));
  EXPECT_EQ(dirty->front().number, 1u);
  EXPECT_THAT(dirty->front().records, SizeIs(kPageRecordsMax));
}

TEST(OwnPages, GiveRisingVersionsAcrossRemovalAndRestart) {
  TempDir dir;
  uint64_t page_version = 0;
  uint64_t record_version = 0;
  for (int round = 0; round < 3; ++round) {
    auto catalog = OpenOrDie(OptionsIn(dir));
    ASSERT_TRUE(catalog->Publish(Files(0, 1)).ok());
    DirtyPage page = catalog->DirtyPages(1)->front();
    EXPECT_GT(page.version, page_version);
    EXPECT_GT(page.records.front().version, record_version);
    record_version = page.records.front().version;
    SignDirtyPages(*catalog, kSelf);

    ASSERT_TRUE(catalog->Unpublish(File("0")).ok());
    DirtyPage deleted = catalog->DirtyPages(1)->front();
    EXPECT_THAT(deleted.records, IsEmpty());
    EXPECT_GT(deleted.version, page.version);
    page_version = deleted.version;
    SignDirtyPages(*catalog, kSelf);
    ASSERT_TRUE(catalog->DropExpiredPages(kNow + 2 * kPageLifetime).ok());
  }
}

TEST(OwnPages, StayDirtyWhenTheyChangedWhileTheyWereSigned) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish(Files(0, 1)).ok());
  DirtyPage first = catalog->DirtyPages(1)->front();
  ASSERT_TRUE(catalog->Publish(Files(1, 1)).ok());

  ASSERT_TRUE(
      catalog->StoreOwnPage(MakePage(kSelf, first.number, first.version, first.records)).ok());

  auto dirty = catalog->DirtyPages(10);
  ASSERT_THAT(*dirty, SizeIs(1));
  EXPECT_THAT(dirty->front().records, SizeIs(2));
  EXPECT_GT(dirty->front().version, first.version);
  // Stored the other way round, the newer stays.
  SignDirtyPages(*catalog, kSelf);
  ASSERT_TRUE(
      catalog->StoreOwnPage(MakePage(kSelf, first.number, first.version, first.records)).ok());
  EXPECT_THAT(*catalog->DirtyPages(10), IsEmpty());
  EXPECT_THAT(Names(*catalog, "file"), ElementsAre("file 0", "file 1"));
}

TEST(OwnPages, AreGivenBackAsTheyWereSignedAfterARestart) {
  TempDir dir;
  Page page;
  {
    auto catalog = OpenOrDie(OptionsIn(dir));
    ASSERT_TRUE(catalog->Publish(Files(0, 300)).ok());
    DirtyPage dirty = catalog->DirtyPages(1)->front();
    page = MakePage(kSelf, dirty.number, dirty.version, dirty.records);
    SignDirtyPages(*catalog, kSelf);
  }
  auto catalog = OpenOrDie(OptionsIn(dir));

  auto pages = catalog->OwnPages(kSelf, -1, 10);

  ASSERT_THAT(*pages, SizeIs(2));
  EXPECT_TRUE(SamePage(*pages->front(), page));
  EXPECT_THAT(*catalog->OwnPages(kSelf, 1, 10), SizeIs(1));
  EXPECT_THAT(*catalog->OwnPages(kSelf, -1, 1), SizeIs(1));
  EXPECT_THAT(*catalog->OwnPages(Peer("other"), -1, 10), IsEmpty());
}

TEST(OwnPages, OutliveTheirExpiryUnlessTheyAreDeleted) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish(Files(0, kPageRecordsMax + 1)).ok());
  SignDirtyPages(*catalog, kSelf);
  ASSERT_TRUE(catalog->Unpublish(File(absl::StrCat(kPageRecordsMax))).ok());
  SignDirtyPages(*catalog, kSelf);
  ASSERT_THAT(*catalog->OwnPages(kSelf, -1, 10), SizeIs(2));

  EXPECT_EQ(*catalog->DropExpiredPages(kNow + kPageLifetime), 1);

  EXPECT_THAT(*catalog->OwnPages(kSelf, -1, 10), SizeIs(1));
  ASSERT_TRUE(catalog->MarkAllPagesDirty().ok());
  EXPECT_THAT(*catalog->DirtyPages(10), SizeIs(1));
}

TEST(OwnPages, AreSignedAboveAVersionThatTheMeshRemembers) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Page remembered = MakePage(kSelf, 1, kFarVersion, {MakeRecord("old")});
  ASSERT_TRUE(catalog->StorePage(remembered, true, kNow).ok());
  ASSERT_TRUE(catalog->Publish(Files(0, 1)).ok());

  SignDirtyPages(*catalog, kSelf);

  EXPECT_THAT(Names(*catalog, "*"), ElementsAre("file 0"));
  ASSERT_THAT(*catalog->OwnPages(kSelf, -1, 10), SizeIs(1));
  EXPECT_GT(catalog->OwnPages(kSelf, -1, 10)->front()->header.version, kFarVersion);
}

TEST(OwnPages, OfANewCatalogAreNewerThanThoseOfALostOne) {
  TempDir dir;
  TempDir neighbor_dir;
  auto neighbor = OpenOrDie(OptionsIn(neighbor_dir));
  auto spread = [&](const std::string& name) {
    auto catalog = OpenOrDie(OptionsIn(dir));
    PANAL_CHECK(catalog->SetPeerRecord(MakePeerRecord(kSelf, {name + ".example:7401"})).ok());
    // The lost catalog gave many versions.
    for (int i = 0; i < 100; ++i) {
      PANAL_CHECK(catalog->Publish({MakeFile(name, absl::StrCat(i))}).ok());
    }
    std::vector<StorePageResult> results;
    auto dirty = catalog->DirtyPages(10);
    for (const DirtyPage& one : *dirty) {
      Page page = MakePage(kSelf, one.number, one.version, one.records);
      results.push_back(*neighbor->StorePage(page, true, kNow));
    }
    return results;
  };
  EXPECT_THAT(spread("old"), ElementsAre(StorePageResult::kStored, StorePageResult::kStored));

  std::filesystem::remove(OptionsIn(dir).path);

  EXPECT_THAT(spread("new"), ElementsAre(StorePageResult::kStored, StorePageResult::kStored));
  EXPECT_THAT(Names(*neighbor, "new"), ElementsAre("new"));
  EXPECT_THAT(Names(*neighbor, "old"), IsEmpty());
}

TEST(OwnPages, NumberZeroHoldsThePeerRecordAlone) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Record self = MakePeerRecord(kSelf, {"10.0.0.1:7401"});
  ASSERT_TRUE(catalog->SetPeerRecord(self).ok());
  ASSERT_TRUE(catalog->Publish(Files(0, 1)).ok());
  EXPECT_EQ(SignDirtyPages(*catalog, kSelf), 2);

  ASSERT_TRUE(catalog->SetPeerRecord(self).ok());
  EXPECT_THAT(*catalog->DirtyPages(10), IsEmpty());

  self.addresses = {"10.0.0.2:7401"};
  ASSERT_TRUE(catalog->SetPeerRecord(self).ok());
  auto dirty = catalog->DirtyPages(10);
  ASSERT_THAT(*dirty, SizeIs(1));
  EXPECT_EQ(dirty->front().number, kPeerPageNumber);
  EXPECT_THAT(dirty->front().records, SizeIs(1));
  EXPECT_EQ(dirty->front().records.front().addresses, self.addresses);
}

TEST(OwnPages, AreAtMostTheirLimit) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  auto fill_up_to = [&](int64_t number) {
    return catalog->writer().Write([&](catalog::Connection& db) {
      return db.Run(
          "INSERT INTO own_page(number, version, dirty, records, bytes, open) "
          "VALUES(?, 1, 0, 0, 0, 0)",
          number);
    });
  };
  ASSERT_TRUE(fill_up_to(kPageNumberMax - 2).ok());
  EXPECT_TRUE(catalog->Publish(Files(0, kPageRecordsMax)).ok());

  absl::Status status = catalog->Publish(Files(1000, 1));

  EXPECT_EQ(ReasonOf(status), ErrorReason::kStorageFull) << status;
  EXPECT_EQ(*catalog->CountPublished(), static_cast<int64_t>(kPageRecordsMax));
}

}  // namespace
}  // namespace panal::catalog_test
