// SQLite as the catalog uses it: one connection, its prepared statements, and its errors as Status.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace panal::catalog {

// Bytes to bind as a BLOB; a plain string_view binds as TEXT.
struct Blob {
  absl::string_view bytes;
};

// An argument of a statement that is put together at run time; std::string binds as TEXT.
struct BlobValue {
  std::string bytes;
};

using Value = std::variant<int64_t, double, std::string, BlobValue>;

class Connection;

// A statement with its arguments bound; gives rows one by one. Returned to its connection's cache
// by the destructor, which must come before the connection's. Not thread-safe.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Whether there is a next row. Errors: CATALOG_CORRUPT, STORAGE_FULL, STORAGE_FAILED.
  absl::StatusOr<bool> Step();

  // Columns of the current row, from 0. Views are valid until the next Step.
  int64_t Int(int column) const;
  absl::string_view Bytes(int column) const;

  // Whether the last Step failed because the progress handler stopped it.
  bool interrupted() const { return interrupted_; }

 private:
  friend class Connection;

  Statement(Connection* connection, sqlite3_stmt* statement, bool cached)
      : connection_(connection), statement_(statement), cached_(cached) {}

  void BindOne(int index, int64_t value);
  void BindOne(int index, double value);
  void BindOne(int index, absl::string_view text);
  void BindOne(int index, Blob blob);

  Connection* connection_;
  sqlite3_stmt* statement_;
  bool cached_;
  bool interrupted_ = false;
};

// Counted work of a connection, for the tests that bound it.
struct WorkCounters {
  int64_t rows_changed = 0;   // Rows inserted, updated or deleted, those of the index included.
  int64_t vm_steps = 0;       // Instructions of SQLite's virtual machine.
  int64_t pages_written = 0;  // Database pages written to the log or the file.
};

// A connection. Not thread-safe: one thread at a time.
class Connection {
 public:
  enum class Mode { kReadOnly, kReadWrite };

  // Opens `path`; kReadWrite creates it where it is missing. Errors: CATALOG_CORRUPT, STORAGE_FULL,
  // STORAGE_FAILED.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(absl::string_view path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs a statement to its end. Arguments: integers, string_view (TEXT), Blob. `sql` is cached.
  template <typename... Args>
  absl::Status Run(absl::string_view sql, const Args&... args) {
    auto statement = Query(sql, args...);
    if (!statement.ok()) return statement.status();
    return Finish(*statement);
  }

  // A statement to step through. `sql` is cached.
  template <typename... Args>
  absl::StatusOr<Statement> Query(absl::string_view sql, const Args&... args) {
    auto statement = Prepare(sql);
    if (!statement.ok()) return statement.status();
    int index = 0;
    (statement->BindOne(++index, args), ...);
    return statement;
  }

  // A statement that was put together at run time. Not cached.
  absl::StatusOr<Statement> QueryOnce(absl::string_view sql, const std::vector<Value>& values);

  // First column of the first row, or `otherwise` where there is no row.
  template <typename... Args>
  absl::StatusOr<int64_t> QueryInt(int64_t otherwise, absl::string_view sql, const Args&... args) {
    auto statement = Query(sql, args...);
    if (!statement.ok()) return statement.status();
    auto row = statement->Step();
    if (!row.ok()) return row.status();
    return *row ? statement->Int(0) : otherwise;
  }

  // Runs several statements without arguments.
  absl::Status RunScript(const char* sql);

  // The last error of this connection as Status, its reason by the result code.
  absl::Status LastError();
  // Whether a transaction is open: SQLite may have rolled it back after an error.
  bool InTransaction() const;
  // Key of the row inserted last.
  int64_t LastInsertKey() const;
  // Rows changed by the statement run last.
  int64_t Changes() const;

  WorkCounters work() const;

  const std::string& path() const { return path_; }

  sqlite3* handle() const { return db_; }

 private:
  friend class Statement;

  Connection(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}

  absl::StatusOr<Statement> Prepare(absl::string_view sql);
  static absl::Status Finish(Statement& statement);

  sqlite3* db_;
  std::string path_;
  // Every SQL text of ours that ran here; a fixed set.
  absl::flat_hash_map<std::string, sqlite3_stmt*> statements_;
  int64_t vm_steps_ = 0;
};

// A read transaction: all statements until it goes see the same state.
class Snapshot {
 public:
  explicit Snapshot(Connection& connection) : connection_(connection) {}

  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

  absl::Status Begin();

 private:
  Connection& connection_;
};

// CATALOG_CORRUPT for the database at `path`, with what to do about it.
absl::Status CorruptError(absl::string_view path, absl::string_view what);

}  // namespace panal::catalog
