// Idle connections on the API port: threads, memory and CPU that they cost.
//
// A child process opens N connections (default 10,000), agrees on HTTP/2 and then says nothing.
// Prints one JSON object: threads and resident memory before and after, seconds until all were
// open, CPU of the serving process over five idle seconds, and how long a call takes among them.
#include <arpa/inet.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/initialize.h"
#include "server/runtime/api_port.h"

namespace panal {
namespace {

constexpr int kConnectionsDefault = 10'000;
constexpr absl::Duration kIdleTime = absl::Seconds(5);
constexpr char kMethod[] = "/test.Echo/Unary";

// A number of /proc/self/status: `Threads:`, or `VmRSS:` in KiB.
int StatusOf(const char* field) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (absl::StartsWith(line, field)) return std::atoi(line.c_str() + std::string(field).size());
  }
  return -1;
}

absl::Duration CpuTime() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

void RaiseFileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int OpenIdleConnection(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return -1;
  constexpr absl::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  if (send(socket_fd, kPreface.data(), kPreface.size(), MSG_NOSIGNAL) < 0) return -1;
  char settings[9];
  return recv(socket_fd, settings, sizeof(settings), MSG_WAITALL) == 9 ? socket_fd : -1;
}

// The child: gets a port, opens connections, answers with how many it has, waits for the end.
[[noreturn]] void HoldConnections(int in, int out, int count) {
  int port = 0;
  if (read(in, &port, sizeof(port)) != sizeof(port)) _exit(1);
  int opened = 0;
  for (int i = 0; i < count; ++i) opened += OpenIdleConnection(port) >= 0 ? 1 : 0;
  if (write(out, &opened, sizeof(opened)) != sizeof(opened)) _exit(1);
  char end = 0;
  _exit(read(in, &end, 1) >= 0 ? 0 : 1);
}

void EchoOnce(const CallPtr& call) {
  call->Read([call](std::optional<std::string> message) {
    call->Write(message.value_or(""), [call](bool) { call->Finish({}); });
  });
}

// Median of 101 calls on one channel, the first one left out.
absl::Duration CallTime(const std::string& address) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  std::vector<absl::Duration> times;
  const grpc::ByteBuffer request = ToByteBuffer("hello");
  for (int i = 0; i < 102; ++i) {
    grpc::ClientContext context;
    grpc::ByteBuffer response;
    grpc::Status status;
    const absl::Time begin = absl::Now();
    auto call = stub.PrepareUnaryCall(&context, kMethod, request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (i > 0 && status.ok()) times.push_back(absl::Now() - begin);
  }
  if (times.empty()) return absl::InfiniteDuration();
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int Measure(int count, int to_child, int from_child) {
  InitializeRpc();
  const ApiGate gate;
  auto port = ApiPort::Open({.listen = "127.0.0.1:0"}, gate, EchoOnce);
  if (!port.ok()) return 1;
  const std::string address = (*port)->address();
  const absl::Duration call_before = CallTime(address);
  const int threads_before = StatusOf("Threads:");
  const int memory_before = StatusOf("VmRSS:");
  const absl::Duration cpu_begin = CpuTime();
  const absl::Time begin = absl::Now();
  const int number = std::atoi(address.c_str() + address.rfind(':') + 1);
  int opened = 0;
  if (write(to_child, &number, sizeof(number)) != sizeof(number)) return 1;
  if (read(from_child, &opened, sizeof(opened)) != sizeof(opened)) return 1;
  const absl::Duration connecting = absl::Now() - begin;
  const absl::Duration connecting_cpu = CpuTime() - cpu_begin;
  const int memory_after = StatusOf("VmRSS:");
  const absl::Duration call_after = CallTime(address);
  const int threads_after = StatusOf("Threads:");
  const absl::Duration cpu_before = CpuTime();
  absl::SleepFor(kIdleTime);
  const absl::Duration cpu = CpuTime() - cpu_before;
  std::printf(
      "{\"connections\": %d, \"asked\": %d, \"threads_before\": %d, \"threads_after\": %d, "
      "\"rss_before_kib\": %d, \"rss_after_kib\": %d, \"kib_per_connection\": %.1f, "
      "\"connect_s\": %.2f, \"connect_cpu_s\": %.2f, \"idle_cpu_ms_per_s\": %.2f, "
      "\"call_before_us\": %.0f, "
      "\"call_after_us\": %.0f}\n",
      opened, count, threads_before, threads_after, memory_before, memory_after,
      static_cast<double>(memory_after - memory_before) / std::max(opened, 1),
      absl::ToDoubleSeconds(connecting), absl::ToDoubleSeconds(connecting_cpu),
      absl::ToDoubleMilliseconds(cpu / 5), absl::ToDoubleMicroseconds(call_before),
      absl::ToDoubleMicroseconds(call_after));
  (*port)->Shutdown(absl::ZeroDuration());
  return opened == count ? 0 : 1;
}

}  // namespace
}  // namespace panal

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : panal::kConnectionsDefault;
  panal::RaiseFileLimit();
  int to_child[2];
  int from_child[2];
  if (pipe(to_child) != 0 || pipe(from_child) != 0) return 1;
  const pid_t child = fork();  // Before gRPC has threads.
  if (child == 0) {
    close(to_child[1]);
    panal::HoldConnections(to_child[0], from_child[1], count);
  }
  const int result = panal::Measure(count, to_child[1], from_child[0]);
  close(to_child[1]);
  waitpid(child, nullptr, 0);
  return result;
}
