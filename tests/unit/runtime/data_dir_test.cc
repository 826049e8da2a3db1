#include "server/runtime/data_dir.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal {
namespace {

using catalog_test::TempDir;

std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void WriteText(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(DataDir, MakesTheFolderForItsOwnerOnly) {
  TempDir temp;
  std::string path = temp.path() + "/deep/data";

  auto opened = DataDir::Open(path);

  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->path(), path);
  EXPECT_EQ((*opened)->CatalogPath(), path + "/catalog.db");
  EXPECT_EQ((*opened)->BlocksPath(), path + "/blocks");
  EXPECT_EQ(ReadText(path + "/format"), "1\n");
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST(DataDir, OpensAgainAfterItWasClosed) {
  TempDir temp;
  ASSERT_TRUE(DataDir::Open(temp.path()).ok());
  EXPECT_TRUE(DataDir::Open(temp.path()).ok());
}

TEST(DataDir, RefusesASecondOpenInTheSameProcess) {
  TempDir temp;
  auto first = DataDir::Open(temp.path());
  ASSERT_TRUE(first.ok());

  EXPECT_EQ(ReasonOf(DataDir::Open(temp.path()).status()), ErrorReason::kDataDirLocked);
}

TEST(DataDir, NamesTheProcessThatHoldsItAndIsFreeOnceThatIsKilled) {
  TempDir temp;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  pid_t holder = fork();
  if (holder == 0) {
    auto held = DataDir::Open(temp.path());
    char answer = held.ok() ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    while (true) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');

  absl::Status refused = DataDir::Open(temp.path()).status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kDataDirLocked);
  EXPECT_EQ(MetadataOf(refused)["process"], std::to_string(holder));
  EXPECT_NE(refused.message().find(std::to_string(holder)), std::string::npos) << refused;

  kill(holder, SIGKILL);
  ASSERT_EQ(waitpid(holder, nullptr, 0), holder);
  EXPECT_TRUE(DataDir::Open(temp.path()).ok());
  close(ready[0]);
  close(ready[1]);
}

TEST(DataDir, RefusesANewerFormatAndTouchesNothing) {
  TempDir temp;
  WriteText(temp.path() + "/format", "2\n");

  absl::Status refused = DataDir::Open(temp.path()).status();

  EXPECT_EQ(ReasonOf(refused), ErrorReason::kDataDirTooNew);
  EXPECT_EQ(MetadataOf(refused)["format"], "2");
  EXPECT_EQ(ReadText(temp.path() + "/format"), "2\n");
  // The lock went with the error.
  WriteText(temp.path() + "/format", "1\n");
  EXPECT_TRUE(DataDir::Open(temp.path()).ok());
}

TEST(DataDir, RefusesAFormatThatIsNone) {
  for (const char* text :
       {"", "\n", "x\n", "0\n", "-1\n", "1 2\n", "99999999999999999999999999\n"}) {
    TempDir temp;
    WriteText(temp.path() + "/format", text);
    EXPECT_EQ(ReasonOf(DataDir::Open(temp.path()).status()), ErrorReason::kDataDirInvalid) << text;
  }
}

TEST(DataDir, RefusesPathsThatCannotBeFolders) {
  TempDir temp;
  WriteText(temp.path() + "/file", "");
  EXPECT_EQ(ReasonOf(DataDir::Open("").status()), ErrorReason::kDataDirInvalid);
  EXPECT_EQ(ReasonOf(DataDir::Open(temp.path() + "/file").status()), ErrorReason::kDataDirInvalid);
  EXPECT_EQ(ReasonOf(DataDir::Open(temp.path() + "/file/below").status()),
            ErrorReason::kDataDirInvalid);
  EXPECT_EQ(ReasonOf(DataDir::Open("/proc/panal").status()), ErrorReason::kDataDirInvalid);
}

TEST(DataDir, RefusesAFolderThatMayNotBeWritten) {
  TempDir temp;
  // Whoever owns the folder, another user may read it and not write it.
  ASSERT_EQ(chmod(temp.path().c_str(), 0555), 0);
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && seteuid(65534) != 0) _exit(77);
    _exit(ReasonOf(DataDir::Open(temp.path()).status()) == ErrorReason::kDataDirInvalid ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "privileges cannot be dropped here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(DefaultDataDir, FollowsTheUserAndTheEnvironment) {
  if (geteuid() == 0) {
    EXPECT_EQ(DefaultDataDir(), "/var/lib/panal");
    return;
  }
  setenv("XDG_DATA_HOME", "/x", 1);
  EXPECT_EQ(DefaultDataDir(), "/x/panal");
  unsetenv("XDG_DATA_HOME");
  setenv("HOME", "/home/u", 1);
  EXPECT_EQ(DefaultDataDir(), "/home/u/.local/share/panal");
}

}  // namespace
}  // namespace panal
