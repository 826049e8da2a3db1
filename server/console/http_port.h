// The HTTP port: /healthz and /metrics, loopback by default.
//
// civetweb serves it, included in http_port.cc only; at most kHttpThreads requests at once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace panal {

inline constexpr int kHttpThreads = 4;

struct HttpHandlers {
  // Body of /metrics.
  std::function<std::string()> metrics;
  // Body of /healthz, as JSON; `healthy` decides between 200 and 503. Without `detailed` it says nothing
  // but whether the peer lives.
  std::function<std::string(bool detailed, bool* healthy)> health;
  // Whether who sent this `Authorization` header (empty: none) may read. Null: everyone may. Who may
  // not gets /healthz without details, and 401 for whatever else there is or is not.
  std::function<absl::Status(absl::string_view authorization)> admit;
};

class HttpPort {
 public:
  // Binds `listen` (HOST:PORT; port 0 picks a free one) and begins to serve. Error: PORT_TAKEN.
  static absl::StatusOr<std::unique_ptr<HttpPort>> Open(absl::string_view listen,
                                                        HttpHandlers handlers);
  // Stops serving.
  ~HttpPort();

  // HOST:PORT as bound.
  const std::string& address() const { return address_; }

 private:
  struct State;
  explicit HttpPort(std::unique_ptr<State> state, std::string address);
  const std::unique_ptr<State> state_;
  const std::string address_;
};

}  // namespace panal
