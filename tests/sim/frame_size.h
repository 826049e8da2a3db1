// About how many bytes a frame takes on a link, and what it is called.
#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"
#include "common/model/frame.h"

namespace panal::sim {

// Protobuf encoding estimated field by field, plus 36 bytes of gRPC, HTTP/2 and TLS framing.
size_t FrameSize(const Frame& frame);

// `cast_query`, `measure` …
absl::string_view FrameKind(const Frame& frame);

}  // namespace panal::sim
