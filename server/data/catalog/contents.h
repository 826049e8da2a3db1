// Where the bytes of contents are (catalog.h: Contents).
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/data/catalog/catalog.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

absl::Status PutContent(Connection& db, const StoredContent& content);
// Lets the content stay until it is published or forgotten; nothing where it is published.
absl::Status KeepContent(Connection& db, const FileId& id);
// It is published now: that keeps it.
absl::Status EndKeeping(Connection& db, const FileId& id);
absl::StatusOr<std::vector<FileId>> KeptContents(Connection& db);
absl::StatusOr<StoredContent> FindContent(Connection& db, const FileId& id);
absl::Status SetContentComplete(Connection& db, const FileId& id);
absl::Status ForgetContent(Connection& db, const FileId& id);
absl::StatusOr<std::vector<FileId>> FindIds(Connection& db, absl::string_view prefix, int limit);
absl::StatusOr<std::vector<FileId>> IncompleteContents(Connection& db);

// FILE_NOT_FOUND for `id`.
absl::Status FileNotFound(const FileId& id);

}  // namespace panal::catalog
