#include "common/base/base32.h"

#include <cstdint>

namespace panal {
namespace {

constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

// Value of a character, or -1.
int ValueOf(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  if (c >= '2' && c <= '7') return c - '2' + 26;
  return -1;
}

}  // namespace

std::string Base32Encode(absl::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 8 + 4) / 5);
  uint32_t pending = 0;
  int bits = 0;
  for (unsigned char byte : bytes) {
    pending = (pending << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += kAlphabet[(pending >> bits) & 31];
    }
    pending &= (1u << bits) - 1;
  }
  if (bits > 0) text += kAlphabet[(pending << (5 - bits)) & 31];
  return text;
}

std::optional<std::string> Base32Decode(absl::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() * 5 / 8);
  uint32_t pending = 0;
  int bits = 0;
  for (char c : text) {
    int value = ValueOf(c);
    if (value < 0) return std::nullopt;
    pending = (pending << 5) | static_cast<uint32_t>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((pending >> bits) & 0xff);
    }
    pending &= (1u << bits) - 1;
  }
  // Five bits or more left over is a character that no encoder writes.
  if (bits >= 5 || pending != 0) return std::nullopt;
  return bytes;
}

bool IsBase32(absl::string_view text) {
  for (char c : text) {
    if (ValueOf(c) < 0) return false;
  }
  return true;
}

}  // namespace panal
