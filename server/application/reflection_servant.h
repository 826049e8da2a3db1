// gRPC's server reflection, for the services that the router has and nothing else (the library that
// gRPC brings would show what other ports of the process serve), and for the types of errors'
// details (status_types.h), which no service names.
#pragma once

#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "server/application/router.h"
#include "server/application/servant.h"

namespace panal {

inline constexpr char kReflectionV1[] = "grpc.reflection.v1.ServerReflection";
inline constexpr char kReflectionV1Alpha[] = "grpc.reflection.v1alpha.ServerReflection";

class ReflectionServant final : public Servant {
 public:
  // `service`: kReflectionV1 or kReflectionV1Alpha; the two have the same messages under other
  // names, so that one implementation serves both. Everything passed must outlive the servant and
  // its calls.
  ReflectionServant(absl::string_view service, Dispatcher& dispatcher, const Router& router);

  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;

  // The answer to one request: an `error_response` where there is none, in gRPC's own words.
  Response Answer(const Request& request) const;

 private:
  absl::StatusOr<std::unique_ptr<MessageExchange<Request, Response>>> Info(const CallHead& head);

  const Router& router_;
  const google::protobuf::DescriptorPool& pool_;
};

// One servant a version.
std::vector<std::shared_ptr<ReflectionServant>> MakeReflectionServants(Dispatcher& dispatcher,
                                                                       const Router& router);

}  // namespace panal
