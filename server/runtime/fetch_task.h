// One fetch that programs asked for: a content, and for a directory everything below it. What is
// known of it; the work is Fetcher's and ContentReceiver's.
//
// All state belongs to the node loop.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/listing.h"
#include "server/application/mesh.h"

namespace panal {

// Contents of one fetch. As many as one publisher can publish (kPageNumberMax pages of
// kPageRecordsMax records); their ids take about 300 MiB.
inline constexpr size_t kFetchContentsMax = 4'194'304;

struct FetchTask {
  FileId id;
  absl::Duration timeout;
  std::string name;       // To publish it under; from the request or the first hit.
  bool named = false;     // By a request.
  Attributes attributes;  // From the first hit.
  FileType type = FileType::kFile;

  std::map<uint64_t, FetchHandlers> callers;  // By the number given to the caller.
  std::set<PeerId>
      sources;  // Tried first for every content. At most FetchOptions::known_sources_max.

  std::set<FileId> active;  // Being received now.
  std::set<FileId> seen;    // Ever begun or waiting; at most kFetchContentsMax.
  std::deque<FileId> waiting;
  int listings_open = 0;  // Listings being read by workers.

  // Totals of what is done; what is active is added when progress is told.
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
  uint64_t received_bytes = 0;
  uint64_t files_done = 0;
  uint64_t files_total = 1;
  std::set<PeerId> contributors;
  uint64_t peers_asked = 0;
  absl::Time last_progress;
  bool publishing = false;
  bool repair = false;  // Every caller asked for a repair: nothing is published.

  // Adds the entries of a listing that were not seen before. Error: CONTENT_TOO_LARGE (more than
  // `contents_max` contents in all).
  absl::Status AddEntries(const std::vector<ListingEntry>& entries,
                          size_t contents_max = kFetchContentsMax);

  // Whether nothing is left to receive.
  bool Received() const { return active.empty() && waiting.empty() && listings_open == 0; }
};

}  // namespace panal
