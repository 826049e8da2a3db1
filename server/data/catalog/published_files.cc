#include "server/data/catalog/published_files.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "server/data/catalog/codec.h"
#include "server/data/catalog/contents.h"
#include "server/data/catalog/own_pages.h"

namespace panal::catalog {
namespace {

// A published file and what the table knows besides.
struct Row {
  int64_t key = 0;
  bool alone = false;
  int64_t page = 0;
  int64_t version = 0;
  PublishedFile file;
};

constexpr absl::string_view kColumns =
    "SELECT key, alone, page, version, name, kind, id, size, total, files, executable, attributes, "
    "coalesce((SELECT min(parent) FROM entry WHERE file = key), '') FROM published ";

// What a published file is named by.
using NameAndKind = std::pair<std::string, RecordKind>;

RecordKind KindOf(FileType type) {
  return type == FileType::kDirectory ? RecordKind::kDirectory : RecordKind::kFile;
}

Record RecordOf(const PublishedFile& file, int64_t version) {
  Record record{.kind = KindOf(file.type), .name = file.name};
  record.id.bytes = file.id.bytes;
  record.size_bytes = file.type == FileType::kDirectory ? file.total_bytes : file.size_bytes;
  record.attributes = file.attributes;
  record.version = static_cast<uint64_t>(version);
  return record;
}

absl::StatusOr<Row> ReadRow(Statement& row, absl::string_view path) {
  Row result{
      .key = row.Int(0), .alone = row.Int(1) != 0, .page = row.Int(2), .version = row.Int(3)};
  PublishedFile& file = result.file;
  file.name = std::string(row.Bytes(4));
  file.type = row.Int(5) == static_cast<int64_t>(RecordKind::kDirectory) ? FileType::kDirectory
                                                                         : FileType::kFile;
  PANAL_ASSIGN_OR_RETURN(file.id, IdFrom<FileId>(row.Bytes(6), path));
  file.size_bytes = static_cast<uint64_t>(row.Int(7));
  file.total_bytes = static_cast<uint64_t>(row.Int(8));
  file.files = static_cast<uint64_t>(row.Int(9));
  file.executable = row.Int(10) != 0;
  PANAL_ASSIGN_OR_RETURN(file.attributes, DecodeAttributes(row.Bytes(11), path));
  if (!result.alone) file.parent = std::string(row.Bytes(12));
  return result;
}

absl::StatusOr<std::vector<Row>> ReadRows(absl::StatusOr<Statement> statement,
                                          absl::string_view path) {
  if (!statement.ok()) return statement.status();
  std::vector<Row> rows;
  while (true) {
    PANAL_ASSIGN_OR_RETURN(bool found, statement->Step());
    if (!found) return rows;
    PANAL_ASSIGN_OR_RETURN(Row row, ReadRow(*statement, path));
    rows.push_back(std::move(row));
  }
}

absl::StatusOr<std::vector<PublishedFile>> FilesOf(absl::StatusOr<std::vector<Row>> rows) {
  if (!rows.ok()) return rows.status();
  std::vector<PublishedFile> files;
  for (Row& row : *rows) files.push_back(std::move(row.file));
  return files;
}

absl::StatusOr<std::vector<Row>> RowsOf(Connection& db, const FileId& id) {
  return ReadRows(
      db.Query(absl::StrCat(kColumns, "WHERE id = ? ORDER BY name, kind"), Blob{id.view()}),
      db.path());
}

absl::StatusOr<std::optional<Row>> FindRow(Connection& db, const PublishedFile& file) {
  PANAL_ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      ReadRows(db.Query(absl::StrCat(kColumns, "WHERE name = ? AND kind = ?"),
                        absl::string_view(file.name), static_cast<int64_t>(KindOf(file.type))),
               db.path()));
  if (rows.empty()) return std::optional<Row>();
  return std::optional<Row>(std::move(rows.front()));
}

// One call of Publish or Replace. Takes a version only when something changes.
class Publisher {
 public:
  explicit Publisher(Connection& db) : db_(db) {}

  // Ids that a name no longer stands for, with the row as it was.
  std::vector<PublishedFile> TakeReplaced() { return std::move(replaced_); }

  absl::Status Add(const PublishedFile& file) {
    PANAL_RETURN_IF_ERROR(ValidateRecord(RecordOf(file, 0)));
    PANAL_ASSIGN_OR_RETURN(std::optional<Row> row, FindRow(db_, file));
    if (!row) return Insert(file);
    if (!(RecordOf(row->file, 0) == RecordOf(file, 0))) return Replace(*row, file);
    return Repeat(*row, file);
  }

 private:
  absl::StatusOr<int64_t> Version() {
    if (version_ == 0) {
      PANAL_ASSIGN_OR_RETURN(version_, NextVersion(db_));
    }
    return version_;
  }

  absl::Status Insert(const PublishedFile& file) {
    PANAL_ASSIGN_OR_RETURN(int64_t version, Version());
    PANAL_ASSIGN_OR_RETURN(int64_t page,
                           PlaceRecord(db_, EncodedSizeBound(RecordOf(file, 0)), version));
    PANAL_RETURN_IF_ERROR(
        db_.Run("INSERT INTO published(name, kind, alone, id, size, total, files, executable, "
                "page, version, "
                "attributes) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                absl::string_view(file.name), static_cast<int64_t>(KindOf(file.type)),
                static_cast<int64_t>(file.parent.empty()), Blob{file.id.view()},
                static_cast<int64_t>(file.size_bytes), static_cast<int64_t>(file.total_bytes),
                static_cast<int64_t>(file.files), static_cast<int64_t>(file.executable), page,
                version, Blob{EncodeAttributes(file.attributes)}));
    int64_t key = db_.LastInsertKey();
    PANAL_RETURN_IF_ERROR(EndKeeping(db_, file.id));
    return AddEntry(key, file.parent);
  }

  absl::Status Replace(const Row& row, const PublishedFile& file) {
    PANAL_ASSIGN_OR_RETURN(int64_t version, Version());
    PANAL_ASSIGN_OR_RETURN(int64_t page,
                           ResizeRecord(db_, row.page, EncodedSizeBound(RecordOf(row.file, 0)),
                                        EncodedSizeBound(RecordOf(file, 0)), version));
    PANAL_RETURN_IF_ERROR(db_.Run("DELETE FROM entry WHERE file = ?", row.key));
    PANAL_RETURN_IF_ERROR(Update(row.key, file, file.parent.empty(), page, version));
    if (row.file.id != file.id) replaced_.push_back(row.file);
    PANAL_RETURN_IF_ERROR(EndKeeping(db_, file.id));
    return AddEntry(row.key, file.parent);
  }

  // The record stays as it is; what it does not show may change.
  absl::Status Repeat(const Row& row, const PublishedFile& file) {
    bool alone = row.alone || file.parent.empty();
    bool same = alone == row.alone && file.files == row.file.files &&
                file.size_bytes == row.file.size_bytes &&
                file.total_bytes == row.file.total_bytes && file.executable == row.file.executable;
    if (!same) PANAL_RETURN_IF_ERROR(Update(row.key, file, alone, row.page, row.version));
    return AddEntry(row.key, file.parent);
  }

  absl::Status Update(int64_t key, const PublishedFile& file, bool alone, int64_t page,
                      int64_t version) {
    return db_.Run(
        "UPDATE published SET alone = ?2, id = ?3, size = ?4, total = ?5, files = ?6, executable = "
        "?7, "
        "page = ?8, version = ?9, attributes = ?10 WHERE key = ?1",
        key, static_cast<int64_t>(alone), Blob{file.id.view()},
        static_cast<int64_t>(file.size_bytes), static_cast<int64_t>(file.total_bytes),
        static_cast<int64_t>(file.files), static_cast<int64_t>(file.executable), page, version,
        Blob{EncodeAttributes(file.attributes)});
  }

  absl::Status AddEntry(int64_t key, absl::string_view parent) {
    if (parent.empty()) return absl::OkStatus();
    return db_.Run("INSERT OR IGNORE INTO entry(parent, file) VALUES(?, ?)", parent, key);
  }

  Connection& db_;
  int64_t version_ = 0;
  std::vector<PublishedFile> replaced_;
};

// Removes what nothing refers to any more, then what only that referred to. Takes a version only
// when something goes.
class Remover {
 public:
  explicit Remover(Connection& db) : db_(db) {}

  absl::Status RemoveAlone(const Row& row) {
    PANAL_RETURN_IF_ERROR(db_.Run("UPDATE published SET alone = 0 WHERE key = ?", row.key));
    PANAL_RETURN_IF_ERROR(RemoveUnreferenced(row.key));
    return RemoveOrphans();
  }

  // Entries of `directory` other than those of these names and types.
  absl::Status RemoveEntriesBut(const std::string& directory,
                                const absl::flat_hash_set<NameAndKind>& kept) {
    PANAL_ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        ReadRows(db_.Query(absl::StrCat(kColumns,
                                        "WHERE key IN (SELECT file FROM entry WHERE parent = ?)"),
                           absl::string_view(directory)),
                 db_.path()));
    for (const Row& row : rows) {
      if (kept.contains({row.file.name, KindOf(row.file.type)})) continue;
      PANAL_RETURN_IF_ERROR(db_.Run("DELETE FROM entry WHERE parent = ? AND file = ?",
                                    absl::string_view(directory), row.key));
      PANAL_RETURN_IF_ERROR(RemoveUnreferenced(row.key));
    }
    return RemoveOrphans();
  }

  std::vector<PublishedFile> TakeRemoved() { return std::move(removed_); }

 private:
  // Depth does not matter: the directories whose entries are still to be looked at wait here.
  absl::Status RemoveOrphans() {
    while (!directories_.empty()) {
      std::string parent = std::move(directories_.back());
      directories_.pop_back();
      PANAL_RETURN_IF_ERROR(RemoveEntries(parent));
    }
    return absl::OkStatus();
  }

  absl::Status RemoveEntries(const std::string& parent) {
    std::vector<int64_t> keys;
    {
      PANAL_ASSIGN_OR_RETURN(Statement entries, db_.Query("SELECT file FROM entry WHERE parent = ?",
                                                          absl::string_view(parent)));
      while (true) {
        PANAL_ASSIGN_OR_RETURN(bool found, entries.Step());
        if (!found) break;
        keys.push_back(entries.Int(0));
      }
    }
    PANAL_RETURN_IF_ERROR(db_.Run("DELETE FROM entry WHERE parent = ?", absl::string_view(parent)));
    for (int64_t key : keys) PANAL_RETURN_IF_ERROR(RemoveUnreferenced(key));
    return absl::OkStatus();
  }

  absl::Status RemoveUnreferenced(int64_t key) {
    PANAL_ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        ReadRows(db_.Query(absl::StrCat(kColumns,
                                        "WHERE key = ? AND alone = 0 AND NOT EXISTS "
                                        "(SELECT 1 FROM entry WHERE file = key)"),
                           key),
                 db_.path()));
    for (Row& row : rows) {
      if (version_ == 0) {
        PANAL_ASSIGN_OR_RETURN(version_, NextVersion(db_));
      }
      PANAL_RETURN_IF_ERROR(db_.Run("DELETE FROM published WHERE key = ?", key));
      PANAL_RETURN_IF_ERROR(
          RemoveFromPage(db_, row.page, EncodedSizeBound(RecordOf(row.file, 0)), version_));
      if (row.file.type == FileType::kDirectory) directories_.push_back(row.file.name);
      removed_.push_back(std::move(row.file));
    }
    return absl::OkStatus();
  }

  Connection& db_;
  int64_t version_ = 0;
  std::vector<std::string> directories_;
  std::vector<PublishedFile> removed_;
};

}  // namespace

absl::Status Publish(Connection& db, const std::vector<PublishedFile>& files) {
  Publisher publisher(db);
  for (const PublishedFile& file : files) PANAL_RETURN_IF_ERROR(publisher.Add(file));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PublishedFile>> Replace(Connection& db,
                                                   const std::vector<PublishedFile>& files) {
  PANAL_CHECK(!files.empty() && files.front().parent.empty());
  Publisher publisher(db);
  absl::flat_hash_set<NameAndKind> kept;
  for (const PublishedFile& file : files) {
    PANAL_RETURN_IF_ERROR(publisher.Add(file));
    kept.insert({file.name, KindOf(file.type)});
  }
  Remover remover(db);
  if (files.front().type == FileType::kDirectory) {
    PANAL_RETURN_IF_ERROR(remover.RemoveEntriesBut(files.front().name, kept));
  }
  std::vector<PublishedFile> gone = publisher.TakeReplaced();
  for (PublishedFile& file : remover.TakeRemoved()) gone.push_back(std::move(file));
  return gone;
}

absl::StatusOr<std::vector<PublishedFile>> Unpublish(Connection& db, const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(std::vector<Row> rows, RowsOf(db, id));
  if (rows.empty()) return FileNotFound(id);
  Remover remover(db);
  bool any_alone = false;
  for (const Row& row : rows) {
    if (!row.alone) continue;
    any_alone = true;
    PANAL_RETURN_IF_ERROR(remover.RemoveAlone(row));
  }
  if (!any_alone) {
    const std::string& parent = rows.front().file.parent;
    return Error(
        ErrorReason::kFileNotFound,
        absl::StrCat("file ", id.ToText(), " was not added by itself but with the directory ",
                     parent, ": remove that"),
        {{"id", id.ToText()}, {"parent", parent}});
  }
  return remover.TakeRemoved();
}

absl::StatusOr<bool> IsPublished(Connection& db, const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(
      int64_t found,
      db.QueryInt(0, "SELECT 1 FROM published WHERE id = ? LIMIT 1", Blob{id.view()}));
  return found != 0;
}

absl::StatusOr<std::vector<PublishedFile>> FindPublished(Connection& db, const FileId& id) {
  return FilesOf(RowsOf(db, id));
}

absl::StatusOr<std::optional<PublishedFile>> FirstPublished(Connection& db, const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      ReadRows(db.Query(absl::StrCat(kColumns, "WHERE id = ? ORDER BY name, kind LIMIT 1"),
                        Blob{id.view()}),
               db.path()));
  if (rows.empty()) return std::optional<PublishedFile>();
  return std::optional<PublishedFile>(std::move(rows.front().file));
}

absl::StatusOr<std::vector<PublishedFile>> ListPublished(Connection& db, absl::string_view after,
                                                         int limit, bool recursive) {
  if (limit <= 0) return std::vector<PublishedFile>();
  absl::string_view condition =
      recursive ? "WHERE (name, kind) > (?, ?) ORDER BY name, kind LIMIT ?"
                : "WHERE (name, kind) > (?, ?) AND alone = 1 ORDER BY name, kind LIMIT ?";
  // A name by itself: beyond every kind.
  int64_t kind = std::numeric_limits<int64_t>::max();
  if (size_t end = after.find('\0'); end != absl::string_view::npos) {
    kind = static_cast<int64_t>(
        KindOf(after.substr(end + 1) == "d" ? FileType::kDirectory : FileType::kFile));
    after = after.substr(0, end);
  }
  return FilesOf(ReadRows(
      db.Query(absl::StrCat(kColumns, condition), after, kind, static_cast<int64_t>(limit)),
      db.path()));
}

absl::StatusOr<int64_t> CountPublished(Connection& db) {
  return db.QueryInt(0, "SELECT count(*) FROM published WHERE alone = 1");
}

absl::StatusOr<std::vector<Record>> PublishedRecords(Connection& db, int64_t page) {
  PANAL_ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      ReadRows(db.Query(absl::StrCat(kColumns, "WHERE page = ? ORDER BY key"), page), db.path()));
  std::vector<Record> records;
  records.reserve(rows.size());
  for (const Row& row : rows) records.push_back(RecordOf(row.file, row.version));
  return records;
}

}  // namespace panal::catalog
