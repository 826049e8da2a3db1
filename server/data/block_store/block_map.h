// The checkpoint of one content in the block store: what it is and which blocks of it are safe on
// disk.
//
// Layout of `<id>.map` (big-endian): "panal block map" NUL, U32 version (1), U8 dirty, three zero
// bytes, U64 number of the data file, U32 size of the manifest, the manifest, the bitmap (one bit a
// block, most significant first, spare bits zero), SHA-256 of all before with the dirty byte zero.
// The dirty byte is outside the hash because it is set and cleared in place, by a write of one byte
// that cannot tear.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/model/manifest.h"

namespace panal {

inline constexpr uint32_t kBlockMapVersion = 1;
// Where the dirty byte lies.
inline constexpr uint64_t kBlockMapDirtyOffset = 20;
// Bytes of the largest map: head, manifest, one bit for each of 65,536 blocks, hash.
inline constexpr size_t kBlockMapSizeMax = 64 + kManifestSizeMax + 8192;

struct BlockMap {
  Manifest manifest;
  uint64_t data_number = 0;  // Names the data file; never used twice for one content.
  std::vector<bool> held;    // One entry a block: its data was synced before the map was written.
  bool dirty = false;        // Blocks may have been written since.

  bool operator==(const BlockMap&) const = default;
};

// REQUIRES: one entry of `held` a block.
std::string EncodeBlockMap(const BlockMap& map);

// Errors: DATA_DIR_TOO_NEW (a later version), STORAGE_FAILED (torn or damaged, or not of `id`).
absl::StatusOr<BlockMap> DecodeBlockMap(absl::string_view bytes, const FileId& id);

}  // namespace panal
