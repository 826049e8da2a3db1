#include "common/base/units.h"

#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace panal {
namespace {

// Billionths, so that fractions are exact where people write them: 1.1KB is 1100 bytes.
constexpr int kFractionDigits = 9;
constexpr int64_t kOne = 1'000'000'000;
// Digits read before the dot: no 64-bit number has more.
constexpr size_t kWholeDigitsMax = 19;
using Billionths = __int128;

struct Unit {
  absl::string_view name;
  int64_t factor;
};

constexpr int64_t kSizeMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kKi = 1024;
constexpr Unit kSizeUnits[] = {
    {"", 1},
    {"b", 1},
    {"k", kKi},
    {"m", kKi* kKi},
    {"g", kKi* kKi* kKi},
    {"t", kKi* kKi* kKi* kKi},
    {"kb", 1'000},
    {"mb", 1'000'000},
    {"gb", 1'000'000'000},
    {"tb", 1'000'000'000'000},
    {"kib", kKi},
    {"mib", kKi* kKi},
    {"gib", kKi* kKi* kKi},
    {"tib", kKi* kKi* kKi* kKi},
};

// Factors are nanoseconds; longest first, which is also the order they are written in.
constexpr Unit kDurationUnits[] = {
    {"d", 86'400'000'000'000}, {"h", 3'600'000'000'000}, {"m", 60'000'000'000},
    {"s", 1'000'000'000},      {"ms", 1'000'000},
};

size_t CountDigits(absl::string_view text) {
  size_t count = 0;
  while (count < text.size() && absl::ascii_isdigit(text[count])) ++count;
  return count;
}

// Takes `12` or `12.5` off the front of `text`; nothing when there is no such number.
std::optional<Billionths> TakeNumber(absl::string_view& text) {
  size_t digits = CountDigits(text);
  if (digits == 0 || digits > kWholeDigitsMax) return std::nullopt;
  Billionths number = 0;
  for (char c : text.substr(0, digits)) number = number * 10 + (c - '0');
  number *= kOne;
  text.remove_prefix(digits);
  if (!absl::ConsumePrefix(&text, ".")) return number;
  size_t decimals = CountDigits(text);
  if (decimals == 0 || decimals > kFractionDigits) return std::nullopt;
  Billionths place = kOne;
  for (char c : text.substr(0, decimals)) number += (place /= 10) * (c - '0');
  text.remove_prefix(decimals);
  return number;
}

// Takes the letters off the front of `text`.
absl::string_view TakeWord(absl::string_view& text) {
  size_t size = 0;
  while (size < text.size() && absl::ascii_isalpha(text[size])) ++size;
  absl::string_view word = text.substr(0, size);
  text.remove_prefix(size);
  return word;
}

absl::Status Invalid(absl::string_view what, absl::string_view text, absl::string_view hint) {
  return Error(ErrorReason::kArgumentInvalid,
               absl::StrCat(what, " \"", absl::CHexEscape(text.substr(0, 64)), "\" ", hint),
               {{"value", std::string(text.substr(0, 64))}});
}

}  // namespace

absl::StatusOr<int64_t> ParseSize(absl::string_view text) {
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  std::optional<Billionths> number = TakeNumber(rest);
  if (!number) return Invalid("size", text, "does not begin with a number such as 64 or 1.5");
  std::string suffix = absl::AsciiStrToLower(absl::StripLeadingAsciiWhitespace(rest));
  for (const Unit& unit : kSizeUnits) {
    if (suffix != unit.name) continue;
    if (unit.factor == 1 && *number % kOne != 0) {
      return Invalid("size", text, "is not a whole number of bytes");
    }
    // Divided first: the product of the largest number and unit does not fit 128 bits.
    if (*number / kOne <= kSizeMax / unit.factor) {
      Billionths bytes = *number * unit.factor / kOne;
      if (bytes <= kSizeMax) return static_cast<int64_t>(bytes);
    }
    return Invalid("size", text, "is above the limit of 8 EiB");
  }
  return Invalid("size", text, "ends in none of K M G T, KB MB GB TB, KiB MiB GiB TiB, B");
}

std::string FormatSize(int64_t bytes) {
  if (bytes < 0) return absl::StrCat("-", FormatSize(bytes < -kSizeMax ? kSizeMax : -bytes));
  if (bytes < kKi) return absl::StrCat(bytes, " B");
  static constexpr const char* kNames[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t index = 0;
  Billionths unit = kKi;
  auto tenths = [&] { return (Billionths{bytes} * 10 + unit / 2) / unit; };
  while (tenths() / 10 >= kKi) {
    unit *= kKi;
    ++index;
  }
  auto rounded = static_cast<int64_t>(tenths());
  return absl::StrFormat("%d.%d %s", rounded / 10, rounded % 10, kNames[index]);
}

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  if (rest == "0") return absl::ZeroDuration();
  absl::Duration duration;
  const Unit* next = std::begin(kDurationUnits);
  do {
    std::optional<Billionths> number = TakeNumber(rest);
    if (!number) return Invalid("duration", text, "is not written like 500ms, 10s, 1.5m or 1h30m");
    rest = absl::StripLeadingAsciiWhitespace(rest);
    std::string name = absl::AsciiStrToLower(TakeWord(rest));
    while (next != std::end(kDurationUnits) && next->name != name) ++next;
    if (next == std::end(kDurationUnits)) {
      return Invalid("duration", text,
                     "needs the units d, h, m, s or ms, each once, longest first");
    }
    if (*number / kOne > absl::ToInt64Nanoseconds(kDurationMax) / next->factor) {
      return Invalid("duration", text, "is above the limit of 36500d");
    }
    duration += absl::Nanoseconds(static_cast<int64_t>(*number * next->factor / kOne));
    ++next;
    rest = absl::StripLeadingAsciiWhitespace(rest);
  } while (!rest.empty());
  if (duration > kDurationMax) {
    return Invalid("duration", text, "is above the limit of 36500d");
  }
  return duration;
}

std::string Counted(int64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string FormatClock(absl::Duration duration) {
  if (duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) return "-:--";
  int64_t seconds = absl::ToInt64Seconds(duration);
  int64_t minutes = seconds / 60;
  if (minutes < 60) return absl::StrFormat("%d:%02d", minutes, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", minutes / 60, minutes % 60, seconds % 60);
}

std::string FormatElapsed(absl::Duration duration) {
  if (duration < absl::ZeroDuration()) return absl::StrCat("-", FormatElapsed(-duration));
  // Half a unit before the next form, so that rounding never shows 1000 ms or 60.0 s.
  if (duration < absl::Microseconds(999'500)) {
    return absl::StrCat(absl::ToInt64Milliseconds(duration + absl::Microseconds(500)), " ms");
  }
  if (duration < absl::Milliseconds(59'950)) {
    return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
  }
  return FormatClock(duration + absl::Milliseconds(500));
}

}  // namespace panal
