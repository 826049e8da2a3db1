#include "server/data/file_store/content_pins.h"

#include "common/base/check.h"

namespace panal {

void ContentPins::Pin(const FileId& id) {
  MutexLock lock(&mutex_);
  ++pins_[id];
}

void ContentPins::Unpin(const FileId& id) {
  MutexLock lock(&mutex_);
  auto at = pins_.find(id);
  PANAL_CHECK(at != pins_.end());
  if (--at->second == 0) pins_.erase(at);
}

absl::StatusOr<FileId> ContentPins::PinNew(const std::function<absl::StatusOr<FileId>()>& finish) {
  {
    MutexLock lock(&mutex_);
    while (freeing_ > 0) finished_.Wait(&mutex_);
    ++finishing_;
  }
  absl::StatusOr<FileId> id = finish();
  MutexLock lock(&mutex_);
  if (id.ok()) ++pins_[*id];
  --finishing_;
  finished_.SignalAll();
  return id;
}

absl::Status ContentPins::FreeUnpinned(
    const std::vector<FileId>& ids,
    const std::function<absl::Status(const std::vector<FileId>&)>& free) {
  MutexLock lock(&mutex_);
  ++freeing_;
  while (finishing_ > 0) finished_.Wait(&mutex_);
  std::vector<FileId> unpinned;
  for (const FileId& id : ids) {
    if (!pins_.contains(id)) unpinned.push_back(id);
  }
  // Held across disk IO on purpose: a pin waits until it is known whether the content is still
  // there.
  absl::Status status = free(unpinned);
  --freeing_;
  finished_.SignalAll();
  return status;
}

}  // namespace panal
