#include "common/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace panal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// The lines that `action` writes to stderr.
std::vector<std::string> LinesOf(const std::function<void()>& action) {
  testing::internal::CaptureStderr();
  action();
  return absl::StrSplit(testing::internal::GetCapturedStderr(), '\n', absl::SkipEmpty());
}

// The text after the event of the line with this one value.
std::string Written(const std::string& value) {
  std::vector<std::string> lines = LinesOf([&] { Log(LogLevel::kInfo, "e", {{"k", value}}); });
  if (lines.size() != 1) return "not one line";
  return lines[0].substr(lines[0].find("k=") + 2);
}

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { SetLogLevel(LogLevel::kInfo); }
};

TEST_F(LogTest, WritesTimeLevelEventAndFields) {
  std::vector<std::string> lines = LinesOf([] {
    Log(LogLevel::kWarning, "link_up", {{"peer", "abc"}, {"links", "5"}});
  });

  EXPECT_THAT(lines,
              ElementsAre(MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
                                       "\\.[0-9]{3}Z warning link_up peer=abc links=5")));
}

TEST_F(LogTest, QuotesValuesThatAreNotOneWord) {
  EXPECT_EQ(Written("plain-1.5/x"), "plain-1.5/x");
  EXPECT_EQ(Written(""), "\"\"");
  EXPECT_EQ(Written("two words"), "\"two words\"");
  EXPECT_EQ(Written("a=b"), "\"a=b\"");
  EXPECT_EQ(Written("say \"hi\""), "\"say \\\"hi\\\"\"");
  EXPECT_EQ(Written("ñandú"), "\"ñandú\"");
}

TEST_F(LogTest, KeepsAValueOnItsLineWhateverItHolds) {
  EXPECT_EQ(Written("one\ntwo info forged"), "\"one\\ntwo info forged\"");
  EXPECT_EQ(Written("\x1b[31m\r"), "\"\\033[31m\\r\"");
  EXPECT_EQ(Written("bad \xff\x9b utf-8"), "\"bad \\xff\\x9b utf-8\"");
}

TEST_F(LogTest, CutsAValueBeyondTheLimit) {
  EXPECT_EQ(Written(std::string(1024, 'x')), std::string(1024, 'x'));
  EXPECT_EQ(Written(std::string(1025, 'x')), std::string(1024, 'x') + "...");
}

TEST_F(LogTest, LeavesOutLinesBelowTheLevel) {
  auto log_all = [] {
    Log(LogLevel::kDebug, "d");
    Log(LogLevel::kInfo, "i");
    Log(LogLevel::kWarning, "w");
    Log(LogLevel::kError, "e");
  };

  EXPECT_EQ(LinesOf(log_all).size(), 3u);
  ASSERT_TRUE(SetLogLevel("error").ok());
  EXPECT_THAT(LinesOf(log_all), ElementsAre(EndsWith("error e")));
  ASSERT_TRUE(SetLogLevel("debug").ok());
  EXPECT_EQ(LinesOf(log_all).size(), 4u);
}

TEST_F(LogTest, RefusesALevelItDoesNotKnow) {
  for (absl::string_view name : {"", "INFO", "trace", "warn", "info "}) {
    absl::Status status = SetLogLevel(name);
    EXPECT_EQ(ReasonOf(status), ErrorReason::kConfigInvalid) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("debug, info, warning, error"));
  }
  for (absl::string_view name : {"debug", "info", "warning", "error"}) {
    EXPECT_TRUE(SetLogLevel(name).ok()) << name;
  }
}

TEST_F(LogTest, LimitsTheLinesOfOneEvent) {
  std::vector<std::string> lines = LinesOf([] {
    for (int i = 0; i < 1000; ++i) LogLimited(LogLevel::kInfo, "flood_in_log_test");
    LogLimited(LogLevel::kInfo, "calm_in_log_test");
  });

  // Twice the limit where the loop happens to span the end of a window.
  EXPECT_GE(lines.size(), 11u);
  EXPECT_LE(lines.size(), 21u);
  EXPECT_THAT(lines.back(), AllOf(HasSubstr("calm_in_log_test"), Not(HasSubstr("left_out"))));
}

TEST_F(LogTest, DoesNotCountLinesBelowTheLevel) {
  std::vector<std::string> lines = LinesOf([] {
    for (int i = 0; i < 1000; ++i) LogLimited(LogLevel::kDebug, "quiet_in_log_test");
    LogLimited(LogLevel::kInfo, "quiet_in_log_test");
  });
  EXPECT_THAT(lines, ElementsAre(EndsWith("info quiet_in_log_test")));
}

}  // namespace
}  // namespace panal
