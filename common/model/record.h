// A record: what a peer publishes about a file, an object or itself. Value types, no IO.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"

namespace panal {

// Limits of a record (docs/protocol/records.md). Sizes in bytes.
inline constexpr size_t kRecordNameSizeMax = 1024;     // Path-like names; PATH_MAX is 4096.
inline constexpr size_t kRecordAttributesMax = 32;     // Guess: enough for tags, bounds a page.
inline constexpr size_t kAttributeKeySizeMax = 64;     // Guess.
inline constexpr size_t kAttributeValueSizeMax = 256;  // Guess.
inline constexpr size_t kContactAddressesMax = 8;      // A host rarely has more interfaces.
inline constexpr size_t kAddressSizeMax = 260;         // 253 of a DNS name, colon, port.
inline constexpr uint64_t kRecordSizeBytesMax = 1ull << 62;

// Values equal those of RecordKind in frames.proto.
enum class RecordKind : uint8_t { kFile = 1, kDirectory = 2, kObject = 3, kPeer = 4 };

// `file`, `directory`, `object`, `peer`.
absl::string_view RecordKindName(RecordKind kind);

using Attributes = std::map<std::string, std::string>;

// A peer and where to dial it.
struct PeerContact {
  PeerId id;
  std::vector<std::string> addresses;  // HOST:PORT, at most kContactAddressesMax.

  bool operator==(const PeerContact&) const = default;
};

// Key: (publisher, kind, name). The publisher is the page's.
struct Record {
  RecordKind kind = RecordKind::kFile;
  std::string name;
  // File id or peer id as 32 raw bytes; for an object zeros.
  Sha256Digest id;
  uint64_t size_bytes = 0;
  Attributes attributes;
  uint64_t version = 0;
  // For a peer: where to dial it.
  std::vector<std::string> addresses;

  bool operator==(const Record&) const = default;
};

// A record that matches a query, with who published it.
struct Hit {
  Record record;
  PeerContact publisher;
  // Version of the publisher's peer record that the addresses are from. 0: none is known.
  uint64_t publisher_version = 0;

  bool operator==(const Hit&) const = default;
};

// Whether `record` is within the limits above, its name valid UTF-8 without NUL, its addresses
// HOST:PORT. Errors: RECORD_INVALID, ATTRIBUTE_INVALID, FILE_NAME_INVALID.
absl::Status ValidateRecord(const Record& record);
// Keys: 1 to 64 of [a-z0-9_.-], beginning with a letter; values: valid UTF-8 without NUL, at most
// 256 bytes. Keys `name`, `size`, `kind`, `id`, `publisher` are taken. Error: ATTRIBUTE_INVALID.
absl::Status ValidateAttributes(const Attributes& attributes);
// 1 to 1024 bytes of UTF-8, no NUL, not absolute, no empty, `.` or `..` component.
// Error: FILE_NAME_INVALID.
absl::Status ValidateFileName(absl::string_view name);
// HOST:PORT with a port from 1 to 65535; an IPv6 host in brackets.
bool IsValidAddress(absl::string_view address);

}  // namespace panal
