// kill -9 of a process that receives blocks: the next one finds every block that was acknowledged.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/block_store_testing.h"

namespace panal {
namespace {

// Receives `content` from its first missing block on and says each one that was written.
[[noreturn]] void Receive(const std::string& dir, const Content& content, int out) {
  auto store = BlockStore::Open({.dir = dir}, RealFileSystem());
  if (!store.ok() || !(*store)->Create(content.manifest).ok()) _exit(1);
  std::vector<bool> held = (*store)->Find(content.id)->held;
  for (uint32_t i = 0; i < held.size(); ++i) {
    if (held[i]) continue;
    if (!(*store)->WriteBlock(content.id, i, content.Block(i)).ok()) _exit(1);
    char said = static_cast<char>(i);
    if (write(out, &said, 1) != 1) _exit(1);
    if (i % 4 == 3 && !(*store)->Checkpoint(content.id).ok()) _exit(1);
  }
  _exit((*store)->Checkpoint(content.id).ok() ? 0 : 1);
}

TEST(Kill, ResumesWithEveryBlockThatWasAcknowledged) {
  char folder[] = "/tmp/panal_kill_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  Content content = Content::Of(40 * kBlockSizeMin + 1);
  std::set<uint32_t> acknowledged;
  for (size_t after : {1, 6, 11}) {
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
      close(pipes[0]);
      Receive(folder, content, pipes[1]);
    }
    close(pipes[1]);
    char said;
    for (size_t i = 0; i < after && read(pipes[0], &said, 1) == 1; ++i) {
      acknowledged.insert(static_cast<uint32_t>(said));
    }
    kill(child, SIGKILL);
    while (read(pipes[0], &said, 1) == 1) acknowledged.insert(static_cast<uint32_t>(said));
    close(pipes[0]);
    waitpid(child, nullptr, 0);

    auto store = BlockStore::Open({.dir = folder}, RealFileSystem());
    ASSERT_TRUE(store.ok()) << store.status();
    std::vector<bool> held = (*store)->Find(content.id)->held;
    for (uint32_t i : acknowledged) EXPECT_TRUE(held[i]) << i;
  }

  pid_t child = fork();
  if (child == 0) Receive(folder, content, open("/dev/null", O_WRONLY));
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  auto store = BlockStore::Open({.dir = folder}, RealFileSystem());
  EXPECT_TRUE((*store)->Find(content.id)->complete);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace panal
