// Lists in pages (AIP-158): page sizes, and tokens that say where the next page begins.
//
// A token is opaque to callers and names the method and the arguments it belongs to; a checksum
// tells one that was altered or belongs elsewhere. It is no secret: it grants nothing.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal {

inline constexpr int kPageSizeDefault = 50;
inline constexpr int kPageSizeMax = 1000;

// 0 means kPageSizeDefault; above kPageSizeMax is kPageSizeMax. Error: ARGUMENT_INVALID (negative).
absl::StatusOr<int> PageSizeOf(int32_t asked);

// Token of a list `context` (method and arguments that change its meaning) that goes on behind
// `cursor`.
std::string EncodePageToken(absl::string_view context, absl::string_view cursor);
// The cursor; empty for an empty token, the first page. Error: PAGE_TOKEN_INVALID.
absl::StatusOr<std::string> DecodePageToken(absl::string_view context, absl::string_view token);

}  // namespace panal
