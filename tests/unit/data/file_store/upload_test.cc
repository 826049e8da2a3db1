#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

class Upload : public FileStoreTest {
 protected:
  void SetUp() override {
    FileStoreTest::SetUp();
    upload_ = store_->NewUpload();
  }

  void TearDown() override {
    upload_.reset();
    FileStoreTest::TearDown();
  }

  absl::StatusOr<AddedFile> Send(const std::string& name, const std::string& content, bool entry,
                                 const Attributes& attributes = {}) {
    PANAL_RETURN_IF_ERROR(upload_->BeginFile(name, content.size(), false, attributes, entry));
    for (size_t at = 0; at < content.size(); at += 100'000) {
      PANAL_RETURN_IF_ERROR(upload_->Append(at, absl::string_view(content).substr(at, 100'000)));
    }
    return upload_->FinishFile();
  }

  std::unique_ptr<FileStore::Upload> upload_;
};

TEST_F(Upload, PublishesAFileWhenItIsFinished) {
  for (size_t size : {size_t{0}, kInlineSizeMax, kInlineSizeMax + 1, size_t{kBlockSizeMin} + 1}) {
    std::string content = RandomBytes(size, size);

    absl::StatusOr<AddedFile> added = Send("f" + std::to_string(size), content, false);

    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_EQ(ReadAll(added->id), content);
  }
  EXPECT_EQ(Names().size(), 4u);
}

TEST_F(Upload, MakesTheSameDirectoryAsAddingIt) {
  Write("top/a", "1");
  Write("top/sub/b", RandomBytes(kInlineSizeMax + 1));
  std::filesystem::create_directory(Path("top/empty"));
  FileId expected = Add(Path("top"))->id;

  ASSERT_TRUE(Send("sub/b", RandomBytes(kInlineSizeMax + 1), true).ok());
  ASSERT_TRUE(Send("a", "1", true).ok());
  ASSERT_TRUE(upload_->AddEmptyDirectory("empty").ok());
  absl::StatusOr<AddedFile> added = upload_->FinishDirectory("uploaded", {{"k", "v"}});

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->id, expected);
  EXPECT_EQ(added->files, 2u);
  EXPECT_EQ(Names().size(), 10u);
}

TEST_F(Upload, LetsTheAttributesOfAFileWinOverThoseOfItsDirectory) {
  ASSERT_TRUE(Send("a", "1", true, {{"k", "file"}}).ok());
  ASSERT_TRUE(upload_->FinishDirectory("top", {{"k", "top"}, {"l", "top"}}).ok());

  EXPECT_EQ(store_->Find(ManifestOf(FileType::kFile, "1").Id())->attributes,
            (Attributes{{"k", "file"}, {"l", "top"}}));
}

TEST_F(Upload, PublishesNothingOfADirectoryThatWasNotFinished) {
  ASSERT_TRUE(Send("a", "1", true).ok());

  upload_.reset();

  EXPECT_TRUE(Names().empty());
  ASSERT_TRUE(store_->DropUnreferenced().ok());
}

TEST_F(Upload, RefusesPartsOutOfOrder) {
  ASSERT_TRUE(upload_->BeginFile("f", 10, false, {}, false).ok());
  ASSERT_TRUE(upload_->Append(0, "01234").ok());

  EXPECT_EQ(ReasonOf(upload_->Append(4, "4")), ErrorReason::kChunkOutOfOrder);
  EXPECT_EQ(ReasonOf(upload_->Append(6, "6")), ErrorReason::kChunkOutOfOrder);
  EXPECT_EQ(ReasonOf(upload_->Append(5, "567890")), ErrorReason::kUploadIncomplete);
  EXPECT_EQ(ReasonOf(upload_->FinishFile().status()), ErrorReason::kUploadIncomplete);
  EXPECT_TRUE(Names().empty());
}

TEST_F(Upload, RefusesMessagesOutOfTurn) {
  EXPECT_EQ(ReasonOf(upload_->Append(0, "x")), ErrorReason::kArgumentInvalid);
  EXPECT_EQ(ReasonOf(upload_->FinishFile().status()), ErrorReason::kArgumentInvalid);
  ASSERT_TRUE(upload_->BeginFile("f", 1, false, {}, true).ok());
  EXPECT_EQ(ReasonOf(upload_->BeginFile("g", 1, false, {}, true)), ErrorReason::kArgumentInvalid);
  EXPECT_EQ(ReasonOf(upload_->FinishDirectory("d", {}).status()), ErrorReason::kArgumentInvalid);
  EXPECT_EQ(ReasonOf(upload_->AddEmptyDirectory("d")), ErrorReason::kArgumentInvalid);
}

TEST_F(Upload, RefusesNamesThatLeaveTheDirectoryOrCollide) {
  ASSERT_TRUE(Send("a/b", "1", true).ok());

  for (const char* name : {"", "/x", "../x", "x/..", "x//y", "a/b", "a/b/c", "a"}) {
    EXPECT_EQ(ReasonOf(Send(name, "2", true).status()), ErrorReason::kFileNameInvalid) << name;
  }
  EXPECT_EQ(ReasonOf(Send("../x", "2", false).status()), ErrorReason::kFileNameInvalid);
}

TEST_F(Upload, RefusesAFileOfMoreThanATebibyte) {
  EXPECT_EQ(ReasonOf(upload_->BeginFile("f", kFileSizeMax + 1, false, {}, false)),
            ErrorReason::kContentTooLarge);
}

}  // namespace
}  // namespace panal
