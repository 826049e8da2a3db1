// Base32 in lower case, RFC 4648 alphabet without padding: how ids are shown.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace panal {

// Encodes `bytes`. 32 bytes give 52 characters.
std::string Base32Encode(absl::string_view bytes);

// Decodes `text`; nothing when a character is outside the alphabet or the last bits are not zero.
std::optional<std::string> Base32Decode(absl::string_view text);

// Whether every character of `text` is of the alphabet.
bool IsBase32(absl::string_view text);

}  // namespace panal
