#include "server/console/http_port.h"

#include <civetweb.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/status.h"

namespace panal {

namespace {

// Between two knocks at a port that is being stopped.
constexpr absl::Duration kKnockInterval = absl::Milliseconds(10);

constexpr char kHealthPath[] = "/healthz";

// Makes a connection and drops it. Whether it came about says nothing.
void Knock(const std::string& host, int port) {
  char error[128];
  mg_connection* connection =
      mg_connect_client(host.c_str(), port, /*use_ssl=*/0, error, sizeof(error));
  if (connection != nullptr) mg_close_connection(connection);
}

// Where this machine reaches a listener of `host`, which may stand for all its addresses.
std::string ReachableHost(absl::string_view host) {
  if (host == "0.0.0.0" || host.empty()) return "127.0.0.1";
  if (host == "[::]") return "::1";
  return std::string(absl::StripSuffix(absl::StripPrefix(host, "["), "]"));
}

}  // namespace

struct HttpPort::State {
  HttpHandlers handlers;
  mg_context* context = nullptr;
  std::string host;
  int port = 0;

  // civetweb's thread that accepts looks up every two seconds only, or when somebody knocks.
  ~State() {
    if (context == nullptr) return;
    absl::Notification stopped;
    std::thread stopper([&] {
      mg_stop(context);
      stopped.Notify();
    });
    while (!stopped.WaitForNotificationWithTimeout(kKnockInterval)) Knock(host, port);
    stopper.join();
  }
};

namespace {

// `headers`: further ones, each with its end of line.
void Respond(mg_connection* connection, int code, const char* type, const std::string& body,
             const char* headers = "") {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
            "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
            code, mg_get_response_code_text(connection, code), type, body.size(), headers);
  mg_write(connection, body.data(), body.size());
}

absl::Status Admit(mg_connection* connection, const HttpHandlers& handlers) {
  if (handlers.admit == nullptr) return absl::OkStatus();
  const char* authorization = mg_get_header(connection, "Authorization");
  return handlers.admit(authorization == nullptr ? "" : authorization);
}

// Before any handler. 0: go on.
int AdmitRequest(mg_connection* connection) {
  const mg_request_info& request = *mg_get_request_info(connection);
  if (request.local_uri != nullptr && absl::string_view(request.local_uri) == kHealthPath) return 0;
  const auto& handlers = *static_cast<HttpHandlers*>(request.user_data);
  const absl::Status admitted = Admit(connection, handlers);
  if (admitted.ok()) return 0;
  Respond(connection, 401, "text/plain", absl::StrCat(admitted.message(), "\n"),
          "WWW-Authenticate: Bearer\r\n");
  return 401;
}

bool IsRead(mg_connection* connection) {
  absl::string_view method = mg_get_request_info(connection)->request_method;
  if (method == "GET" || method == "HEAD") return true;
  Respond(connection, 405, "text/plain", "only GET is served here\n");
  return false;
}

int ServeMetrics(mg_connection* connection, void* data) {
  if (!IsRead(connection)) return 405;
  const auto& handlers = *static_cast<HttpHandlers*>(data);
  Respond(connection, 200, "text/plain; version=0.0.4", handlers.metrics());
  return 200;
}

int ServeHealth(mg_connection* connection, void* data) {
  if (!IsRead(connection)) return 405;
  const auto& handlers = *static_cast<HttpHandlers*>(data);
  bool healthy = false;
  std::string body = handlers.health(Admit(connection, handlers).ok(), &healthy);
  int code = healthy ? 200 : 503;
  Respond(connection, code, "application/json", body);
  return code;
}

int ServeNothing(mg_connection* connection, void*) {
  Respond(connection, 404, "text/plain", "nothing here; /healthz and /metrics are served\n");
  return 404;
}

}  // namespace

HttpPort::HttpPort(std::unique_ptr<State> state, std::string address)
    : state_(std::move(state)), address_(std::move(address)) {}

HttpPort::~HttpPort() = default;

absl::StatusOr<std::unique_ptr<HttpPort>> HttpPort::Open(absl::string_view listen,
                                                         HttpHandlers handlers) {
  auto state = std::make_unique<State>();
  state->handlers = std::move(handlers);
  std::string ports(listen);
  std::string threads = absl::StrCat(kHttpThreads);
  const char* options[] = {"listening_ports",    ports.c_str(), "num_threads", threads.c_str(),
                           "request_timeout_ms", "5000",        nullptr};
  mg_callbacks callbacks = {};
  callbacks.begin_request = AdmitRequest;
  state->context = mg_start(&callbacks, &state->handlers, options);
  if (state->context == nullptr) {
    return Error(ErrorReason::kPortTaken,
                 absl::StrCat("cannot listen for HTTP on ", listen,
                              ": the address is in use or not of this machine; choose another "
                              "--http-listen, or `off`"),
                 {{"address", ports}});
  }
  mg_server_port bound = {};
  mg_get_server_ports(state->context, 1, &bound);
  state->host = ReachableHost(listen.substr(0, listen.rfind(':')));
  state->port = bound.port;
  mg_set_request_handler(state->context, "/metrics$", ServeMetrics, &state->handlers);
  mg_set_request_handler(state->context, absl::StrCat(kHealthPath, "$").c_str(), ServeHealth,
                         &state->handlers);
  mg_set_request_handler(state->context, "/**", ServeNothing, nullptr);
  std::string address = absl::StrCat(listen.substr(0, listen.rfind(':')), ":", bound.port);
  return std::unique_ptr<HttpPort>(new HttpPort(std::move(state), std::move(address)));
}

}  // namespace panal
