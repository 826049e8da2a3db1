// Frames of a Call stream (proto/panal/v1/frames.proto, docs/protocol/objects.md) to and from the
// types of a call, and their limits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "panal/v1/frames.pb.h"
#include "server/application/call.h"

namespace panal {

// Limits of one batch, both as sent and as accepted (frames.proto).
inline constexpr int kBatchFramesMax = 1024;
inline constexpr size_t kBatchSizeMax = 256 * 1024;  // Bytes, serialized.
// Bytes of a message in one frame (frames.proto).
inline constexpr size_t kCallPartSizeMax = 64 * 1024;
// Bytes of a whole message: gRPC's own default limit, so that every stub can receive it.
inline constexpr size_t kCallMessageSizeMax = 4 * 1024 * 1024;
inline constexpr size_t kCallMethodSizeMax = 256;              // Bytes (frames.proto).
inline constexpr size_t kCallReferenceSizeMax = 2048;          // Bytes (frames.proto).
inline constexpr int kCallMetadataEntriesMax = 64;             // Entries (frames.proto).
inline constexpr size_t kCallMetadataKeySizeMax = 256;         // Bytes (frames.proto).
inline constexpr size_t kCallMetadataValueSizeMax = 8 * 1024;  // Bytes (frames.proto).
// Bytes of keys and values together. Guess: eight times what gRPC takes by default; with it the
// largest frame is a third of a batch.
inline constexpr size_t kCallMetadataSizeMax = 64 * 1024;
inline constexpr size_t kCallStatusMessageSizeMax = 4 * 1024;  // Bytes (frames.proto).
inline constexpr size_t kCallStatusDetailsSizeMax = 8 * 1024;  // Bytes (frames.proto).
// A call that may take longer has no deadline. Guess: a year.
inline constexpr absl::Duration kCallTimeoutMax = absl::Hours(24 * 365);

// Whether a call may be opened with `head`. Errors: MESSAGE_TOO_LARGE (method, reference or
// metadata above the limits), ARGUMENT_INVALID (not UTF-8).
absl::Status CheckOpen(const CallHead& head);
// REQUIRES: CheckOpen. `panal-` keys are left out.
void EncodeOpen(const CallHead& head, absl::Time now, v1::CallOpen& open);
// The call that `peer` opens. `panal-` keys are dropped. Error: FRAME_INVALID.
absl::StatusOr<CallHead> DecodeOpen(const v1::CallOpen& open, const PeerId& peer, absl::Time now);

// Error: MESSAGE_TOO_LARGE.
absl::Status CheckMetadata(const CallMetadata& metadata);
// REQUIRES: CheckMetadata.
void EncodeMetadata(const CallMetadata& metadata, v1::CallMetadata& encoded);
// Error: FRAME_INVALID.
absl::StatusOr<CallMetadata> DecodeMetadata(const v1::CallMetadata& encoded);

// A message that is too long is cut; details that are too long are left out; trailing metadata
// above the limits makes a result of MESSAGE_TOO_LARGE.
void EncodeResult(const CallResult& result, v1::CallStatus& status);
// Error: FRAME_INVALID.
absl::StatusOr<CallResult> DecodeResult(const v1::CallStatus& status);

}  // namespace panal
