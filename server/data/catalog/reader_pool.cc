#include "server/data/catalog/reader_pool.h"

#include <utility>

#include "common/base/status.h"

namespace panal::catalog {

ReaderPool::ReaderPool(std::vector<std::unique_ptr<Connection>> connections)
    : free_(std::move(connections)) {}

ReaderPool::Reader::Reader(ReaderPool* pool, std::unique_ptr<Connection> connection)
    : pool_(pool),
      connection_(std::move(connection)),
      snapshot_(std::make_unique<Snapshot>(*connection_)) {}

ReaderPool::Reader::Reader(Reader&& other) noexcept = default;

ReaderPool::Reader::~Reader() {
  snapshot_.reset();
  if (connection_ != nullptr) pool_->Release(std::move(connection_));
}

absl::StatusOr<ReaderPool::Reader> ReaderPool::Acquire() {
  std::unique_ptr<Connection> connection;
  {
    MutexLock lock(&mutex_);
    while (free_.empty()) freed_.Wait(&mutex_);
    connection = std::move(free_.back());
    free_.pop_back();
  }
  Reader reader(this, std::move(connection));
  PANAL_RETURN_IF_ERROR(reader.snapshot_->Begin());
  return reader;
}

void ReaderPool::Release(std::unique_ptr<Connection> connection) {
  MutexLock lock(&mutex_);
  free_.push_back(std::move(connection));
  freed_.Signal();
}

}  // namespace panal::catalog
