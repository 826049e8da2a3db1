// Which contents are being added and must not be freed, although nothing publishes them yet.
#pragma once

#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/sync.h"

namespace panal {

// Thread-safe. Freeing and finishing a content exclude each other, so that a content that is found
// to be there already is not freed before it is pinned.
class ContentPins {
 public:
  void Pin(const FileId& id);
  void Unpin(const FileId& id);

  // Runs `finish`, which makes a content whose id is not known before, and pins it.
  absl::StatusOr<FileId> PinNew(const std::function<absl::StatusOr<FileId>()>& finish);
  // Runs `free` with those of `ids` that are not pinned, while nothing is pinned or finished.
  absl::Status FreeUnpinned(const std::vector<FileId>& ids,
                            const std::function<absl::Status(const std::vector<FileId>&)>& free);

 private:
  Mutex mutex_;
  Condition finished_;
  int finishing_ ABSL_GUARDED_BY(mutex_) = 0;
  int freeing_ ABSL_GUARDED_BY(mutex_) = 0;  // Waiting, or under way.
  absl::flat_hash_map<FileId, int> pins_ ABSL_GUARDED_BY(mutex_);
};

// Pins of one operation, released with it.
class PinnedContents {
 public:
  explicit PinnedContents(ContentPins& pins) : pins_(pins) {}

  ~PinnedContents() {
    for (const FileId& id : ids_) pins_.Unpin(id);
  }

  PinnedContents(const PinnedContents&) = delete;
  PinnedContents& operator=(const PinnedContents&) = delete;

  void Pin(const FileId& id) {
    pins_.Pin(id);
    ids_.push_back(id);
  }

  absl::StatusOr<FileId> PinNew(const std::function<absl::StatusOr<FileId>()>& finish) {
    absl::StatusOr<FileId> id = pins_.PinNew(finish);
    if (id.ok()) ids_.push_back(*id);
    return id;
  }

 private:
  ContentPins& pins_;
  std::vector<FileId> ids_;
};

}  // namespace panal
