#include "server/runtime/listeners.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/identity/api_token.h"

namespace panal {

absl::StatusOr<std::unique_ptr<ApiGate>> MakeApiGate(const NodeOptions& options) {
  if (options.api_token_file.empty()) return std::make_unique<ApiGate>();
  PANAL_ASSIGN_OR_RETURN(const std::vector<ApiToken> tokens,
                         ReadApiTokenFile(options.api_token_file, "--api-token-file"));
  Log(LogLevel::kInfo, "api_tokens", {{"tokens", absl::StrCat(tokens.size())}});
  return std::make_unique<ApiGate>(tokens);
}

absl::StatusOr<Listeners> OpenListeners(const NodeOptions& options, const ApiGate& gate,
                                        std::function<void(CallPtr)> route, HttpHandlers handlers) {
  Listeners listeners;
  absl::StatusOr<std::unique_ptr<ApiPort>> api =
      ApiPort::Open({.listen = options.api_listen}, gate, std::move(route));
  if (!api.ok()) return NameSetting(api.status(), "--api-listen");
  listeners.api = std::move(*api);
  if (options.http_listen == "off") return listeners;
  if (!gate.open()) {
    handlers.admit = [&gate](absl::string_view authorization) {
      return gate.Admit(ApiRole::kRead, {std::string(authorization)});
    };
  }
  PANAL_ASSIGN_OR_RETURN(listeners.http, HttpPort::Open(options.http_listen, std::move(handlers)));
  return listeners;
}

absl::Status NameSetting(const absl::Status& status, absl::string_view setting) {
  const ErrorReason reason = ReasonOf(status);
  if (reason != ErrorReason::kPortTaken && reason != ErrorReason::kConfigInvalid) return status;
  return Error(reason, absl::StrCat(status.message(), "; choose another address with ", setting),
               MetadataOf(status));
}

}  // namespace panal
