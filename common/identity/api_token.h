// Who may call a peer's API: tokens with roles, one a line of a text file (docs/operations.md, "Tokens").
//
//   # ROLE TOKEN [NAME]
//   read  mfzwizjqgm3tqnzqgaydambqgaydambqgaydambqgaydambqgaya  dashboard
//
// Who has a token may do what its role allows: the file is a secret of its owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"

namespace panal {

// Shortest token, in characters. Guess: what a person makes up is shorter; 32 hexadecimal digits hold
// 128 bits.
inline constexpr size_t kApiTokenSizeMin = 32;
// Longest token, in characters. Guess: five times a new one's.
inline constexpr size_t kApiTokenSizeMax = 256;
// Longest name of a token, in characters. Guess: as of a label.
inline constexpr size_t kApiTokenNameSizeMax = 64;
// Lines of a file, comments included. Guess: a program each; every call is compared with all of them.
inline constexpr size_t kApiTokenLinesMax = 1024;
// Bytes of a file. Guess: what 1,024 lines with new tokens and long names take, twice.
inline constexpr size_t kApiTokenFileSizeMax = 256 * 1024;

// Each may do what those before it may.
enum class ApiRole : uint8_t {
  kRead,   // Ask and read.
  kWrite,  // Store, fetch, publish, remove, subscribe; call objects of users.
  kAdmin,  // All: who is in the mesh, too.
};

// `read`, `write`, `admin`.
absl::string_view ApiRoleName(ApiRole role);
std::optional<ApiRole> ParseApiRole(absl::string_view name);

struct ApiToken {
  ApiRole role = ApiRole::kRead;
  // A secret.
  std::string token;
  // For people; may be empty.
  std::string name;

  bool operator==(const ApiToken&) const = default;
};

// Whether `text` may be a token: its characters are those of RFC 6750 (letters, digits, `-._~+/`, and
// `=` at the end), its size is within the limits.
bool IsApiToken(absl::string_view text);

// A token of 256 random bits, as base32. REQUIRES: `name` is empty or IsApiTokenName.
ApiToken MakeApiToken(ApiRole role, absl::string_view name = "");
// Letters, digits and `-._@`.
bool IsApiTokenName(absl::string_view text);

// `ROLE TOKEN [NAME]`, without the end of the line.
std::string PrintApiToken(const ApiToken& token);
// The tokens of a file's text; no two are the same. The error's message begins with the number of the
// line, counted from 1, and never shows a token. Error: CONFIG_INVALID.
absl::StatusOr<std::vector<ApiToken>> ParseApiTokens(absl::string_view text);

// The tokens of the file at `path`, at least one. Refuses a file that anyone but its owner and its
// group may read, or anyone but its owner write. Error: CONFIG_INVALID, which names `setting`.
absl::StatusOr<std::vector<ApiToken>> ReadApiTokenFile(const std::string& path,
                                                       absl::string_view setting);

// The one token of a program's file: by itself, or in a line as PrintApiToken gives. As
// ReadApiTokenFile otherwise.
absl::StatusOr<std::string> ReadApiToken(const std::string& path, absl::string_view setting);

// Finds tokens without telling by its time how much of one was right. Keeps digests only.
class ApiTokenSet {
 public:
  explicit ApiTokenSet(const std::vector<ApiToken>& tokens);

  struct Holder {
    ApiRole role = ApiRole::kRead;
    std::string name;
  };

  // Whose token it is; null for a text that is none of them. Compares with every token.
  const Holder* Find(absl::string_view token) const;

 private:
  struct Entry {
    Sha256Digest digest;
    Holder holder;
  };

  std::vector<Entry> entries_;
};

}  // namespace panal
