// The serving side of FileObject/Blocks: wants in, blocks out, read on workers of class kBulk.
//
// Specification (docs/protocol/files.md):
// - B1. Wants are answered one after the other, in the order they came: a block in chunks of at
//   most kBlockChunkSize bytes, a manifest whole, or a refusal with the reason's name.
// - B2. At most kWantsPerStreamMax wants may be unanswered; one more ends the stream with
//   FRAME_INVALID.
// - B3. The next block is read when less than kBlocksQueueMax bytes wait to be written, so that a
//   reader that is slow costs that much and one block. The block after is read while one is being
//   written.
// - B4. A dispatcher that sheds refuses the want with OVERLOADED; the stream stays.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/rpc/stream_admission.h"
#include "server/application/dispatcher.h"
#include "server/data/file_store/file_store.h"

namespace panal {

// Bytes of a chunk: the largest allowed, since every chunk costs a message and a write. How much
// less CPU than at 256 KiB was not measured carefully.
inline constexpr size_t kBlockChunkSize = 1024 * 1024;
// Bytes that may wait on one stream before the next block is read. Guess: what a fast disk reads
// while a chunk is being written, several times over.
inline constexpr size_t kBlocksQueueMax = 8 * 1024 * 1024;
// Blocks streams accepted at once, from one peer and in all. One a peer is needed; a peer that
// restarts comes back before its old ones are noticed to be dead. Guess: 256 streams of 24 MiB each
// at most.
inline constexpr size_t kBlocksStreamsPerPeerMax = 4;
inline constexpr size_t kBlocksStreamsMax = 256;

class ServedBlocks;

struct BlocksServerOptions {
  size_t queue_max = kBlocksQueueMax;
  size_t streams_per_peer_max = kBlocksStreamsPerPeerMax;
  size_t streams_max = kBlocksStreamsMax;
};

// Thread-safe; no method blocks. Streams end with their gRPC server: shut that down, and stop the
// dispatcher, before this is destroyed.
class BlocksServer final {
 public:
  // All must outlive the streams.
  BlocksServer(FileStore& files, Dispatcher& dispatcher, const StreamAdmission& admission,
               const BlocksServerOptions& options = {});

  BlocksServer(const BlocksServer&) = delete;
  BlocksServer& operator=(const BlocksServer&) = delete;

  // The reactor of a Blocks stream that `peer`, admitted, opened. Refused with OVERLOADED above the
  // limits.
  grpc::ServerGenericBidiReactor* Accept(grpc::GenericCallbackServerContext& context,
                                         const CredentialPtr& peer);

  // Ends the streams whose other end is admitted no longer.
  void Recheck();

  // Streams now. For tests and metrics.
  size_t streams() const;

 private:
  struct Stream {
    std::weak_ptr<ServedBlocks> stream;
    CredentialPtr peer;
  };

  // Shared by the server and its streams, which count themselves out.
  struct Table {
    Mutex mutex;
    absl::flat_hash_map<PeerId, size_t> by_peer ABSL_GUARDED_BY(mutex);
    absl::flat_hash_map<uint64_t, Stream> streams ABSL_GUARDED_BY(mutex);  // By number.
    uint64_t last ABSL_GUARDED_BY(mutex) = 0;
  };

  FileStore& files_;
  Dispatcher& dispatcher_;
  const StreamAdmission& admission_;
  const BlocksServerOptions options_;
  const std::shared_ptr<Table> table_;
};

}  // namespace panal
