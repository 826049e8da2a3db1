#include "server/data/catalog/schema.h"

#include <sys/stat.h>

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "server/data/catalog/tokenizer.h"

namespace panal::catalog {
namespace {

// Large columns come last or in a table of their own: a row is read up to the column that is asked
// for, and written as a whole.
constexpr char kTables[] = R"sql(
-- One row: the last version given to an own record or page. Never falls, so versions of a name or page
-- rise across removals.
CREATE TABLE version_counter(one INTEGER PRIMARY KEY CHECK(one = 1), last INTEGER NOT NULL);
INSERT INTO version_counter
  VALUES(1, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER));

CREATE TABLE setting(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE known_peer(
  id BLOB PRIMARY KEY, seen_ms INTEGER NOT NULL, addresses BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX known_peer_seen ON known_peer(seen_ms);

CREATE TABLE content(
  id BLOB NOT NULL UNIQUE, storage INTEGER NOT NULL, complete INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL, path TEXT NOT NULL, inline_bytes BLOB NOT NULL, manifest BLOB NOT NULL);
CREATE INDEX content_incomplete ON content(id) WHERE complete = 0;

-- Contents that stay although nothing publishes them. Without rows most of the time.
CREATE TABLE kept_content(id BLOB PRIMARY KEY) WITHOUT ROWID;

-- What this peer publishes. `alone`: added by itself. The rest are entries of directories only.
CREATE TABLE published(
  key INTEGER PRIMARY KEY, name TEXT NOT NULL, kind INTEGER NOT NULL, alone INTEGER NOT NULL,
  id BLOB NOT NULL, size INTEGER NOT NULL, total INTEGER NOT NULL, files INTEGER NOT NULL,
  executable INTEGER NOT NULL, page INTEGER NOT NULL, version INTEGER NOT NULL,
  attributes BLOB NOT NULL, UNIQUE(name, kind));
CREATE INDEX published_id ON published(id, name, kind);
CREATE INDEX published_page ON published(page);
CREATE INDEX published_alone ON published(name, kind) WHERE alone = 1;
-- Which published directory, by its name, a published file is an entry of.
CREATE TABLE entry(
  parent TEXT NOT NULL, file INTEGER NOT NULL, PRIMARY KEY(parent, file)) WITHOUT ROWID;
CREATE INDEX entry_file ON entry(file);

-- Own pages as they are to be signed. `bytes` bounds the size of the encoded body from above; `open`:
-- has room for any record. Rows stay when their page is deleted.
CREATE TABLE own_page(
  number INTEGER PRIMARY KEY, version INTEGER NOT NULL, dirty INTEGER NOT NULL,
  records INTEGER NOT NULL, bytes INTEGER NOT NULL, open INTEGER NOT NULL);
CREATE INDEX own_page_dirty ON own_page(number) WHERE dirty = 1;
CREATE INDEX own_page_open ON own_page(number) WHERE open = 1;
-- One row: the record of the peer page.
CREATE TABLE peer_record(
  one INTEGER PRIMARY KEY CHECK(one = 1), version INTEGER NOT NULL, record BLOB NOT NULL);

-- Peers that used tickets, here or as far as this peer was told.
CREATE TABLE redemption(
  ticket BLOB NOT NULL, peer BLOB NOT NULL, forget_ms INTEGER NOT NULL,
  PRIMARY KEY(ticket, peer)) WITHOUT ROWID;
CREATE INDEX redemption_end ON redemption(forget_ms);

-- What all peers of the invite mesh must remember, as it was signed.
CREATE TABLE fact(id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;

-- Signed pages, own and kept. `records`: keys of the records in the order of the body.
CREATE TABLE page(
  key INTEGER PRIMARY KEY, publisher BLOB NOT NULL, number INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL, own INTEGER NOT NULL, version INTEGER NOT NULL,
  body_hash BLOB NOT NULL, public_key BLOB NOT NULL, signature BLOB NOT NULL,
  UNIQUE(publisher, number));
CREATE INDEX page_expiry ON page(expires_ms);
CREATE TABLE page_body(page INTEGER PRIMARY KEY, records BLOB NOT NULL, body BLOB NOT NULL);
-- How many pages are kept of a publisher; of all under the empty id.
CREATE TABLE kept_count(publisher BLOB PRIMARY KEY, pages INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER page_kept AFTER INSERT ON page WHEN new.own = 0 BEGIN
  INSERT INTO kept_count VALUES(new.publisher, 1), (x'', 1)
    ON CONFLICT(publisher) DO UPDATE SET pages = pages + 1;
END;
CREATE TRIGGER page_dropped AFTER DELETE ON page WHEN old.own = 0 BEGIN
  UPDATE kept_count SET pages = pages - 1 WHERE publisher IN (old.publisher, x'');
  DELETE FROM kept_count WHERE publisher = old.publisher AND pages = 0;
END;

-- Records of the signed pages, and the index of their words. The index keeps no text: what it is to
-- forget is told it from here.
CREATE TABLE record(
  key INTEGER PRIMARY KEY, page INTEGER NOT NULL, kind INTEGER NOT NULL, id BLOB NOT NULL,
  size INTEGER NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, attributes BLOB NOT NULL,
  addresses BLOB NOT NULL, arrived_ms INTEGER NOT NULL DEFAULT 0);
CREATE INDEX record_arrived ON record(arrived_ms);
CREATE INDEX record_id ON record(id);
CREATE INDEX record_object ON record(kind) WHERE kind = 3;
CREATE INDEX record_peer ON record(id) WHERE kind = 4;
CREATE VIRTUAL TABLE record_words USING fts5(
  text, content = '', columnsize = 0, prefix = '2 3', tokenize = 'panal');
)sql";

// From version 1: what nothing published stayed only where it was an interrupted fetch; nothing is
// lost by keeping all of it. Its block store was its own from the start (kContentsAdoptedKey).
constexpr char kFromVersion1[] = R"sql(
CREATE TABLE kept_content(id BLOB PRIMARY KEY) WITHOUT ROWID;
INSERT INTO kept_content SELECT id FROM content
  WHERE NOT EXISTS (SELECT 1 FROM published WHERE published.id = content.id);
INSERT INTO setting VALUES('contents_adopted', x'31');
)sql";

// From version 2: when a record came here, or changed. What is here came long ago.
constexpr char kFromVersion2[] = R"sql(
ALTER TABLE record ADD COLUMN arrived_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX record_arrived ON record(arrived_ms);
)sql";

// From version 3: who used which ticket.
constexpr char kFromVersion3[] = R"sql(
CREATE TABLE redemption(
  ticket BLOB NOT NULL, peer BLOB NOT NULL, forget_ms INTEGER NOT NULL,
  PRIMARY KEY(ticket, peer)) WITHOUT ROWID;
CREATE INDEX redemption_end ON redemption(forget_ms);
)sql";

// From version 4: facts.
constexpr char kFromVersion4[] = R"sql(
CREATE TABLE fact(id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
)sql";

// What makes a database of version 1, 2, … current, in order.
constexpr const char* kMigrations[] = {kFromVersion1, kFromVersion2, kFromVersion3, kFromVersion4};
static_assert(std::size(kMigrations) == kSchemaVersion - 1);

absl::Status Configure(Connection& connection, int cache_kib) {
  PANAL_RETURN_IF_ERROR(RegisterTokenizer(connection));
  return connection.RunScript(
      absl::StrCat("PRAGMA cache_size = -", cache_kib, "; PRAGMA temp_store = MEMORY;").c_str());
}

// Only SQLite's own clean close removes the write-ahead log.
bool StoppedUncleanly(const std::string& path) {
  struct stat info;
  return stat((path + "-wal").c_str(), &info) == 0 && info.st_size > 0;
}

bool IsSmall(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && info.st_size <= kCheckAlwaysSizeMax;
}

absl::Status CheckVersion(Connection& connection, int64_t version) {
  if (version > kSchemaVersion) {
    return Error(ErrorReason::kDataDirTooNew,
                 absl::StrCat("catalog ", connection.path(), " has schema version ", version,
                              ", this program knows up to ", kSchemaVersion,
                              ": run the newer version that wrote it"),
                 {{"path", connection.path()},
                  {"version", absl::StrCat(version)},
                  {"supported", absl::StrCat(kSchemaVersion)}});
  }
  PANAL_ASSIGN_OR_RETURN(int64_t application, connection.QueryInt(0, "PRAGMA application_id"));
  PANAL_ASSIGN_OR_RETURN(int64_t tables,
                         connection.QueryInt(0, "SELECT count(*) FROM sqlite_master"));
  bool new_database = version == 0 && application == 0 && tables == 0;
  if (!new_database && (version < 1 || application != kApplicationId)) {
    return CorruptError(connection.path(), "it is another program's database");
  }
  return absl::OkStatus();
}

// Runs `script` in one transaction, after which the database has the version of this program.
absl::Status MakeCurrent(Connection& connection, const char* script) {
  PANAL_RETURN_IF_ERROR(connection.RunScript("BEGIN IMMEDIATE"));
  absl::Status status = connection.RunScript(script);
  if (status.ok()) {
    status =
        connection.RunScript(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                          "; PRAGMA user_version = ", kSchemaVersion, "; COMMIT")
                                 .c_str());
  }
  if (connection.InTransaction()) connection.RunScript("ROLLBACK").IgnoreError();
  return status;
}

// The first row of a check is `ok`, or what is wrong.
absl::Status RunCheck(Connection& connection, absl::string_view pragma) {
  PANAL_ASSIGN_OR_RETURN(Statement statement, connection.Query(pragma));
  PANAL_ASSIGN_OR_RETURN(bool row, statement.Step());
  if (!row) return CorruptError(connection.path(), "its check gave no answer");
  absl::string_view finding = statement.Bytes(0);
  return finding == "ok" ? absl::OkStatus() : CorruptError(connection.path(), finding);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> OpenDatabase(const std::string& path, int cache_kib) {
  bool check = StoppedUncleanly(path) || IsSmall(path);
  PANAL_ASSIGN_OR_RETURN(auto connection, Connection::Open(path, Connection::Mode::kReadWrite));
  PANAL_RETURN_IF_ERROR(Configure(*connection, cache_kib));
  PANAL_ASSIGN_OR_RETURN(int64_t version, connection->QueryInt(0, "PRAGMA user_version"));
  PANAL_RETURN_IF_ERROR(CheckVersion(*connection, version));
  if (check) PANAL_RETURN_IF_ERROR(QuickCheck(*connection));
  // The limit lets the log shrink again after one large transaction.
  PANAL_RETURN_IF_ERROR(
      connection->RunScript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA "
                            "journal_size_limit = 67108864;"));
  if (version == 0) PANAL_RETURN_IF_ERROR(MakeCurrent(*connection, kTables));
  if (version > 0 && version < kSchemaVersion) {
    const auto* from = std::begin(kMigrations) + (version - 1);
    PANAL_RETURN_IF_ERROR(
        MakeCurrent(*connection, absl::StrJoin(from, std::end(kMigrations), "").c_str()));
  }
  return connection;
}

absl::StatusOr<std::unique_ptr<Connection>> OpenReader(const std::string& path, int cache_kib) {
  PANAL_ASSIGN_OR_RETURN(auto connection, Connection::Open(path, Connection::Mode::kReadOnly));
  PANAL_RETURN_IF_ERROR(Configure(*connection, cache_kib));
  return connection;
}

absl::Status QuickCheck(Connection& connection) {
  return RunCheck(connection, "PRAGMA quick_check(1)");
}

absl::Status CheckIndex(Connection& connection) {
  return connection.Run("INSERT INTO record_words(record_words) VALUES('integrity-check')");
}

absl::Status CheckTables(Connection& connection) {
  PANAL_RETURN_IF_ERROR(RunCheck(connection, "PRAGMA integrity_check(1)"));
  PANAL_ASSIGN_OR_RETURN(
      int64_t wrong,
      connection.QueryInt(
          0,
          "SELECT count(*) FROM own_page WHERE number > 0 AND records != "
          "(SELECT count(*) FROM published WHERE published.page = own_page.number)"));
  if (wrong > 0) {
    return CorruptError(connection.path(),
                        absl::StrCat(wrong, " own pages count their records wrong"));
  }
  return absl::OkStatus();
}

}  // namespace panal::catalog
