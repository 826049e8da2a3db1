#include "common/base/id_prefix.h"

#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/ids.h"
#include "common/base/utf8.h"

namespace panal {

absl::StatusOr<std::string> ParseIdPrefix(absl::string_view text, IdKind kind) {
  constexpr size_t kLongest = Sha256Digest::kTextSize;
  const bool fits = text.size() == kLongest
                        ? Sha256Digest::FromText(text).has_value()
                        : text.size() >= kIdPrefixMin && text.size() < kLongest && IsBase32(text);
  if (fits) return std::string(text);
  const bool peer = kind == IdKind::kPeer;
  // As much of the text as an id has: it may be anything.
  const std::string shown = ToValidUtf8(text.substr(0, kLongest));
  return Error(peer ? ErrorReason::kPeerIdInvalid : ErrorReason::kFileIdInvalid,
               absl::StrCat("`", shown, "` is no ", peer ? "peer" : "file",
                            " id and no prefix of one: ", kIdPrefixMin, " to ", kLongest,
                            " characters of a-z and 2-7"),
               {{"prefix", shown}});
}

}  // namespace panal
