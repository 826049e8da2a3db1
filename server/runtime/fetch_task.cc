#include "server/runtime/fetch_task.h"

namespace panal {

void FetchTask::AddEntries(const std::vector<ListingEntry>& entries) {
  for (const ListingEntry& entry : entries) {
    bool file = entry.type == FileType::kFile;
    if (file) {
      ++files_total;
      total_bytes += entry.size_bytes;
    }
    if (seen.insert(entry.id).second) {
      waiting.push_back(entry.id);
    } else if (file) {
      // The same content under a second name: received once, counted where it appears.
      ++files_done;
      done_bytes += entry.size_bytes;
    }
  }
}

}  // namespace panal
