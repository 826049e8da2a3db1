#include "server/data/catalog/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace panal::catalog {
namespace {

// Time to wait for another program that has the database open (sqlite3 at the shell). Guess.
constexpr int kBusyTimeoutMs = 5000;

bool IsOutOfRoom(int code, int system_errno) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  return (code & 0xff) == SQLITE_IOERR && (system_errno == ENOSPC || system_errno == EDQUOT);
}

absl::Status ErrorOf(int code, int system_errno, absl::string_view message,
                     absl::string_view path) {
  if (IsOutOfRoom(code, system_errno)) {
    return Error(ErrorReason::kStorageFull, absl::StrCat("no room left for the catalog ", path),
                 {{"path", std::string(path)}});
  }
  int primary = code & 0xff;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) return CorruptError(path, message);
  return Error(
      ErrorReason::kStorageFailed,
      absl::StrCat("catalog ", path, ": ", message, " (SQLite code ", code,
                   system_errno == 0 ? "" : absl::StrCat(", ", std::strerror(system_errno)), ")"),
      {{"path", std::string(path)}});
}

}  // namespace

absl::Status CorruptError(absl::string_view path, absl::string_view what) {
  std::string advice = absl::StrCat(
      "stop the peer, move ", path,
      " and the files beside it that end in -wal and -shm away, start the peer again (it "
      "keeps its identity, and holds the contents of its block store under their ids) and "
      "add its files again; or put a copy of the three back");
  return Error(ErrorReason::kCatalogCorrupt,
               absl::StrCat("catalog ", path, " is damaged (", what, "): ", advice),
               {{"path", std::string(path)}, {"advice", advice}});
}

// --- Statement -----------------------------------------------------------------------------------

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(other.statement_),
      cached_(other.cached_),
      interrupted_(other.interrupted_) {
  other.statement_ = nullptr;
}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  connection_->vm_steps_ += sqlite3_stmt_status(statement_, SQLITE_STMTSTATUS_VM_STEP, 1);
  if (cached_) {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  } else {
    sqlite3_finalize(statement_);
  }
}

void Statement::BindOne(int index, int64_t value) {
  PANAL_CHECK(sqlite3_bind_int64(statement_, index, value) == SQLITE_OK);
}

void Statement::BindOne(int index, double value) {
  PANAL_CHECK(sqlite3_bind_double(statement_, index, value) == SQLITE_OK);
}

void Statement::BindOne(int index, absl::string_view text) {
  const char* start = text.empty() ? "" : text.data();
  PANAL_CHECK(sqlite3_bind_text64(statement_, index, start, text.size(), SQLITE_TRANSIENT,
                                  SQLITE_UTF8) == SQLITE_OK);
}

void Statement::BindOne(int index, Blob blob) {
  // A null pointer would bind NULL.
  const char* start = blob.bytes.empty() ? "" : blob.bytes.data();
  PANAL_CHECK(sqlite3_bind_blob64(statement_, index, start, blob.bytes.size(), SQLITE_TRANSIENT) ==
              SQLITE_OK);
}

absl::StatusOr<bool> Statement::Step() {
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  interrupted_ = (code & 0xff) == SQLITE_INTERRUPT;
  return connection_->LastError();
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

absl::string_view Statement::Bytes(int column) const {
  const void* start = sqlite3_column_blob(statement_, column);
  return {static_cast<const char*>(start),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

// --- Connection ----------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(absl::string_view path, Mode mode) {
  int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* db = nullptr;
  int code = sqlite3_open_v2(std::string(path).c_str(), &db, flags, nullptr);
  std::unique_ptr<Connection> connection(new Connection(db, std::string(path)));
  if (code != SQLITE_OK) {
    return ErrorOf(code, db == nullptr ? 0 : sqlite3_system_errno(db), sqlite3_errstr(code), path);
  }
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  PANAL_CHECK(sqlite3_close(db_) == SQLITE_OK);
}

absl::StatusOr<Statement> Connection::Prepare(absl::string_view sql) {
  auto cached = statements_.find(sql);
  if (cached != statements_.end() && sqlite3_stmt_busy(cached->second) == 0) {
    return Statement(this, cached->second, /*cached=*/true);
  }
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return LastError();
  // Busy: someone steps through the same SQL further up the stack.
  if (cached != statements_.end()) return Statement(this, statement, /*cached=*/false);
  statements_.emplace(sql, statement);
  return Statement(this, statement, /*cached=*/true);
}

absl::StatusOr<Statement> Connection::QueryOnce(absl::string_view sql,
                                                const std::vector<Value>& values) {
  sqlite3_stmt* prepared = nullptr;
  int code = sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &prepared, nullptr);
  if (code != SQLITE_OK) return LastError();
  Statement statement(this, prepared, /*cached=*/false);
  int index = 0;
  for (const Value& value : values) {
    ++index;
    if (const auto* number = std::get_if<int64_t>(&value)) statement.BindOne(index, *number);
    if (const auto* real = std::get_if<double>(&value)) statement.BindOne(index, *real);
    if (const auto* text = std::get_if<std::string>(&value)) {
      statement.BindOne(index, absl::string_view(*text));
    }
    if (const auto* blob = std::get_if<BlobValue>(&value))
      statement.BindOne(index, Blob{blob->bytes});
  }
  return statement;
}

absl::Status Connection::Finish(Statement& statement) {
  while (true) {
    absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
  }
}

absl::Status Connection::RunScript(const char* sql) {
  return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus()
                                                                        : LastError();
}

absl::Status Connection::LastError() {
  return ErrorOf(sqlite3_extended_errcode(db_), sqlite3_system_errno(db_), sqlite3_errmsg(db_),
                 path_);
}

bool Connection::InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }

int64_t Connection::LastInsertKey() const { return sqlite3_last_insert_rowid(db_); }

int64_t Connection::Changes() const { return sqlite3_changes64(db_); }

WorkCounters Connection::work() const {
  int written = 0;
  int unused = 0;
  sqlite3_db_status(db_, SQLITE_DBSTATUS_CACHE_WRITE, &written, &unused, /*resetFlg=*/0);
  return {.rows_changed = sqlite3_total_changes64(db_),
          .vm_steps = vm_steps_,
          .pages_written = written};
}

// --- Snapshot ------------------------------------------------------------------------------------

absl::Status Snapshot::Begin() { return connection_.Run("BEGIN"); }

Snapshot::~Snapshot() {
  if (connection_.InTransaction()) connection_.Run("COMMIT").IgnoreError();
}

}  // namespace panal::catalog
