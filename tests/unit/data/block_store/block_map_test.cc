#include "server/data/block_store/block_map.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace panal {
namespace {

BlockMap SomeMap() {
  BlockMap map{.manifest = ManifestOf(FileType::kFile, std::string(10 * kBlockSizeMin + 1, 'x'))};
  map.held.assign(11, false);
  map.held[0] = map.held[7] = map.held[8] = map.held[10] = true;
  return map;
}

TEST(BlockMap, DecodesWhatWasEncoded) {
  BlockMap map = SomeMap();

  absl::StatusOr<BlockMap> decoded = DecodeBlockMap(EncodeBlockMap(map), map.manifest.Id());

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, map);
}

TEST(BlockMap, TakesTheDirtyByteThatWasSetInPlace) {
  BlockMap map = SomeMap();
  std::string bytes = EncodeBlockMap(map);
  bytes[kBlockMapDirtyOffset] = 1;

  absl::StatusOr<BlockMap> decoded = DecodeBlockMap(bytes, map.manifest.Id());

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(decoded->dirty);
  EXPECT_EQ(decoded->held, map.held);
}

TEST(BlockMap, RefusesEveryTruncation) {
  BlockMap map = SomeMap();
  std::string bytes = EncodeBlockMap(map);

  for (size_t size = 0; size < bytes.size(); ++size) {
    absl::StatusOr<BlockMap> decoded = DecodeBlockMap(bytes.substr(0, size), map.manifest.Id());
    EXPECT_EQ(ReasonOf(decoded.status()), ErrorReason::kStorageFailed) << size;
  }
}

TEST(BlockMap, RefusesEveryChangedByteButTheDirtyOne) {
  BlockMap map = SomeMap();
  std::string bytes = EncodeBlockMap(map);

  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == kBlockMapDirtyOffset) continue;
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x40);
    EXPECT_FALSE(DecodeBlockMap(changed, map.manifest.Id()).ok()) << i;
  }
}

TEST(BlockMap, RefusesTheMapOfAnotherContent) {
  std::string bytes = EncodeBlockMap(SomeMap());

  EXPECT_FALSE(DecodeBlockMap(bytes, ManifestOf(FileType::kFile, "other").Id()).ok());
}

TEST(BlockMap, SaysThatALaterVersionWroteIt) {
  std::string bytes = EncodeBlockMap(SomeMap());
  bytes[19] = kBlockMapVersion + 1;

  absl::StatusOr<BlockMap> decoded = DecodeBlockMap(bytes, SomeMap().manifest.Id());

  EXPECT_EQ(ReasonOf(decoded.status()), ErrorReason::kDataDirTooNew);
}

}  // namespace
}  // namespace panal
