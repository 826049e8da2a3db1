// The file that keeps a peer's private key. Private to this library.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal::internal {

// Content of the key file at `path`; nothing when there is no such file. Refuses a file that its
// owner's group or others may read or write, and one that is too large to be a key. Error:
// DATA_DIR_INVALID.
absl::StatusOr<std::optional<std::string>> ReadKeyFile(const std::string& path);

// Puts `content` at `<dir>/<name>`, mode 0600, so that after a crash there is the whole file or
// none: written under another name, synced, renamed, directory synced. Errors: DATA_DIR_INVALID,
// STORAGE_FULL.
absl::Status WriteKeyFile(const std::string& dir, const std::string& name,
                          absl::string_view content);

}  // namespace panal::internal
