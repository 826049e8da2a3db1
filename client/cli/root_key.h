// The root key of a mesh, for the verbs that use it.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace panal::cli {

// The first line of the file; empty where none is named. Error: CONFIG_INVALID.
absl::StatusOr<std::string> ReadPassphrase(const std::string& path);

}  // namespace panal::cli
