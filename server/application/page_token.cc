#include "server/application/page_token.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/wire/status_codec.h"

namespace panal {
namespace {

// Bytes of the checksum: tells mistakes, not attackers.
constexpr size_t kChecksumSize = 8;
// Bytes of a token that are looked at: the longest cursor is a position of 1,026 bytes, in base32.
constexpr size_t kTokenSizeMax = 2048;

std::string Checksum(absl::string_view context, absl::string_view cursor) {
  const Sha256Digest digest =
      Sha256(absl::StrCat("panal page token v1 ", context.size(), " ", context, cursor));
  return std::string(digest.view().substr(0, kChecksumSize));
}

}  // namespace

absl::StatusOr<int> PageSizeOf(int32_t asked) {
  if (asked < 0) {
    return BadRequestError({{"page_size", absl::StrCat(asked, " is negative")}});
  }
  return asked == 0 ? kPageSizeDefault : std::min<int>(asked, kPageSizeMax);
}

std::string EncodePageToken(absl::string_view context, absl::string_view cursor) {
  return Base32Encode(absl::StrCat(Checksum(context, cursor), cursor));
}

absl::StatusOr<std::string> DecodePageToken(absl::string_view context, absl::string_view token) {
  if (token.empty()) return std::string();
  std::optional<std::string> bytes;
  if (token.size() <= kTokenSizeMax) bytes = Base32Decode(token);
  if (bytes && bytes->size() > kChecksumSize) {
    std::string cursor = bytes->substr(kChecksumSize);
    if (Checksum(context, cursor) == bytes->substr(0, kChecksumSize)) return cursor;
  }
  return Error(ErrorReason::kPageTokenInvalid,
               "the page token was not issued for this list; begin again without one");
}

}  // namespace panal
