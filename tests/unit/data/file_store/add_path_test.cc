#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

using AddPath = FileStoreTest;

TEST_F(AddPath, AddsOneFileUnderItsOwnName) {
  Write("a b.txt", "hello");

  absl::StatusOr<AddedFile> added = Add(Path("a b.txt"), false, {{"k", "v"}});

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->name, "a b.txt");
  EXPECT_EQ(added->size_bytes, 5u);
  EXPECT_EQ(added->files, 1u);
  EXPECT_EQ(added->id, ManifestOf(FileType::kFile, "hello").Id());
  EXPECT_EQ(ReadAll(added->id), "hello");
  absl::StatusOr<FileDetails> details = store_->Find(added->id);
  EXPECT_EQ(details->attributes, (Attributes{{"k", "v"}}));
  EXPECT_EQ(details->storage, StorageKind::kInline);
}

TEST_F(AddPath, AddsFilesOfEverySizeAroundALimit) {
  for (size_t size :
       {size_t{0}, size_t{1}, kInlineSizeMax, kInlineSizeMax + 1, size_t{kBlockSizeMin} - 1,
        size_t{kBlockSizeMin}, size_t{kBlockSizeMin} + 1, size_t{5} * kBlockSizeMin}) {
    std::string content = RandomBytes(size, size);
    Write("f", content);

    absl::StatusOr<AddedFile> added = Add(Path("f"));

    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_EQ(ReadAll(added->id), content);
    EXPECT_EQ(store_->Find(added->id)->storage,
              size <= kInlineSizeMax ? StorageKind::kInline : StorageKind::kStored);
  }
}

TEST_F(AddPath, PublishesADirectoryAndEverythingInIt) {
  Write("top/one", "1");
  Write("top/sub/two", "22");
  Write("top/sub/deep/three", RandomBytes(kInlineSizeMax + 1));
  std::filesystem::create_directory(Path("top/empty"));
  std::filesystem::permissions(Path("top/one"), std::filesystem::perms::owner_all);

  absl::StatusOr<AddedFile> added = Add(Path("top"), false, {{"k", "v"}});

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->type, FileType::kDirectory);
  EXPECT_EQ(added->files, 3u);
  EXPECT_EQ(added->size_bytes, 3u + kInlineSizeMax + 1);
  EXPECT_EQ(Names(),
            (std::vector<std::string>{"top", "top/empty", "top/one", "top/sub", "top/sub/deep",
                                      "top/sub/deep/three", "top/sub/two"}));
  absl::StatusOr<std::vector<ListingEntry>> entries = store_->ReadListing(added->id);
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].name, "empty");
  EXPECT_TRUE((*entries)[1].executable);
  EXPECT_EQ(*store_->ReadListing((*entries)[0].id), std::vector<ListingEntry>());
  EXPECT_EQ(store_->Find((*entries)[1].id)->attributes, (Attributes{{"k", "v"}}));
  EXPECT_EQ(store_->Find(added->id)->total_bytes, added->size_bytes);
}

TEST_F(AddPath, GivesEqualTreesTheSameId) {
  for (const char* top : {"a", "b"}) {
    Write(std::string(top) + "/x/y", "1");
    Write(std::string(top) + "/z", "2");
  }

  EXPECT_EQ(Add(Path("a"))->id, Add(Path("b"))->id);
}

TEST_F(AddPath, TakesAnyNameThatAFileSystemAllows) {
  for (const char* name : {"with space", "new\nline", "\xc3\xa9t\xc3\xa9", "bad\xff", "100%"}) {
    Write(std::string("top/") + name, name);
  }

  absl::StatusOr<AddedFile> added = Add(Path("top"));

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(Names(), (std::vector<std::string>{"top", "top/100%", "top/bad%FF", "top/new\nline",
                                               "top/with space", "top/\xc3\xa9t\xc3\xa9"}));
  absl::StatusOr<std::vector<ListingEntry>> entries = store_->ReadListing(added->id);
  EXPECT_EQ((*entries)[1].name, "bad\xff");
}

TEST_F(AddPath, RefusesWhatLiesOutsideTheRoots) {
  std::ofstream(folder_ + "/secret") << "secret";
  std::filesystem::create_symlink(folder_ + "/secret", Path("link"));

  for (const std::string& path : {folder_ + "/secret", root_ + "/../secret", Path("link"),
                                  folder_ + "/missing", std::string("/etc/passwd"), root_ + "x"}) {
    EXPECT_EQ(ReasonOf(Add(path).status()), ErrorReason::kPathOutsideRoots) << path;
  }
  EXPECT_EQ(ReasonOf(Add(Path("missing")).status()), ErrorReason::kPathNotFound);
  EXPECT_EQ(ReasonOf(Add(Path("no/such/folder")).status()), ErrorReason::kPathNotFound);
  EXPECT_EQ(ReasonOf(Add("relative").status()), ErrorReason::kPathNotFound);
  EXPECT_EQ(ReasonOf(store_->AddPath(root_, "", {}, false, {}, nullptr).status()),
            ErrorReason::kPathOutsideRoots);
  EXPECT_TRUE(Names().empty());
}

TEST_F(AddPath, NeverSharesADataDirectory) {
  Write("top/plain", "1");
  Write("top/peer/peer.key", "secret");
  Write("top/kept/mesh-root.key", "secret");
  Write("top/peer/blocks/one", "2");
  std::filesystem::create_symlink(Path("top/peer/blocks/one"), Path("top/link"));

  for (const char* path :
       {"top/peer", "top/peer/peer.key", "top/peer/blocks", "top/peer/blocks/one", "top/kept"}) {
    for (const bool in_place : {false, true}) {
      EXPECT_EQ(ReasonOf(Add(Path(path), in_place).status()), ErrorReason::kPathOutsideRoots)
          << path;
    }
  }
  absl::StatusOr<AddedFile> added = Add(Path("top"));
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(Names(), (std::vector<std::string>{"top", "top/plain"}));
  EXPECT_EQ(added->skipped.size(), 3u);
}

TEST_F(AddPath, FollowsLinksToFilesWithinTheRootOnly) {
  Write("elsewhere/file", "linked");
  Write("top/plain", "1");
  std::ofstream(folder_ + "/secret") << "secret";
  std::filesystem::create_symlink("../elsewhere/file", Path("top/relative"));
  std::filesystem::create_symlink(Path("elsewhere/file"), Path("top/absolute"));
  std::filesystem::create_symlink(folder_ + "/secret", Path("top/outside"));
  std::filesystem::create_symlink(Path("elsewhere"), Path("top/folder"));
  std::filesystem::create_symlink("nowhere", Path("top/dangling"));
  std::filesystem::create_symlink("loop", Path("top/loop"));

  absl::StatusOr<AddedFile> added = Add(Path("top"));

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(Names(),
            (std::vector<std::string>{"top", "top/absolute", "top/plain", "top/relative"}));
  EXPECT_EQ(added->skipped.size(), 4u);
}

TEST_F(AddPath, SkipsAndReportsWhatIsNoFile) {
  Write("top/file", "1");
  ASSERT_EQ(mkfifo(Path("top/pipe").c_str(), 0600), 0);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", Path("top/socket").c_str());
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(fd);

  absl::StatusOr<AddedFile> added = Add(Path("top"));

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->files, 1u);
  EXPECT_EQ(added->skipped.size(), 2u);
  EXPECT_EQ(ReasonOf(Add(Path("top/pipe")).status()), ErrorReason::kFileUnreadable);
}

TEST_F(AddPath, NamesAtMostAHundredOfWhatItSkipped) {
  Write("top/file", "1");
  for (size_t i = 0; i <= kSkippedReportMax; ++i) {
    std::filesystem::create_symlink("nowhere", Path("top/l" + std::to_string(i)));
  }

  EXPECT_EQ(Add(Path("top"))->skipped.size(), kSkippedReportMax);
}

TEST_F(AddPath, RefusesAFileThatChangesWhileItIsRead) {
  for (size_t size : {size_t{10}, kInlineSizeMax + 1, size_t{3} * 1024 * 1024}) {
    for (bool in_place : {false, true}) {
      Write("top/other", "1");
      Write("top/file", RandomBytes(size));
      // Long enough ago that any change moves it.
      std::filesystem::last_write_time(
          Path("top/file"), std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
      source_.after_read = [&] { std::ofstream(Path("top/file"), std::ios::app) << "x"; };
      for (const char* path : {"top/file", "top"}) {
        EXPECT_EQ(ReasonOf(Add(Path(path), in_place).status()), ErrorReason::kFileChanged);
      }
      source_.after_read = nullptr;
    }
  }
  EXPECT_TRUE(Names().empty());
}

TEST_F(AddPath, RefusesAFileThatShrinksWhileItIsRead) {
  Write("file", RandomBytes(3 * 1024 * 1024));
  source_.after_read = [&] { std::filesystem::resize_file(Path("file"), 100); };

  EXPECT_EQ(ReasonOf(Add(Path("file")).status()), ErrorReason::kFileChanged);
  EXPECT_EQ(blocks_->stored_bytes(), 0);
}

TEST_F(AddPath, LeavesOutWhatVanishesMeanwhile) {
  Write("top/a", "1");
  Write("top/b", "2");
  source_.after_read = [&] { std::filesystem::remove(Path("top/b")); };

  absl::StatusOr<AddedFile> added = Add(Path("top"));

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->files, 1u);
  EXPECT_EQ(added->skipped.size(), 1u);
}

TEST_F(AddPath, SaysWhichFileMayNotBeRead) {
  Write("top/a", "1");
  Write("top/secret", "2");
  std::filesystem::permissions(Path("top/secret"), std::filesystem::perms::none);
  std::filesystem::permissions(folder_, std::filesystem::perms::all);
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && seteuid(65534) != 0) _exit(77);
    auto folder = RealSourceFiles().Open(root_, "top");
    if (!folder.ok()) _exit(2);
    absl::Status status = (*folder)->OpenEntry("secret").status();
    _exit(ReasonOf(status) == ErrorReason::kFileUnreadable &&
                  MetadataOf(status)["path"] == Path("top/secret")
              ? 0
              : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "privileges cannot be dropped here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(AddPath, PublishesNothingWhenItIsCancelled) {
  for (int i = 0; i < 10; ++i) Write("top/f" + std::to_string(i), std::to_string(i));
  int asked = 0;

  absl::StatusOr<AddedFile> added =
      store_->AddPath(Path("top"), "", {}, false, {root_}, [&] { return ++asked == 5; });

  EXPECT_EQ(ReasonOf(added.status()), ErrorReason::kCancelled);
  EXPECT_TRUE(Names().empty());
}

TEST_F(AddPath, GoesDownSixtyFourFoldersAndNoFurther) {
  std::string path = "top";
  for (int depth = 1; depth < kDirectoryDepthMax; ++depth) path += "/d";
  Write(path + "/file", "1");
  EXPECT_TRUE(Add(Path("top")).ok());

  std::filesystem::create_directory(Path(path + "/d"));

  EXPECT_EQ(ReasonOf(Add(Path("top")).status()), ErrorReason::kFileNameInvalid);
}

TEST_F(AddPath, ReplacesWhatTheNameWasPublishedForBefore) {
  Write("top/old", "old");
  Write("top/same", "same");
  ASSERT_TRUE(Add(Path("top")).ok());
  std::filesystem::remove(Path("top/old"));
  Write("top/new", "new");

  ASSERT_TRUE(Add(Path("top")).ok());

  EXPECT_EQ(Names(), (std::vector<std::string>{"top", "top/new", "top/same"}));
  EXPECT_EQ(ReasonOf(store_->Find(ManifestOf(FileType::kFile, "old").Id()).status()),
            ErrorReason::kFileNotFound);
  EXPECT_EQ(ReadAll(ManifestOf(FileType::kFile, "same").Id()), "same");
}

TEST_F(AddPath, ReplacesTheEntriesOfADirectoryThatHasASecondName) {
  Write("top/old", "old");
  ASSERT_TRUE(Add(Path("top")).ok());
  FileId first = Add(Path("top"), false, {}, "second")->id;
  std::filesystem::remove(Path("top/old"));
  Write("top/new", "new");

  ASSERT_TRUE(Add(Path("top")).ok());

  EXPECT_EQ(Names(), (std::vector<std::string>{"second", "second/old", "top", "top/new"}));
  EXPECT_EQ(store_->Find(first)->name, "second");
  EXPECT_EQ(ReadAll(ManifestOf(FileType::kFile, "old").Id()), "old");
}

TEST_F(AddPath, IsThereAfterARestart) {
  Write("top/file", RandomBytes(kInlineSizeMax + 1));
  FileId id = Add(Path("top"))->id;

  CloseAll();
  OpenAll();

  EXPECT_EQ(store_->Find(id)->name, "top");
  EXPECT_EQ(Names(), (std::vector<std::string>{"top", "top/file"}));
}

TEST_F(AddPath, RefusesNamesAndAttributesOutOfTheirLimits) {
  Write("f", "1");

  EXPECT_EQ(ReasonOf(Add(Path("f"), false, {}, "../f").status()), ErrorReason::kFileNameInvalid);
  EXPECT_EQ(ReasonOf(Add(Path("f"), false, {{"BAD KEY", ""}}).status()),
            ErrorReason::kAttributeInvalid);
}

}  // namespace
}  // namespace panal
