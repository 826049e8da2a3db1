// Fetches files and directories from the peers that have them: finds sources by search, opens their
// Blocks streams, lets processing/transfer schedule the blocks, has every block verified and
// written by workers, and publishes what was fetched.
//
// Specification:
// - T1. A block counts only after its hash was verified and it was written
//   (FileStore::ReceiveBlock).
// - T2. What was fetched survives a crash: a checkpoint at least every kCheckpointInterval and at
//   the end; the next fetch of the same id, after a restart too, asks only for what is missing.
// - T3. A source that sends a corrupt block is dropped for the fetch and the reason logged; the
//   block is asked from another.
// - T4. A directory is fetched listing first, then everything below it, kChildrenMax contents at
//   once; the sources of the directory are tried first for its entries, then a search for the
//   entry's id.
// - T5. A fetch without any source for FetchRequest::timeout ends with SOURCE_NOT_FOUND, which says
//   how many peers were asked; at once when every peer of the mesh was asked and none has the file.
//   While sources deliver there is no limit.
// - T6. Two programs that fetch the same id share one fetch.
//
// All state belongs to the node loop: every method but the constructor's posts there. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "server/application/dispatcher.h"
#include "server/application/mesh.h"
#include "server/data/file_store/file_store.h"
#include "server/processing/transfer/fetch.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/mesh_port.h"

namespace panal {

// Longest time between two checkpoints of a file being received. What is newer is hashed again
// after a crash.
inline constexpr absl::Duration kCheckpointInterval = absl::Seconds(2);
// Contents of one directory received at once. Guess: hides a round trip, bounds memory.
inline constexpr int kChildrenMax = 32;
// Different fetches under way at once. OVERLOADED beyond.
inline constexpr int kFetchesMax = 64;
// Programs that wait for one fetch. OVERLOADED beyond. Guess: each costs a stream and a message a
// tick.
inline constexpr size_t kFetchCallersMax = 256;
// Bytes of blocks received and not yet written, over all fetches; sources are asked for no more
// beyond.
inline constexpr uint64_t kReceiveBufferMax = 64ull * 1024 * 1024;

// What the fetcher needs of the peer it runs in.
struct FetcherHost {
  PeerId self;
  // Runs a task on the node loop, in order.
  std::function<void(std::function<void()>)> post;
  // Runs a task on the node loop after a delay.
  std::function<void(absl::Duration, std::function<void()>)> post_after;
  std::function<uint64_t(const std::string& query, double recall, uint32_t limit,
                         absl::Duration timeout, SearchHandlers)>
      search;
  std::function<void(uint64_t)> cancel_search;
  ContactLookup lookup;
  // Own records changed.
  std::function<void()> pages_changed;
  // Time for timeouts and waits; never set back.
  std::function<absl::Time()> now;
  // Seed of the generator that breaks ties between blocks.
  uint64_t seed = 0;
};

class Fetcher {
 public:
  // Everything passed must outlive the fetcher.
  static std::unique_ptr<Fetcher> Create(const FetchOptions& options, FileStore& files,
                                         Dispatcher& dispatcher, BlocksClient& blocks,
                                         FetcherHost host);
  virtual ~Fetcher() = default;

  // See Mesh::StartFetch and Mesh::CancelFetch.
  virtual uint64_t Start(FetchRequest request, FetchHandlers handlers) = 0;
  virtual void Cancel(uint64_t fetch) = 0;
  // Fetches under way.
  virtual int active() const = 0;
  // Checkpoints and ends every fetch with SHUTTING_DOWN; `done` comes on the node loop.
  virtual void Shutdown(std::function<void()> done) = 0;
};

}  // namespace panal
