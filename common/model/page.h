// A page: up to 256 records of one publisher under one signature; the unit that is signed, spread,
// stored, refreshed and expires (docs/protocol/records.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/record.h"

namespace panal {

inline constexpr size_t kPageRecordsMax = 256;         // One signature (66 us) over many files.
inline constexpr size_t kPageBodySizeMax = 64 * 1024;  // Bytes; one frame carries it.
inline constexpr size_t kPageKeySize = 32;             // Bytes of an Ed25519 public key (RFC 8032).
inline constexpr size_t kPageSignatureSize = 64;       // Bytes of an Ed25519 signature (RFC 8032).
// Number of the page that holds the publisher's peer record.
inline constexpr uint32_t kPeerPageNumber = 0;
// Pages one publisher may have. 16,384 pages of 256 records are 4 million files.
inline constexpr uint32_t kPageNumberMax = 16384;
// How long a page lives without a refresh, and how often its publisher refreshes it
// (docs/protocol/records.md: lifetime is three refreshes).
inline constexpr absl::Duration kPageLifetime = absl::Minutes(30);
inline constexpr absl::Duration kPageRefreshInterval = absl::Minutes(10);

// Names a page.
struct PageKey {
  PeerId publisher;
  uint32_t number = 0;

  auto operator<=>(const PageKey&) const = default;
};

// What the signature covers, and the signature. The public key hashes to `key.publisher`.
struct PageHeader {
  PageKey key;
  uint64_t version = 0;
  // Milliseconds since 1970 after which the page is void.
  uint64_t expires_ms = 0;
  Sha256Digest body_hash;
  std::string public_key;  // kPageKeySize bytes.
  std::string signature;   // kPageSignatureSize bytes.

  bool operator==(const PageHeader&) const = default;
};

// A page whose signature, hash and limits were verified by the runtime. `body` is the exact bytes
// that were hashed; `records` is what they decode to. Shared, immutable: frames to many neighbors
// and the catalog refer to the same page.
struct Page {
  PageHeader header;
  std::string body;
  std::vector<Record> records;
};

using PagePtr = std::shared_ptr<const Page>;

// Whether the page is within its limits: number, sizes, every record, and that a peer record is its
// own publisher's and on page kPeerPageNumber. Without `has_body` (a refresh) the body must be
// empty. Neither hash nor signature nor expiry is looked at. Error: PAGE_INVALID.
absl::Status ValidatePage(const Page& page, bool has_body);

// The bytes that are signed: "panal page v1" NUL, mesh id, publisher, U32 number, U64 version, U64
// expires_ms, body hash.
std::string PageSigningBytes(const MeshId& mesh, const PageHeader& header);

}  // namespace panal
