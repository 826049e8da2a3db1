// LAYER 3: the bytes of files. One sparse data file per content, blocks written in place by pwrite,
// and a bitmap of the blocks that were verified. Small contents live in the catalog instead.
//
// Layout under `<data-dir>/blocks/`: `<2 chars>/<id>.map` the checkpoint (manifest and bitmap,
// block_map.h), `<id>.<number>` the data that it names, `tmp/` what is being written. A block
// counts as held only when its data was synced before the bitmap that says so.
//
// Specification:
// - B1. WriteBlock verifies the SHA-256 before the block counts; BLOCK_CORRUPT otherwise.
// - B2. After Checkpoint(id) returns OK, every block written before it survives lost power.
//   Rationale: fdatasync(data), then the bitmap to a temp name, fsync, rename, fsync(directory).
// - B3. After a crash, blocks written since the last checkpoint are hashed again when the file is
//   opened (a dirty flag says that there may be any), so a resumed fetch loses nothing it had.
// - B4. ReadBlock verifies the hash unless told otherwise; a mismatch clears the block from the
//   bitmap and says BLOCK_CORRUPT, so that it is fetched again.
//
// Thread-safe: called from workers. Blocking disk IO: never from a gRPC thread or the node loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/model/manifest.h"
#include "server/data/block_store/file_system.h"

namespace panal {

struct BlockStoreOptions {
  std::string dir;
  // Most bytes of content kept. 0: as much as the disk has. STORAGE_FULL beyond.
  int64_t size_bytes_max = 0;
  // Open data files kept for reuse. 0 closes after each use. Guess, below the usual 1,024
  // descriptors.
  int open_files_max = 128;
};

// What is held of one content.
struct HeldBlocks {
  Manifest manifest;
  std::vector<bool> held;  // One entry a block.
  uint64_t held_bytes = 0;
  bool complete = false;
};

class BlockStore {
 public:
  // Opens or creates the store. Errors: STORAGE_FAILED, DATA_DIR_TOO_NEW. `fs` must outlive the
  // store.
  static absl::StatusOr<std::unique_ptr<BlockStore>> Open(const BlockStoreOptions& options,
                                                          FileSystem& fs);
  virtual ~BlockStore() = default;

  // Prepares room for a content. OK when it is there already. Error: STORAGE_FULL.
  virtual absl::Status Create(const Manifest& manifest) = 0;
  // What is held of `id`. Error: FILE_NOT_FOUND.
  virtual absl::StatusOr<HeldBlocks> Find(const FileId& id) = 0;
  // Writes one block in place. Errors: BLOCK_CORRUPT, STORAGE_FULL, STORAGE_FAILED, FILE_NOT_FOUND.
  virtual absl::Status WriteBlock(const FileId& id, uint32_t index, absl::string_view bytes) = 0;
  // Makes every block written so far durable. See B2.
  virtual absl::Status Checkpoint(const FileId& id) = 0;
  // Reads one whole block. Errors: FILE_NOT_FOUND, FILE_INCOMPLETE, BLOCK_CORRUPT.
  virtual absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t index,
                                                bool verify = true) = 0;
  // Frees the bytes. Returns how many. Error: FILE_NOT_FOUND.
  virtual absl::StatusOr<int64_t> Remove(const FileId& id) = 0;

  // A content whose id is not known yet, as it comes from a program: bytes are appended to a
  // temporary file and hashed; Finish syncs it and renames it to its id.
  class Writer {
   public:
    virtual ~Writer() = default;  // Drops what was not finished.
    // Appends. Errors: STORAGE_FULL, UPLOAD_INCOMPLETE (more bytes than announced).
    virtual absl::Status Append(absl::string_view bytes) = 0;
    // Durable when it returns OK. Error: UPLOAD_INCOMPLETE (fewer bytes than announced).
    virtual absl::StatusOr<Manifest> Finish() = 0;
  };

  // Begins a content of exactly `size_bytes`. Error: STORAGE_FULL.
  virtual absl::StatusOr<std::unique_ptr<Writer>> NewWriter(FileType type, uint64_t size_bytes) = 0;

  // Bytes of content held (sum of held blocks).
  virtual int64_t stored_bytes() const = 0;
  // Every content with what is held, for the check at start and `doctor`.
  virtual std::vector<FileId> List() = 0;
};

}  // namespace panal
