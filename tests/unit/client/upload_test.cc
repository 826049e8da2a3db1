// A file that changes between its first and its last byte must not be shared as if it were one
// file.
#include "client/cli/upload.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/status.h"

namespace panal::cli {
namespace {

namespace fs = std::filesystem;

// More than one part of an upload.
constexpr size_t kSize = 2 * 1024 * 1024;

class UploadTest : public testing::Test {
 protected:
  UploadTest() {
    std::string pattern = (fs::temp_directory_path() / "panal-upload-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = (folder_ / "file").string();
    std::ofstream(path_) << std::string(kSize, 'a');
  }

  ~UploadTest() override { fs::remove_all(folder_); }

  // The item, with its first part read.
  UploadItem Begun() {
    auto item = FileItem(path_, "name");
    EXPECT_TRUE(item.ok()) << item.status();
    EXPECT_EQ(item->size_bytes, static_cast<int64_t>(kSize));
    auto part = item->bytes();
    EXPECT_TRUE(part.ok() && !part->empty() && part->size() < kSize);
    return *std::move(item);
  }

  // Reads on to the end: the bytes, or the error.
  static absl::StatusOr<size_t> Rest(const UploadItem& item) {
    size_t size = 0;
    for (;;) {
      auto part = item.bytes();
      if (!part.ok()) return part.status();
      if (part->empty()) return size;
      size += part->size();
    }
  }

  void SetMtime(time_t seconds) {
    timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    ASSERT_EQ(utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  }

  fs::path folder_;
  std::string path_;
};

TEST_F(UploadTest, RefusesAPipeWithoutWaitingForItsWriter) {
  std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);

  EXPECT_EQ(ReasonOf(FileItem(pipe, "name").status()), ErrorReason::kFileUnreadable);
}

TEST_F(UploadTest, ReadsAFileThatRests) {
  auto item = FileItem(path_, "name");
  ASSERT_TRUE(item.ok()) << item.status();

  auto size = Rest(*item);

  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_EQ(*size, kSize);
}

TEST_F(UploadTest, RefusesAFileThatGrew) {
  UploadItem item = Begun();
  std::ofstream(path_, std::ios::app) << 'b';

  EXPECT_EQ(ReasonNameOf(Rest(item).status()), "FILE_CHANGED");
}

TEST_F(UploadTest, RefusesAFileThatWasCutShort) {
  UploadItem item = Begun();
  ASSERT_EQ(truncate(path_.c_str(), kSize - 1), 0);

  EXPECT_EQ(ReasonNameOf(Rest(item).status()), "FILE_CHANGED");
}

TEST_F(UploadTest, RefusesAFileOfTheSameSizeThatWasWrittenLater) {
  SetMtime(1000);
  UploadItem item = Begun();
  std::fstream(path_, std::ios::in | std::ios::out) << "other";

  absl::Status status = Rest(item).status();
  EXPECT_EQ(ReasonNameOf(status), "FILE_CHANGED");
  EXPECT_NE(status.message().find(path_), std::string::npos) << status;
}

TEST_F(UploadTest, RefusesAFileThatSaysAnotherTime) {
  SetMtime(1000);
  UploadItem item = Begun();
  SetMtime(1001);

  EXPECT_EQ(ReasonNameOf(Rest(item).status()), "FILE_CHANGED");
}

TEST_F(UploadTest, LeavesDataDirectoriesOut) {
  fs::create_directory(folder_ / "peer");
  std::ofstream(folder_ / "peer" / "peer.key") << "secret";

  const auto scan = ScanFolder(folder_.string());
  const auto refused = ScanFolder((folder_ / "peer").string());

  ASSERT_TRUE(scan.ok()) << scan.status();
  ASSERT_EQ(scan->entries.size(), 1u);
  EXPECT_EQ(scan->entries[0].name, "file");
  EXPECT_EQ(scan->skipped, std::vector<std::string>{"peer: is a peer's data directory"});
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kFileUnreadable);
}

}  // namespace
}  // namespace panal::cli
