#include "common/base/toml_string.h"

#include "absl/strings/str_format.h"

namespace panal {

std::string TomlString(absl::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (code < 0x20 || code == 0x7F) {
      absl::StrAppendFormat(&out, "\\u%04X", code);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace panal
