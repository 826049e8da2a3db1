// The API port: gRPC for programs, plaintext, loopback by default. One generic callback service and
// no typed one, so that the gate and then the router see every call.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/application/api_gate.h"
#include "server/application/call.h"
#include "server/runtime/acceptor.h"
#include "server/runtime/api_callers.h"

namespace panal {

struct ApiPortOptions {
  std::string listen;  // HOST:PORT; port 0 picks a free one.
  // Largest message accepted, in bytes. gRPC's default of 4 MiB.
  int message_size_max = 4 * 1024 * 1024;
  // Connections of one host that are callers of their own.
  size_t callers_per_host_max = kApiCallersPerHostMax;
  // Connections open at once; those beyond are closed as they come.
  size_t connections_max = ConnectionsFor(kApiConnectionsShare);
};

class ApiPort {
 public:
  // Binds (without SO_REUSEPORT) and begins to accept. Gives `route` what `gate`, which must outlive the
  // port, admits, and finishes the rest. Error: PORT_TAKEN.
  static absl::StatusOr<std::unique_ptr<ApiPort>> Open(const ApiPortOptions& options,
                                                       const ApiGate& gate,
                                                       std::function<void(CallPtr)> route);
  virtual ~ApiPort() = default;
  // HOST:PORT as bound.
  virtual std::string address() const = 0;
  // Stops accepting; calls under way get `grace` to finish, then are cancelled.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace panal
