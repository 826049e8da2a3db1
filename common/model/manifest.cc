#include "common/model/manifest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr absl::string_view kMagic("panal manifest v1\0", 18);

uint64_t BlocksOf(uint64_t size_bytes, uint64_t block_size_bytes) {
  return (size_bytes + block_size_bytes - 1) / block_size_bytes;
}

absl::Status Invalid(absl::string_view why) {
  return Error(ErrorReason::kManifestInvalid, absl::StrCat("manifest: ", why));
}

// Everything before the hashes.
absl::StatusOr<Manifest> DecodeHead(ByteReader& reader) {
  if (reader.Raw(kMagic.size()) != kMagic) return Invalid("does not begin with panal manifest v1");
  uint8_t type = reader.U8();
  Manifest manifest;
  manifest.size_bytes = reader.U64();
  manifest.block_size_bytes = reader.U32();
  if (!reader.ok()) return Invalid("ends within its head");
  if (type != static_cast<uint8_t>(FileType::kFile) &&
      type != static_cast<uint8_t>(FileType::kDirectory)) {
    return Invalid(absl::StrCat("type ", type, " is neither 1 nor 2"));
  }
  manifest.type = static_cast<FileType>(type);
  if (manifest.size_bytes > kFileSizeMax) {
    return Invalid(absl::StrCat("size ", manifest.size_bytes, " exceeds ", kFileSizeMax));
  }
  uint32_t block_size = BlockSizeFor(manifest.size_bytes);
  if (manifest.block_size_bytes != block_size) {
    return Invalid(absl::StrCat("block size ", manifest.block_size_bytes, " of a file of ",
                                manifest.size_bytes, " bytes is not ", block_size));
  }
  return manifest;
}

}  // namespace

uint32_t Manifest::BlockSize(uint32_t index) const {
  PANAL_CHECK(index < blocks.size());
  uint64_t begin = uint64_t{index} * block_size_bytes;
  return static_cast<uint32_t>(std::min<uint64_t>(block_size_bytes, size_bytes - begin));
}

std::string Manifest::Encode() const {
  ByteWriter writer;
  writer.Raw(kMagic);
  writer.U8(static_cast<uint8_t>(type));
  writer.U64(size_bytes);
  writer.U32(block_size_bytes);
  for (const Sha256Digest& block : blocks) writer.Raw(block.view());
  return writer.Take();
}

FileId Manifest::Id() const { return *FileId::FromBytes(Sha256(Encode()).view()); }

uint32_t BlockSizeFor(uint64_t size_bytes) {
  uint32_t block_size = kBlockSizeMin;
  while (block_size < kBlockSizeMax && size_bytes > uint64_t{block_size} * kBlocksPreferredMax) {
    block_size *= 2;
  }
  return block_size;
}

absl::StatusOr<Manifest> DecodeManifest(absl::string_view bytes) {
  if (bytes.size() > kManifestSizeMax) {
    return Invalid(absl::StrCat(bytes.size(), " bytes exceed ", kManifestSizeMax));
  }
  ByteReader reader(bytes);
  PANAL_ASSIGN_OR_RETURN(Manifest manifest, DecodeHead(reader));
  uint64_t count = BlocksOf(manifest.size_bytes, manifest.block_size_bytes);
  if (reader.remaining() != count * Sha256Digest::kSize) {
    return Invalid(absl::StrCat(reader.remaining(), " bytes of hashes are not ", count,
                                " hashes of ", Sha256Digest::kSize));
  }
  manifest.blocks.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    manifest.blocks.push_back(*Sha256Digest::FromBytes(reader.Raw(Sha256Digest::kSize)));
  }
  return manifest;
}

absl::StatusOr<Manifest> DecodeManifest(absl::string_view bytes, const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(Manifest manifest, DecodeManifest(bytes));
  Sha256Digest digest = Sha256(bytes);
  if (digest.bytes != id.bytes) {
    return Invalid(
        absl::StrCat("hashes to ", digest.ToShortText(), "…, not to file ", id.ToShortText(), "…"));
  }
  return manifest;
}

ManifestBuilder::ManifestBuilder(FileType type, uint64_t size_bytes) {
  PANAL_CHECK(size_bytes <= kFileSizeMax);
  manifest_.type = type;
  manifest_.size_bytes = size_bytes;
  manifest_.block_size_bytes = BlockSizeFor(size_bytes);
}

void ManifestBuilder::Update(absl::string_view bytes) {
  PANAL_CHECK(bytes.size() <= manifest_.size_bytes - taken_);
  taken_ += bytes.size();
  while (!bytes.empty()) {
    size_t size = std::min<size_t>(bytes.size(), manifest_.block_size_bytes - in_block_);
    hasher_.Update(bytes.substr(0, size));
    bytes.remove_prefix(size);
    in_block_ += static_cast<uint32_t>(size);
    if (in_block_ == manifest_.block_size_bytes) {
      manifest_.blocks.push_back(hasher_.Finish());
      in_block_ = 0;
    }
  }
}

Manifest ManifestBuilder::Finish() {
  PANAL_CHECK(taken_ == manifest_.size_bytes);
  if (in_block_ > 0) manifest_.blocks.push_back(hasher_.Finish());
  in_block_ = 0;
  return std::move(manifest_);
}

Manifest ManifestOf(FileType type, absl::string_view content) {
  ManifestBuilder builder(type, content.size());
  builder.Update(content);
  return builder.Finish();
}

}  // namespace panal
