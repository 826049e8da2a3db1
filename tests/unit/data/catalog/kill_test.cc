// A child publishes from several threads and reports each acknowledgement through a pipe; it is
// killed at a random moment, and everything that it reported must be there. Several rounds on one
// database.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "common/base/random.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

constexpr int kRounds = 12;
constexpr int kThreads = 3;
constexpr int kPerThread = 100'000;

std::string NameOf(int number) { return absl::StrCat("file ", number); }

// Never returns: it is killed.
[[noreturn]] void PublishUntilKilled(const CatalogOptions& options, int round,
                                     int acknowledgements) {
  auto catalog = OpenOrDie(options);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      int first = (round * kThreads + thread) * kPerThread;
      for (int number = first; number < first + kPerThread; ++number) {
        PANAL_CHECK(catalog->Publish({MakeFile(NameOf(number), NameOf(number))}).ok());
        PANAL_CHECK(write(acknowledgements, &number, sizeof(number)) == sizeof(number));
        if (number % 8 == 0 && thread == 0) SignDirtyPages(*catalog, Peer("self"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  _exit(0);
}

// Numbers acknowledged by a child that is killed after `enough` of them.
std::vector<int> RunAndKill(const CatalogOptions& options, int round, size_t enough) {
  int pipe_ends[2];
  PANAL_CHECK(pipe(pipe_ends) == 0);
  pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[0]);
    PublishUntilKilled(options, round, pipe_ends[1]);
  }
  close(pipe_ends[1]);
  std::vector<int> acknowledged;
  int number = 0;
  bool killed = false;
  // What was written to the pipe before the kill counts too.
  while (read(pipe_ends[0], &number, sizeof(number)) == sizeof(number)) {
    acknowledged.push_back(number);
    if (!killed && acknowledged.size() >= enough) {
      kill(child, SIGKILL);
      killed = true;
    }
  }
  close(pipe_ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  PANAL_CHECK(WIFSIGNALED(status));
  return acknowledged;
}

TEST(Catalog, KeepsWhatItAcknowledgedWhenItIsKilled) {
  TempDir dir;
  Random random(20);
  std::vector<int> acknowledged;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<int> added = RunAndKill(OptionsIn(dir), round, 1 + random.Below(120));
    acknowledged.insert(acknowledged.end(), added.begin(), added.end());

    auto catalog = OpenOrDie(OptionsIn(dir));
    ASSERT_TRUE(catalog->CheckIntegrity().ok()) << catalog->CheckIntegrity();
    for (int number : acknowledged) {
      ASSERT_TRUE(*catalog->IsPublished(File(NameOf(number)))) << number;
    }
  }
  EXPECT_GT(acknowledged.size(), static_cast<size_t>(kRounds));
}

}  // namespace
}  // namespace panal::catalog_test
