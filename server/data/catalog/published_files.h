// What this peer publishes (catalog.h: What this peer publishes).
//
// A published file is named by (name, kind). It is kept while something refers to it: it was added
// by itself (`alone`), or it is an entry of a published directory, or of several. A file published
// anew with the same id and attributes gains the reference; with others it is replaced, references
// and all.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/data/catalog/catalog.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

absl::Status Publish(Connection& db, const std::vector<PublishedFile>& files);
absl::StatusOr<std::vector<PublishedFile>> Replace(Connection& db,
                                                   const std::vector<PublishedFile>& files);
absl::StatusOr<std::vector<PublishedFile>> Unpublish(Connection& db, const FileId& id);
absl::StatusOr<bool> IsPublished(Connection& db, const FileId& id);
absl::StatusOr<std::vector<PublishedFile>> FindPublished(Connection& db, const FileId& id);
absl::StatusOr<std::optional<PublishedFile>> FirstPublished(Connection& db, const FileId& id);
absl::StatusOr<std::vector<PublishedFile>> ListPublished(Connection& db, absl::string_view after,
                                                         int limit, bool recursive);
absl::StatusOr<int64_t> CountPublished(Connection& db);

// Records of own page `page`, in the order they were added.
absl::StatusOr<std::vector<Record>> PublishedRecords(Connection& db, int64_t page);

}  // namespace panal::catalog
