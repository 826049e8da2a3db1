#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

using Remove = FileStoreTest;

TEST_F(Remove, FreesEverythingOfADirectory) {
  Write("top/small", "1");
  Write("top/sub/large", RandomBytes(kBlockSizeMin));
  FileId id = Add(Path("top"))->id;

  absl::StatusOr<FileStore::Removed> removed = store_->Remove(id);

  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->files, 2u);
  EXPECT_GT(removed->freed_bytes, int64_t{kBlockSizeMin});
  EXPECT_EQ(blocks_->stored_bytes(), 0);
  EXPECT_TRUE(Names().empty());
  EXPECT_EQ(ReasonOf(store_->Find(id).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(store_->Remove(id).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(*store_->DropUnreferenced(), 0);
}

TEST_F(Remove, KeepsWhatAnotherDirectoryNeeds) {
  std::string shared = RandomBytes(kBlockSizeMin);
  for (const char* top : {"a", "b"}) Write(std::string(top) + "/sub/shared", shared);
  Write("a/only", "only in a");
  FileId a = Add(Path("a"))->id;
  FileId b = Add(Path("b"))->id;

  ASSERT_TRUE(store_->Remove(a).ok());

  FileId sub = (*store_->ReadListing(b))[0].id;
  EXPECT_EQ(ReadAll((*store_->ReadListing(sub))[0].id), shared);
  EXPECT_EQ(ReasonOf(store_->Find(ManifestOf(FileType::kFile, "only in a").Id()).status()),
            ErrorReason::kFileNotFound);
}

TEST_F(Remove, DropsWhatNothingRefersTo) {
  std::string content = RandomBytes(kBlockSizeMin);
  FileId published = store_->Put("f", "published", {})->id;
  Manifest left = ManifestOf(FileType::kFile, "left behind");
  ASSERT_TRUE(catalog_
                  ->PutContent({.id = left.Id(),
                                .manifest = left,
                                .storage = StorageKind::kInline,
                                .inline_bytes = "left behind"})
                  .ok());
  Manifest resumed = ManifestOf(FileType::kFile, content);
  ASSERT_TRUE(store_->BeginReceive(resumed).ok());
  auto writer = blocks_->NewWriter(FileType::kFile, 5);
  ASSERT_TRUE((*writer)->Append("stray").ok());
  ASSERT_TRUE((*writer)->Finish().ok());

  EXPECT_EQ(*store_->DropUnreferenced(), int64_t{11 + 5});

  EXPECT_TRUE(store_->Find(published).ok());
  EXPECT_TRUE(store_->Find(resumed.Id()).ok());
  EXPECT_FALSE(store_->Find(left.Id()).ok());
  EXPECT_EQ(blocks_->List(), std::vector<FileId>{resumed.Id()});
}

TEST_F(Remove, KeepsWhatAnInterruptedFetchOfADirectoryHas) {
  Manifest here = ManifestOf(FileType::kFile, "here");
  ASSERT_TRUE(store_->ReceiveInline(here, "here").ok());
  Manifest missing = ManifestOf(FileType::kFile, "missing");
  std::string listing = EncodeListing({{.name = "a", .size_bytes = 4, .id = here.Id()},
                                       {.name = "b", .size_bytes = 7, .id = missing.Id()}});
  ASSERT_TRUE(store_->ReceiveInline(ManifestOf(FileType::kDirectory, listing), listing).ok());

  EXPECT_EQ(*store_->DropUnreferenced(), 0);
  EXPECT_TRUE(store_->Find(here.Id()).ok());
}

TEST_F(Remove, KeepsWhatAnUploadHasNotPublishedYet) {
  auto upload = store_->NewUpload();
  std::string content = RandomBytes(kBlockSizeMin);
  ASSERT_TRUE(upload->BeginFile("f", content.size(), false, {}, true).ok());
  ASSERT_TRUE(upload->Append(0, content).ok());
  ASSERT_TRUE(upload->FinishFile().ok());

  EXPECT_EQ(*store_->DropUnreferenced(), 0);
  ASSERT_TRUE(upload->FinishDirectory("top", {}).ok());
  EXPECT_EQ(ReadAll(ManifestOf(FileType::kFile, content).Id()), content);
}

TEST_F(Remove, FindsLeftoversAmongThousands) {
  std::vector<StoredContent> contents;
  for (int i = 0; i < 3000; ++i) {
    std::string content = std::to_string(i);
    contents.push_back({.id = ManifestOf(FileType::kFile, content).Id(),
                        .manifest = ManifestOf(FileType::kFile, content),
                        .storage = StorageKind::kInline,
                        .inline_bytes = content});
  }
  ASSERT_TRUE(catalog_->PutContents(contents).ok());

  // 10 of one digit, 90 of two, 900 of three, 2000 of four.
  EXPECT_EQ(*store_->DropUnreferenced(), 10 + 180 + 2700 + 8000);
}

}  // namespace
}  // namespace panal
