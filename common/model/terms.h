// The one tokenizer: what counts as a word, for the index, for queries and for digests.
//
// A term is a maximal run of letters and digits, lower-cased, diacritics removed (Latin-1, Latin
// Extended-A, Greek and Cyrillic folded by table; other scripts as they are; every CJK ideograph,
// kana and hangul syllable is a term of its own). Terms longer than kTermSizeMax bytes are cut
// there. Text that is not UTF-8 is taken byte by byte, other bytes separating.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace panal {

inline constexpr size_t kTermSizeMax = 64;  // Bytes. Longer runs are encodings, not words.

// One term and the bytes of the text that it came from.
struct Term {
  std::string text;
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const Term&) const = default;
};

// Calls `sink` for every term of `text` in order, until it returns false.
void ForEachTerm(absl::string_view text,
                 const std::function<bool(absl::string_view term, size_t begin, size_t end)>& sink);

// All terms of `text`.
std::vector<Term> Terms(absl::string_view text);

}  // namespace panal
