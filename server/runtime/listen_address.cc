#include "server/runtime/listen_address.h"

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

// The host part, brackets kept.
absl::StatusOr<absl::string_view> ListenHost(absl::string_view listen) {
  const size_t colon = listen.rfind(':');
  int port = -1;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return ListenInvalid(listen);
  }
  const absl::string_view host = listen.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find(':') != absl::string_view::npos) return ListenInvalid(listen);
  return host;
}

}  // namespace

absl::StatusOr<BoundServer> StartServer(grpc::ServerBuilder& builder, absl::string_view listen,
                                        std::shared_ptr<grpc::ServerCredentials> credentials) {
  PANAL_ASSIGN_OR_RETURN(const absl::string_view host, ListenHost(listen));
  // With it on, gRPC's default, the kernel would split connections between two processes silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(std::string(listen), std::move(credentials), &port);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  // The port is reported even when binding failed: the server is what counts.
  if (server == nullptr || port == 0) {
    return Error(ErrorReason::kPortTaken,
                 absl::StrCat("cannot bind ", listen, ": in use or not an address of this machine"),
                 {{"address", std::string(listen)}});
  }
  return BoundServer{std::move(server), absl::StrCat(host, ":", port)};
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
