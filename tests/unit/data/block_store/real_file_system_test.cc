#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "common/base/status.h"
#include "server/data/block_store/file_system.h"

namespace panal {
namespace {

class RealFileSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/panal_fs_XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
  }

  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  FileSystem& fs_ = RealFileSystem();
  std::string folder_;
};

TEST_F(RealFileSystemTest, ReadsWhatItWrote) {
  auto file = fs_.OpenForWrite(Path("a"));
  ASSERT_TRUE(file.ok()) << file.status();

  ASSERT_TRUE((*file)->WriteAt(3, "bytes").ok());
  ASSERT_TRUE((*file)->Sync().ok());

  EXPECT_EQ(*(*file)->Size(), 8u);
  EXPECT_EQ(*(*file)->ReadAt(3, 100), "bytes");
  EXPECT_EQ(*(*file)->ReadAt(100, 1), "");
  ASSERT_TRUE((*file)->Truncate(4).ok());
  EXPECT_EQ(*(*fs_.OpenForRead(Path("a")))->ReadAt(0, 100), std::string("\0\0\0b", 4));
}

TEST_F(RealFileSystemTest, LetsNobodyElseReadWhatItMakes) {
  ASSERT_TRUE(fs_.MakeDirs(Path("x/y")).ok());
  ASSERT_TRUE(fs_.OpenForWrite(Path("x/y/f")).ok());

  struct stat status;
  ASSERT_EQ(stat(Path("x").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(Path("x/y/f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(RealFileSystemTest, ListsRenamesAndRemoves) {
  for (const char* name : {"b", "a", "c"}) ASSERT_TRUE(fs_.OpenForWrite(Path(name)).ok());

  ASSERT_TRUE(fs_.Rename(Path("a"), Path("z")).ok());
  ASSERT_TRUE(fs_.Remove(Path("b")).ok());
  ASSERT_TRUE(fs_.SyncDir(folder_).ok());

  EXPECT_EQ(*fs_.ListDir(folder_), (std::vector<std::string>{"c", "z"}));
  EXPECT_TRUE(fs_.ListDir(Path("missing"))->empty());
  EXPECT_TRUE(fs_.Exists(Path("z")));
  EXPECT_FALSE(fs_.Exists(Path("a")));
  EXPECT_GT(*fs_.FreeBytes(folder_), 0);
}

TEST_F(RealFileSystemTest, SaysWhatFailedAndWhere) {
  absl::Status missing = fs_.OpenForRead(Path("missing")).status();
  EXPECT_EQ(ReasonOf(missing), ErrorReason::kPathNotFound);
  EXPECT_EQ(MetadataOf(missing)["path"], Path("missing"));
  EXPECT_EQ(ReasonOf(fs_.Remove(Path("missing"))), ErrorReason::kPathNotFound);
  EXPECT_EQ(ReasonOf(fs_.Rename(Path("missing"), Path("b"))), ErrorReason::kPathNotFound);
  EXPECT_EQ(ReasonOf(fs_.SyncDir(Path("missing"))), ErrorReason::kPathNotFound);
  EXPECT_EQ(ReasonOf(fs_.MakeDirs("/proc/none")), ErrorReason::kPathNotFound);

  auto full = fs_.OpenForWrite("/dev/full");
  if (full.ok()) {
    EXPECT_EQ(ReasonOf((*full)->WriteAt(0, "x")), ErrorReason::kStorageFull);
  }
}

TEST_F(RealFileSystemTest, SaysThatAFileMayNotBeRead) {
  ASSERT_TRUE(fs_.OpenForWrite(Path("secret")).ok());
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && seteuid(65534) != 0) _exit(77);
    if (geteuid() != 65534) chmod(Path("secret").c_str(), 0);
    _exit(ReasonOf(fs_.OpenForRead(Path("secret")).status()) == ErrorReason::kFileUnreadable ? 0
                                                                                             : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "privileges cannot be dropped here";

  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace panal
