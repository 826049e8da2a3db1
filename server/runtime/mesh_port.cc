#include "server/runtime/mesh_port.h"

#include <grpc/compression.h>
#include <grpcpp/grpcpp.h>

#include <utility>

#include "common/base/status.h"
#include "common/rpc/stream_admission.h"
#include "common/rpc/tls_credentials.h"
#include "server/runtime/blocks_server.h"
#include "server/runtime/call_streams.h"
#include "server/runtime/grpc_links.h"
#include "server/runtime/listen_address.h"
#include "server/runtime/mesh_service.h"
#include "server/runtime/peer_channels.h"
#include "server/runtime/peer_methods.h"

namespace panal {
namespace {

// Streams a peer may hold on one connection. Two are needed; the rest is for streams to come.
constexpr int kStreamsPerConnectionMax = 64;
// Time for TLS. Guess: as a whole dial, doubled.
constexpr int kHandshakeTimeoutMs = 10'000;
// A connection without streams is closed after this long. Guess: longer than a dialler's own limit.
constexpr int kConnectionIdleMaxMs = 120'000;
// Peers ping every kPingInterval; half of it is tolerated.
constexpr int kPingIntervalMinMs = 5'000;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

void SetServerArguments(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kControlMessageMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kConnectionIdleMaxMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kPingInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kPingTimeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMinMs);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
}

class GrpcMeshPort final : public MeshPort {
 public:
  GrpcMeshPort(const MeshPortOptions& options, const Identity& identity,
               const MeshAdmission& admission, Hello hello, LinkEvents events,
               std::function<void(CallPtr)> route, FileStore& files, Dispatcher& dispatcher,
               ContactLookup lookup)
      : tls_(identity),
        admission_(admission, tls_),
        channels_(tls_),
        links_(identity.peer_id(), std::move(hello), std::move(events), admission_, channels_,
               options.probes_max),
        calls_(CallStreams::Create(admission_, channels_, std::move(lookup), std::move(route))),
        blocks_(BlocksClient::Create(admission_, channels_)),
        served_blocks_(files, dispatcher, admission_),
        join_(options.join),
        service_(admission_, tls_) {
    RegisterStreams();
    if (options.join) {
      service_.RegisterForStrangers(
          kJoinMethod, [this](grpc::GenericCallbackServerContext& context, const PeerId& caller) {
            return join_.Accept(context, caller);
          });
    }
  }

  ~GrpcMeshPort() override { Shutdown(); }

  absl::Status Start(const MeshPortOptions& options) {
    grpc::ServerBuilder builder;
    SetServerArguments(builder);
    builder.RegisterCallbackGenericService(&service_);
    absl::StatusOr<BoundServer> bound =
        StartServer(builder, options.listen, tls_.ForServer(), options.connections_max);
    if (!bound.ok()) return bound.status();
    bound_ = std::move(*bound);
    return absl::OkStatus();
  }

  std::string address() const override { return bound_.address; }

  Links& links() override { return links_; }

  PeerCalls& calls() override { return *calls_; }

  BlocksClient& blocks() override { return *blocks_; }

  void Recheck() override {
    links_.Recheck();
    calls_->Recheck();
    blocks_->Recheck();
    served_blocks_.Recheck();
  }

  void Shutdown() override {
    links_.Shutdown();
    calls_->Shutdown();
    blocks_->Shutdown();
    if (bound_.server != nullptr) bound_.Shutdown(absl::ZeroDuration());
  }

 private:
  void RegisterStreams() {
    service_.Register(kLinkMethod,
                      [this](grpc::GenericCallbackServerContext& context,
                             const CredentialPtr& peer) { return links_.Accept(context, peer); });
    service_.Register(kCallMethod,
                      [this](grpc::GenericCallbackServerContext& context,
                             const CredentialPtr& peer) { return calls_->Accept(context, peer); });
    service_.Register(kBlocksMethod, [this](grpc::GenericCallbackServerContext& context,
                                            const CredentialPtr& peer) {
      return served_blocks_.Accept(context, peer);
    });
  }

  const TlsCredentials tls_;
  const StreamAdmission admission_;
  PeerChannels channels_;
  GrpcLinks links_;
  const std::shared_ptr<CallStreams> calls_;  // Shared with lookups under way.
  const std::unique_ptr<BlocksClient> blocks_;
  BlocksServer served_blocks_;
  JoinService join_;
  MeshService service_;
  BoundServer bound_;  // After service_: its destructor ends every stream.
};

}  // namespace

absl::StatusOr<std::unique_ptr<MeshPort>> MeshPort::Open(
    const MeshPortOptions& options, const Identity& identity, const MeshAdmission& admission,
    Hello hello, LinkEvents events, std::function<void(CallPtr)> route, FileStore& files,
    Dispatcher& dispatcher, ContactLookup lookup) {
  auto port = std::make_unique<GrpcMeshPort>(options, identity, admission, std::move(hello),
                                             std::move(events), std::move(route), files, dispatcher,
                                             std::move(lookup));
  absl::Status started = port->Start(options);
  if (!started.ok()) return started;
  return port;
}

}  // namespace panal
