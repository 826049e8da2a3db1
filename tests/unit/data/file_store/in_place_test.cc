#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

class InPlace : public FileStoreTest {
 protected:
  // Makes the file old enough that its time tells every change.
  void WriteOld(const std::string& name, const std::string& content) {
    Write(name, content);
    Touch(name, std::chrono::hours(1));
  }

  void Touch(const std::string& name, std::chrono::seconds ago) {
    std::filesystem::last_write_time(Path(name),
                                     std::filesystem::file_time_type::clock::now() - ago);
  }
};

TEST_F(InPlace, CopiesNothingAndServesTheBytes) {
  std::string content = RandomBytes(3 * kBlockSizeMin + 1);
  WriteOld("file", content);

  absl::StatusOr<AddedFile> added = Add(Path("file"), true);

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(blocks_->stored_bytes(), 0);
  EXPECT_EQ(store_->Find(added->id)->storage, StorageKind::kInPlace);
  EXPECT_EQ(store_->Find(added->id)->path, Path("file"));
  EXPECT_EQ(ReadAll(added->id), content);
  EXPECT_EQ(*store_->ReadBlock(added->id, 3), content.substr(3 * kBlockSizeMin));
  EXPECT_TRUE(store_->FindHeld(added->id)->held.empty());
}

TEST_F(InPlace, RefusesTheBlocksThatChangedAndServesTheOthers) {
  std::string content = RandomBytes(3 * kBlockSizeMin);
  WriteOld("file", content);
  FileId id = Add(Path("file"), true)->id;
  std::string changed = content;
  changed[kBlockSizeMin] = static_cast<char>(changed[kBlockSizeMin] ^ 1);
  WriteOld("file", changed);
  Touch("file", std::chrono::minutes(1));

  EXPECT_TRUE(store_->ReadBlock(id, 0).ok());
  EXPECT_EQ(ReasonOf(store_->ReadBlock(id, 1).status()), ErrorReason::kFileChanged);
  EXPECT_TRUE(store_->ReadBlock(id, 2).ok());
  EXPECT_EQ(ReasonOf(store_->Read(id, kBlockSizeMin, 10).status()), ErrorReason::kFileChanged);
}

TEST_F(InPlace, ServesAFileWhoseTimeAloneChanged) {
  WriteOld("file", "hello");
  FileId id = Add(Path("file"), true)->id;
  Touch("file", std::chrono::minutes(1));

  EXPECT_EQ(ReadAll(id), "hello");
}

TEST_F(InPlace, RefusesAFileThatShrankOrIsGone) {
  WriteOld("file", RandomBytes(2 * kBlockSizeMin));
  FileId id = Add(Path("file"), true)->id;

  std::filesystem::resize_file(Path("file"), kBlockSizeMin + 5);
  EXPECT_EQ(ReasonOf(store_->ReadBlock(id, 1).status()), ErrorReason::kFileChanged);
  std::filesystem::remove(Path("file"));
  EXPECT_EQ(ReasonOf(store_->ReadBlock(id, 0).status()), ErrorReason::kFileChanged);
}

TEST_F(InPlace, DoesNotFollowALinkThatTookTheFilesPlace) {
  WriteOld("file", "hello");
  FileId id = Add(Path("file"), true)->id;
  std::filesystem::rename(Path("file"), folder_ + "/moved");
  std::filesystem::create_symlink(folder_ + "/moved", Path("file"));

  EXPECT_EQ(ReasonOf(store_->ReadBlock(id, 0).status()), ErrorReason::kFileChanged);
}

TEST_F(InPlace, NoticesAChangeWithinTheSameTickOfTheClock) {
  Write("file", "hello");  // Just now: its time may not move with the next change.
  FileId id = Add(Path("file"), true)->id;
  auto time = std::filesystem::last_write_time(Path("file"));
  Write("file", "HELLO");
  std::filesystem::last_write_time(Path("file"), time);

  EXPECT_EQ(ReasonOf(store_->ReadBlock(id, 0).status()), ErrorReason::kFileChanged);
}

TEST_F(InPlace, DoesNotGiveUpACopyThatIsKept) {
  WriteOld("file", "hello");
  FileId id = Add(Path("file"))->id;

  ASSERT_TRUE(Add(Path("file"), true).ok());

  EXPECT_EQ(store_->Find(id)->storage, StorageKind::kInline);
}

TEST_F(InPlace, IsReceivedAnewOnlyWhenItChanged) {
  std::string content = RandomBytes(kBlockSizeMin + 1);
  WriteOld("file", content);
  FileId id = Add(Path("file"), true)->id;
  Manifest manifest = ManifestOf(FileType::kFile, content);

  EXPECT_TRUE(store_->BeginReceive(manifest)->held.empty());
  EXPECT_EQ(store_->Find(id)->storage, StorageKind::kInPlace);

  std::filesystem::remove(Path("file"));
  EXPECT_EQ(store_->BeginReceive(manifest)->held, (std::vector<bool>{false, false}));
  EXPECT_EQ(store_->Find(id)->storage, StorageKind::kStored);
}

TEST_F(InPlace, LeavesTheFileWhenItIsRemoved) {
  WriteOld("file", "hello");
  FileId id = Add(Path("file"), true)->id;

  ASSERT_TRUE(store_->Remove(id).ok());

  EXPECT_TRUE(std::filesystem::exists(Path("file")));
}

}  // namespace
}  // namespace panal
