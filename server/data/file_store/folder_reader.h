// Reads a file or a folder of this machine into the store.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/listing.h"
#include "server/data/file_store/content_sink.h"
#include "server/data/file_store/publication.h"
#include "server/data/file_store/source_files.h"

namespace panal {

struct FolderReaderOptions {
  std::string root;  // The resolved root that everything must lie below.
  bool in_place = false;
  std::function<bool()> cancelled;
};

// One add. Not thread-safe.
class FolderReader {
 public:
  FolderReader(SourceFiles& source, ContentSink& sink, FolderReaderOptions options,
               Publication& publication);

  // Reads what lies at `path`, which is resolved and below the root. Its contents go to the sink,
  // what is below it to the publication. Errors: see FileStore::AddPath.
  absl::Status Read(const std::string& path);

  std::vector<std::string> TakeSkipped() { return std::move(skipped_); }

 private:
  struct Subtree {
    ListingEntry entry;
    TreeTotals totals;
  };

  absl::StatusOr<Subtree> ReadFolder(SourceFile& folder, const std::string& path,
                                     const std::string& name, int depth);
  // Nothing where the entry is skipped.
  absl::StatusOr<std::unique_ptr<Subtree>> ReadEntry(SourceFile& folder, const SourceEntry& entry,
                                                     const std::string& path,
                                                     const std::string& name, int depth);
  absl::StatusOr<std::unique_ptr<SourceFile>> OpenLink(std::string& path);
  absl::StatusOr<Subtree> ReadFile(SourceFile& file, const std::string& path);
  absl::StatusOr<FileId> ReadSmall(SourceFile& file, const std::string& path,
                                   const SourceStat& stat);
  absl::StatusOr<FileId> Copy(SourceFile& file, const std::string& path, const SourceStat& stat);
  absl::StatusOr<FileId> Hash(SourceFile& file, const std::string& path, const SourceStat& stat);
  // Reads the file part by part and gives the parts to `take`.
  absl::Status ReadParts(SourceFile& file, const std::string& path, const SourceStat& stat,
                         const std::function<absl::Status(absl::string_view)>& take);
  absl::Status CheckUnchanged(SourceFile& file, const std::string& path, const SourceStat& before);
  absl::Status CheckCancelled();
  absl::StatusOr<std::unique_ptr<SourceFile>> OpenBelowRoot(const std::string& path);
  void Skip(const std::string& path, absl::string_view why);

  SourceFiles& source_;
  ContentSink& sink_;
  const FolderReaderOptions options_;
  Publication& publication_;
  std::vector<std::string> skipped_;
};

// Whether `path`, resolved, is `root` or lies below it.
bool IsBelow(absl::string_view path, absl::string_view root);

}  // namespace panal
