// A file store whose contents lie in memory, for ports that serve blocks.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/model/manifest.h"
#include "tests/integration/no_files.h"

namespace panal {

class MemoryFiles final : public NoFiles {
 public:
  FileId Add(std::string content) {
    const Manifest manifest = ManifestOf(FileType::kFile, content);
    const FileId id = manifest.Id();
    MutexLock lock(&mutex_);
    files_[id] = {manifest, std::move(content), {}};
    return id;
  }

  // Only these blocks are held.
  void Hold(const FileId& id, std::vector<bool> held) {
    MutexLock lock(&mutex_);
    files_[id].held = std::move(held);
  }

  // Called before each block is read, without a lock.
  void BeforeRead(std::function<absl::Status(uint32_t index)> hook) {
    MutexLock lock(&mutex_);
    before_read_ = std::move(hook);
  }

  // Waits until that many blocks were asked of the store.
  void AwaitReads(int count) {
    MutexLock lock(&mutex_);
    while (reads_ < count) changed_.Wait(&mutex_);
  }

  int reads() {
    MutexLock lock(&mutex_);
    return reads_;
  }

  absl::StatusOr<Held> FindHeld(const FileId& id) override {
    MutexLock lock(&mutex_);
    auto found = files_.find(id);
    if (found == files_.end()) return Error(ErrorReason::kFileNotFound, "no such file");
    Held held;
    held.manifest = found->second.manifest;
    held.held = found->second.held;
    held.has_inline_content = found->second.content.size() <= kInlineSizeMax;
    if (held.has_inline_content) held.inline_content = found->second.content;
    return held;
  }

  absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t index) override {
    std::function<absl::Status(uint32_t)> hook;
    {
      MutexLock lock(&mutex_);
      ++reads_;
      changed_.SignalAll();
      hook = before_read_;
    }
    if (hook) {
      if (absl::Status status = hook(index); !status.ok()) return status;
    }
    MutexLock lock(&mutex_);
    auto found = files_.find(id);
    if (found == files_.end()) return Error(ErrorReason::kFileNotFound, "no such file");
    const File& file = found->second;
    if (index >= file.manifest.blocks.size() || (!file.held.empty() && !file.held[index])) {
      return Error(ErrorReason::kFileIncomplete, "no such block");
    }
    return file.content.substr(uint64_t{index} * file.manifest.block_size_bytes,
                               file.manifest.BlockSize(index));
  }

 private:
  struct File {
    Manifest manifest;
    std::string content;
    std::vector<bool> held;
  };

  Mutex mutex_;
  Condition changed_;
  std::map<FileId, File> files_ ABSL_GUARDED_BY(mutex_);
  std::function<absl::Status(uint32_t)> before_read_ ABSL_GUARDED_BY(mutex_);
  int reads_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace panal
