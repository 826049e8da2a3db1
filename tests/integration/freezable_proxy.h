// A TCP path to an address that can be made to swallow everything while all sockets stay open.
#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace panal {

class FreezableProxy {
 public:
  // Listens on a free port of 127.0.0.1 and forwards every connection to `target` (IPv4:PORT).
  explicit FreezableProxy(const std::string& target);
  ~FreezableProxy();

  std::string address() const;

  // From now on connections are taken but no byte passes.
  void Freeze() { frozen_ = true; }

 private:
  void Run();

  const std::string target_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> frozen_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace panal
