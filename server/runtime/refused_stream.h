// A stream that is ended at once with a status.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

namespace panal {

// Deletes itself when gRPC is done with it.
class RefusedStream final : public grpc::ServerGenericBidiReactor {
 public:
  explicit RefusedStream(const grpc::Status& status) { Finish(status); }

 private:
  void OnDone() override { delete this; }
};

}  // namespace panal
