// absl::Status <-> grpc::Status, with google.rpc.Status in `grpc-status-details-bin`
// (common/wire/status_codec.h).
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace panal {

// Code, message and details of `status`.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The inverse. A status that gRPC itself made gets the reason that it implies: PEER_ID_MISMATCH
// when our verifier refused the other end, CANCELLED, DEADLINE_EXCEEDED; otherwise none.
absl::Status FromGrpcStatus(const grpc::Status& status);

// As FromGrpcStatus, for a stream to another peer: what has no reason becomes PEER_UNREACHABLE when
// `connected` is false and CONNECTION_LOST when it is true. Not OK: a stream that the other end
// closed in good order is CONNECTION_LOST too.
absl::Status StreamEnd(const grpc::Status& status, bool connected);

}  // namespace panal
