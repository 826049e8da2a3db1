// Where an identity lies on disk, by Identity::LoadOrCreate.
#include "common/identity/key_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/status.h"
#include "common/identity/identity.h"
#include "tests/unit/identity/forged_certificate.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

class KeyFile : public testing::Test {
 protected:
  KeyFile() {
    std::string pattern = testing::TempDir() + "panal_key_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }

  ~KeyFile() override { std::filesystem::remove_all(dir_); }

  std::string path() const { return dir_ + "/peer.key"; }

  void Put(absl::string_view content, mode_t mode) {
    std::ofstream(path()) << content;
    chmod(path().c_str(), mode);
  }

  // What loading gives, which must be an error of this reason.
  std::string Refusal(ErrorReason reason = ErrorReason::kDataDirInvalid) {
    absl::StatusOr<Identity> identity = Identity::LoadOrCreate(dir_);
    EXPECT_EQ(ReasonOf(identity.status()), reason) << identity.status();
    return std::string(identity.status().message());
  }

  std::string dir_;
};

TEST_F(KeyFile, IsMadeAtTheFirstStartAndReadAtTheNext) {
  absl::StatusOr<Identity> first = Identity::LoadOrCreate(dir_);
  ASSERT_TRUE(first.ok()) << first.status();
  absl::StatusOr<Identity> second = Identity::LoadOrCreate(dir_);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->peer_id(), second->peer_id());
}

TEST_F(KeyFile, IsItsOwnersAloneWhateverTheUmask) {
  mode_t before = umask(0);
  ASSERT_TRUE(Identity::LoadOrCreate(dir_).ok());
  umask(before);

  struct stat info;
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(KeyFile, LeavesNothingElseBehind) {
  ASSERT_TRUE(Identity::LoadOrCreate(dir_).ok());
  auto entries = std::filesystem::directory_iterator(dir_);
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST_F(KeyFile, IsRefusedWhenOthersMayReadOrWriteIt) {
  std::string pem = Identity::Generate().key_pem();
  for (mode_t mode : {0640, 0604, 0620, 0602, 0610, 0777}) {
    Put(pem, mode);
    EXPECT_THAT(Refusal(), HasSubstr("chmod 600")) << mode;
  }
  for (mode_t mode : {0600, 0400}) {
    Put(pem, mode);
    EXPECT_TRUE(Identity::LoadOrCreate(dir_).ok()) << mode;
    chmod(path().c_str(), 0600);
  }
}

TEST_F(KeyFile, IsNeverReplacedByANewKeyWhenItIsDamaged) {
  std::string pem = Identity::Generate().key_pem();
  for (const std::string& content : {std::string(), std::string("x"), pem.substr(0, 60)}) {
    Put(content, 0600);
    EXPECT_THAT(Refusal(), HasSubstr(path()));
    std::ifstream file(path());
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), content);
  }
}

TEST_F(KeyFile, IsRefusedWhenItHoldsAnotherKindOfKey) {
  Put(MakeKeyPem("RSA"), 0600);
  EXPECT_THAT(Refusal(), HasSubstr("not an Ed25519 key"));
}

TEST_F(KeyFile, IsReadUpToItsLimitAndNoFurther) {
  std::string pem = Identity::Generate().key_pem();
  pem.resize(16 * 1024, '\n');
  Put(pem, 0600);
  EXPECT_TRUE(Identity::LoadOrCreate(dir_).ok());
  Put(pem + "\n", 0600);
  EXPECT_THAT(Refusal(), HasSubstr("exceeds the limit of 16384"));
}

TEST_F(KeyFile, IsRefusedWhenItIsADirectoryOrAPipe) {
  ASSERT_EQ(mkdir(path().c_str(), 0700), 0);
  EXPECT_THAT(Refusal(), HasSubstr("not a regular file"));
  ASSERT_EQ(rmdir(path().c_str()), 0);
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_THAT(Refusal(), HasSubstr("not a regular file"));
}

TEST_F(KeyFile, IsMadeAnewWhereACrashLeftAHalfWrittenOne) {
  std::ofstream(path() + ".new") << "half";
  EXPECT_TRUE(Identity::LoadOrCreate(dir_).ok());
  EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(KeyFile, DoesNotFollowALinkThatWaitsUnderTheTemporaryName) {
  const std::string victim = dir_ + "/victim";
  std::ofstream(victim) << "precious";
  ASSERT_EQ(symlink(victim.c_str(), (path() + ".new").c_str()), 0);
  EXPECT_TRUE(Identity::LoadOrCreate(dir_).ok());
  EXPECT_EQ(std::filesystem::file_size(victim), 8u);
}

TEST_F(KeyFile, NeedsADirectoryThatExists) {
  absl::StatusOr<Identity> identity = Identity::LoadOrCreate(dir_ + "/missing");
  EXPECT_EQ(ReasonOf(identity.status()), ErrorReason::kDataDirInvalid);
  EXPECT_THAT(std::string(identity.status().message()), HasSubstr("No such file or directory"));
}

// A limit on the size of files stands for a disk that takes no byte.
TEST_F(KeyFile, LeavesNoKeyBehindWhenItCannotBeWritten) {
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit none = {0, before.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  absl::StatusOr<Identity> identity = Identity::LoadOrCreate(dir_);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

  EXPECT_EQ(ReasonOf(identity.status()), ErrorReason::kDataDirInvalid);
  EXPECT_TRUE(std::filesystem::is_empty(dir_));
}

// Exit code of a child that loads from a full file system of its own; 77 where it may not mount
// one.
int LoadFromFullDisk(const std::string& dir) {
  pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("full", dir.c_str(), "tmpfs", 0, "size=4k") != 0) {
      _exit(77);
    }
    std::ofstream(dir + "/filler") << std::string(64 * 1024, 'x');
    ErrorReason reason = ReasonOf(Identity::LoadOrCreate(dir).status());
    _exit(reason == ErrorReason::kStorageFull ? 0 : 1);
  }
  int state = 0;
  waitpid(child, &state, 0);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

TEST_F(KeyFile, SaysThatTheDiskIsFull) {
  int code = LoadFromFullDisk(dir_);
  if (code == 77) GTEST_SKIP() << "may not mount a file system";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace panal
