// Several whole peers in one process, as server/main.cc starts one, for meshes of hundreds.
//
// Usage: mesh_host COUNT FOLDER MESH [HOST:PORT]…
// The data of peer I is in FOLDER/I. Peers join by the addresses in turn; without any, those after
// the first join by it. Prints the `ready` line of each peer and ends on SIGTERM.
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/file_limit.h"
#include "common/base/log.h"
#include "common/rpc/initialize.h"
#include "server/runtime/node.h"

namespace panal {
namespace {

// Threads of every class: of ten peers in a process each has a tenth of the machine.
constexpr int kWorkers = 1;

NodeOptions OptionsOf(const std::string& folder, int i, const std::string& mesh,
                      const std::vector<std::string>& join) {
  NodeOptions options;
  options.data_dir = absl::StrCat(folder, "/", i);
  options.mesh_name = mesh;
  options.policy = "open";
  options.mesh_listen = "127.0.0.1:0";
  options.api_listen = "127.0.0.1:0";
  options.http_listen = "off";
  options.stop_grace = absl::Seconds(1);
  if (!join.empty()) options.join = {{join[static_cast<size_t>(i) % join.size()], {}}};
  for (WorkClassOptions& work_class : options.dispatcher.classes) work_class.threads = kWorkers;
  return options;
}

int Run(int count, const std::string& folder, const std::string& mesh,
        std::vector<std::string> join) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (const absl::StatusOr<FileLimit> limit = RaiseFileLimit(); !limit.ok()) {
    std::fprintf(stderr, "mesh_host: %s\n", limit.status().ToString().c_str());
  }
  InitializeRpc();
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<std::unique_ptr<Node>> node = Node::Start(OptionsOf(folder, i, mesh, join));
    if (!node.ok()) {
      std::fprintf(stderr, "mesh_host: %s\n", node.status().ToString().c_str());
      return 1;
    }
    std::printf("%s\n", (*node)->addresses().ReadyLine().c_str());
    std::fflush(stdout);
    if (join.empty()) join.push_back((*node)->addresses().mesh);
    nodes.push_back(*std::move(node));
  }
  int signal = 0;
  sigwait(&signals, &signal);
  std::vector<std::thread> stops;
  for (auto& node : nodes) stops.emplace_back([&node] { node->Stop(); });
  for (std::thread& stop : stops) stop.join();
  return 0;
}

}  // namespace
}  // namespace panal

int main(int argc, char** argv) {
  int count = 0;
  if (argc < 4 || !absl::SimpleAtoi(argv[1], &count) || count < 1) {
    std::fprintf(stderr, "usage: mesh_host COUNT FOLDER MESH [HOST:PORT]...\n");
    return 2;
  }
  if (!panal::SetLogLevel("warning").ok()) return 2;
  return panal::Run(count, argv[2], argv[3], {argv + 4, argv + argc});
}
