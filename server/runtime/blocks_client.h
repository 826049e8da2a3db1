// The fetching side of FileObject/Blocks: one bulk connection a source, own channel arguments so
// that it is not the control connection, read by one completion-queue thread for all sources.
//
// Thread-safe; no method blocks. Events come on the reader's thread: hashing and writing belong on
// a worker.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/model/record.h"

namespace panal {

class PeerChannels;
class StreamAdmission;

// Wants of one stream that may be unanswered (docs/protocol/files.md).
inline constexpr int kWantsPerStreamMax = 64;
// Largest chunk accepted, in bytes (file_object.proto).
inline constexpr size_t kBlockChunkSizeMax = 1024 * 1024;
// Bulk connections open at once.
inline constexpr int kBlockSourcesMax = 64;

struct ManifestAnswer {
  FileId file;
  std::string manifest;  // Encoded; not verified yet.
  std::string held;      // Bitmap; empty: all.
  std::string inline_content;
  bool has_inline_content = false;
};

struct BlocksEvents {
  std::function<void(ManifestAnswer)> on_manifest;
  // A whole block, put together from its chunks; not verified yet.
  std::function<void(FileId file, uint32_t index, std::string bytes)> on_block;
  std::function<void(FileId file, bool manifest, uint32_t index, std::string reason)> on_refused;
  // The stream ended; nothing comes after it. FRAME_INVALID: the source broke the protocol.
  std::function<void(absl::Status why)> on_closed;
};

// One open stream. Freed by the owner, before the client; its destructor closes the stream, and no
// event comes after it returned: it waits for the event that is being delivered, so it must not be
// called with a lock held that an event takes. From within an event of the stream itself it does
// not wait.
class BlocksStream {
 public:
  virtual ~BlocksStream() = default;
  // False when kWantsPerStreamMax wants are unanswered: try again after an answer. What is wanted
  // already is asked once. After the stream closed: true, and nothing comes of it.
  virtual bool WantManifest(const FileId& file) = 0;
  virtual bool WantBlock(const FileId& file, uint32_t index, uint32_t size_bytes) = 0;
};

class BlocksClient {
 public:
  // Begins the reader's thread. Everything passed must outlive the client.
  static std::unique_ptr<BlocksClient> Create(const StreamAdmission& admission,
                                              PeerChannels& channels);
  // As Shutdown.
  virtual ~BlocksClient() = default;
  // Opens a stream to the first address of `source` that answers; the connection is made in the
  // background, failures come by on_closed. Errors: OVERLOADED (kBlockSourcesMax), PEER_UNREACHABLE
  // (no address), SHUTTING_DOWN.
  virtual absl::StatusOr<std::unique_ptr<BlocksStream>> Open(const PeerContact& source,
                                                             BlocksEvents events) = 0;

  // Ends the streams to sources that are admitted no longer; on_closed comes.
  virtual void Recheck() {}

  // Ends what streams are still open (on_closed comes for each whose owner has not freed it) and
  // blocks until no event can come any more. Not from an event.
  virtual void Shutdown() {}
};

}  // namespace panal
