// Frames of a link between values and their wire form, v1::LinkFrame (proto/panal/v1/frames.proto).
// All ranges stated there are checked here: a Frame that was decoded is within them.
//
// Pages inside decoded frames are UNVERIFIED (common/wire/page_codec.h): the runtime verifies their
// signatures before a frame reaches processing. Queries are not parsed, only their size is checked.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/frame.h"

namespace panal {

namespace v1 {
class LinkFrame;
}  // namespace v1

// Limits of frames that no value type needs (proto/panal/v1/frames.proto).
inline constexpr size_t kHelloFeaturesMax = 32;  // Features.
inline constexpr size_t kFeatureSizeMax = 32;    // Bytes.
inline constexpr size_t kVersionSizeMax = 64;    // Bytes.
inline constexpr double kCapacityMax = 1024;     // Relative to 1.
inline constexpr size_t kMethodSizeMax = 128;    // Bytes.
inline constexpr size_t kWalkPathMax = 17;       // Peers: the origin and kWalkTtlMax steps.
// What rounding may add to a mass of 1 that is halved and summed again. Guess, far above 2^-53 a
// step.
inline constexpr double kMassTolerance = 1e-9;

// Overwrites `*message`. REQUIRES: `frame` is within its ranges, its pages are not null.
void ToProto(const Frame& frame, v1::LinkFrame* message);

// Nothing for a frame, or a payload of a Cast, whose case is not known: to be ignored and counted.
// Hits of an unknown kind are left out. Errors: FRAME_INVALID, whose metadata name `field`, `value`
// and `limit`; FRAME_TOO_LARGE.
absl::StatusOr<std::optional<Frame>> FromProto(const v1::LinkFrame& message);

// Serialized v1::LinkFrame; equal frames give equal bytes.
std::string EncodeFrame(const Frame& frame);
// As FromProto; FRAME_INVALID also where the bytes do not parse.
absl::StatusOr<std::optional<Frame>> DecodeFrame(absl::string_view bytes);

}  // namespace panal
