// Files that keep secrets: a peer's private key, tokens. Private to this library.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal::internal {

// What a file of secrets may be.
struct SecretFileRules {
  absl::string_view what;  // For people: `key file`.
  mode_t mode_refused = 0;
  mode_t mode_advised = 0;
  size_t size_max = 0;  // Bytes.
};

// Content of the file at `path`; nothing when there is no such file. Refuses one with any of the
// permissions in `mode_refused`, one that is too large, and what is no regular file. Error:
// DATA_DIR_INVALID.
absl::StatusOr<std::optional<std::string>> ReadSecretFile(const std::string& path,
                                                          const SecretFileRules& rules);

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
