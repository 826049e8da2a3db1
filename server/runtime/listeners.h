// The ports for the peer's own user, API and HTTP, behind one gate.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/application/api_gate.h"
#include "server/application/call.h"
#include "server/console/http_port.h"
#include "server/runtime/api_port.h"
#include "server/runtime/options.h"

namespace panal {

struct Listeners {
  std::unique_ptr<ApiPort> api;
  std::unique_ptr<HttpPort> http;  // Null: --http-listen off.
};

// The gate that the options ask for: with the tokens of the file, or open. Error: CONFIG_INVALID.
absl::StatusOr<std::unique_ptr<ApiGate>> MakeApiGate(const NodeOptions& options);

// Opens the ports. `gate` must outlive them. Errors: as of StartServer and HttpPort::Open, with the
// setting that says which.
absl::StatusOr<Listeners> OpenListeners(const NodeOptions& options, const ApiGate& gate,
                                        std::function<void(CallPtr)> route, HttpHandlers handlers);

// Why a port could not be opened, with the setting that says which.
absl::Status NameSetting(const absl::Status& status, absl::string_view setting);

}  // namespace panal
