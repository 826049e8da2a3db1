// How a file is cut into blocks, and the manifest that names it (layout: docs/protocol/files.md).
//
// FileId = SHA-256 of the manifest. Manifest: "panal manifest v1" NUL, U8 type (1 file, 2
// directory), U64 size, U32 block size, then the SHA-256 of every block in order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/sha256.h"

namespace panal {

inline constexpr uint32_t kBlockSizeMin = 256 * 1024;        // Bytes (architecture: files).
inline constexpr uint32_t kBlockSizeMax = 16 * 1024 * 1024;  // Bytes.
inline constexpr uint32_t kBlocksPreferredMax = 4096;  // Blocks before the block size doubles.
inline constexpr uint64_t kFileSizeMax = 1ull << 40;   // Bytes; 65,536 blocks of 16 MiB.
inline constexpr size_t kInlineSizeMax = 16 * 1024;    // Contents kept inside the database.
inline constexpr size_t kManifestSizeMax = 3 * 1024 * 1024;  // Bytes: 65,536 hashes and the head.

enum class FileType : uint8_t { kFile = 1, kDirectory = 2 };

struct Manifest {
  FileType type = FileType::kFile;
  uint64_t size_bytes = 0;
  uint32_t block_size_bytes = kBlockSizeMin;
  std::vector<Sha256Digest> blocks;

  // Bytes of block `index`: the block size, less for the last. REQUIRES: index < blocks.size().
  uint32_t BlockSize(uint32_t index) const;
  std::string Encode() const;
  FileId Id() const;
  bool operator==(const Manifest&) const = default;
};

// Smallest power of two from 256 KiB that gives at most 4,096 blocks, at most 16 MiB.
uint32_t BlockSizeFor(uint64_t size_bytes);

// Decodes and validates: sizes within limits, the block size the one BlockSizeFor gives, the right
// number of hashes, nothing behind. Error: MANIFEST_INVALID.
absl::StatusOr<Manifest> DecodeManifest(absl::string_view bytes);

// As DecodeManifest, and the bytes hash to `id`.
absl::StatusOr<Manifest> DecodeManifest(absl::string_view bytes, const FileId& id);

// Manifest of bytes that come in parts, whose total size is known in advance.
class ManifestBuilder {
 public:
  ManifestBuilder(FileType type, uint64_t size_bytes);
  // REQUIRES: not more bytes in all than `size_bytes`.
  void Update(absl::string_view bytes);
  // REQUIRES: exactly `size_bytes` bytes were given.
  Manifest Finish();

 private:
  Manifest manifest_;
  Sha256Hasher hasher_;
  uint64_t taken_ = 0;
  uint32_t in_block_ = 0;
};

// Manifest of a whole content.
Manifest ManifestOf(FileType type, absl::string_view content);

}  // namespace panal
