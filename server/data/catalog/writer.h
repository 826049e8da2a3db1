// The one writer of the database: group commit.
//
// Callers hand in jobs; the first that finds nobody committing leads: it runs what has queued up,
// each job under a savepoint of its own, and commits all of it by one sync, while the others wait.
// A job that fails is rolled back alone. Where the transaction as a whole fails (the disk is full),
// every job of it runs again in a transaction of its own, so that each gets its own verdict.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/base/sync.h"
#include "server/data/catalog/reserve.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// Jobs that may wait; OVERLOADED beyond. Guess: far above the number of workers.
inline constexpr size_t kWriteQueueMax = 1024;
// Jobs of one transaction. Guess: the sync is shared well before that, and nobody waits long.
inline constexpr size_t kWriteBatchMax = 128;

// May run twice (see above): it sets its results anew each time, and keeps no state elsewhere.
using WriteJob = absl::FunctionRef<absl::Status(Connection&)>;

// What a job does to the room that is taken.
enum class JobKind { kAdds, kRemoves };

// Thread-safe.
class Writer {
 public:
  explicit Writer(std::unique_ptr<Connection> connection, size_t queue_max = kWriteQueueMax);

  // Runs `job` and returns once it is committed, or why not. Errors: those of the job;
  // STORAGE_FULL, STORAGE_FAILED, CATALOG_CORRUPT; OVERLOADED when `queue_max` jobs wait.
  absl::Status Write(WriteJob job, JobKind kind = JobKind::kAdds);

  struct Counters {
    int64_t jobs = 0;
    int64_t commits = 0;  // Transactions; less than `jobs` where callers shared one.
    WorkCounters work;
  };

  Counters counters();
  // Jobs that wait for a transaction.
  size_t waiting();

 private:
  struct Waiting {
    WriteJob job;
    JobKind kind;
    absl::Status result;
    bool done = false;
  };

  using Batch = std::vector<Waiting*>;

  void LeadUntilDone(Waiting& own) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Batch TakeBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Only the leader calls these, so only one thread uses the connection.
  void Commit(const Batch& batch);
  absl::Status TryCommit(const Batch& batch);
  absl::Status RunOne(Waiting& waiting);
  absl::Status CommitAlone(Waiting& waiting);
  void MoveLogToDatabase();

  const size_t queue_max_;
  Mutex mutex_;
  Condition changed_;
  std::deque<Waiting*> queue_ ABSL_GUARDED_BY(mutex_);
  bool led_ ABSL_GUARDED_BY(mutex_) = false;
  Counters counters_ ABSL_GUARDED_BY(mutex_);
  // Both used by the leader alone.
  std::unique_ptr<Connection> connection_;
  Reserve reserve_;
};

}  // namespace panal::catalog
