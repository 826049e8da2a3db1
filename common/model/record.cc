#include "common/model/record.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace panal {
namespace {

constexpr absl::string_view kTakenKeys[] = {"name", "size", "kind", "id", "publisher"};
constexpr size_t kHostSizeMax = 253;  // RFC 1035, section 2.3.4, without the root's dot.

std::string Shown(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, 64)), "\"");
}

bool IsText(absl::string_view text) { return !absl::StrContains(text, '\0') && IsValidUtf8(text); }

absl::Status InvalidName(absl::string_view name, absl::string_view why) {
  return Error(ErrorReason::kFileNameInvalid, absl::StrCat("file name ", Shown(name), ": ", why));
}

absl::Status InvalidAttribute(absl::string_view key, absl::string_view why) {
  return Error(ErrorReason::kAttributeInvalid, absl::StrCat("attribute ", Shown(key), ": ", why),
               {{"key", absl::Utf8SafeCHexEscape(key.substr(0, 64))}});
}

absl::Status InvalidRecord(const Record& record, absl::string_view why) {
  return Error(ErrorReason::kRecordInvalid, absl::StrCat("record ", Shown(record.name), ": ", why));
}

bool IsKeyCharacter(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
}

absl::Status ValidateKey(absl::string_view key) {
  if (key.empty() || key.size() > kAttributeKeySizeMax) {
    return InvalidAttribute(
        key, absl::StrCat("a key of ", key.size(), " bytes is not of 1 to ", kAttributeKeySizeMax));
  }
  if (!absl::ascii_islower(static_cast<unsigned char>(key[0])) ||
      !std::all_of(key.begin(), key.end(), IsKeyCharacter)) {
    return InvalidAttribute(key, "a key is made of [a-z0-9_.-] and begins with a letter");
  }
  if (std::find(std::begin(kTakenKeys), std::end(kTakenKeys), key) != std::end(kTakenKeys)) {
    return InvalidAttribute(key, "the key means something else in queries");
  }
  return absl::OkStatus();
}

absl::Status ValidateName(const Record& record) {
  if (record.kind == RecordKind::kFile || record.kind == RecordKind::kDirectory) {
    return ValidateFileName(record.name);
  }
  if (record.name.empty() || record.name.size() > kRecordNameSizeMax) {
    return InvalidRecord(record, absl::StrCat("a name of ", record.name.size(),
                                              " bytes is not of 1 to ", kRecordNameSizeMax));
  }
  if (!IsText(record.name)) return InvalidRecord(record, "the name is not UTF-8 without NUL");
  return absl::OkStatus();
}

bool IsHostName(absl::string_view host) {
  auto allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_';
  };
  return !host.empty() && host.size() <= kHostSizeMax &&
         std::all_of(host.begin(), host.end(), allowed);
}

// The text between the brackets: an IPv6 address, possibly with a zone (RFC 4007, section 11).
bool IsIpv6(absl::string_view host) {
  std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(host, absl::MaxSplits('%', 1));
  auto allowed = [](char c) {
    return absl::ascii_isxdigit(static_cast<unsigned char>(c)) || c == ':' || c == '.';
  };
  absl::string_view address = parts.first;
  bool has_zone = address.size() != host.size();
  return absl::StrContains(address, ':') && address.size() <= 45 &&
         std::all_of(address.begin(), address.end(), allowed) &&
         (!has_zone || IsHostName(parts.second));
}

}  // namespace

absl::string_view RecordKindName(RecordKind kind) {
  switch (kind) {
    case RecordKind::kFile:
      return "file";
    case RecordKind::kDirectory:
      return "directory";
    case RecordKind::kObject:
      return "object";
    case RecordKind::kPeer:
      return "peer";
  }
  PANAL_CHECK(false);
}

absl::Status ValidateRecord(const Record& record) {
  if (record.kind < RecordKind::kFile || record.kind > RecordKind::kPeer) {
    return InvalidRecord(record,
                         absl::StrCat("kind ", static_cast<int>(record.kind), " is unknown"));
  }
  PANAL_RETURN_IF_ERROR(ValidateName(record));
  if (record.kind == RecordKind::kObject && record.id != Sha256Digest{}) {
    return InvalidRecord(record, "an object has no id of its own");
  }
  if (record.size_bytes > kRecordSizeBytesMax) {
    return InvalidRecord(
        record, absl::StrCat("size ", record.size_bytes, " exceeds ", kRecordSizeBytesMax));
  }
  if (record.addresses.size() > kContactAddressesMax) {
    return InvalidRecord(
        record, absl::StrCat(record.addresses.size(), " addresses exceed ", kContactAddressesMax));
  }
  for (const std::string& address : record.addresses) {
    if (!IsValidAddress(address)) {
      return InvalidRecord(record, absl::StrCat("address ", Shown(address), " is not HOST:PORT"));
    }
  }
  return ValidateAttributes(record.attributes);
}

absl::Status ValidateAttributes(const Attributes& attributes) {
  if (attributes.size() > kRecordAttributesMax) {
    return Error(ErrorReason::kAttributeInvalid,
                 absl::StrCat(attributes.size(), " attributes exceed ", kRecordAttributesMax));
  }
  for (const auto& [key, value] : attributes) {
    PANAL_RETURN_IF_ERROR(ValidateKey(key));
    if (value.size() > kAttributeValueSizeMax) {
      return InvalidAttribute(key, absl::StrCat("a value of ", value.size(), " bytes exceeds ",
                                                kAttributeValueSizeMax));
    }
    if (!IsText(value)) return InvalidAttribute(key, "the value is not UTF-8 without NUL");
  }
  return absl::OkStatus();
}

absl::Status ValidateFileName(absl::string_view name) {
  if (name.empty() || name.size() > kRecordNameSizeMax) {
    return InvalidName(name,
                       absl::StrCat(name.size(), " bytes are not of 1 to ", kRecordNameSizeMax));
  }
  if (!IsText(name)) return InvalidName(name, "not UTF-8 without NUL");
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty()) return InvalidName(name, "absolute, or with an empty component");
    if (part == "." || part == "..") {
      return InvalidName(name, absl::StrCat("with the component ", part));
    }
  }
  return absl::OkStatus();
}

bool IsValidAddress(absl::string_view address) {
  size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || address.size() > kAddressSizeMax) return false;
  absl::string_view host = address.substr(0, colon);
  absl::string_view port_text = address.substr(colon + 1);
  uint32_t port = 0;
  bool digits = std::all_of(port_text.begin(), port_text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  if (!digits || port_text.size() > 5 || !absl::SimpleAtoi(port_text, &port)) return false;
  if (port < 1 || port > 65535) return false;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return IsIpv6(host.substr(1, host.size() - 2));
  }
  return IsHostName(host);
}

}  // namespace panal
