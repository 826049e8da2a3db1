// How a failing scenario is run again: SCOPED_TRACE(ReplayLine(sim)) in every scenario.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/simulator.h"

namespace panal::sim {
namespace internal {

inline constexpr size_t kReplayLineMax = 512;
inline char replay_line[kReplayLineMax];
inline size_t replay_line_size = 0;

// A broken invariant aborts, and gtest then prints no trace.
inline void PrintReplayLine(int) {
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, replay_line, replay_line_size);
}

}  // namespace internal

inline std::string ReplayLine(const Simulation& sim) {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string line =
      absl::StrCat("replay: PANAL_SEED=", sim.seed(), " GTEST_FILTER='", test->test_suite_name(),
                   ".", test->name(), "' ctest --output-on-failure -L sim");
  const std::string printed = line + "\n";
  internal::replay_line_size = std::min(printed.size(), internal::kReplayLineMax);
  std::copy_n(printed.begin(), internal::replay_line_size, internal::replay_line);
  std::signal(SIGABRT, internal::PrintReplayLine);
  return line;
}

}  // namespace panal::sim
