// Search over the mesh as a remote object (proto/panal/v1/search_object.proto).
#pragma once

#include "panal/v1/search_object.pb.h"
#include "server/application/mesh.h"
#include "server/application/servant.h"

namespace panal {

// Where a request leaves a field empty.
inline constexpr double kRecallDefault = 0.99;
inline constexpr uint32_t kSearchLimitDefault = 100;
inline constexpr absl::Duration kSearchTimeoutDefault = absl::Seconds(10);
inline constexpr absl::Duration kSearchTimeoutMax = absl::Minutes(5);

class SearchServant final : public Servant {
 public:
  // Everything passed must outlive the servant and its calls.
  SearchServant(Dispatcher& dispatcher, Mesh& mesh);

 private:
  void Search(const CallHead& head, const v1::SearchRequest& request,
              StreamWriter<v1::SearchResponse> writer);

  Mesh& mesh_;
};

}  // namespace panal
