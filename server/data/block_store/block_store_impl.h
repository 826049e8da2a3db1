// The block store: an index of what there is, and the contents in use.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/base/sync.h"
#include "common/model/manifest.h"
#include "server/data/block_store/block_store.h"
#include "server/data/block_store/content_file.h"
#include "server/data/block_store/file_system.h"

namespace panal {

class BlockStoreImpl final : public BlockStore {
 public:
  BlockStoreImpl(const BlockStoreOptions& options, FileSystem& fs);

  // Reads the folder: indexes every map, drops leftovers of a crash. Cost: one small read a
  // content.
  absl::Status Scan();

  absl::Status Create(const Manifest& manifest) override;
  absl::StatusOr<HeldBlocks> Find(const FileId& id) override;
  absl::Status WriteBlock(const FileId& id, uint32_t index, absl::string_view bytes) override;
  absl::Status Checkpoint(const FileId& id) override;
  absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t index, bool verify) override;
  absl::StatusOr<int64_t> Remove(const FileId& id) override;
  absl::StatusOr<std::unique_ptr<Writer>> NewWriter(FileType type, uint64_t size_bytes) override;
  int64_t stored_bytes() const override;
  std::vector<FileId> List() override;

  // Room for a content that is being written, against the limit and the disk. Error: STORAGE_FULL.
  absl::Status Reserve(uint64_t size_bytes);
  void Release(uint64_t size_bytes);
  // Takes over the synced file at `finished_path`, for which room is reserved. Durable when it
  // returns OK; the reservation then belongs to the content or is released.
  absl::Status Adopt(const Manifest& manifest, const std::string& finished_path);

 private:
  struct Entry {
    std::shared_ptr<HeldLedger> ledger;
    uint64_t size_bytes = 0;          // Room reserved for it.
    std::weak_ptr<ContentFile> open;  // In use, or kept in `recent_`.
  };

  absl::Status ScanFolder(absl::string_view folder);
  // Indexes a map whose folder has the files `names`, sorted. Returns the name of its data file;
  // empty where the map is of no use and was dropped.
  absl::StatusOr<std::string> ScanMap(const FileId& id, const std::vector<std::string>& names);
  // Remembers the data of a damaged map. Returns its name; empty where there is none.
  std::string KeepDamaged(const FileId& id, const std::vector<std::string>& names);
  // The content, loaded. Error: FILE_NOT_FOUND.
  absl::StatusOr<std::shared_ptr<ContentFile>> Acquire(const FileId& id);
  // Adds a content that is not there yet and loads it; nothing where it is there already.
  absl::StatusOr<std::shared_ptr<ContentFile>> AddNew(const FileId& id, NewContent content);
  std::shared_ptr<ContentFile> NewContentFile(const FileId& id, const Entry& entry);
  // Keeps `file` open as the most recent. What falls out is returned, to be checkpointed unlocked.
  std::vector<std::shared_ptr<ContentFile>> Touch(const std::shared_ptr<ContentFile>& file)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether it was still there.
  bool DropEntry(const FileId& id, const std::shared_ptr<HeldLedger>& ledger);

  uint64_t NewDataNumber() { return Mix64(run_number_ + next_data_++); }

  void DropRecent(const ContentFile* file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const BlockStoreOptions options_;
  FileSystem& fs_;
  std::atomic<int64_t> stored_{0};
  std::atomic<uint64_t> next_temporary_{0};
  // Distinguishes this run from every other one in the numbers of data files.
  const uint64_t run_number_ = RandomSeedFromSystem();
  std::atomic<uint64_t> next_data_{0};

  Mutex mutex_;
  // Data whose map was damaged, found by Scan.
  absl::flat_hash_map<FileId, uint64_t> damaged_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<FileId, Entry> index_ ABSL_GUARDED_BY(mutex_);
  uint64_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;  // Sizes of all contents and writers.
  // Contents in use lately, the most recent first.
  std::list<std::shared_ptr<ContentFile>> recent_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<const ContentFile*, std::list<std::shared_ptr<ContentFile>>::iterator> places_
      ABSL_GUARDED_BY(mutex_);
};

// A writer that appends to `path`. `store` must outlive it.
absl::StatusOr<std::unique_ptr<BlockStore::Writer>> NewBlockWriter(BlockStoreImpl& store,
                                                                   FileSystem& fs, std::string path,
                                                                   FileType type,
                                                                   uint64_t size_bytes);

}  // namespace panal
