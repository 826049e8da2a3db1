// Strings as TOML has them, for the settings that Panal's programs write.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace panal {

// `"text"` with what TOML does not take as it is escaped. REQUIRES: UTF-8, as all of a TOML file.
std::string TomlString(absl::string_view text);

}  // namespace panal
