#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> NamesOf(const absl::StatusOr<std::vector<PublishedFile>>& files) {
  std::vector<std::string> names;
  if (!files.ok()) return {files.status().ToString()};
  for (const PublishedFile& file : *files) names.push_back(file.name);
  return names;
}

std::vector<std::string> Listed(Catalog& catalog, bool recursive = true) {
  return NamesOf(catalog.ListPublished("", 1000, recursive));
}

TEST(PublishedFiles, AreFoundAsTheyWerePublished) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  PublishedFile file = MakeFile("a file", "abc", {{"lang", "en"}});
  file.executable = true;

  ASSERT_TRUE(catalog->Publish({file}).ok());

  auto found = catalog->FindPublished(file.id);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().name, "a file");
  EXPECT_EQ(found->front().size_bytes, 3u);
  EXPECT_EQ(found->front().attributes, file.attributes);
  EXPECT_TRUE(found->front().executable);
  EXPECT_TRUE(*catalog->IsPublished(file.id));
  EXPECT_FALSE(*catalog->IsPublished(File("other")));
  EXPECT_EQ(*catalog->CountPublished(), 1);
}

TEST(PublishedFiles, OfOneContentUnderTwoNamesAreTwoRecords) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeFile("a", "same"), MakeFile("b", "same")}).ok());

  EXPECT_THAT(NamesOf(catalog->FindPublished(File("same"))), ElementsAre("a", "b"));
  EXPECT_EQ((*catalog->FirstPublished(File("same")))->name, "a");
  EXPECT_FALSE(catalog->FirstPublished(File("nobody's"))->has_value());
  EXPECT_EQ(catalog->DirtyPages(10)->front().records.size(), 2u);
  EXPECT_THAT(NamesOf(catalog->Unpublish(File("same"))), UnorderedElementsAre("a", "b"));
}

TEST(PublishedFiles, PublishedAgainChangeNothing) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeFile("a")}).ok());
  SignDirtyPages(*catalog, Peer("self"));

  ASSERT_TRUE(catalog->Publish({MakeFile("a")}).ok());

  EXPECT_THAT(*catalog->DirtyPages(10), IsEmpty());
  EXPECT_EQ(*catalog->CountPublished(), 1);
}

TEST(PublishedFiles, OfTheSameNameAreReplacedByAnotherContent) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeFile("a", "old")}).ok());
  uint64_t version = catalog->DirtyPages(1)->front().records.front().version;

  ASSERT_TRUE(catalog->Publish({MakeFile("a", "new")}).ok());

  EXPECT_FALSE(*catalog->IsPublished(File("old")));
  EXPECT_TRUE(*catalog->IsPublished(File("new")));
  ASSERT_EQ(catalog->DirtyPages(1)->front().records.size(), 1u);
  EXPECT_GT(catalog->DirtyPages(1)->front().records.front().version, version);
}

TEST(PublishedFiles, AreAllPublishedOrNone) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));

  EXPECT_EQ(ReasonOf(catalog->Publish({MakeFile("good"), MakeFile("/absolute")})),
            ErrorReason::kFileNameInvalid);
  EXPECT_EQ(ReasonOf(catalog->Publish({MakeFile("good"), MakeFile("bad", "x", {{"NO", "x"}})})),
            ErrorReason::kAttributeInvalid);
  EXPECT_THAT(Listed(*catalog), IsEmpty());
}

TEST(PublishedFiles, GoWithTheirDirectoryUnlessSomethingElseRefersToThem) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog
                  ->Publish({MakeFile("d/alone", "1", {}, "d"), MakeFile("d/entry", "2", {}, "d"),
                             MakeDirectory("d/sub", "3", 1, "d"),
                             MakeFile("d/sub/x", "4", {}, "d/sub"), MakeDirectory("d", "5", 3)})
                  .ok());
  ASSERT_TRUE(catalog->Publish({MakeFile("d/alone", "1")}).ok());
  EXPECT_EQ(*catalog->CountPublished(), 2);
  EXPECT_THAT(Listed(*catalog, /*recursive=*/false), ElementsAre("d", "d/alone"));

  EXPECT_THAT(NamesOf(catalog->Unpublish(File("5"))),
              UnorderedElementsAre("d", "d/entry", "d/sub", "d/sub/x"));
  EXPECT_THAT(Listed(*catalog), ElementsAre("d/alone"));
  EXPECT_THAT(NamesOf(catalog->Unpublish(File("1"))), ElementsAre("d/alone"));
}

TEST(PublishedFiles, OfANestedDirectoryAddedByItselfStay) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  std::vector<PublishedFile> inner = {MakeFile("d/sub/x", "x", {}, "d/sub"),
                                      MakeDirectory("d/sub", "s")};
  ASSERT_TRUE(catalog->Publish(inner).ok());
  // The whole tree, every file said to be an entry of its top.
  ASSERT_TRUE(catalog
                  ->Publish({MakeFile("d/sub/x", "x", {}, "d"), MakeDirectory("d/sub", "s", 1, "d"),
                             MakeFile("d/y", "y", {}, "d"), MakeDirectory("d", "top", 2)})
                  .ok());

  EXPECT_THAT(NamesOf(catalog->Unpublish(File("top"))), UnorderedElementsAre("d", "d/y"));
  EXPECT_THAT(Listed(*catalog), ElementsAre("d/sub", "d/sub/x"));
}

TEST(PublishedFiles, OfADirectoryAreReplacedAsAWhole) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(
      catalog
          ->Publish({MakeDirectory("d", "old", 4), MakeFile("d/changed", "1", {}, "d"),
                     MakeFile("d/same", "same", {}, "d"), MakeDirectory("d/sub", "sub", 1, "d"),
                     MakeFile("d/sub/gone", "2", {}, "d"), MakeFile("d/alone", "3", {}, "d")})
          .ok());
  ASSERT_TRUE(catalog->Publish({MakeFile("d/alone", "3")}).ok());
  ASSERT_TRUE(catalog->Publish({MakeDirectory("another name", "old", 4)}).ok());

  auto gone =
      catalog->Replace({MakeDirectory("d", "new", 3), MakeFile("d/changed", "4", {}, "d"),
                        MakeFile("d/same", "same", {}, "d"), MakeFile("d/sub", "5", {}, "d")});

  // `d/sub` became a file; what was added by itself stays.
  EXPECT_THAT(NamesOf(gone), UnorderedElementsAre("d", "d/changed", "d/sub", "d/sub/gone"));
  EXPECT_THAT(Listed(*catalog),
              ElementsAre("another name", "d", "d/alone", "d/changed", "d/same", "d/sub"));
  EXPECT_THAT(NamesOf(catalog->Unpublish(File("new"))),
              UnorderedElementsAre("d", "d/changed", "d/same", "d/sub"));
}

TEST(PublishedFiles, StayWhereTheirReplacementIsRefused) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeDirectory("d", "old"), MakeFile("d/x", "x", {}, "d")}).ok());

  EXPECT_EQ(ReasonOf(catalog
                         ->Replace({MakeDirectory("d", "new"), MakeFile("d/y", "y", {}, "d"),
                                    MakeFile("/absolute", "z", {}, "d")})
                         .status()),
            ErrorReason::kFileNameInvalid);

  EXPECT_THAT(Listed(*catalog), ElementsAre("d", "d/x"));
  EXPECT_THAT(NamesOf(catalog->Unpublish(File("old"))), UnorderedElementsAre("d", "d/x"));
}

TEST(PublishedFiles, ThatAreOnlyEntriesAreNotRemovedByThemselves) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeFile("d/x", "x", {}, "d"), MakeDirectory("d", "dir")}).ok());

  absl::Status status = catalog->Unpublish(File("x")).status();

  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileNotFound);
  EXPECT_EQ(MetadataOf(status)["parent"], "d");
  EXPECT_THAT(Listed(*catalog), ElementsAre("d", "d/x"));
  EXPECT_EQ(ReasonOf(catalog->Unpublish(File("unknown")).status()), ErrorReason::kFileNotFound);
}

TEST(PublishedFiles, AreListedInPagesWithoutGaps) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  // A file and a directory of one name are two files.
  ASSERT_TRUE(catalog
                  ->Publish({MakeFile("a"), MakeFile("b"), MakeDirectory("b", "dir"), MakeFile("c"),
                             MakeFile("d"), MakeDirectory("d", "dir 2")})
                  .ok());
  for (int limit = 1; limit < 8; ++limit) {
    std::vector<std::string> all;
    std::string after;
    while (true) {
      auto page = catalog->ListPublished(after, limit, true);
      ASSERT_TRUE(page.ok()) << page.status();
      if (page->empty()) break;
      EXPECT_LE(page->size(), static_cast<size_t>(limit));
      for (const PublishedFile& file : *page) {
        all.push_back(file.name + (file.type == FileType::kDirectory ? "/" : ""));
      }
      after = PositionAfter(page->back());
    }
    EXPECT_THAT(all, ElementsAre("a", "b", "b/", "c", "d", "d/")) << limit;
  }
  EXPECT_THAT(NamesOf(catalog->ListPublished("b", 10, true)), ElementsAre("c", "d", "d"));
  EXPECT_THAT(NamesOf(catalog->ListPublished("", 0, true)), IsEmpty());
}

}  // namespace
}  // namespace panal::catalog_test
