#include "server/runtime/acceptor.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace panal {
namespace {

// Open connections are counted anew at most this often: one fstat() each. Guess: 16,384 of them
// take some 10 ms.
constexpr absl::Duration kRecountInterval = absl::Milliseconds(250);
// Pause after accept() failed for want of memory. Guess.
constexpr int kAcceptPauseMs = 100;

// A descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}

  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  ~Descriptor() { Close(); }

  void Close() {
    if (number_ >= 0) close(std::exchange(number_, -1));
  }

  int Release() { return std::exchange(number_, -1); }

  int get() const { return number_; }

  bool ok() const { return number_ >= 0; }

 private:
  int number_;
};

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};

using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

absl::StatusOr<Addresses> Resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed != 0) {
    return Error(ErrorReason::kConfigInvalid,
                 absl::StrCat("listen address: host \"", host, "\": ", gai_strerror(failed)),
                 {{"address", host}});
  }
  return Addresses(found);
}

void SetPort(sockaddr* address, int port) {
  const auto number = htons(static_cast<uint16_t>(port));
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = number;
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = number;
  }
}

int PortOf(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

void SetOption(int socket, int level, int option, int value) {
  setsockopt(socket, level, option, &value, sizeof(value));
}

// Not ok: errno says why.
Descriptor Listen(const addrinfo& address, int port) {
  Descriptor socket(
      ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket.ok()) return socket;
  SetOption(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  // `[::]` stands for all addresses of the machine, of both families.
  if (address.ai_family == AF_INET6) SetOption(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  SetPort(address.ai_addr, port);
  if (bind(socket.get(), address.ai_addr, address.ai_addrlen) != 0 ||
      listen(socket.get(), SOMAXCONN) != 0) {
    const int why = errno;
    socket.Close();
    errno = why;
  }
  return socket;
}

// `why`: the errno of a bind that failed.
absl::Status CannotListen(absl::string_view host, int port, int why) {
  const std::string address = absl::StrCat(host, ":", port);
  if (why == EADDRNOTAVAIL) {
    return Error(ErrorReason::kConfigInvalid,
                 absl::StrCat("this machine has no address ", host,
                              " (`ip address` shows those it has; 0.0.0.0 stands for all of them)"),
                 {{"address", address}});
  }
  absl::string_view hint;
  if (why == EADDRINUSE) hint = " (by another panald?)";
  if (why == EACCES) hint = " (ports below 1024 need the capability CAP_NET_BIND_SERVICE)";
  return Error(ErrorReason::kPortTaken,
               absl::StrCat("cannot listen on ", address, ": ", std::strerror(why), hint),
               {{"address", address}});
}

// Any descriptor will do: it is closed when none is left, to accept a connection and close it.
Descriptor OpenSpare() { return Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// What tells a socket from another that got the same number later.
ino_t InodeOf(int socket) {
  struct stat status {};

  return fstat(socket, &status) == 0 ? status.st_ino : 0;
}

class PollingAcceptor final : public Acceptor {
 public:
  PollingAcceptor(std::vector<Descriptor> listeners, size_t connections_max)
      : listeners_(std::move(listeners)),
        connections_max_(connections_max),
        port_(PortOf(listeners_.front().get())),
        stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        spare_(OpenSpare()) {}

  ~PollingAcceptor() override { Stop(); }

  int port() const override { return port_; }

  void Start(Handover handover) override {
    handover_ = std::move(handover);
    thread_ = std::thread([this] { Run(); });
  }

  void Stop() override {
    if (thread_.joinable()) {
      const uint64_t one = 1;
      (void)!write(stop_.get(), &one, sizeof(one));
      thread_.join();
    }
    listeners_.clear();
  }

 private:
  void Run() {
    std::vector<pollfd> waiting = {{stop_.get(), POLLIN, 0}};
    for (const Descriptor& listener : listeners_) waiting.push_back({listener.get(), POLLIN, 0});
    while (true) {
      poll(waiting.data(), waiting.size(), /*timeout=*/-1);
      if (waiting[0].revents != 0) return;
      for (size_t i = 1; i < waiting.size(); ++i) {
        if (waiting[i].revents != 0) AcceptFrom(waiting[i].fd);
      }
    }
  }

  void AcceptFrom(int listener) {
    Descriptor socket(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.ok()) return OnAcceptFailed(listener, errno);
    if (IsFull()) return LogRefusal("connections_max");
    SetOption(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    open_[socket.get()] = InodeOf(socket.get());
    handover_(socket.Release());
  }

  void OnAcceptFailed(int listener, int why) {
    if (why == EMFILE || why == ENFILE) {
      // The connection would stay in the queue and wake this loop for ever.
      spare_.Close();
      Descriptor(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)).Close();
      spare_ = OpenSpare();
      LogRefusal("descriptors");
      if (spare_.ok()) return;
    } else if (why != ENOBUFS && why != ENOMEM) {
      return;  // The other end gave up, or nothing was there after all.
    }
    pollfd stop = {stop_.get(), POLLIN, 0};
    poll(&stop, 1, kAcceptPauseMs);
  }

  // Nobody tells when gRPC closes a socket: those that are gone are found when it matters.
  bool IsFull() {
    if (open_.size() < connections_max_) return false;
    const absl::Time now = absl::Now();
    if (now - counted_at_ < kRecountInterval) return true;
    counted_at_ = now;
    absl::erase_if(open_, [](const auto& entry) { return InodeOf(entry.first) != entry.second; });
    return open_.size() >= connections_max_;
  }

  void LogRefusal(const char* limit) {
    Log(LogLevel::kWarning, "connection_refused",
        {{"limit", limit},
         {"port", std::to_string(port_)},
         {"open", std::to_string(open_.size())}});
  }

  std::vector<Descriptor> listeners_;
  const size_t connections_max_;
  const int port_;
  const Descriptor stop_;
  Handover handover_;
  // Only the thread's from Start on.
  Descriptor spare_;
  absl::flat_hash_map<int, ino_t> open_;
  absl::Time counted_at_ = absl::InfinitePast();
  std::thread thread_;
};

}  // namespace

size_t ConnectionsFor(double share) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kConnectionsMax;
  const double most = share * static_cast<double>(limit.rlim_cur);
  return static_cast<size_t>(std::clamp(most, 1.0, static_cast<double>(kConnectionsMax)));
}

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Bind(absl::string_view host, int port,
                                                         size_t connections_max) {
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  const std::string name(bracketed ? host.substr(1, host.size() - 2) : host);
  PANAL_ASSIGN_OR_RETURN(const Addresses addresses, Resolve(name));
  std::vector<Descriptor> listeners;
  int why = 0;
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    // A name may have several addresses; they share the port that the first one got.
    const int wanted = listeners.empty() ? port : PortOf(listeners.front().get());
    Descriptor listener = Listen(*address, wanted);
    if (listener.ok()) {
      listeners.push_back(std::move(listener));
    } else {
      why = errno;
      if (why == EADDRINUSE) break;
    }
  }
  if (listeners.empty() || why == EADDRINUSE) return CannotListen(host, port, why);
  return std::make_unique<PollingAcceptor>(std::move(listeners), connections_max);
}

}  // namespace panal
