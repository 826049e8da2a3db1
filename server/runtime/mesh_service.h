// What the mesh port serves: the streams between peers, by method, and nothing else. Admits the
// caller before a stream's reactor exists, so that no frame of a stranger is looked at but on the
// methods that are for strangers.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <functional>
#include <map>
#include <string>

#include "common/base/ids.h"
#include "common/rpc/stream_admission.h"

namespace panal {

// Makes the reactor of a stream that a peer, proven and admitted by `caller`, opened. Must not block.
// The reactor gets whole messages; more than kControlMessageMax bytes never come.
using StreamFactory = std::function<grpc::ServerGenericBidiReactor*(
    grpc::GenericCallbackServerContext& context, const CredentialPtr& caller)>;

// The same of a method that strangers may call; `caller` is proven by TLS, and nothing more.
using StrangerFactory = std::function<grpc::ServerGenericBidiReactor*(
    grpc::GenericCallbackServerContext& context, const PeerId& caller)>;

class MeshService final : public grpc::CallbackGenericService {
 public:
  // Both must outlive the service.
  MeshService(const StreamAdmission& admission, const TlsCredentials& tls)
      : admission_(admission), tls_(tls) {}

  // Serves `method` (server/runtime/peer_methods.h). Before the server starts.
  void Register(const std::string& method, StreamFactory factory) {
    factories_[method] = std::move(factory);
  }

  // Serves `method` to whoever asks, admitted or not. Before the server starts.
  void RegisterForStrangers(const std::string& method, StrangerFactory factory) {
    for_strangers_[method] = std::move(factory);
  }

  // Refuses with what StreamAdmission says, or METHOD_NOT_FOUND.
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  const StreamAdmission& admission_;
  const TlsCredentials& tls_;
  std::map<std::string, StreamFactory> factories_;
  std::map<std::string, StrangerFactory> for_strangers_;
};

}  // namespace panal
