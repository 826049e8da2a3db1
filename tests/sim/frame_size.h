// About how many bytes a frame takes on a link, and what it is called.
#pragma once

#include <cstddef>
#include <variant>

#include "absl/strings/string_view.h"
#include "common/model/frame.h"

namespace panal::sim {

// Protobuf encoding estimated field by field, plus 36 bytes of gRPC, HTTP/2 and TLS framing.
size_t FrameSize(const Frame& frame);

// Kinds of frames told apart: those of Frame, casts of queries, of pages and contacts being three.
inline constexpr size_t kFrameKinds = std::variant_size_v<Frame> + 2;

// From 0 to kFrameKinds - 1.
size_t FrameKind(const Frame& frame);
// `cast_query`, `measure` …
absl::string_view FrameKindName(size_t kind);

}  // namespace panal::sim
