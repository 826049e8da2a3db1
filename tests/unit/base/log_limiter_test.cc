#include "common/base/log_limiter.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace panal {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

// Lines of `event` that pass out of `tries` at `now`.
int Passed(LogLimiter& limiter, absl::string_view event, absl::Time now, int tries) {
  int passed = 0;
  for (int i = 0; i < tries; ++i) passed += limiter.Admit(event, now).has_value() ? 1 : 0;
  return passed;
}

TEST(LogLimiter, PassesLinesUpToTheLimitAndNoneBeyond) {
  LogLimiter limiter;
  EXPECT_EQ(Passed(limiter, "flood", kStart, kLogLinesPerWindowMax), kLogLinesPerWindowMax);
  EXPECT_EQ(Passed(limiter, "flood", kStart, 1), 0);
}

TEST(LogLimiter, SaysOnceHowManyWereLeftOut) {
  LogLimiter limiter;
  Passed(limiter, "flood", kStart, kLogLinesPerWindowMax + 7);

  EXPECT_EQ(limiter.Admit("flood", kStart + kLogWindow), 7);
  EXPECT_EQ(limiter.Admit("flood", kStart + kLogWindow), 0);
}

TEST(LogLimiter, KeepsAnEventSilentUntilTheWindowIsOver) {
  LogLimiter limiter;
  Passed(limiter, "flood", kStart, kLogLinesPerWindowMax);

  EXPECT_EQ(limiter.Admit("flood", kStart + kLogWindow - absl::Nanoseconds(1)), std::nullopt);
  EXPECT_EQ(limiter.Admit("flood", kStart + kLogWindow), 1);
}

TEST(LogLimiter, CountsEventsApart) {
  LogLimiter limiter;
  Passed(limiter, "flood", kStart, 1000);
  EXPECT_EQ(Passed(limiter, "other", kStart, 3), 3);
}

TEST(LogLimiter, DoesNotStaySilentWhenTheClockIsSetBack) {
  LogLimiter limiter;
  Passed(limiter, "flood", kStart, kLogLinesPerWindowMax + 1);
  EXPECT_EQ(limiter.Admit("flood", kStart - absl::Hours(1)), 1);
}

TEST(LogLimiter, LetsEventsBeyondTheTableShareOneCount) {
  LogLimiter limiter;
  for (size_t i = 0; i < kLogEventsMax; ++i) limiter.Admit(absl::StrCat("event", i), kStart);
  EXPECT_EQ(limiter.size(), kLogEventsMax);

  int passed = 0;
  for (int i = 0; i < 1000; ++i) passed += Passed(limiter, absl::StrCat("late", i), kStart, 1);

  EXPECT_EQ(passed, kLogLinesPerWindowMax);
  EXPECT_EQ(limiter.size(), kLogEventsMax);
  EXPECT_EQ(Passed(limiter, "event0", kStart, 1), 1);
}

}  // namespace
}  // namespace panal
