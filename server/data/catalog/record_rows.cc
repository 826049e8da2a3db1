#include "server/data/catalog/record_rows.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/data/catalog/codec.h"

namespace panal::catalog {
namespace {

absl::Status AddWords(Connection& db, int64_t key, absl::string_view text) {
  return db.Run("INSERT INTO record_words(rowid, text) VALUES(?, ?)", key, text);
}

// The index keeps no text: it must be told exactly what was added.
absl::Status RemoveWords(Connection& db, int64_t key, absl::string_view text) {
  return db.Run("INSERT INTO record_words(record_words, rowid, text) VALUES('delete', ?, ?)", key,
                text);
}

}  // namespace

absl::StatusOr<RecordRow> RecordFrom(const Statement& row, absl::string_view path) {
  RecordRow result{.key = row.Int(0)};
  Record& record = result.record;
  record.kind = static_cast<RecordKind>(row.Int(1));
  PANAL_ASSIGN_OR_RETURN(record.id, IdFrom<Sha256Digest>(row.Bytes(2), path));
  record.size_bytes = static_cast<uint64_t>(row.Int(3));
  record.version = static_cast<uint64_t>(row.Int(4));
  record.name = std::string(row.Bytes(5));
  PANAL_ASSIGN_OR_RETURN(record.attributes, DecodeAttributes(row.Bytes(6), path));
  PANAL_ASSIGN_OR_RETURN(record.addresses, DecodeAddresses(row.Bytes(7), path));
  return result;
}

absl::StatusOr<RecordRow> ReadRecord(Connection& db, int64_t key) {
  PANAL_ASSIGN_OR_RETURN(
      Statement row,
      db.Query(absl::StrCat("SELECT ", kRecordColumns, " FROM record r WHERE r.key = ?"), key));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return CorruptError(db.path(), "a page lacks a record");
  return RecordFrom(row, db.path());
}

absl::StatusOr<int64_t> InsertRecord(Connection& db, int64_t page, const Record& record,
                                     int64_t now_ms) {
  PANAL_RETURN_IF_ERROR(
      db.Run("INSERT INTO record(page, kind, id, size, version, name, attributes, addresses, "
             "arrived_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
             page, static_cast<int64_t>(record.kind), Blob{record.id.view()},
             static_cast<int64_t>(record.size_bytes), static_cast<int64_t>(record.version),
             absl::string_view(record.name), Blob{EncodeAttributes(record.attributes)},
             Blob{EncodeAddresses(record.addresses)}, now_ms));
  int64_t key = db.LastInsertKey();
  PANAL_RETURN_IF_ERROR(AddWords(db, key, IndexText(record)));
  return key;
}

absl::Status UpdateRecord(Connection& db, const RecordRow& old, const Record& record,
                          int64_t now_ms) {
  if (old.record == record) return absl::OkStatus();
  PANAL_RETURN_IF_ERROR(db.Run(
      "UPDATE record SET kind = ?2, id = ?3, size = ?4, version = ?5, name = ?6, attributes = ?7, "
      "addresses = ?8, arrived_ms = CASE WHEN version < ?5 THEN ?9 ELSE arrived_ms END "
      "WHERE key = ?1",
      old.key, static_cast<int64_t>(record.kind), Blob{record.id.view()},
      static_cast<int64_t>(record.size_bytes), static_cast<int64_t>(record.version),
      absl::string_view(record.name), Blob{EncodeAttributes(record.attributes)},
      Blob{EncodeAddresses(record.addresses)}, now_ms));
  std::string old_text = IndexText(old.record);
  std::string text = IndexText(record);
  if (text == old_text) return absl::OkStatus();
  PANAL_RETURN_IF_ERROR(RemoveWords(db, old.key, old_text));
  return AddWords(db, old.key, text);
}

absl::Status DeleteRecord(Connection& db, const RecordRow& row) {
  PANAL_RETURN_IF_ERROR(RemoveWords(db, row.key, IndexText(row.record)));
  return db.Run("DELETE FROM record WHERE key = ?", row.key);
}

}  // namespace panal::catalog
