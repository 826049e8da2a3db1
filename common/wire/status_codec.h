// absl::Status <-> google.rpc.Status, the bytes of `grpc-status-details-bin`
// (docs/protocol/errors.md).
//
// Details are packed under the type URLs of google.rpc with the wire-compatible messages of
// proto/panal/v1/errors.proto: exactly one ErrorInfo, and RetryInfo, BadRequest and ResourceInfo
// where they fit. No gRPC here: common/rpc and server/application put code, message and bytes on
// the wire.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace panal {

// Bytes of details that Panal writes. They travel as metadata, of which gRPC takes 8 KiB in all by
// default, base64 included.
inline constexpr size_t kStatusDetailsSizeMax = 4 * 1024;
// Bytes of details that are read (CallStatus in frames.proto): an exported object may say more.
inline constexpr size_t kStatusDetailsDecodeMax = 8 * 1024;
// Bytes of a message for people. Longer ones are cut.
inline constexpr size_t kStatusMessageSizeMax = 1024;
// Violations named in one status. Further ones are left out.
inline constexpr size_t kFieldViolationsMax = 16;

// A field of a request that is out of its range.
struct FieldViolation {
  std::string field;        // Path of the field, as the proto names it.
  std::string description;  // What is wrong with it, with value and limit.
  bool operator==(const FieldViolation&) const = default;
};

// ARGUMENT_INVALID that names every violation. REQUIRES: at least one.
absl::Status BadRequestError(const std::vector<FieldViolation>& violations);
// Violations that travel with `status`.
std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status);

// A serialized google.rpc.Status; empty for OK. A status without a reason gets the one that its
// code implies. At most kStatusDetailsSizeMax bytes: values are left out before the reason is.
std::string EncodeStatusDetails(const absl::Status& status);

// `message` as it may travel: UTF-8, at most kStatusMessageSizeMax bytes.
std::string StatusMessageOf(const absl::Status& status);

// The inverse. `code` and `message` are the call's own and win over what `details` says; details
// that are absent, too large or do not decode leave a status without a reason. Code 0 is OK; a code
// that gRPC does not have becomes UNKNOWN.
absl::Status DecodeStatusDetails(int code, absl::string_view message, absl::string_view details);

}  // namespace panal
