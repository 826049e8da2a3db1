// Accepts the connections of one port, for a gRPC server that is given them.
//
// The loop is ours and not gRPC's because gRPC 1.51 gives up a listener for good when accept()
// fails once, as it does when descriptors run out: a few hundred idle connections would make a peer
// deaf until its restart.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal {

// Most connections of one port, whatever the system allows: at 14 KiB an idle one (measured,
// docs/benchmarks.md) 224 MiB.
inline constexpr size_t kConnectionsMax = 16'384;
// Shares of the process's descriptors (RLIMIT_NOFILE) that the connections of a port may take. The
// rest, an eighth, is for files and for what this peer dials. Guess.
inline constexpr double kApiConnectionsShare = 9.0 / 16;
inline constexpr double kMeshConnectionsShare = 5.0 / 16;

// Connections for a port that may take `share` of the descriptors, from 1 to kConnectionsMax.
size_t ConnectionsFor(double share);

// Thread-safe.
class Acceptor {
 public:
  // Owns the socket it is given: connected, non-blocking. Called on the acceptor's thread.
  using Handover = std::function<void(int socket)>;

  // Binds every address of `host` (a name, an IPv4 address, or an IPv6 address in brackets) without
  // SO_REUSEPORT, which would split connections between two processes silently. Port 0 picks a free
  // one. Connections that come while `connections_max` are open are closed at once, and so are
  // those for which there is no descriptor. Errors: CONFIG_INVALID when `host` has no address or
  // one that is not of this machine; PORT_TAKEN.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Bind(absl::string_view host, int port,
                                                        size_t connections_max);
  // Stops.
  virtual ~Acceptor() = default;

  virtual int port() const = 0;
  // Begins to accept. At most once.
  virtual void Start(Handover handover) = 0;
  // Accepts nothing more and closes the port; waits for a handover under way. What was handed over
  // stays open. Again: no effect.
  virtual void Stop() = 0;
};

}  // namespace panal
