#include "server/runtime/mesh_service.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/status_convert.h"
#include "server/runtime/refused_stream.h"

namespace panal {
namespace {

// As much of a stranger's method name as is worth showing, in bytes.
constexpr size_t kShownMethodMax = 128;

}  // namespace

grpc::ServerGenericBidiReactor* MeshService::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  if (auto open = for_strangers_.find(context->method()); open != for_strangers_.end()) {
    const absl::StatusOr<PeerId> stranger = tls_.PeerOf(*context->auth_context());
    if (!stranger.ok()) return new RefusedStream(ToGrpcStatus(stranger.status()));
    return open->second(*context, *stranger);
  }
  const absl::StatusOr<CredentialPtr> peer = admission_.Admit(*context);
  if (!peer.ok()) {
    LogLimited(LogLevel::kInfo, "peer_refused",
               {{"from", context->peer()}, {"why", std::string(peer.status().message())}});
    return new RefusedStream(ToGrpcStatus(peer.status()));
  }
  auto found = factories_.find(context->method());
  if (found != factories_.end()) return found->second(*context, *peer);
  const absl::string_view shown = absl::string_view(context->method()).substr(0, kShownMethodMax);
  return new RefusedStream(ToGrpcStatus(Error(ErrorReason::kMethodNotFound,
                                              absl::StrCat("the mesh port has no method ", shown),
                                              {{"method", std::string(shown)}})));
}

}  // namespace panal
