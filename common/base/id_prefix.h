// Ids as people give them: whole, or their first characters.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"

namespace panal {

// Shortest prefix of an id that is looked for, in characters: 20 bits, which few ids share.
inline constexpr size_t kIdPrefixMin = 4;

enum class IdKind : uint8_t { kPeer, kFile };

// `text`, when it is an id or may begin one: kIdPrefixMin to 52 characters of the base32 alphabet.
// Errors: PEER_ID_INVALID or FILE_ID_INVALID, by `kind`, whose metadata name the `prefix`.
absl::StatusOr<std::string> ParseIdPrefix(absl::string_view text, IdKind kind);

}  // namespace panal
