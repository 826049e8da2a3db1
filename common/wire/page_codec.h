// Pages between values and their wire form, v1::SignedPage, which is also how the catalog stores
// them.
//
// A decoded page is UNVERIFIED: its limits, the hash of its body and the publisher's id were
// checked, its signature and its expiry were not. Whoever lets a page in verifies the signature
// over PageSigningBytes() first (the runtime does, on workers).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/page.h"

namespace panal {

namespace v1 {
class SignedPage;
}  // namespace v1

// A page as it came. Without its body `page->body` and `page->records` are empty.
struct DecodedPage {
  PagePtr page;
  bool has_body = false;
};

// Serialized v1::PageBody; equal records give equal bytes; no records give none.
std::string EncodePageBody(const std::vector<Record>& records);
// Records of a known kind, in order. Error: PAGE_INVALID (size, count, a record out of its limits).
absl::StatusOr<std::vector<Record>> DecodePageBody(absl::string_view body);

// Overwrites `*message`. The body is sent as it was signed.
void ToProto(const Page& page, bool with_body, v1::SignedPage* message);
// Error: PAGE_INVALID.
absl::StatusOr<DecodedPage> FromProto(const v1::SignedPage& message);

std::string EncodeSignedPage(const Page& page, bool with_body);
// Error: PAGE_INVALID.
absl::StatusOr<DecodedPage> DecodeSignedPage(absl::string_view bytes);

// Peer id of a raw Ed25519 public key: the SHA-256 of its SubjectPublicKeyInfo. Nothing when it is
// not kPageKeySize bytes.
std::optional<PeerId> PublisherOfKey(absl::string_view public_key);

}  // namespace panal
