// PeerObject/Join on the mesh port: the one thing that a stranger can reach. One request of
// bounded size, one answer, within a bounded time, so many at once and a second; what is asked is
// judged elsewhere (server/runtime/inviter.h).
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/base/token_bucket.h"
#include "server/runtime/join_request.h"

namespace panal {

// Largest request, in bytes (docs/protocol/admission.md).
inline constexpr size_t kJoinRequestSizeMax = 4096;
// Requests under way at once. Guess: each costs a worker a millisecond, and a sync of the disk.
inline constexpr int kJoinsMax = 16;
// Requests taken over time, from whomever. Guess: a rack of machines that joins from one script, and
// 2 % of a core in signatures for a stranger who does nothing else.
inline constexpr Rate kJoinRate = {.burst = 50, .period = absl::Milliseconds(100)};
// A stranger who has not asked by then is cut off, and an answer that is not there by then is none.
// Guess: a slow path and a busy disk.
inline constexpr absl::Duration kJoinTimeout = absl::Seconds(10);

// Thread-safe; no method blocks. Streams end with their gRPC server: shut that down first.
class JoinService {
 public:
  explicit JoinService(JoinHandler handler);

  // The reactor of a call of `caller`, proven by TLS. Refused with OVERLOADED above the limits.
  grpc::ServerGenericBidiReactor* Accept(grpc::GenericCallbackServerContext& context,
                                         const PeerId& caller);

 private:
  // Shared by the service and its streams, which count themselves out.
  struct Load {
    Mutex mutex;
    TokenBucket bucket ABSL_GUARDED_BY(mutex) = TokenBucket(kJoinRate);
    int open ABSL_GUARDED_BY(mutex) = 0;
  };

  const JoinHandler handler_;
  const std::shared_ptr<Load> load_;
};

}  // namespace panal
