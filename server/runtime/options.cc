#include "server/runtime/options.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/model/record.h"

namespace panal {
namespace {

absl::Status Invalid(absl::string_view setting, absl::string_view value, absl::string_view what) {
  return Error(ErrorReason::kConfigInvalid, absl::StrCat(setting, " ", value, ": ", what),
               {{"setting", std::string(setting)}, {"value", std::string(value)}});
}

absl::string_view HostOf(absl::string_view address) {
  absl::string_view host = address.substr(0, address.rfind(':'));
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return host;
}

// A listen address is an address whose port may be 0.
bool IsListenAddress(absl::string_view address) {
  if (absl::EndsWith(address, ":0")) {
    return IsValidAddress(absl::StrCat(address.substr(0, address.size() - 1), "1"));
  }
  return IsValidAddress(address);
}

absl::Status CheckListener(absl::string_view setting, absl::string_view address,
                           const NodeOptions& options) {
  if (!IsListenAddress(address)) {
    return Invalid(setting, address, "is not HOST:PORT with a port from 0 to 65535");
  }
  const bool allowed = !options.api_token_file.empty() || options.listen_open;
  if (!allowed && !IsLoopback(address)) {
    return Invalid(setting, address,
                   "can be reached from other machines, so it needs tokens: give "
                   "--api-token-file, for which `panal token new` makes lines; or use a loopback "
                   "address; or say --listen-open to let everyone in on purpose");
  }
  return absl::OkStatus();
}

std::string AddressText(const sockaddr* address, absl::string_view port) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return absl::StrCat(text, ":", port);
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) return "";
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return absl::StrCat("[", text, "]:", port);
}

}  // namespace

absl::Status NodeOptions::Validate() const {
  if (data_dir.empty()) return Invalid("--data-dir", "", "is empty");
  PANAL_RETURN_IF_ERROR(ValidateMeshName(mesh_name));
  if (policy != "open" && policy != "invite") {
    return Invalid("--policy", policy, "is neither `invite` nor `open`");
  }
  if (policy == "open" && !ticket_file.empty()) {
    return Invalid("--ticket-file", ticket_file, "is of no use with --policy open");
  }
  if (!IsListenAddress(mesh_listen)) {
    return Invalid("--mesh-listen", mesh_listen, "is not HOST:PORT with a port from 0 to 65535");
  }
  PANAL_RETURN_IF_ERROR(CheckListener("--api-listen", api_listen, *this));
  if (http_listen != "off") {
    PANAL_RETURN_IF_ERROR(CheckListener("--http-listen", http_listen, *this));
  }
  if (advertise.size() > kContactAddressesMax) {
    return Invalid("--advertise", absl::StrCat(advertise.size()),
                   absl::StrCat("is more than ", kContactAddressesMax, " addresses"));
  }
  for (const std::string& address : advertise) {
    if (!IsValidAddress(address)) return Invalid("--advertise", address, "is not HOST:PORT");
  }
  for (const std::string& root : roots) {
    if (!absl::StartsWith(root, "/")) return Invalid("--root", root, "is no absolute path");
  }
  if (storage_max_bytes < 0) {
    return Invalid("--storage-max", absl::StrCat(storage_max_bytes), "is negative");
  }
  if (join.size() > kJoinAddressesMax) {
    return Invalid("--join", absl::StrCat(join.size()),
                   absl::StrCat("is more than ", kJoinAddressesMax, " addresses"));
  }
  if (stop_grace < absl::ZeroDuration() || stop_grace > kStopGraceMax) {
    return Invalid("--stop-grace", absl::FormatDuration(stop_grace),
                   absl::StrCat("is not within 0 to ", absl::FormatDuration(kStopGraceMax)));
  }
  if (log_level != "debug" && log_level != "info" && log_level != "warning" &&
      log_level != "error") {
    return Invalid("--log-level", log_level, "is not debug, info, warning or error");
  }
  PANAL_RETURN_IF_ERROR(dispatcher.Validate());
  return core.Validate();
}

std::vector<std::string> ResolveRoots(const std::vector<std::string>& roots) {
  std::vector<std::string> resolved;
  for (const std::string& root : roots) {
    char* path = realpath(root.c_str(), nullptr);
    if (path == nullptr) continue;
    resolved.emplace_back(path);
    free(path);
  }
  return resolved;
}

bool IsLoopback(absl::string_view address) {
  const std::string host(HostOf(address));
  if (host == "localhost") return true;
  in_addr v4 = {};
  in6_addr v6 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::vector<std::string> AddressesOf(absl::string_view bound) {
  absl::string_view host = HostOf(bound);
  if (host != "0.0.0.0" && host != "::") return {std::string(bound)};
  absl::string_view port = bound.substr(bound.rfind(':') + 1);
  std::vector<std::string> addresses;
  ifaddrs* interfaces = nullptr;
  if (getifaddrs(&interfaces) == 0) {
    for (ifaddrs* i = interfaces; i != nullptr; i = i->ifa_next) {
      if (i->ifa_addr == nullptr || (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP)) {
        continue;
      }
      bool v4 = i->ifa_addr->sa_family == AF_INET;
      bool v6 = i->ifa_addr->sa_family == AF_INET6 && host == "::";
      if (!v4 && !v6) continue;
      std::string text = AddressText(i->ifa_addr, port);
      if (!text.empty() && addresses.size() < kContactAddressesMax) addresses.push_back(text);
    }
    freeifaddrs(interfaces);
  }
  if (addresses.empty()) addresses.push_back(absl::StrCat("127.0.0.1:", port));
  return addresses;
}

}  // namespace panal
