// panald: one peer of a Panal mesh. Flags become options, options a Node; SIGTERM and SIGINT stop
// it.
#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <memory>
#include <string>

#include "common/base/file_limit.h"
#include "common/base/heap.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/initialize.h"
#include "server/options_parser.h"
#include "server/runtime/node.h"

namespace {

// Exit codes: 0 stopped as asked, 1 could not start, 2 wrong settings.
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "panald: %s [%s]\n", std::string(status.message()).c_str(),
               std::string(panal::ReasonName(panal::ReasonOf(status))).c_str());
  return code;
}

// Every link, source and program takes a descriptor.
void OpenFileLimit() {
  const absl::StatusOr<panal::FileLimit> limit = panal::RaiseFileLimit();
  if (limit.ok()) {
    panal::Log(panal::LogLevel::kInfo, "file_limit",
               {{"before", std::to_string(limit->before)}, {"now", std::to_string(limit->now)}});
  } else {
    panal::Log(panal::LogLevel::kWarning, "file_limit_not_raised",
               {{"why", std::string(limit.status().message())}});
  }
}

// The signals that stop a peer, blocked in every thread so that only sigwait takes them.
sigset_t BlockStopSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

}  // namespace

int main(int argc, char** argv) {
  panal::KeepFreedMemory();
  absl::StatusOr<panal::CommandLine> command = panal::ParseCommandLine(argc, argv);
  if (!command.ok()) return Fail(command.status(), kExitUsage);
  if (!command->print.empty()) {
    std::fputs(command->print.c_str(), stdout);
    if (std::fflush(stdout) == 0) return 0;
    std::perror("panald: cannot write stdout");
    return kExitFailed;
  }
  if (absl::Status level = panal::SetLogLevel(command->options.log_level); !level.ok()) {
    return Fail(level, kExitUsage);
  }
  OpenFileLimit();
  sigset_t signals = BlockStopSignals();
  panal::InitializeRpc();
  absl::StatusOr<std::unique_ptr<panal::Node>> node =
      panal::Node::Start(std::move(command->options));
  if (!node.ok()) return Fail(node.status(), kExitFailed);
  std::printf("%s\n", (*node)->addresses().ReadyLine().c_str());
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  panal::Log(panal::LogLevel::kInfo, "stopping", {{"signal", std::to_string(signal)}});
  // A second signal ends the process at once: what was acknowledged is on disk already.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  (*node)->Stop();
  return 0;
}
