// What one add publishes: a file, or a directory with everything below it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/model/listing.h"
#include "server/data/catalog/catalog.h"

namespace panal {

// Files and directories below one directory that is added, in all. As the entries of one listing:
// some 300 bytes each in memory while it is added.
inline constexpr size_t kTreeEntriesMax = kListingEntriesMax;

// What lies below a directory.
struct TreeTotals {
  uint64_t bytes = 0;
  uint64_t files = 0;
};

class Publication {
 public:
  // `attributes` go to everything in it.
  Publication(absl::string_view name, Attributes attributes) : attributes_(std::move(attributes)) {
    top_.name = std::string(name);
  }

  // Sets what is published under the name itself.
  void SetTop(const ListingEntry& entry, const TreeTotals& totals);
  // Adds a file or directory below it. `name`: its published name. `attributes` win over the common
  // ones. Errors: FILE_NAME_INVALID, ATTRIBUTE_INVALID, CONTENT_TOO_LARGE (too many entries).
  absl::Status AddEntry(std::string name, const ListingEntry& entry, const TreeTotals& totals,
                        const Attributes& attributes = {});

  const PublishedFile& top() const { return top_; }

  // The file or directory itself comes first.
  std::vector<PublishedFile> TakeAll() && {
    entries_.insert(entries_.begin(), std::move(top_));
    return std::move(entries_);
  }

 private:
  PublishedFile top_;
  Attributes attributes_;
  std::vector<PublishedFile> entries_;
};

// The published name of `entry_name`, any bytes, in the directory published as `directory`. See F4.
std::string PublishedEntryName(absl::string_view directory, absl::string_view entry_name);

}  // namespace panal
