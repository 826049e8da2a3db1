#include "common/model/object_ref.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr absl::string_view kScheme = "panal://";
constexpr absl::string_view kHexDigits = "0123456789ABCDEF";

// RFC 3986, section 2.3.
bool IsUnreserved(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

std::string PercentEncode(absl::string_view bytes) {
  std::string text;
  for (char c : bytes) {
    if (IsUnreserved(c)) {
      text.push_back(c);
    } else {
      auto byte = static_cast<unsigned char>(c);
      text.push_back('%');
      text.push_back(kHexDigits[byte >> 4]);
      text.push_back(kHexDigits[byte & 15]);
    }
  }
  return text;
}

std::optional<std::string> PercentDecode(absl::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsUnreserved(text[i])) {
      bytes.push_back(text[i]);
      continue;
    }
    if (text[i] != '%' || i + 2 >= text.size()) return std::nullopt;
    size_t high = kHexDigits.find(absl::ascii_toupper(static_cast<unsigned char>(text[i + 1])));
    size_t low = kHexDigits.find(absl::ascii_toupper(static_cast<unsigned char>(text[i + 2])));
    if (high == absl::string_view::npos || low == absl::string_view::npos) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return bytes;
}

bool IsIdentifier(absl::string_view text) {
  if (text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0]))) return false;
  for (char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}

bool IsServiceName(absl::string_view text) {
  for (absl::string_view part : absl::StrSplit(text, '.')) {
    if (!IsIdentifier(part)) return false;
  }
  return true;
}

absl::Status Invalid(absl::string_view text, absl::string_view why) {
  absl::string_view shown = text.substr(0, 128);
  return Error(ErrorReason::kReferenceInvalid,
               absl::StrCat("object reference \"", absl::Utf8SafeCHexEscape(shown), "\": ", why),
               {{"reference", absl::Utf8SafeCHexEscape(shown)}});
}

}  // namespace

std::string ObjectRef::ToText() const {
  return absl::StrCat(kScheme, peer.ToText(), "/", service, "/", PercentEncode(key));
}

absl::StatusOr<ObjectRef> ObjectRef::Parse(absl::string_view text) {
  if (text.size() > kReferenceSizeMax) {
    return Invalid(text, absl::StrCat(text.size(), " bytes exceed ", kReferenceSizeMax));
  }
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, kScheme)) return Invalid(text, "does not begin with panal://");
  std::vector<absl::string_view> parts = absl::StrSplit(rest, absl::MaxSplits('/', 2));
  std::optional<PeerId> peer = PeerId::FromText(parts[0]);
  if (!peer) return Invalid(text, "the peer id is not 52 lower-case base32 characters");
  if (parts.size() < 2 || !IsServiceName(parts[1])) {
    return Invalid(text, "the service is not a name such as acme.thumbs.v1.Thumbnailer");
  }
  std::optional<std::string> key = PercentDecode(parts.size() == 3 ? parts[2] : "");
  if (!key) return Invalid(text, "the key holds a character that must be percent-encoded");
  if (key->size() > kObjectKeySizeMax) {
    return Invalid(text,
                   absl::StrCat("a key of ", key->size(), " bytes exceeds ", kObjectKeySizeMax));
  }
  if (absl::StrContains(*key, absl::string_view("\0", 1)))
    return Invalid(text, "the key holds NUL");
  return ObjectRef{*peer, std::string(parts[1]), *std::move(key)};
}

}  // namespace panal
