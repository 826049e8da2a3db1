#include "tests/integration/raw_acceptor.h"

#include <grpcpp/server_builder.h>

#include <utility>

#include "common/base/check.h"
#include "common/identity/credential.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/stream_admission.h"

namespace panal {

// Deletes itself.
class RawAcceptor::Stream final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Stream(RawAcceptor& acceptor)
      : acceptor_(acceptor), outgoing_(ToByteBuffer(acceptor.message_)) {
    StartSendInitialMetadata();
    StartWrite(&outgoing_);
    StartRead(&incoming_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    {
      MutexLock lock(&acceptor_.mutex_);
      ++acceptor_.messages_;
    }
    StartRead(&incoming_);
  }

  void OnDone() override { delete this; }

  RawAcceptor& acceptor_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
};

RawAcceptor::RawAcceptor(const Identity& identity, RawStream::Metadata metadata,
                         std::string message)
    : identity_(identity),
      metadata_(std::move(metadata)),
      message_(std::move(message)),
      tls_(identity_) {
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(this);
  absl::StatusOr<BoundServer> bound = StartServer(builder, "127.0.0.1:0", tls_.ForServer());
  PANAL_CHECK(bound.ok());
  bound_ = std::move(*bound);
}

RawAcceptor::~RawAcceptor() {
  bound_.Shutdown(absl::ZeroDuration());
  bound_.server = nullptr;
}

int RawAcceptor::streams() const {
  MutexLock lock(&mutex_);
  return streams_;
}

int RawAcceptor::messages() const {
  MutexLock lock(&mutex_);
  return messages_;
}

grpc::ServerGenericBidiReactor* RawAcceptor::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  for (const auto& [key, value] : metadata_) context->AddInitialMetadata(key, value);
  {
    MutexLock lock(&mutex_);
    ++streams_;
  }
  return new Stream(*this);
}

std::vector<BadAcceptor> BadAcceptors(const Identity& identity) {
  const std::string mesh = OpenMeshId("test").ToText();
  RawStream::Metadata twice = GoodMetadata(identity);
  twice.push_back(twice[0]);
  return {
      {"nothing", {}, ErrorReason::kMeshMismatch},
      {"another mesh", GoodMetadata(identity, "other"), ErrorReason::kMeshMismatch},
      {"two meshes", twice, ErrorReason::kMeshMismatch},
      {"no credential", {{kMeshKey, mesh}}, ErrorReason::kCredentialInvalid},
      {"another peer's credential", GoodMetadata(Identity::Generate()),
       ErrorReason::kCredentialInvalid},
      {"garbage", {{kMeshKey, mesh}, {kCredentialKey, "garbage"}}, ErrorReason::kCredentialInvalid},
  };
}

}  // namespace panal
