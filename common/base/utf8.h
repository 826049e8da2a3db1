// UTF-8 (RFC 3629).
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace panal {

// Whether `text` is well-formed: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(absl::string_view text);

// `bytes` with every byte that is not part of well-formed UTF-8 written as `%XX`, and `%` as `%25`
// where such a byte occurs. How a file name that is not UTF-8 is published.
std::string ToValidUtf8(absl::string_view bytes);

}  // namespace panal
