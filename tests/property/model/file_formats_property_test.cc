// Listings and manifests against naive models.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "common/base/random.h"
#include "common/model/listing.h"
#include "common/model/manifest.h"

namespace panal {
namespace {

ListingEntry RandomEntry(Random& random) {
  ListingEntry entry;
  do {
    entry.name = random.Bytes(1 + random.Below(6));
  } while (!IsValidEntryName(entry.name));
  entry.type = random.Below(2) == 0 ? FileType::kFile : FileType::kDirectory;
  entry.executable = entry.type == FileType::kFile && random.Below(2) == 0;
  entry.size_bytes = random.Below(kFileSizeMax + 1);
  entry.id = *FileId::FromBytes(random.Bytes(FileId::kSize));
  return entry;
}

TEST(ListingProperty, IsTheMapOfItsEntriesInWhateverOrderTheyCome) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Random random(seed);
    std::map<std::string, ListingEntry> model;
    for (uint64_t i = random.Below(12); i > 0; --i) {
      ListingEntry entry = RandomEntry(random);
      model[entry.name] = entry;
    }
    std::vector<ListingEntry> sorted, shuffled;
    for (const auto& [name, entry] : model) sorted.push_back(entry);
    shuffled = sorted;
    random.Shuffle(shuffled);

    std::string bytes = EncodeListing(shuffled);

    EXPECT_EQ(bytes, EncodeListing(sorted)) << seed;
    EXPECT_EQ(DecodeListing(bytes).value(), sorted) << seed;
  }
}

TEST(ListingProperty, EveryPrefixIsRefused) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    std::string bytes = EncodeListing({RandomEntry(random)});
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeListing(absl::string_view(bytes).substr(0, size)).ok()) << seed;
    }
  }
}

// What the documentation says, in the plainest way.
Manifest NaiveManifest(FileType type, absl::string_view content) {
  Manifest manifest;
  manifest.type = type;
  manifest.size_bytes = content.size();
  manifest.block_size_bytes = BlockSizeFor(content.size());
  for (size_t at = 0; at < content.size(); at += manifest.block_size_bytes) {
    manifest.blocks.push_back(Sha256(content.substr(at, manifest.block_size_bytes)));
  }
  return manifest;
}

TEST(ManifestProperty, IsTheSameHoweverTheBytesCome) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    std::string content = random.Bytes(1000);
    content.resize(random.Below(3 * kBlockSizeMin + 2), 'x');
    ManifestBuilder builder(FileType::kFile, content.size());
    for (absl::string_view rest = content; !rest.empty();) {
      size_t size = std::min<size_t>(rest.size(), 1 + random.Below(kBlockSizeMin));
      builder.Update(rest.substr(0, size));
      rest.remove_prefix(size);
    }

    Manifest manifest = builder.Finish();

    EXPECT_EQ(manifest, NaiveManifest(FileType::kFile, content)) << seed;
    EXPECT_EQ(DecodeManifest(manifest.Encode(), manifest.Id()).value(), manifest) << seed;
  }
}

TEST(ManifestProperty, BlockSizeIsTheSmallestThatGivesFewBlocks) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Random random(seed);
    uint64_t size = random.Below(kFileSizeMax + 1) >> random.Below(30);
    uint64_t block = BlockSizeFor(size);

    EXPECT_EQ(block & (block - 1), 0u);
    EXPECT_TRUE(block == kBlockSizeMax || size <= block * kBlocksPreferredMax) << size;
    EXPECT_TRUE(block == kBlockSizeMin || size > block / 2 * kBlocksPreferredMax) << size;
  }
}

}  // namespace
}  // namespace panal
