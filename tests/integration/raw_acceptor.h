// A mesh port of an ill-behaved other end: admits every dialler, sends the initial metadata that it
// is told and writes one message at once on every stream, whatever its method.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/identity/identity.h"
#include "common/model/record.h"
#include "common/rpc/tls_credentials.h"
#include "server/runtime/listen_address.h"
#include "tests/integration/raw_stream.h"

namespace panal {

class RawAcceptor final : private grpc::CallbackGenericService {
 public:
  // `message`: what every stream begins with.
  RawAcceptor(const Identity& identity, RawStream::Metadata metadata, std::string message);
  ~RawAcceptor() override;

  PeerContact contact() const { return {identity_.peer_id(), {bound_.address}}; }

  // Streams so far.
  int streams() const;
  // Messages that came so far, of all streams.
  int messages() const;

 private:
  class Stream;

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

  const Identity identity_;
  const RawStream::Metadata metadata_;
  const std::string message_;
  const TlsCredentials tls_;
  mutable Mutex mutex_;
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
  int messages_ ABSL_GUARDED_BY(mutex_) = 0;
  BoundServer bound_;
};

// What an acceptor may send that is not what it must, and the reason it is refused with.
struct BadAcceptor {
  std::string name;
  RawStream::Metadata metadata;
  ErrorReason reason = ErrorReason::kUnspecified;
};

std::vector<BadAcceptor> BadAcceptors(const Identity& identity);

}  // namespace panal
