#include "server/data/catalog/writer.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal::catalog {
namespace {

constexpr absl::Duration kOverloadedRetry = absl::Milliseconds(100);

}  // namespace

Writer::Writer(std::unique_ptr<Connection> connection, size_t queue_max)
    : queue_max_(queue_max), connection_(std::move(connection)), reserve_(connection_->path()) {
  reserve_.Restore();
}

absl::Status Writer::Write(WriteJob job, JobKind kind) {
  Waiting own{.job = job, .kind = kind};
  MutexLock lock(&mutex_);
  if (queue_.size() >= queue_max_) {
    return OverloadedError(
        absl::StrCat("the catalog has ", queue_.size(), " writes waiting, limit ", queue_max_),
        kOverloadedRetry);
  }
  queue_.push_back(&own);
  while (!own.done) {
    if (led_) {
      changed_.Wait(&mutex_);
    } else {
      LeadUntilDone(own);
    }
  }
  return own.result;
}

void Writer::LeadUntilDone(Waiting& own) {
  led_ = true;
  while (!own.done) {
    Batch batch = TakeBatch();
    mutex_.Unlock();
    Commit(batch);
    WorkCounters work = connection_->work();
    mutex_.Lock();
    for (Waiting* waiting : batch) waiting->done = true;
    counters_.jobs += static_cast<int64_t>(batch.size());
    counters_.work = work;
    changed_.SignalAll();
  }
  led_ = false;
  changed_.SignalAll();
}

Writer::Batch Writer::TakeBatch() {
  size_t count = std::min(queue_.size(), kWriteBatchMax);
  Batch batch(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
  return batch;
}

void Writer::Commit(const Batch& batch) {
  absl::Status status = TryCommit(batch);
  if (status.ok()) return;
  if (ReasonOf(status) == ErrorReason::kStorageFull) MoveLogToDatabase();
  for (Waiting* waiting : batch) {
    status = CommitAlone(*waiting);
    if (!status.ok()) waiting->result = status;
  }
}

absl::Status Writer::CommitAlone(Waiting& waiting) {
  absl::Status status = TryCommit({&waiting});
  bool may_use_reserve =
      ReasonOf(status) == ErrorReason::kStorageFull && waiting.kind == JobKind::kRemoves;
  if (!may_use_reserve || !reserve_.GiveUp()) return status;
  MoveLogToDatabase();
  status = TryCommit({&waiting});
  MoveLogToDatabase();
  reserve_.Restore();
  return status;
}

// Not OK: nothing of the batch is committed, and no transaction is open.
absl::Status Writer::TryCommit(const Batch& batch) {
  absl::Status status = connection_->Run("BEGIN IMMEDIATE");
  for (size_t i = 0; status.ok() && i < batch.size(); ++i) status = RunOne(*batch[i]);
  if (status.ok()) status = connection_->Run("COMMIT");
  if (connection_->InTransaction()) connection_->Run("ROLLBACK").IgnoreError();
  if (!status.ok()) return status;
  MutexLock lock(&mutex_);
  ++counters_.commits;
  return status;
}

// Not OK: the transaction is lost, for this job's or for SQLite's own reasons.
absl::Status Writer::RunOne(Waiting& waiting) {
  PANAL_RETURN_IF_ERROR(connection_->Run("SAVEPOINT job"));
  waiting.result = waiting.job(*connection_);
  if (!waiting.result.ok()) {
    if (!connection_->InTransaction()) return waiting.result;
    PANAL_RETURN_IF_ERROR(connection_->Run("ROLLBACK TO job"));
  }
  return connection_->Run("RELEASE job");
}

// So that the room of the write-ahead log can be used again. Where it fails, what follows tells.
void Writer::MoveLogToDatabase() {
  sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                            nullptr);
}

Writer::Counters Writer::counters() {
  MutexLock lock(&mutex_);
  return counters_;
}

size_t Writer::waiting() {
  MutexLock lock(&mutex_);
  return queue_.size();
}

}  // namespace panal::catalog
