// What the mesh port serves: the streams between peers, by method, and nothing else. Admits the
// caller before a stream's reactor exists, so that no frame of a stranger is looked at.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <functional>
#include <map>
#include <string>

#include "common/base/ids.h"
#include "common/rpc/stream_admission.h"

namespace panal {

// Makes the reactor of a stream that `peer`, proven and admitted, opened. Must not block. The
// reactor gets whole messages; more than kControlMessageMax bytes never come.
using StreamFactory = std::function<grpc::ServerGenericBidiReactor*(
    grpc::GenericCallbackServerContext& context, const PeerId& peer)>;

class MeshService final : public grpc::CallbackGenericService {
 public:
  // `admission` must outlive the service.
  explicit MeshService(const StreamAdmission& admission) : admission_(admission) {}

  // Serves `method` (server/runtime/peer_methods.h). Before the server starts.
  void Register(const std::string& method, StreamFactory factory) {
    factories_[method] = std::move(factory);
  }

  // Refuses with what StreamAdmission says, or METHOD_NOT_FOUND.
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  const StreamAdmission& admission_;
  std::map<std::string, StreamFactory> factories_;
};

}  // namespace panal
