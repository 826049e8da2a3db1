#include "common/rpc/initialize.h"

#include <grpc/support/log.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdlib>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/wire/protobuf_log.h"

namespace panal {
namespace {

// gRPC 1.51 has no setter for the least version. This TLS 1.2 suite needs an RSA certificate and
// ours are Ed25519, so 1.2 finds no shared cipher; the suites of 1.3 are configured apart and stay.
constexpr char kCipherVariable[] = "GRPC_SSL_CIPHER_SUITES";
constexpr char kOnlyRsaSuite[] = "ECDHE-RSA-AES256-GCM-SHA384";

void WriteLog(gpr_log_func_args* args) {
  // Even gRPC's errors are a stranger's doing as a rule: a handshake that failed, a name not found.
  LogLimited(LogLevel::kDebug, "grpc",
             {{"message", args->message}, {"at", absl::StrCat(args->file, ":", args->line)}});
}

// gRPC 1.51 ends its callback threads when the last channel or server that uses them goes. Where
// that happens on such a thread (a channel dropped in a reactor's OnDone), it waits for itself,
// fails, and goes on with a completion queue that it has freed. A server without a port, never
// destroyed, keeps the threads.
void KeepCallbackThreads() {
  static auto* const service = new grpc::CallbackGenericService;
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(service);
  static grpc::Server* const server = builder.BuildAndStart().release();
  PANAL_CHECK(server != nullptr);
}

}  // namespace

void InitializeRpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Debian's Abseil looks for cycles at every lock, gRPC's included. Measured: without it 64
    // peers in one process are a mesh after 68 s, with it after more than 120 s.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    setenv(kCipherVariable, kOnlyRsaSuite, /*overwrite=*/1);
    gpr_set_log_function(WriteLog);
    KeepCallbackThreads();
    LimitProtobufLog();
  });
}

}  // namespace panal
