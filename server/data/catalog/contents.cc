#include "server/data/catalog/contents.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/data/catalog/codec.h"

namespace panal::catalog {
namespace {

absl::StatusOr<std::vector<FileId>> ReadIds(Statement& statement, absl::string_view path) {
  std::vector<FileId> ids;
  while (true) {
    PANAL_ASSIGN_OR_RETURN(bool row, statement.Step());
    if (!row) return ids;
    PANAL_ASSIGN_OR_RETURN(FileId id, IdFrom<FileId>(statement.Bytes(0), path));
    ids.push_back(id);
  }
}

}  // namespace

absl::Status FileNotFound(const FileId& id) {
  return Error(ErrorReason::kFileNotFound, absl::StrCat("file ", id.ToText(), " is not held here"),
               {{"id", id.ToText()}});
}

absl::Status PutContent(Connection& db, const StoredContent& content) {
  if (content.inline_bytes.size() > kInlineSizeMax) {
    return Error(ErrorReason::kContentTooLarge,
                 absl::StrCat("content of ", content.inline_bytes.size(),
                              " bytes exceeds the limit of the catalog, ", kInlineSizeMax),
                 {{"size", absl::StrCat(content.inline_bytes.size())},
                  {"limit", absl::StrCat(kInlineSizeMax)}});
  }
  return db.Run(
      "INSERT INTO content(id, storage, complete, mtime_ns, path, inline_bytes, manifest) "
      "VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET storage = excluded.storage, "
      "complete = excluded.complete, mtime_ns = excluded.mtime_ns, path = excluded.path, "
      "inline_bytes = excluded.inline_bytes, manifest = excluded.manifest",
      Blob{content.id.view()}, static_cast<int64_t>(content.storage),
      static_cast<int64_t>(content.complete), content.mtime_ns, absl::string_view(content.path),
      Blob{content.inline_bytes}, Blob{content.manifest.Encode()});
}

absl::Status KeepContent(Connection& db, const FileId& id) {
  return db.Run(
      "INSERT OR IGNORE INTO kept_content(id) "
      "SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM published WHERE id = ?1)",
      Blob{id.view()});
}

absl::Status EndKeeping(Connection& db, const FileId& id) {
  return db.Run("DELETE FROM kept_content WHERE id = ?", Blob{id.view()});
}

absl::StatusOr<std::vector<FileId>> KeptContents(Connection& db) {
  PANAL_ASSIGN_OR_RETURN(Statement ids, db.Query("SELECT id FROM kept_content ORDER BY id"));
  return ReadIds(ids, db.path());
}

absl::StatusOr<StoredContent> FindContent(Connection& db, const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(
      Statement row, db.Query("SELECT storage, complete, mtime_ns, path, inline_bytes, manifest "
                              "FROM content WHERE id = ?",
                              Blob{id.view()}));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return FileNotFound(id);
  StoredContent content{.id = id,
                        .storage = static_cast<StorageKind>(row.Int(0)),
                        .inline_bytes = std::string(row.Bytes(4)),
                        .path = std::string(row.Bytes(3)),
                        .mtime_ns = row.Int(2),
                        .complete = row.Int(1) != 0};
  absl::StatusOr<Manifest> manifest = DecodeManifest(row.Bytes(5), id);
  if (!manifest.ok()) {
    return CorruptError(
        db.path(), absl::StrCat("manifest of ", id.ToText(), ": ", manifest.status().message()));
  }
  content.manifest = *std::move(manifest);
  return content;
}

absl::Status SetContentComplete(Connection& db, const FileId& id) {
  PANAL_RETURN_IF_ERROR(db.Run("UPDATE content SET complete = 1 WHERE id = ?", Blob{id.view()}));
  return db.Changes() == 1 ? absl::OkStatus() : FileNotFound(id);
}

absl::Status ForgetContent(Connection& db, const FileId& id) {
  PANAL_RETURN_IF_ERROR(EndKeeping(db, id));
  return db.Run("DELETE FROM content WHERE id = ?", Blob{id.view()});
}

absl::StatusOr<std::vector<FileId>> FindIds(Connection& db, absl::string_view prefix, int limit) {
  PrefixRange range = RangeOfPrefix(prefix);
  if (!range.valid || limit <= 0) return std::vector<FileId>();
  // Both halves come from an index in order, so the union reads no more than it needs.
  PANAL_ASSIGN_OR_RETURN(
      Statement ids,
      db.Query("SELECT id FROM content WHERE id BETWEEN ?1 AND ?2 UNION "
               "SELECT id FROM published WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
               Blob{range.range.first}, Blob{range.range.last}, static_cast<int64_t>(limit)));
  return ReadIds(ids, db.path());
}

absl::StatusOr<std::vector<FileId>> IncompleteContents(Connection& db) {
  PANAL_ASSIGN_OR_RETURN(Statement ids,
                         db.Query("SELECT id FROM content WHERE complete = 0 ORDER BY id"));
  return ReadIds(ids, db.path());
}

}  // namespace panal::catalog
