// HOST:PORT of listeners. Private to the ports.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/runtime/acceptor.h"

namespace panal {

// A server that was started, and HOST:PORT as bound.
struct BoundServer {
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Acceptor> acceptor;  // After `server`, which it hands connections to.
  std::string address;

  // Accepts nothing more, ends what has not ended after `grace`, and waits for that.
  void Shutdown(absl::Duration grace);
};

// Binds `listen` (HOST:PORT; port 0 picks a free one; an IPv6 host in brackets) and starts the
// server, with at most `connections_max` connections at once. Errors: CONFIG_INVALID when `listen`
// is not HOST:PORT; PORT_TAKEN.
absl::StatusOr<BoundServer> StartServer(grpc::ServerBuilder& builder, absl::string_view listen,
                                        std::shared_ptr<grpc::ServerCredentials> credentials,
                                        size_t connections_max = kConnectionsMax);

// Host of what gRPC calls a peer: `127.0.0.1` for `ipv4:127.0.0.1:5000`, `::1` for
// `ipv6:%5B::1%5D:5000`, `unix` for a Unix socket.
std::string HostOfGrpcPeer(absl::string_view peer);

}  // namespace panal
