#include "tests/integration/raw_stream.h"

#include "absl/time/clock.h"
#include "common/identity/credential.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/stream_admission.h"
#include "common/rpc/tls_credentials.h"

namespace panal {

RawStream::RawStream(std::shared_ptr<grpc::Channel> channel, const std::string& method,
                     const Metadata& metadata)
    : channel_(std::move(channel)) {
  context_.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  for (const auto& [key, value] : metadata) context_.AddMetadata(key, value);
  grpc::GenericStub stub(channel_);
  call_ = stub.PrepareCall(&context_, method, &queue_);
  call_->StartCall(this);
  Wait();
}

RawStream::~RawStream() {
  if (!finished_) {
    context_.TryCancel();
    Finish();
  }
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

bool RawStream::Wait() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

bool RawStream::Write(absl::string_view message) {
  call_->Write(ToByteBuffer(message), this);
  return Wait();
}

void RawStream::WritesDone() {
  call_->WritesDone(this);
  Wait();
}

std::optional<std::string> RawStream::Read() {
  grpc::ByteBuffer buffer;
  call_->Read(&buffer, this);
  if (!Wait()) return std::nullopt;
  return ToString(buffer);
}

grpc::Status RawStream::Finish() {
  grpc::Status status;
  call_->Finish(&status, this);
  Wait();
  finished_ = true;
  return status;
}

std::shared_ptr<grpc::Channel> RawChannel(const Identity& identity, const std::string& address) {
  const TlsCredentials tls(identity);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, tls.ForAnyPeer(), arguments);
}

RawStream::Metadata GoodMetadata(const Identity& identity, const std::string& mesh) {
  const MeshId id = OpenMeshId(mesh);
  return {{kMeshKey, id.ToText()}, {kCredentialKey, MakeOpenCredential(identity, id)}};
}

}  // namespace panal
