#include "common/rpc/status_convert.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/wire/status_codec.h"

namespace panal {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), StatusMessageOf(status),
                      EncodeStatusDetails(status));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  absl::Status converted = DecodeStatusDetails(static_cast<int>(status.error_code()),
                                               status.error_message(), status.error_details());
  if (converted.ok() || ReasonOf(converted) != ErrorReason::kUnspecified) return converted;
  // gRPC hands the verifier's words on inside its own message, under UNAVAILABLE.
  if (absl::StrContains(status.error_message(), "peer id mismatch")) {
    return Error(ErrorReason::kPeerIdMismatch, status.error_message());
  }
  if (converted.code() == absl::StatusCode::kCancelled) {
    return Error(ErrorReason::kCancelled, status.error_message());
  }
  if (converted.code() == absl::StatusCode::kDeadlineExceeded) {
    return Error(ErrorReason::kDeadlineExceeded, status.error_message());
  }
  return converted;
}

absl::Status StreamEnd(const grpc::Status& status, bool connected) {
  const absl::Status converted = FromGrpcStatus(status);
  const ErrorReason reason = ReasonOf(converted);
  if (reason != ErrorReason::kUnspecified && reason != ErrorReason::kCancelled) return converted;
  if (converted.ok()) return Error(ErrorReason::kConnectionLost, "the peer closed the stream");
  return Error(connected ? ErrorReason::kConnectionLost : ErrorReason::kPeerUnreachable,
               converted.message());
}

}  // namespace panal
