// Search over the mesh as a remote object (proto/panal/v1/search_object.proto).
#pragma once

#include <memory>

#include "panal/v1/search_object.pb.h"
#include "server/application/mesh.h"
#include "server/application/servant.h"
#include "server/application/subscriptions.h"

namespace panal {

// Where a request leaves a field empty.
inline constexpr double kRecallDefault = 0.99;
inline constexpr uint32_t kSearchLimitDefault = 100;
inline constexpr absl::Duration kSearchTimeoutDefault = absl::Seconds(10);
inline constexpr absl::Duration kSearchTimeoutMax = absl::Minutes(5);
// Longest time that a subscription may be given; without one it has no end. Guess: a week.
inline constexpr absl::Duration kSubscribeTimeoutMax = absl::Hours(168);

class SearchServant final : public Servant {
 public:
  // Everything passed must outlive the servant and its calls.
  SearchServant(Dispatcher& dispatcher, Mesh& mesh);

 private:
  void Search(const CallHead& head, const v1::SearchRequest& request,
              StreamWriter<v1::SearchResponse> writer);

  void Subscribe(const CallHead& head, const v1::SubscribeRequest& request,
                 StreamWriter<v1::SubscribeResponse> writer);
  absl::StatusOr<v1::UnsubscribeResponse> Unsubscribe(const CallHead& head,
                                                      const v1::UnsubscribeRequest& request);

  Mesh& mesh_;
  const std::shared_ptr<Subscriptions> subscriptions_;  // Shared with what the mesh calls back.
};

}  // namespace panal
