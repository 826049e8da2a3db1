// How a failing scenario is run again: SCOPED_TRACE(ReplayLine(sim)) in every scenario.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/simulator.h"

namespace panal::sim {

inline std::string ReplayLine(const Simulation& sim) {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  return absl::StrCat("replay: PANAL_SEED=", sim.seed(), " GTEST_FILTER='", test->test_suite_name(),
                      ".", test->name(), "' ctest --output-on-failure -L sim");
}

}  // namespace panal::sim
