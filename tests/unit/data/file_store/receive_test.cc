#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

class Receive : public FileStoreTest {
 protected:
  FileId ReceiveAll(FileType type, const std::string& content) {
    Manifest manifest = ManifestOf(type, content);
    EXPECT_TRUE(store_->ReceiveInline(manifest, content).ok());
    return manifest.Id();
  }

  ListingEntry Entry(const std::string& name, FileType type, const std::string& content) {
    return {
        .name = name, .type = type, .size_bytes = content.size(), .id = ReceiveAll(type, content)};
  }
};

TEST_F(Receive, ResumesWithWhatWasHeldAfterARestart) {
  std::string content = RandomBytes(3 * kBlockSizeMin);
  Manifest manifest = ManifestOf(FileType::kFile, content);
  FileId id = manifest.Id();
  EXPECT_EQ(store_->BeginReceive(manifest)->held, (std::vector<bool>{false, false, false}));
  ASSERT_TRUE(store_->ReceiveBlock(id, 1, content.substr(kBlockSizeMin, kBlockSizeMin)).ok());
  ASSERT_TRUE(store_->CheckpointReceive(id).ok());
  EXPECT_EQ(store_->FindHeld(id)->held, (std::vector<bool>{false, true, false}));

  CloseAll();
  OpenAll();

  EXPECT_EQ(*catalog_->IncompleteContents(), std::vector<FileId>{id});
  EXPECT_EQ(store_->BeginReceive(manifest)->held, (std::vector<bool>{false, true, false}));
  EXPECT_EQ(ReasonOf(store_->PublishFetched(id, "f", {}).status()), ErrorReason::kFileIncomplete);
  for (uint32_t i : {0, 2}) {
    ASSERT_TRUE(store_->ReceiveBlock(id, i, content.substr(i * kBlockSizeMin, kBlockSizeMin)).ok());
  }
  ASSERT_TRUE(store_->CheckpointReceive(id).ok());
  EXPECT_TRUE(catalog_->IncompleteContents()->empty());
  ASSERT_TRUE(store_->PublishFetched(id, "f", {}).ok());
  EXPECT_EQ(ReadAll(id), content);
}

TEST_F(Receive, RefusesBytesThatAreNotTheContent) {
  Manifest manifest = ManifestOf(FileType::kFile, "right");

  EXPECT_EQ(ReasonOf(store_->ReceiveInline(manifest, "wrong")), ErrorReason::kBlockCorrupt);
  std::string large = RandomBytes(kInlineSizeMax + 1);
  EXPECT_EQ(ReasonOf(store_->ReceiveInline(ManifestOf(FileType::kFile, large), large)),
            ErrorReason::kBlockCorrupt);
  EXPECT_EQ(ReasonOf(store_->ReceiveBlock(manifest.Id(), 0, "right")), ErrorReason::kFileNotFound);
  ASSERT_TRUE(store_->BeginReceive(manifest).ok());
  EXPECT_EQ(ReasonOf(store_->ReceiveBlock(manifest.Id(), 0, "wrong")), ErrorReason::kBlockCorrupt);
}

TEST_F(Receive, PublishesADirectoryWithEverythingBelowIt) {
  std::string sub = EncodeListing({Entry("b", FileType::kFile, "bb")});
  std::string top =
      EncodeListing({Entry("a", FileType::kFile, "a"), Entry("sub", FileType::kDirectory, sub)});
  FileId id = ReceiveAll(FileType::kDirectory, top);

  absl::StatusOr<AddedFile> added = store_->PublishFetched(id, "got", {{"k", "v"}});

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->files, 2u);
  EXPECT_EQ(added->size_bytes, 3u);
  EXPECT_EQ(Names(), (std::vector<std::string>{"got", "got/a", "got/sub", "got/sub/b"}));
}

TEST_F(Receive, PublishesNothingOfADirectoryThatLacksAFile) {
  ListingEntry missing{.name = "b", .size_bytes = 1, .id = ManifestOf(FileType::kFile, "b").Id()};
  FileId id =
      ReceiveAll(FileType::kDirectory, EncodeListing({Entry("a", FileType::kFile, "a"), missing}));

  EXPECT_EQ(ReasonOf(store_->PublishFetched(id, "got", {}).status()), ErrorReason::kFileNotFound);
  EXPECT_TRUE(Names().empty());
}

TEST_F(Receive, RefusesAListingThatLiesAboutSizeOrType) {
  for (bool size : {true, false}) {
    ListingEntry entry = Entry("a", FileType::kFile, "a");
    if (size) entry.size_bytes = 2;
    if (!size) entry.type = FileType::kDirectory;
    FileId id = ReceiveAll(FileType::kDirectory, EncodeListing({entry}));

    EXPECT_EQ(ReasonOf(store_->PublishFetched(id, "got", {}).status()),
              ErrorReason::kListingInvalid);
  }
}

TEST_F(Receive, RefusesADirectoryDeeperThanTheLimit) {
  std::string listing = EncodeListing({});
  for (int depth = 1; depth < kDirectoryDepthMax; ++depth) {
    listing = EncodeListing({Entry("d", FileType::kDirectory, listing)});
  }
  FileId deepest = ReceiveAll(FileType::kDirectory, listing);
  EXPECT_TRUE(store_->PublishFetched(deepest, "got", {}).ok());

  FileId deeper =
      ReceiveAll(FileType::kDirectory, EncodeListing({Entry("d", FileType::kDirectory, listing)}));

  EXPECT_EQ(ReasonOf(store_->PublishFetched(deeper, "got", {}).status()),
            ErrorReason::kListingInvalid);
}

TEST_F(Receive, BoundsADirectoryThatNamesItselfManyTimesOver) {
  // 12 levels of 4 equal entries are 16 million names in 12 small contents.
  std::string listing = EncodeListing({});
  for (int depth = 0; depth < 12; ++depth) {
    std::vector<ListingEntry> entries;
    for (const char* name : {"a", "b", "c", "d"}) {
      entries.push_back(Entry(name, FileType::kDirectory, listing));
    }
    listing = EncodeListing(entries);
  }
  FileId id = ReceiveAll(FileType::kDirectory, listing);

  EXPECT_EQ(ReasonOf(store_->PublishFetched(id, "got", {}).status()),
            ErrorReason::kContentTooLarge);
}

}  // namespace
}  // namespace panal
