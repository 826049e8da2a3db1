// What was probably meant by a word that is not known.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace panal {

// Single changes of a character at which a word is still taken for a typing error. Guess: two
// slips and a forgotten plural.
inline constexpr size_t kTypingErrorsMax = 3;

// The word of `known` that is closest to `word` by Levenshtein's distance, the first of equals;
// empty where none is within kTypingErrorsMax, or where as much of the word would have to change as
// it has characters.
std::string Nearest(absl::string_view word, const std::vector<std::string>& known);

}  // namespace panal
