// The content of a directory: a canonical listing, so that the same tree has the same id everywhere
// (layout: docs/protocol/files.md). "panal listing v1" NUL, U32 count, then per entry in ascending
// bytewise name order: U16 length and name, U8 type (1 file, 2 directory), U8 executable, U64 size,
// 32 bytes id. No times, no owners.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/model/manifest.h"

namespace panal {

inline constexpr size_t kListingEntriesMax = 1'000'000;  // Entries of one directory.
inline constexpr size_t kListingNameSizeMax = 255;       // Bytes; NAME_MAX of Linux file systems.

struct ListingEntry {
  std::string name;  // Bytes; not empty, not `.` or `..`, no `/` or NUL.
  FileType type = FileType::kFile;
  bool executable = false;
  uint64_t size_bytes = 0;
  FileId id;
  bool operator==(const ListingEntry&) const = default;
};

// Sorts and encodes. REQUIRES: names valid and different.
std::string EncodeListing(std::vector<ListingEntry> entries);

// Error: LISTING_INVALID (order, duplicate, name, type, count, bytes behind).
absl::StatusOr<std::vector<ListingEntry>> DecodeListing(absl::string_view bytes);

// Whether `name` may be an entry's.
bool IsValidEntryName(absl::string_view name);

}  // namespace panal
