// Reads the TOML file of settings: strictly, since a setting that is misread is a peer that runs
// otherwise than its owner thinks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace panal {

// Largest file of settings, in bytes. Guess: a hundred times what all settings take.
inline constexpr size_t kSettingsFileSizeMax = 1 << 20;

// One `key = value`.
struct SettingsItem {
  enum class Kind : uint8_t { kText, kNumber, kSwitch, kList };

  std::string key;
  Kind kind = Kind::kText;
  // As text; several, or none, for a list.
  std::vector<std::string> values;
  // `FILE:LINE`.
  std::string where;
};

// In the order of their lines. Errors: CONFIG_INVALID with `FILE:LINE:COLUMN` where the file is no
// TOML, and for what no setting can be (tables, dates, lists of lists).
absl::StatusOr<std::vector<SettingsItem>> ReadSettingsFile(const std::string& path);

}  // namespace panal
