#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

StoredContent MakeContent(absl::string_view bytes) {
  StoredContent content{.manifest = ManifestOf(FileType::kFile, bytes),
                        .storage = StorageKind::kInline,
                        .inline_bytes = std::string(bytes)};
  content.id = content.manifest.Id();
  return content;
}

TEST(Contents, AreFoundAsTheyWerePut) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  StoredContent content = MakeContent("hello");
  content.storage = StorageKind::kInPlace;
  content.path = "/srv/hello";
  content.mtime_ns = 12345;

  ASSERT_TRUE(catalog->PutContent(content).ok());

  auto found = catalog->FindContent(content.id);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->manifest, content.manifest);
  EXPECT_EQ(found->storage, StorageKind::kInPlace);
  EXPECT_EQ(found->path, "/srv/hello");
  EXPECT_EQ(found->mtime_ns, 12345);
  EXPECT_EQ(found->inline_bytes, "hello");
  EXPECT_TRUE(found->complete);
}

TEST(Contents, OfSeveralAreAllPutOrNone) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  StoredContent large = MakeContent(std::string(kInlineSizeMax + 1, 'x'));
  StoredContent largest = MakeContent(std::string(kInlineSizeMax, 'x'));

  EXPECT_EQ(ReasonOf(catalog->PutContents({MakeContent("a"), large})),
            ErrorReason::kContentTooLarge);
  EXPECT_FALSE(catalog->FindContent(MakeContent("a").id).ok());
  EXPECT_TRUE(catalog->PutContents({MakeContent("a"), largest}).ok());
  EXPECT_TRUE(catalog->FindContent(MakeContent("a").id).ok());
}

TEST(Contents, AreIncompleteUntilTheyAreSaidToBeComplete) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  StoredContent content = MakeContent("under way");
  content.complete = false;
  ASSERT_TRUE(catalog->PutContents({content, MakeContent("done")}).ok());

  EXPECT_THAT(*catalog->IncompleteContents(), ElementsAre(content.id));
  ASSERT_TRUE(catalog->SetContentComplete(content.id).ok());
  EXPECT_THAT(*catalog->IncompleteContents(), IsEmpty());
  EXPECT_EQ(ReasonOf(catalog->SetContentComplete(File("unknown"))), ErrorReason::kFileNotFound);
}

TEST(Contents, AreGoneOnceForgotten) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  StoredContent content = MakeContent("x");
  ASSERT_TRUE(catalog->PutContent(content).ok());

  ASSERT_TRUE(catalog->ForgetContent(content.id).ok());

  EXPECT_EQ(ReasonOf(catalog->FindContent(content.id).status()), ErrorReason::kFileNotFound);
  EXPECT_TRUE(catalog->ForgetContent(content.id).ok());
}

TEST(Contents, IdsAreFoundByTheirPrefixAmongContentsAndPublishedFilesOnce) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  StoredContent content = MakeContent("both");
  PublishedFile both = MakeFile("name", "x");
  both.id = content.id;
  ASSERT_TRUE(catalog->PutContent(content).ok());
  ASSERT_TRUE(catalog->Publish({both, MakeFile("other", "other")}).ok());

  EXPECT_THAT(*catalog->FindIds(content.id.ToText().substr(0, 6), 10), ElementsAre(content.id));
  EXPECT_THAT(*catalog->FindIds(File("other").ToText(), 10), ElementsAre(File("other")));
  EXPECT_EQ(catalog->FindIds("", 10)->size(), 2u);
  EXPECT_EQ(catalog->FindIds("", 1)->size(), 1u);
  EXPECT_THAT(*catalog->FindIds("not base32", 10), IsEmpty());
}

}  // namespace
}  // namespace panal::catalog_test
