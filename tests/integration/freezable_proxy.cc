#include "tests/integration/freezable_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace panal {
namespace {

constexpr int kPollMs = 20;

int ConnectTo(const std::string& target) {
  const size_t colon = target.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(target.c_str() + colon + 1)));
  inet_pton(AF_INET, target.substr(0, colon).c_str(), &address.sin_addr);
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    return socket_fd;
  }
  close(socket_fd);
  return -1;
}

// False: the connection is over.
bool Forward(int from, int to) {
  char buffer[65536];
  const ssize_t size = read(from, buffer, sizeof(buffer));
  if (size <= 0) return false;
  for (ssize_t done = 0; done < size;) {
    const ssize_t written = send(to, buffer + done, static_cast<size_t>(size - done), MSG_NOSIGNAL);
    if (written <= 0) return false;
    done += written;
  }
  return true;
}

}  // namespace

FreezableProxy::FreezableProxy(const std::string& target) : target_(target) {
  listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  PANAL_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  PANAL_CHECK(listen(listener_, 16) == 0);
  socklen_t size = sizeof(address);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

FreezableProxy::~FreezableProxy() {
  stopping_ = true;
  thread_.join();
  close(listener_);
}

std::string FreezableProxy::address() const { return absl::StrCat("127.0.0.1:", port_); }

void FreezableProxy::Run() {
  std::map<int, int> other;
  std::vector<int> frozen;
  while (!stopping_) {
    std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
    if (!frozen_) {
      for (const auto& [from, to] : other) polled.push_back({from, POLLIN, 0});
    }
    poll(polled.data(), polled.size(), kPollMs);
    if (polled[0].revents != 0) {
      const int accepted = accept(listener_, nullptr, nullptr);
      const int onward = frozen_ ? -1 : ConnectTo(target_);
      if (onward >= 0) {
        other[accepted] = onward;
        other[onward] = accepted;
      } else {
        frozen.push_back(accepted);
      }
    }
    if (frozen_) continue;
    for (size_t i = 1; i < polled.size(); ++i) {
      const int from = polled[i].fd;
      if (polled[i].revents == 0 || other.count(from) == 0) continue;
      const int to = other[from];
      if (Forward(from, to)) continue;
      other.erase(from);
      other.erase(to);
      close(from);
      close(to);
    }
  }
  for (const auto& [from, to] : other) close(from);
  for (int socket_fd : frozen) close(socket_fd);
}

}  // namespace panal
