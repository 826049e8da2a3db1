// Names the callers of the API port, between whom the dispatcher is fair: one a connection, so that
// the programs of one machine do not count as one caller.
//
// At most `per_host_max` connections of a host have names of their own while they have calls under
// way; the others share the host's name, so that nobody gets a larger share by opening ever more
// connections.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/sync.h"

namespace panal {

// Connections of one host that are callers of their own. Guess: more programs than a machine runs;
// a caller holds up to half of a queue, so this bounds what a host can hold against others.
inline constexpr size_t kApiCallersPerHostMax = 64;

// Who a call counts for.
struct ApiCaller {
  // HOST:PORT for a caller of its own, else HOST.
  std::string name;
  std::string host;
};

// Thread-safe.
class ApiCallers {
 public:
  explicit ApiCallers(size_t per_host_max = kApiCallersPerHostMax) : per_host_max_(per_host_max) {}

  // A call of `peer`, as gRPC names it (`ipv4:127.0.0.1:5000`), begins.
  ApiCaller Begin(absl::string_view peer);
  // A call of `caller`, a result of Begin, is over. Once.
  void End(const ApiCaller& caller);

  // Connections with a name of their own now. For tests.
  size_t named() const;

 private:
  const size_t per_host_max_;
  mutable Mutex mutex_;
  // Calls under way by host and HOST:PORT; only callers of their own.
  std::map<std::string, std::map<std::string, int>> hosts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
