#include "common/base/utf8.h"

#include "absl/strings/str_format.h"

namespace panal {
namespace {

bool InRange(unsigned char c, unsigned char low, unsigned char high) {
  return c >= low && c <= high;
}

// Number of continuation bytes after `lead`, and the range of the first of them (RFC 3629, section
// 4: the narrower ranges keep out overlong forms, surrogates and what lies above U+10FFFF).
struct Form {
  int tail;  // -1 for a byte that begins nothing.
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
};

Form FormOf(unsigned char lead) {
  if (lead < 0x80) return {0};
  if (InRange(lead, 0xc2, 0xdf)) return {1};
  if (lead == 0xe0) return {2, 0xa0, 0xbf};
  if (lead == 0xed) return {2, 0x80, 0x9f};
  if (InRange(lead, 0xe1, 0xef)) return {2};
  if (lead == 0xf0) return {3, 0x90, 0xbf};
  if (lead == 0xf4) return {3, 0x80, 0x8f};
  if (InRange(lead, 0xf1, 0xf3)) return {3};
  return {-1};
}

// Length of the well-formed character that `text` begins with; 0 when it begins with none.
size_t CharacterSize(absl::string_view text) {
  if (text.empty()) return 0;
  Form form = FormOf(static_cast<unsigned char>(text[0]));
  if (form.tail < 0 || text.size() <= static_cast<size_t>(form.tail)) return 0;
  for (int i = 1; i <= form.tail; ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (!InRange(c, i == 1 ? form.low : 0x80, i == 1 ? form.high : 0xbf)) return 0;
  }
  return static_cast<size_t>(form.tail) + 1;
}

}  // namespace

bool IsValidUtf8(absl::string_view text) {
  while (!text.empty()) {
    size_t size = CharacterSize(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string ToValidUtf8(absl::string_view bytes) {
  if (IsValidUtf8(bytes)) return std::string(bytes);
  std::string valid;
  while (!bytes.empty()) {
    size_t size = CharacterSize(bytes);
    if (size == 0 || bytes[0] == '%') {
      absl::StrAppendFormat(&valid, "%%%02X", static_cast<unsigned char>(bytes[0]));
      size = 1;
    } else {
      valid.append(bytes.data(), size);
    }
    bytes.remove_prefix(size);
  }
  return valid;
}

}  // namespace panal
