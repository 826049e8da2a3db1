#include "tests/integration/stream_peer.h"

#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/identity/credential.h"
#include "server/runtime/peer_methods.h"

namespace panal {
namespace {

constexpr absl::Duration kPatienceMax = absl::Seconds(20);

}  // namespace

StreamPeer::StreamPeer(Options options)
    : identity_(Identity::Generate()),
      tls_(identity_),
      mesh_(identity_, OpenMeshId("test")),
      admission_(mesh_, tls_),
      channels_(tls_),
      dispatcher_(Dispatcher::Create(options.dispatcher)),
      service_(admission_, tls_) {
  auto lookup = [this](const PeerId& id, std::function<void(absl::StatusOr<PeerContact>)> done) {
    absl::StatusOr<PeerContact> found = Error(ErrorReason::kPeerUnknown, "nobody knows the peer");
    {
      MutexLock lock(&mutex_);
      if (auto it = known_.find(id); it != known_.end()) found = it->second;
    }
    done(std::move(found));
  };
  calls_ = CallStreams::Create(admission_, channels_, lookup, options.route, options.calls);
  blocks_ = BlocksClient::Create(admission_, channels_);
  service_.Register(kCallMethod,
                    [this](grpc::GenericCallbackServerContext& context, const CredentialPtr& peer) {
                      return calls_->Accept(context, peer);
                    });
  if (options.files != nullptr) {
    served_ = std::make_unique<BlocksServer>(*options.files, *dispatcher_, admission_,
                                             options.blocks_server);
    service_.Register(kBlocksMethod,
                      [this](grpc::GenericCallbackServerContext& context,
                             const CredentialPtr& peer) { return served_->Accept(context, peer); });
  }
  if (options.blocks) {
    service_.Register(kBlocksMethod,
                      [this, blocks = std::move(options.blocks)](
                          grpc::GenericCallbackServerContext& context, const CredentialPtr& peer) {
                        admission_.Attach(context);
                        return blocks(context, peer);
                      });
  }
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kControlMessageMax);
  builder.RegisterCallbackGenericService(&service_);
  absl::StatusOr<BoundServer> bound = StartServer(builder, "127.0.0.1:0", tls_.ForServer());
  PANAL_CHECK(bound.ok());
  bound_ = std::move(*bound);
}

StreamPeer::~StreamPeer() {
  Stop();
  dispatcher_->Stop();
}

void StreamPeer::Know(const PeerContact& peer) {
  MutexLock lock(&mutex_);
  known_[peer.id] = peer;
}

void StreamPeer::Stop() {
  if (std::exchange(stopped_, true)) return;
  calls_->Shutdown();
  blocks_->Shutdown();
  bound_.Shutdown(absl::ZeroDuration());
}

void Signal::Set() {
  MutexLock lock(&mutex_);
  set_ = true;
  changed_.SignalAll();
}

bool Signal::Wait() {
  const absl::Time until = absl::Now() + kPatienceMax;
  MutexLock lock(&mutex_);
  while (!set_) {
    if (absl::Now() >= until) return false;
    changed_.WaitFor(&mutex_, until - absl::Now());
  }
  return true;
}

bool Signal::IsSet() {
  MutexLock lock(&mutex_);
  return set_;
}

CallDriver::CallDriver(OutgoingCallPtr call)
    : call_(std::move(call)), outcome_(std::make_shared<Outcome>()) {
  call_->OnInitialMetadata([outcome = outcome_](CallMetadata metadata) {
    MutexLock lock(&outcome->mutex);
    outcome->metadata = std::move(metadata);
    outcome->changed.SignalAll();
  });
  call_->OnFinished([outcome = outcome_](CallResult result) {
    MutexLock lock(&outcome->mutex);
    PANAL_CHECK(!outcome->result.has_value());
    outcome->result = std::move(result);
    outcome->changed.SignalAll();
  });
}

std::shared_ptr<Signal> CallDriver::StartWrite(std::string message) {
  auto written = std::make_shared<Signal>();
  call_->Write(std::move(message), [written](bool) { written->Set(); });
  return written;
}

bool CallDriver::Write(std::string message) {
  auto written = std::make_shared<Signal>();
  auto outcome = std::make_shared<bool>(false);
  call_->Write(std::move(message), [written, outcome](bool ok) {
    *outcome = ok;
    written->Set();
  });
  PANAL_CHECK(written->Wait());
  return *outcome;
}

std::optional<std::string> CallDriver::Read() {
  auto read = std::make_shared<Signal>();
  auto outcome = std::make_shared<std::optional<std::string>>();
  call_->Read([read, outcome](std::optional<std::string> message) {
    *outcome = std::move(message);
    read->Set();
  });
  PANAL_CHECK(read->Wait());
  return *outcome;
}

CallResult CallDriver::Finish() {
  const absl::Time until = absl::Now() + kPatienceMax;
  MutexLock lock(&outcome_->mutex);
  while (!outcome_->result.has_value()) {
    PANAL_CHECK(absl::Now() < until);
    outcome_->changed.WaitFor(&outcome_->mutex, until - absl::Now());
  }
  return *outcome_->result;
}

CallMetadata CallDriver::InitialMetadata() {
  const absl::Time until = absl::Now() + kPatienceMax;
  MutexLock lock(&outcome_->mutex);
  while (!outcome_->metadata.has_value()) {
    PANAL_CHECK(absl::Now() < until);
    outcome_->changed.WaitFor(&outcome_->mutex, until - absl::Now());
  }
  return *outcome_->metadata;
}

CallResult CallDriver::Unary(std::string message, std::string& answer) {
  Write(std::move(message));
  HalfClose();
  answer = Read().value_or("");
  return Finish();
}

}  // namespace panal
