#include "server/data/block_store/block_map.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr absl::string_view kMagic("panal block map\0", 16);

std::string EncodeBits(const std::vector<bool>& bits) {
  std::string bytes((bits.size() + 7) / 8, '\0');
  for (size_t i = 0; i < bits.size(); ++i) {
    if (bits[i]) bytes[i / 8] = static_cast<char>(bytes[i / 8] | (0x80 >> (i % 8)));
  }
  return bytes;
}

std::vector<bool> DecodeBits(absl::string_view bytes, size_t count) {
  std::vector<bool> bits(count);
  for (size_t i = 0; i < count; ++i) bits[i] = (bytes[i / 8] & (0x80 >> (i % 8))) != 0;
  return bits;
}

absl::Status Damaged(const FileId& id, absl::string_view what) {
  return Error(ErrorReason::kStorageFailed,
               absl::StrCat("the block map of ", id.ToText(), " is damaged: ", what),
               {{"id", id.ToText()}});
}

}  // namespace

std::string EncodeBlockMap(const BlockMap& map) {
  PANAL_CHECK(map.held.size() == map.manifest.blocks.size());
  std::string manifest = map.manifest.Encode();
  ByteWriter writer;
  writer.Raw(kMagic);
  writer.U32(kBlockMapVersion);
  PANAL_CHECK(writer.bytes().size() == kBlockMapDirtyOffset);
  writer.U32(0);
  writer.U64(map.data_number);
  writer.U32(static_cast<uint32_t>(manifest.size()));
  writer.Raw(manifest);
  writer.Raw(EncodeBits(map.held));
  writer.Raw(Sha256(writer.bytes()).view());
  std::string bytes = writer.Take();
  if (map.dirty) bytes[kBlockMapDirtyOffset] = 1;
  return bytes;
}

absl::StatusOr<BlockMap> DecodeBlockMap(absl::string_view bytes, const FileId& id) {
  ByteReader reader(bytes);
  if (reader.Raw(kMagic.size()) != kMagic) return Damaged(id, "it does not begin like one");
  uint32_t version = reader.U32();
  if (version > kBlockMapVersion) {
    return Error(ErrorReason::kDataDirTooNew,
                 absl::StrCat("the block map of ", id.ToText(), " has version ", version,
                              "; this program knows ", kBlockMapVersion),
                 {{"id", id.ToText()}});
  }
  if (bytes.size() < kBlockMapDirtyOffset + 16 + Sha256Digest::kSize)
    return Damaged(id, "it is cut off");

  std::string hashed(bytes.substr(0, bytes.size() - Sha256Digest::kSize));
  BlockMap map{.dirty = hashed[kBlockMapDirtyOffset] != 0};
  hashed[kBlockMapDirtyOffset] = 0;
  if (Sha256(hashed).view() != bytes.substr(hashed.size())) return Damaged(id, "its hash is wrong");

  reader.U32();
  map.data_number = reader.U64();
  absl::string_view manifest = reader.Raw(reader.U32());
  PANAL_ASSIGN_OR_RETURN(map.manifest, DecodeManifest(manifest, id));
  absl::string_view bits = reader.Raw((map.manifest.blocks.size() + 7) / 8);
  reader.Raw(Sha256Digest::kSize);
  if (version != kBlockMapVersion || !reader.AtEnd()) return Damaged(id, "its size is wrong");
  map.held = DecodeBits(bits, map.manifest.blocks.size());
  return map;
}

}  // namespace panal
