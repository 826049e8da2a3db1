#include "common/model/terms.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/ascii.h"

namespace panal {
namespace {

struct CodeRange {
  uint32_t first;
  uint32_t last;
};

struct Fold {
  uint32_t from;
  uint32_t to;
};

#include "common/model/term_tables.inc"

// Scripts written without spaces: every character is a term. Kana, ideographs, hangul syllables,
// half-width katakana.
constexpr CodeRange kSingleRanges[] = {{0x3041, 0x30ff}, {0x31f0, 0x31ff},  {0x3400, 0x4dbf},
                                       {0x4e00, 0x9fff}, {0xac00, 0xd7a3},  {0xf900, 0xfaff},
                                       {0xff66, 0xff9f}, {0x20000, 0x3fffd}};
// Combining diacritical marks.
constexpr CodeRange kDiacritics = {0x300, 0x36f};

enum class CharClass { kSeparator, kWord, kSingle, kDropped };

struct Character {
  uint32_t code = 0;
  size_t size = 1;  // Bytes.
  CharClass kind = CharClass::kSeparator;
};

template <size_t N>
bool InRanges(const CodeRange (&ranges)[N], uint32_t code) {
  const CodeRange* range =
      std::lower_bound(std::begin(ranges), std::end(ranges), code,
                       [](const CodeRange& r, uint32_t value) { return r.last < value; });
  return range != std::end(ranges) && code >= range->first;
}

uint32_t FoldOf(uint32_t code) {
  const Fold* fold = std::lower_bound(std::begin(kFolds), std::end(kFolds), code,
                                      [](const Fold& f, uint32_t value) { return f.from < value; });
  return fold != std::end(kFolds) && fold->from == code ? fold->to : code;
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Decodes the character at the front of `text`; one separating byte where it is not UTF-8.
Character Decode(absl::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) {
    CharClass kind = absl::ascii_isalnum(lead) ? CharClass::kWord : CharClass::kSeparator;
    return {static_cast<uint32_t>(absl::ascii_tolower(lead)), 1, kind};
  }
  size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  uint32_t code = lead & (0xff >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if (!IsContinuation(text[i])) return {};
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  if (code < kLeast[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  if (code >= kDiacritics.first && code <= kDiacritics.last) {
    return {code, size, CharClass::kDropped};
  }
  if (!InRanges(kWordRanges, code)) return {code, size, CharClass::kSeparator};
  if (InRanges(kSingleRanges, code)) return {code, size, CharClass::kSingle};
  return {FoldOf(code), size, CharClass::kWord};
}

size_t EncodedSize(uint32_t code) {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

void AppendUtf8(uint32_t code, std::string& out) {
  size_t size = EncodedSize(code);
  if (size == 1) {
    out.push_back(static_cast<char>(code));
    return;
  }
  static constexpr uint32_t kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  out.push_back(static_cast<char>(kLead[size] | code >> (6 * (size - 1))));
  for (size_t i = size - 1; i-- > 0;) {
    out.push_back(static_cast<char>(0x80 | (code >> (6 * i) & 0x3f)));
  }
}

// The run that is being collected.
struct Run {
  std::string text;
  size_t begin = 0;
  bool cut = false;

  void Add(const Character& c, size_t position) {
    if (text.empty()) begin = position;
    // Cut for good, so that a term is always the beginning of its run.
    cut = cut || text.size() + EncodedSize(c.code) > kTermSizeMax;
    if (!cut) AppendUtf8(c.code, text);
  }

  void Clear() {
    text.clear();
    cut = false;
  }
};

}  // namespace

void ForEachTerm(
    absl::string_view text,
    const std::function<bool(absl::string_view term, size_t begin, size_t end)>& sink) {
  Run run;
  size_t position = 0;
  auto flush = [&] {
    if (run.text.empty()) return true;
    bool go_on = sink(run.text, run.begin, position);
    run.Clear();
    return go_on;
  };
  while (position < text.size()) {
    Character c = Decode(text.substr(position));
    if (c.kind == CharClass::kWord) {
      run.Add(c, position);
    } else if (c.kind != CharClass::kDropped) {
      if (!flush()) return;
      if (c.kind == CharClass::kSingle &&
          !sink(text.substr(position, c.size), position, position + c.size)) {
        return;
      }
    }
    position += c.size;
  }
  flush();
}

std::vector<Term> Terms(absl::string_view text) {
  std::vector<Term> terms;
  ForEachTerm(text, [&](absl::string_view term, size_t begin, size_t end) {
    terms.push_back({std::string(term), begin, end});
    return true;
  });
  return terms;
}

}  // namespace panal
