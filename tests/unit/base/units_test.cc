#include "common/base/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/base/random.h"
#include "common/base/status.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// -1 stands for an error, which is checked to have its reason.
int64_t Size(absl::string_view text) {
  absl::StatusOr<int64_t> size = ParseSize(text);
  if (size.ok()) return *size;
  EXPECT_EQ(ReasonOf(size.status()), ErrorReason::kArgumentInvalid) << text;
  return -1;
}

absl::Duration Time(absl::string_view text) {
  absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  if (duration.ok()) return *duration;
  EXPECT_EQ(ReasonOf(duration.status()), ErrorReason::kArgumentInvalid) << text;
  return -absl::InfiniteDuration();
}

const absl::Duration kRefused = -absl::InfiniteDuration();

TEST(ParseSize, ReadsWhatPeopleWrite) {
  EXPECT_EQ(Size("0"), 0);
  EXPECT_EQ(Size("1500"), 1500);
  EXPECT_EQ(Size("64KiB"), 65536);
  EXPECT_EQ(Size("1.5 GB"), 1'500'000'000);
  EXPECT_EQ(Size("10M"), 10 * 1024 * 1024);
  EXPECT_EQ(Size("1K"), 1024);
  EXPECT_EQ(Size("1G"), 1024 * 1024 * 1024);
  EXPECT_EQ(Size("1T"), int64_t{1} << 40);
  EXPECT_EQ(Size("1KB"), 1000);
  EXPECT_EQ(Size("1MB"), 1'000'000);
  EXPECT_EQ(Size("1TB"), 1'000'000'000'000);
  EXPECT_EQ(Size("1MiB"), 1024 * 1024);
  EXPECT_EQ(Size("1GiB"), 1024 * 1024 * 1024);
  EXPECT_EQ(Size("1TiB"), int64_t{1} << 40);
  EXPECT_EQ(Size("7B"), 7);
}

TEST(ParseSize, ForgivesCaseAndSpaces) {
  EXPECT_EQ(Size("  64 kib\n"), 65536);
  EXPECT_EQ(Size("64KIB"), 65536);
  EXPECT_EQ(Size("3 b"), 3);
  EXPECT_EQ(Size("007"), 7);
}

TEST(ParseSize, ComputesFractionsExactly) {
  EXPECT_EQ(Size("1.1KB"), 1100);
  EXPECT_EQ(Size("0.3KB"), 300);
  EXPECT_EQ(Size("1.0001K"), 1024);
  EXPECT_EQ(Size("0.000000001TB"), 1000);
  EXPECT_EQ(Size("2.0"), 2);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (absl::string_view text :
       {"",          " ",     "K",      "-1",  "+1",   "1.5",   "1.5B",
        "1.",        ".5K",   "1,5K",   "1e3", "0x10", "1 K B", "1KK",
        "5 parsecs", "1..5K", "1.5.5K", "K1",  "1Ki",  "1\xff", "1.0000000001K",
        "nan",       "1PB"}) {
    EXPECT_EQ(Size(text), -1) << text;
  }
  EXPECT_EQ(Size(absl::string_view("1\0K", 3)), -1);
}

TEST(ParseSize, ReadsUpToTheLargestNumberAndNoFurther) {
  EXPECT_EQ(Size("9223372036854775807"), kMax);
  EXPECT_EQ(Size("9223372036854775808"), -1);
  EXPECT_EQ(Size("9999999999999999999"), -1);
  EXPECT_EQ(Size("10000000000000000000"), -1);
  EXPECT_EQ(Size("8388607.999999999T"), int64_t{9223372036854774708});
  EXPECT_EQ(Size("8388608T"), -1);
  EXPECT_EQ(Size("9999999999999999999T"), -1);
}

TEST(ParseSize, SaysWhatWasWrittenAndWhatIsExpected) {
  std::string message(ParseSize("5 parsecs").status().message());
  EXPECT_THAT(message, HasSubstr("\"5 parsecs\""));
  EXPECT_THAT(message, HasSubstr("KiB"));
  EXPECT_LT(ParseSize(std::string(100'000, '9')).status().message().size(), 200u);
}

TEST(Counted, AddsAnSUnlessThereIsOne) {
  EXPECT_EQ(Counted(0, "file"), "0 files");
  EXPECT_EQ(Counted(1, "file"), "1 file");
  EXPECT_EQ(Counted(2, "file"), "2 files");
}

TEST(FormatSize, WritesOneDecimalAndTheLargestUnitThatFits) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(512), "512 B");
  EXPECT_EQ(FormatSize(1023), "1023 B");
  EXPECT_EQ(FormatSize(1024), "1.0 KiB");
  EXPECT_EQ(FormatSize(1536), "1.5 KiB");
  EXPECT_EQ(FormatSize(12'897'485), "12.3 MiB");
  EXPECT_EQ(FormatSize(int64_t{1} << 30), "1.0 GiB");
  EXPECT_EQ(FormatSize(int64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(FormatSize(kMax), "8.0 EiB");
}

TEST(FormatSize, GoesToTheNextUnitRatherThanShow1024) {
  EXPECT_EQ(FormatSize(1024 * 1024 - 60), "1023.9 KiB");
  EXPECT_EQ(FormatSize(1024 * 1024 - 1), "1.0 MiB");
}

TEST(FormatSize, ShowsTheSign) {
  EXPECT_EQ(FormatSize(-512), "-512 B");
  EXPECT_EQ(FormatSize(std::numeric_limits<int64_t>::min()), "-8.0 EiB");
}

TEST(FormatSize, IsReadBackWithinItsPrecision) {
  Random random(20);
  for (int round = 0; round < 10'000; ++round) {
    int64_t bytes = static_cast<int64_t>(random.Next() >> (20 + random.Below(44)));
    int64_t again = Size(FormatSize(bytes));
    EXPECT_NEAR(static_cast<double>(again), static_cast<double>(bytes), 0.051 * bytes);
  }
}

TEST(ParseDuration, ReadsWhatPeopleWrite) {
  EXPECT_EQ(Time("0"), absl::ZeroDuration());
  EXPECT_EQ(Time("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(Time("10s"), absl::Seconds(10));
  EXPECT_EQ(Time("1.5m"), absl::Seconds(90));
  EXPECT_EQ(Time("2h"), absl::Hours(2));
  EXPECT_EQ(Time("1d"), absl::Hours(24));
  EXPECT_EQ(Time("1h30m"), absl::Minutes(90));
  EXPECT_EQ(Time("1d2h3m4s5ms"),
            absl::Hours(26) + absl::Minutes(3) + absl::Seconds(4) + absl::Milliseconds(5));
}

TEST(ParseDuration, ForgivesCaseAndSpaces) {
  EXPECT_EQ(Time(" 1h 30 M "), absl::Minutes(90));
  EXPECT_EQ(Time(" 0 "), absl::ZeroDuration());
  EXPECT_EQ(Time("0s"), absl::ZeroDuration());
}

TEST(ParseDuration, RefusesWhatIsNoDuration) {
  for (absl::string_view text :
       {"",    " ",      "10", "s",   "-1s",  "+1s", "1.5", "1,5s", "1h1h",       "30m1h",
        "1s2", "10 sec", "1w", "inf", "1e3s", "1.s", ".5s", "00",   "5\xc2\xb5s", "1h-5m"}) {
    EXPECT_EQ(Time(text), kRefused) << text;
  }
}

TEST(ParseDuration, ReadsUpToTheLimitAndNoFurther) {
  EXPECT_EQ(Time("36500d"), kDurationMax);
  EXPECT_EQ(Time("36501d"), kRefused);
  EXPECT_EQ(Time("36500d1ms"), kRefused);
  EXPECT_EQ(Time("9999999999999999999d"), kRefused);
  EXPECT_EQ(Time("99999999999999999999s"), kRefused);
}

TEST(FormatClock, WritesMinutesAndSeconds) {
  EXPECT_EQ(FormatClock(absl::ZeroDuration()), "0:00");
  EXPECT_EQ(FormatClock(absl::Milliseconds(10'999)), "0:10");
  EXPECT_EQ(FormatClock(absl::Seconds(3599)), "59:59");
  EXPECT_EQ(FormatClock(absl::Seconds(3723)), "1:02:03");
  EXPECT_EQ(FormatClock(absl::Hours(100)), "100:00:00");
}

TEST(FormatClock, WritesDashesForWhatIsNotKnown) {
  EXPECT_EQ(FormatClock(absl::InfiniteDuration()), "-:--");
  EXPECT_EQ(FormatClock(absl::Seconds(-1)), "-:--");
}

TEST(FormatElapsed, WritesTheUnitThatFits) {
  EXPECT_EQ(FormatElapsed(absl::ZeroDuration()), "0 ms");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(850)), "850 ms");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(999)), "999 ms");
  EXPECT_EQ(FormatElapsed(absl::Microseconds(999'700)), "1.0 s");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(1200)), "1.2 s");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(59'940)), "59.9 s");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(59'960)), "1:00");
  EXPECT_EQ(FormatElapsed(absl::Seconds(3723)), "1:02:03");
  EXPECT_EQ(FormatElapsed(absl::Milliseconds(-850)), "-850 ms");
}

}  // namespace
}  // namespace panal
