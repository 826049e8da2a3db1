// Sizes and durations as people write them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace panal {

// `0`, `1500`, `64KiB`, `1.5 GB`, `10M`. Suffixes without case: K M G T (×1024, like KiB…), KB MB
// GB TB (×1000), KiB MiB GiB TiB (×1024), B. Error: ARGUMENT_INVALID.
absl::StatusOr<int64_t> ParseSize(absl::string_view text);
// `12.3 MiB`, `512 B`.
std::string FormatSize(int64_t bytes);
// `1 file`, `2 files`: for a noun whose plural only adds an s.
std::string Counted(int64_t count, absl::string_view noun);

// Longest duration that ParseDuration accepts. A guess: a century is a typing error.
inline constexpr absl::Duration kDurationMax = absl::Hours(24 * 36500);

// `500ms`, `10s`, `1.5m`, `2h`, `1d`, `1h30m`. A unit is required except for 0; each at most once,
// longest first. Error: ARGUMENT_INVALID.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);
// For progress: `0:10`, `1:02:03`; `-:--` when negative or infinite. Rounds down to seconds.
std::string FormatClock(absl::Duration duration);
// For results: `850 ms`, `1.2 s`, from a minute on as FormatClock.
std::string FormatElapsed(absl::Duration duration);

}  // namespace panal
