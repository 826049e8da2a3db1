// One GiB from process to process over FileObject/Blocks: loopback, mutual TLS, blocks that lie in
// memory. Prints a line a run: block size, GiB/s, CPU seconds per GiB of each side.
//
//   blocks_bench [MIB=1024] [RUNS=5]
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/heap.h"
#include "common/base/sync.h"
#include "common/model/manifest.h"
#include "tests/integration/no_files.h"
#include "tests/integration/stream_peer.h"

namespace panal {
namespace {

// Wants under way: as a fetch has them from one source.
constexpr int kWantsUnderWay = 32;

class HotBlocks final : public NoFiles {
 public:
  // The file id's first byte is the power of two of the block's size.
  absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t) override {
    return std::string(size_t{1} << id.bytes[0], 'x');
  }
};

double CpuSeconds() {
  rusage usage;
  PANAL_CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Serves until its input ends; says its CPU seconds for every byte that it reads.
[[noreturn]] void Serve(int input, int output) {
  HotBlocks files;
  StreamPeer source({.files = &files});
  const PeerContact contact = source.contact();
  const std::string hello = contact.id.ToText() + contact.addresses[0] + "\n";
  PANAL_CHECK(write(output, hello.data(), hello.size()) == static_cast<ssize_t>(hello.size()));
  char byte = 0;
  while (read(input, &byte, 1) == 1) {
    const double cpu = CpuSeconds();
    PANAL_CHECK(write(output, &cpu, sizeof(cpu)) == sizeof(cpu));
  }
  _exit(0);
}

// Fetches `blocks` blocks, kWantsUnderWay at a time.
void Fetch(StreamPeer& reader, const PeerContact& source, int power, uint32_t blocks) {
  FileId file;
  file.bytes[0] = static_cast<uint8_t>(power);
  const uint32_t size = uint32_t{1} << power;
  Mutex mutex;
  Condition changed;
  uint32_t received = 0;
  BlocksEvents events;
  events.on_manifest = [](ManifestAnswer) {};
  events.on_block = [&](FileId, uint32_t, std::string) {
    MutexLock lock(&mutex);
    ++received;
    changed.Signal();
  };
  events.on_refused = [](FileId, bool, uint32_t, std::string) { PANAL_CHECK(false); };
  events.on_closed = [](absl::Status) {};
  auto stream = reader.blocks().Open(source, std::move(events));
  PANAL_CHECK(stream.ok());
  for (uint32_t asked = 0; asked < blocks; ++asked) {
    {
      MutexLock lock(&mutex);
      while (asked - received >= kWantsUnderWay) changed.Wait(&mutex);
    }
    PANAL_CHECK((*stream)->WantBlock(file, asked, size));
  }
  MutexLock lock(&mutex);
  while (received < blocks) changed.Wait(&mutex);
}

void Run(int argc, char** argv) {
  const uint64_t total = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024) << 20;
  const int runs = argc > 2 ? std::atoi(argv[2]) : 5;
  int down[2];
  int up[2];
  PANAL_CHECK(pipe(down) == 0 && pipe(up) == 0);
  // Before gRPC begins any thread.
  const pid_t child = fork();
  PANAL_CHECK(child >= 0);
  if (child == 0) {
    close(down[1]);
    Serve(down[0], up[1]);
  }
  close(down[0]);
  std::string hello;
  for (char c = 0; read(up[0], &c, 1) == 1 && c != '\n';) hello += c;
  const PeerContact source = {*PeerId::FromText(hello.substr(0, PeerId::kTextSize)),
                              {hello.substr(PeerId::kTextSize)}};
  auto server_cpu = [&] {
    double cpu = 0;
    PANAL_CHECK(write(down[1], "?", 1) == 1 && read(up[0], &cpu, sizeof(cpu)) == sizeof(cpu));
    return cpu;
  };
  StreamPeer reader;
  const double gib = static_cast<double>(total) / (1 << 30);
  for (int power : {18, 20, 22, 24}) {
    const uint32_t blocks = static_cast<uint32_t>(total >> power);
    Fetch(reader, source, power, 64);  // Warm.
    for (int run = 0; run < runs; ++run) {
      const double server = server_cpu();
      const double client = CpuSeconds();
      const absl::Time begin = absl::Now();
      Fetch(reader, source, power, blocks);
      const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
      std::printf("block %6u KiB  %.3f GiB/s  source %.2f s/GiB  reader %.2f s/GiB\n",
                  1u << (power - 10), gib / seconds, (server_cpu() - server) / gib,
                  (CpuSeconds() - client) / gib);
      std::fflush(stdout);
    }
  }
  close(down[1]);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace panal

int main(int argc, char** argv) {
  panal::KeepFreedMemory();
  panal::Run(argc, argv);
}
