// One content of the block store while it is in use: its data file, its bitmap, its checkpoint.
//
// Specification (how B1-B4 of block_store.h are kept):
// - K1. The dirty byte of the map is set before the first block that is written after a checkpoint,
//   and cleared only when no block was written since the bitmap on disk was taken.
// - K2. A block that the map on disk claims is never overwritten: where its bytes turned out
//   corrupt, a map that no longer claims it is made durable first. Rationale: a torn overwrite
//   after lost power would leave a claimed block that is wrong.
// - K3. Blocks that a failed sync may have lost are forgotten.
//   Rationale: the kernel reports a failed write-back once; the next sync succeeds without the
//   bytes.
// - K4. A map names its data file by a number that no other data file of that content ever had, and
//   nothing is claimed of any other file.
//   Rationale: after lost power an old file may be back under its name, although a newer one
//   replaced it.
//
// Thread-safe. `map_mutex_` is held over disk IO and orders load, checkpoint, adoption and removal;
// `mutex_` only guards members.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/model/manifest.h"
#include "server/data/block_store/block_map.h"
#include "server/data/block_store/block_store.h"
#include "server/data/block_store/file_system.h"

namespace panal {

// Bytes held: of one content and of all. Outlives the ContentFile that counts, which comes and
// goes.
struct HeldLedger {
  std::atomic<int64_t>* all = nullptr;
  std::atomic<int64_t> here{0};

  void Set(int64_t bytes) { *all += bytes - here.exchange(bytes); }

  void Add(int64_t bytes) {
    here += bytes;
    *all += bytes;
  }
};

// Where the files of one content lie.
struct ContentPaths {
  std::string root;
  std::string folder;
  std::string map;
  std::string data_prefix;

  static ContentPaths Of(absl::string_view root, const FileId& id);

  std::string Data(uint64_t number) const;
};

// A content that is not in the store yet.
struct NewContent {
  Manifest manifest;
  uint64_t data_number = 0;
  // A synced file with all of its bytes, renamed into place. Empty: nothing is held yet.
  std::string finished_path;
  // The data file is there already, left by a map that was damaged: its blocks are hashed.
  bool recovered = false;
};

// The map of `id` as it is on disk. Errors: PATH_NOT_FOUND, and as DecodeBlockMap.
absl::StatusOr<BlockMap> ReadBlockMap(FileSystem& fs, const ContentPaths& paths, const FileId& id);

class ContentFile {
 public:
  // Of a content whose map exists. `fs` must outlive it; `ledger` is shared with the store's index.
  // `keep_open`: the data file stays open between operations.
  ContentFile(FileSystem& fs, ContentPaths paths, const FileId& id,
              std::shared_ptr<HeldLedger> ledger, bool keep_open);

  // What the first Load makes, for a content that is new here. Call before anybody else has it.
  void BeNew(NewContent content);

  // Reads the map, or makes what BeNew said; hashes blocks that the bitmap does not claim when the
  // map is dirty. Every other method REQUIRES that it returned OK, but Remove. Repeated calls cost
  // nothing.
  absl::Status Load();

  HeldBlocks Snapshot();
  absl::Status Write(uint32_t index, absl::string_view bytes);
  absl::StatusOr<std::string> Read(uint32_t index, bool verify);
  absl::Status Checkpoint();
  // A checkpoint where blocks were written since the last, before the content leaves memory, so
  // that nothing has to be hashed again.
  absl::Status Settle();
  // Takes a synced file with all the bytes over, as the data file `number`. Durable when it returns
  // OK.
  absl::Status Adopt(const std::string& finished_path, uint64_t number);
  absl::Status Remove();
  bool complete();

 private:
  absl::Status LoadMap() ABSL_EXCLUSIVE_LOCKS_REQUIRED(map_mutex_);
  absl::Status MakeNew() ABSL_EXCLUSIVE_LOCKS_REQUIRED(map_mutex_);
  absl::Status MakeEmpty() ABSL_EXCLUSIVE_LOCKS_REQUIRED(map_mutex_);
  absl::Status MakeFolder();
  absl::Status Rehash() ABSL_EXCLUSIVE_LOCKS_REQUIRED(map_mutex_);
  absl::Status AdoptLocked(const std::string& finished_path, uint64_t number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(map_mutex_);
  // Replaces the map on disk; with `durable` it survives lost power when this returns OK.
  absl::Status WriteMap(const BlockMap& map, bool durable)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(map_mutex_);
  absl::Status SetDirty(bool dirty) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetHeld(std::vector<bool> held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<OpenFile>> Data() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Begins a write of block `index`: null when it is held already.
  absl::StatusOr<std::shared_ptr<OpenFile>> BeginWrite(uint32_t index);
  void EndWrite(uint32_t index, bool written);
  void Forget(uint32_t index);
  absl::Status CheckIndex(uint32_t index, ErrorReason reason) const;
  absl::Status NotFound() const;
  absl::Status Corrupt(uint32_t index) const;

  FileSystem& fs_;
  const ContentPaths paths_;
  const FileId id_;
  const std::shared_ptr<HeldLedger> ledger_;
  const bool keep_open_;

  Mutex map_mutex_;
  bool loaded_ ABSL_GUARDED_BY(map_mutex_) = false;
  std::optional<NewContent> new_ ABSL_GUARDED_BY(map_mutex_);

  // Set once by Load, read without a lock after it.
  Manifest manifest_;

  Mutex mutex_;
  bool removed_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t data_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<OpenFile> data_ ABSL_GUARDED_BY(mutex_);
  std::vector<bool> held_ ABSL_GUARDED_BY(mutex_);
  // What the map on disk claims, or may claim while it is being replaced.
  std::vector<bool> claimed_ ABSL_GUARDED_BY(mutex_);
  // Whether the map on disk would survive lost power, and its dirty byte is set.
  bool map_durable_ ABSL_GUARDED_BY(mutex_) = false;
  bool map_dirty_ ABSL_GUARDED_BY(mutex_) = false;
  // Writes begun, and begun but not ended.
  uint64_t writes_ ABSL_GUARDED_BY(mutex_) = 0;
  int writes_under_way_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace panal
