// gRPC's health service: the peer ("") and each service the router has are SERVING until the peer
// stops.
#pragma once

#include <list>
#include <string>
#include <utility>
#include <vector>

#include "common/base/sync.h"
#include "grpc/health/v1/health.pb.h"
#include "server/application/router.h"
#include "server/application/servant.h"

namespace panal {

// Watch calls open at once. OVERLOADED beyond. Guess: a few a caller that checks health.
inline constexpr size_t kHealthWatchersMax = 1024;

class HealthServant final : public Servant {
 public:
  // Everything passed must outlive the servant and its calls.
  HealthServant(Dispatcher& dispatcher, const Router& router);

  // Whether the peer serves; NOT_SERVING at first. Watchers are told.
  void SetServing(bool serving);
  // Tells the watchers whose answer changed. To be called when the router's objects changed.
  void TellWatchers();

 private:
  using CheckRequest = grpc::health::v1::HealthCheckRequest;
  using CheckResponse = grpc::health::v1::HealthCheckResponse;

  struct Watcher {
    std::string service;
    StreamWriter<CheckResponse> writer;
    CheckResponse::ServingStatus told;  // UNKNOWN: nothing yet.
  };

  absl::StatusOr<CheckResponse> Check(const CallHead& head, const CheckRequest& request);
  void Watch(const CallHead& head, const CheckRequest& request, StreamWriter<CheckResponse> writer);
  static CheckResponse::ServingStatus StatusOf(const std::string& service,
                                               const std::vector<std::string>& services,
                                               bool serving);
  // What the watchers do not know yet.
  std::vector<std::pair<StreamWriter<CheckResponse>, CheckResponse>> TakeNews()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Router& router_;
  Mutex mutex_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool telling_ ABSL_GUARDED_BY(mutex_) = false;
  std::list<Watcher> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
