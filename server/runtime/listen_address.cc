#include "server/runtime/listen_address.h"

#include <chrono>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace panal {
namespace {

absl::Status ListenInvalid(absl::string_view listen) {
  return Error(
      ErrorReason::kConfigInvalid,
      absl::StrCat("listen address \"", listen, "\" is not HOST:PORT with a port from 0 to 65535"),
      {{"address", std::string(listen)}});
}

struct HostPort {
  absl::string_view host;  // Brackets kept.
  int port = 0;
};

absl::StatusOr<HostPort> ParseListen(absl::string_view listen) {
  const size_t colon = listen.rfind(':');
  HostPort parsed;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(listen.substr(colon + 1), &parsed.port) || parsed.port < 0 ||
      parsed.port > 65535) {
    return ListenInvalid(listen);
  }
  parsed.host = listen.substr(0, colon);
  const bool bracketed = parsed.host.front() == '[' && parsed.host.back() == ']';
  if (!bracketed && parsed.host.find(':') != absl::string_view::npos) return ListenInvalid(listen);
  return parsed;
}

}  // namespace

void BoundServer::Shutdown(absl::Duration grace) {
  acceptor->Stop();
  server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  server->Wait();
}

absl::StatusOr<BoundServer> StartServer(grpc::ServerBuilder& builder, absl::string_view listen,
                                        std::shared_ptr<grpc::ServerCredentials> credentials,
                                        size_t connections_max) {
  PANAL_ASSIGN_OR_RETURN(const HostPort parsed, ParseListen(listen));
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<Acceptor> acceptor,
                         Acceptor::Bind(parsed.host, parsed.port, connections_max));
  using Connections = grpc::experimental::ExternalConnectionAcceptor;
  std::shared_ptr<Connections> connections = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      std::move(credentials));
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return Error(ErrorReason::kInternal, absl::StrCat("gRPC started no server for ", listen));
  }
  acceptor->Start([connections = std::move(connections)](int socket) {
    Connections::NewConnectionParameters connection;
    connection.fd = socket;
    connections->HandleNewConnection(&connection);
  });
  std::string address = absl::StrCat(parsed.host, ":", acceptor->port());
  return BoundServer{std::move(server), std::move(acceptor), std::move(address)};
}

std::string HostOfGrpcPeer(absl::string_view peer) {
  if (absl::ConsumePrefix(&peer, "ipv4:") || absl::ConsumePrefix(&peer, "ipv6:")) {
    const size_t colon = peer.rfind(':');
    std::string host = absl::StrReplaceAll(
        peer.substr(0, colon),
        {{"%5B", ""}, {"%5D", ""}, {"%5b", ""}, {"%5d", ""}, {"[", ""}, {"]", ""}});
    return host;
  }
  return std::string(peer.substr(0, peer.find(':')));
}

}  // namespace panal
