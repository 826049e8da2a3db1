// The fetching side of FileObject/Blocks: one bulk connection a source, own channel arguments so that it is
// not the control connection, read by one completion-queue thread for all sources.
//
// Thread-safe; no method blocks. Events come on the reader's thread: hashing and writing belong on a
// worker.
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

// Wants of one stream that may be unanswered (docs/protocol/files.md).
inline constexpr int kWantsPerStreamMax = 64;
// Bulk connections open at once.
inline constexpr int kBlockSourcesMax = 64;

struct ManifestAnswer {
  FileId file;
  std::string manifest;        // Encoded; not verified yet.
  std::string held;            // Bitmap; empty: all.
  std::string inline_content;
  bool has_inline_content = false;
};

struct BlocksEvents {
  std::function<void(ManifestAnswer)> on_manifest;
  // A whole block, put together from its chunks; not verified yet.
  std::function<void(FileId file, uint32_t index, std::string bytes)> on_block;
  std::function<void(FileId file, bool manifest, uint32_t index, std::string reason)> on_refused;
  // The stream ended; nothing comes after it.
  std::function<void(absl::Status why)> on_closed;
};

// One open stream. Freed by the owner; its destructor closes the stream, and no event comes after it
// returned.
class BlocksStream {
 public:
  virtual ~BlocksStream() = default;
  // False when kWantsPerStreamMax wants are unanswered: try again after an answer.
  virtual bool WantManifest(const FileId& file) = 0;
  virtual bool WantBlock(const FileId& file, uint32_t index, uint32_t size_bytes) = 0;
};

class BlocksClient {
 public:
  virtual ~BlocksClient() = default;
  // Opens a stream; the connection is made in the background, failures come by on_closed.
  virtual absl::StatusOr<std::unique_ptr<BlocksStream>> Open(const PeerContact& source,
                                                             BlocksEvents events) = 0;
};

}  // namespace panal
