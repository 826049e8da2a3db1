// Ids: 32 bytes, distinct types, shown as 52 lower-case base32 characters.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/base/base32.h"

namespace panal {

// A SHA-256 value. `Tag` keeps peer, file and mesh ids apart.
template <typename Tag>
struct Digest256 {
  static constexpr size_t kSize = 32;
  static constexpr size_t kTextSize = 52;

  std::array<uint8_t, kSize> bytes{};

  // From exactly 32 bytes; nothing otherwise.
  static std::optional<Digest256> FromBytes(absl::string_view raw) {
    if (raw.size() != kSize) return std::nullopt;
    Digest256 id;
    std::memcpy(id.bytes.data(), raw.data(), kSize);
    return id;
  }

  // From exactly 52 base32 characters; nothing otherwise.
  static std::optional<Digest256> FromText(absl::string_view text) {
    if (text.size() != kTextSize) return std::nullopt;
    std::optional<std::string> raw = Base32Decode(text);
    return raw ? FromBytes(*raw) : std::nullopt;
  }

  absl::string_view view() const {
    return absl::string_view(reinterpret_cast<const char*>(bytes.data()), kSize);
  }

  std::string ToBytes() const { return std::string(view()); }

  std::string ToText() const { return Base32Encode(view()); }

  // First eight characters, for logs.
  std::string ToShortText() const { return ToText().substr(0, 8); }

  // In the order of the bytes. Digests hardly ever share their first eight.
  std::strong_ordering operator<=>(const Digest256& other) const {
    if (Head() != other.Head()) return Head() <=> other.Head();
    return std::memcmp(bytes.data(), other.bytes.data(), kSize) <=> 0;
  }

  bool operator==(const Digest256&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const Digest256& id) {
    return H::combine(std::move(h), id.bytes);
  }

 private:
  // The first eight bytes, big-endian.
  uint64_t Head() const {
    uint64_t head = 0;
    for (size_t i = 0; i < sizeof(head); ++i) head = head << 8 | bytes[i];
    return head;
  }
};

struct PeerIdTag;
struct FileIdTag;
struct MeshIdTag;
struct Sha256Tag;

// SHA-256 of a peer's public key (SubjectPublicKeyInfo, DER).
using PeerId = Digest256<PeerIdTag>;
// SHA-256 of a file's manifest.
using FileId = Digest256<FileIdTag>;
// Hash that names a mesh.
using MeshId = Digest256<MeshIdTag>;
// Any other SHA-256 value.
using Sha256Digest = Digest256<Sha256Tag>;

}  // namespace panal
