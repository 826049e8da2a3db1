#include "server/runtime/api_port.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <utility>

#include "common/base/log.h"
#include "server/runtime/generic_call.h"
#include "server/runtime/listen_address.h"

namespace panal {
namespace {

// gRPC's own limit lies above ours, so that a message between the two is refused with a reason;
// above it gRPC ends the call by itself with RESOURCE_EXHAUSTED and no details.
constexpr int kGrpcLimitFactor = 2;
// Pings of idle programs are welcome, at most this often (gRPC clients send no more than one in 10
// s).
constexpr int kClientPingIntervalMinMs = 5'000;

class ApiService final : public grpc::CallbackGenericService {
 public:
  ApiService(const ApiGate& gate, std::function<void(CallPtr)> route, const ApiPortOptions& options)
      : gate_(gate),
        route_(std::move(route)),
        message_size_max_(options.message_size_max),
        callers_(std::make_shared<ApiCallers>(options.callers_per_host_max)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    std::shared_ptr<GenericCall> call =
        GenericCall::Create(*context, callers_, static_cast<size_t>(message_size_max_));
    // gRPC's share of the call keeps the pointer alive until OnDone.
    grpc::ServerGenericBidiReactor* reactor = call.get();
    if (absl::Status admitted = Admit(*call); admitted.ok()) {
      route_(std::move(call));
    } else {
      call->Finish(ResultOf(admitted));
    }
    return reactor;
  }

 private:
  absl::Status Admit(GenericCall& call) const {
    // An open gate leaves the metadata to the object that is called.
    if (gate_.open()) return absl::OkStatus();
    absl::Status admitted =
        gate_.Admit(ApiRoleFor(call.head().method), call.TakeMetadata(kAuthorizationKey));
    if (!admitted.ok()) {
      LogLimited(LogLevel::kWarning, "api_call_refused",
                 {{"caller", call.head().caller}, {"why", std::string(admitted.message())}});
    }
    return admitted;
  }

  const ApiGate& gate_;
  const std::function<void(CallPtr)> route_;
  const int message_size_max_;
  const std::shared_ptr<ApiCallers> callers_;  // Shared with the calls.
};

class GrpcApiPort final : public ApiPort {
 public:
  GrpcApiPort(const ApiGate& gate, std::function<void(CallPtr)> route,
              const ApiPortOptions& options)
      : service_(gate, std::move(route), options) {}

  ~GrpcApiPort() override {
    if (bound_.server != nullptr) Shutdown(absl::ZeroDuration());
  }

  absl::Status Start(const ApiPortOptions& options) {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(&service_);
    builder.SetMaxReceiveMessageSize(options.message_size_max * kGrpcLimitFactor);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kClientPingIntervalMinMs);
    absl::StatusOr<BoundServer> bound = StartServer(
        builder, options.listen, grpc::InsecureServerCredentials(), options.connections_max);
    if (!bound.ok()) return bound.status();
    bound_ = std::move(*bound);
    return absl::OkStatus();
  }

  std::string address() const override { return bound_.address; }

  void Shutdown(absl::Duration grace) override { bound_.Shutdown(grace); }

 private:
  ApiService service_;
  BoundServer bound_;  // After service_: its destructor ends every call.
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiPort>> ApiPort::Open(const ApiPortOptions& options,
                                                       const ApiGate& gate,
                                                       std::function<void(CallPtr)> route) {
  auto port = std::make_unique<GrpcApiPort>(gate, std::move(route), options);
  absl::Status started = port->Start(options);
  if (!started.ok()) return started;
  return port;
}

}  // namespace panal
