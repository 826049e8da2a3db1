#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

using PutAndRead = FileStoreTest;

TEST_F(PutAndRead, KeepsAContentUpToTheLimitAndNoneAbove) {
  absl::StatusOr<AddedFile> added = store_->Put("big", RandomBytes(kPutContentSizeMax), {});

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(ReadAll(added->id), RandomBytes(kPutContentSizeMax));
  EXPECT_EQ(ReasonOf(store_->Put("big", RandomBytes(kPutContentSizeMax + 1), {}).status()),
            ErrorReason::kContentTooLarge);
}

TEST_F(PutAndRead, RefusesBadNamesAndAttributes) {
  for (const char* name : {"", "/absolute", "a/../b", "a//b", "\xff"}) {
    EXPECT_EQ(ReasonOf(store_->Put(name, "x", {}).status()), ErrorReason::kFileNameInvalid) << name;
  }
  EXPECT_EQ(ReasonOf(store_->Put("a", "x", {{"size", "1"}}).status()),
            ErrorReason::kAttributeInvalid);
}

TEST_F(PutAndRead, ReadsAnyRange) {
  std::string content = RandomBytes(2 * kBlockSizeMin + 100);
  FileId id = store_->Put("f", content, {})->id;

  EXPECT_EQ(*store_->Read(id, 0, 10), content.substr(0, 10));
  EXPECT_EQ(*store_->Read(id, kBlockSizeMin - 5, 10), content.substr(kBlockSizeMin - 5, 10));
  EXPECT_EQ(*store_->Read(id, content.size() - 3, 100), content.substr(content.size() - 3));
  EXPECT_EQ(*store_->Read(id, content.size(), 1), "");
  EXPECT_EQ(ReasonOf(store_->Read(id, content.size() + 1, 1).status()), ErrorReason::kRangeInvalid);
}

TEST_F(PutAndRead, ReadsAtMostAMebibyteAtOnce) {
  Write("f", RandomBytes(kReadChunkSizeMax + 5));
  FileId id = Add(Path("f"))->id;

  EXPECT_EQ(store_->Read(id, 0, kReadChunkSizeMax + 5)->size(), kReadChunkSizeMax);
}

TEST_F(PutAndRead, ReadsAnEmptyFile) {
  FileId id = store_->Put("empty", "", {})->id;

  EXPECT_EQ(*store_->Read(id, 0, 10), "");
  EXPECT_TRUE(store_->FindHeld(id)->has_inline_content);
  EXPECT_EQ(ReasonOf(store_->ReadBlock(id, 0).status()), ErrorReason::kRangeInvalid);
}

TEST_F(PutAndRead, ResolvesUniquePrefixes) {
  FileId id = store_->Put("a", "a", {})->id;
  std::string text = id.ToText();

  EXPECT_EQ(*store_->Resolve(text), id);
  EXPECT_EQ(*store_->Resolve(text.substr(0, 4)), id);
  EXPECT_EQ(ReasonOf(store_->Resolve(text.substr(0, 3)).status()), ErrorReason::kFileIdInvalid);
  EXPECT_EQ(ReasonOf(store_->Resolve("UPPER").status()), ErrorReason::kFileIdInvalid);
  EXPECT_EQ(ReasonOf(store_->Resolve(text + "a").status()), ErrorReason::kFileIdInvalid);
  std::string other = (text[0] == 'a' ? "b" : "a") + text.substr(1, 7);
  EXPECT_EQ(ReasonOf(store_->Resolve(other).status()), ErrorReason::kFileNotFound);
}

TEST_F(PutAndRead, SaysThatAPrefixNamesSeveral) {
  // Among so many ids some have the first four characters in common (birthdays over 2^20).
  std::map<std::string, FileId> seen;
  for (int i = 0; i < 10'000; ++i) {
    Manifest manifest = ManifestOf(FileType::kFile, std::to_string(i));
    std::string prefix = manifest.Id().ToText().substr(0, 4);
    auto [at, is_new] = seen.emplace(prefix, manifest.Id());
    if (is_new) continue;
    ASSERT_TRUE(store_->ReceiveInline(manifest, std::to_string(i)).ok());
    for (int j = 0; j < i; ++j) {
      Manifest first = ManifestOf(FileType::kFile, std::to_string(j));
      if (first.Id() == at->second) {
        ASSERT_TRUE(store_->ReceiveInline(first, std::to_string(j)).ok());
      }
    }
    EXPECT_EQ(ReasonOf(store_->Resolve(prefix).status()), ErrorReason::kFileAmbiguous);
    return;
  }
  FAIL() << "no two ids with the same prefix";
}

TEST_F(PutAndRead, RefusesToListAFile) {
  FileId id = store_->Put("a", "a", {})->id;

  EXPECT_EQ(ReasonOf(store_->ReadListing(id).status()), ErrorReason::kListingInvalid);
}

TEST_F(PutAndRead, RefusesADirectoryWhoseContentIsNoListing) {
  std::string content = "no listing";
  Manifest manifest = ManifestOf(FileType::kDirectory, content);
  ASSERT_TRUE(store_->ReceiveInline(manifest, content).ok());

  EXPECT_EQ(ReasonOf(store_->ReadListing(manifest.Id()).status()), ErrorReason::kListingInvalid);
}

TEST_F(PutAndRead, ForgetsACorruptBlockAndMarksTheFileIncomplete) {
  std::string content = RandomBytes(2 * kBlockSizeMin);
  FileId id = store_->Put("f", content, {})->id;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ + "/blocks")) {
    std::string name = entry.path().filename();
    if (!entry.is_regular_file() || name.ends_with(".map")) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(kBlockSizeMin + 7).put(static_cast<char>(content[kBlockSizeMin + 7] ^ 1));
  }

  EXPECT_EQ(ReasonOf(store_->ReadBlock(id, 1).status()), ErrorReason::kBlockCorrupt);
  EXPECT_EQ(ReasonOf(store_->Read(id, kBlockSizeMin, 1).status()), ErrorReason::kFileIncomplete);
  EXPECT_FALSE(store_->Find(id)->complete);
  EXPECT_EQ(*catalog_->IncompleteContents(), std::vector<FileId>{id});

  Manifest manifest = ManifestOf(FileType::kFile, content);
  EXPECT_EQ(store_->BeginReceive(manifest)->held, (std::vector<bool>{true, false}));
  ASSERT_TRUE(store_->ReceiveBlock(id, 1, content.substr(kBlockSizeMin)).ok());
  ASSERT_TRUE(store_->CheckpointReceive(id).ok());
  EXPECT_EQ(ReadAll(id), content);
  EXPECT_TRUE(store_->Find(id)->complete);
}

TEST_F(PutAndRead, ReplacesTheContentOfAName) {
  FileId old = store_->Put("f", "old", {})->id;

  FileId id = store_->Put("f", "new", {})->id;

  EXPECT_EQ(Names(), std::vector<std::string>{"f"});
  EXPECT_EQ(ReadAll(id), "new");
  EXPECT_EQ(ReasonOf(store_->Find(old).status()), ErrorReason::kFileNotFound);
}

}  // namespace
}  // namespace panal
