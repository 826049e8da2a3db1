#include "server/runtime/fetch_task.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {

absl::Status FetchTask::AddEntries(const std::vector<ListingEntry>& entries, size_t contents_max) {
  for (const ListingEntry& entry : entries) {
    bool file = entry.type == FileType::kFile;
    if (file) {
      ++files_total;
      total_bytes += entry.size_bytes;
    }
    if (seen.insert(entry.id).second) {
      if (seen.size() > contents_max) {
        return Error(ErrorReason::kContentTooLarge,
                     absl::StrCat("directory ", id.ToText(), " has more than ", contents_max,
                                  " different contents below it; fetch its folders one by one"),
                     {{"id", id.ToText()}, {"limit", absl::StrCat(contents_max)}});
      }
      waiting.push_back(entry.id);
    } else if (file) {
      // The same content under a second name: received once, counted where it appears.
      ++files_done;
      done_bytes += entry.size_bytes;
    }
  }
  return absl::OkStatus();
}

}  // namespace panal
