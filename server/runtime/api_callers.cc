#include "server/runtime/api_callers.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "server/runtime/listen_address.h"

namespace panal {
namespace {

// HOST:PORT of what gRPC calls a peer; the host alone where it has no port (a Unix socket).
std::string NameOf(absl::string_view peer, const std::string& host) {
  if (!absl::StartsWith(peer, "ipv")) return host;
  const absl::string_view port = peer.substr(peer.rfind(':'));
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]", port)
                                      : absl::StrCat(host, port);
}

}  // namespace

ApiCaller ApiCallers::Begin(absl::string_view peer) {
  ApiCaller caller;
  caller.host = HostOfGrpcPeer(peer);
  caller.name = NameOf(peer, caller.host);
  if (caller.name == caller.host) return caller;
  MutexLock lock(&mutex_);
  std::map<std::string, int>& named = hosts_[caller.host];
  auto found = named.find(caller.name);
  if (found != named.end()) {
    ++found->second;
  } else if (named.size() < per_host_max_) {
    named[caller.name] = 1;
  } else {
    caller.name = caller.host;
  }
  return caller;
}

void ApiCallers::End(const ApiCaller& caller) {
  if (caller.name == caller.host) return;
  MutexLock lock(&mutex_);
  auto host = hosts_.find(caller.host);
  PANAL_CHECK(host != hosts_.end());
  auto found = host->second.find(caller.name);
  PANAL_CHECK(found != host->second.end());
  if (--found->second > 0) return;
  host->second.erase(found);
  if (host->second.empty()) hosts_.erase(host);
}

size_t ApiCallers::named() const {
  MutexLock lock(&mutex_);
  size_t count = 0;
  for (const auto& [host, named] : hosts_) count += named.size();
  return count;
}

}  // namespace panal
