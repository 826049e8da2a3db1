// What must be said to gRPC before its first use.
#pragma once

namespace panal {

// Refuses TLS 1.2, sends gRPC's and protobuf's own log lines through common/base/log.h
// (rate-limited, since a remote peer can bring them about), and keeps gRPC's callback threads for
// the life of the process. Call it first in main and in tests; calls after the first do nothing.
// Thread-safe, but sets an environment variable: before other threads begin.
void InitializeRpc();

}  // namespace panal
