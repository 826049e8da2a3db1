// Read connections, shared by the callers. Readers do not wait for the writer, nor it for them.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/sync.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// Read connections. Guess: as many searches as a small machine has cores; each has a cache of its
// own.
inline constexpr int kReadersMax = 4;

// Thread-safe.
class ReaderPool {
 public:
  explicit ReaderPool(std::vector<std::unique_ptr<Connection>> connections);

  // A connection with an open snapshot, for one caller. The pool outlives it.
  class Reader {
   public:
    ~Reader();
    Reader(Reader&& other) noexcept;
    Reader& operator=(Reader&&) = delete;

    Connection& connection() { return *connection_; }

   private:
    friend class ReaderPool;

    Reader(ReaderPool* pool, std::unique_ptr<Connection> connection);

    ReaderPool* pool_;
    std::unique_ptr<Connection> connection_;
    std::unique_ptr<Snapshot> snapshot_;
  };

  // Waits for a free connection.
  absl::StatusOr<Reader> Acquire();

 private:
  void Release(std::unique_ptr<Connection> connection);

  Mutex mutex_;
  Condition freed_;
  std::vector<std::unique_ptr<Connection>> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal::catalog
