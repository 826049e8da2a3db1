#include "common/model/manifest.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/bytes.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;

std::string HeadOf(uint8_t type, uint64_t size_bytes, uint32_t block_size_bytes) {
  ByteWriter writer;
  writer.Raw(absl::string_view("panal manifest v1\0", 18));
  writer.U8(type);
  writer.U64(size_bytes);
  writer.U32(block_size_bytes);
  return writer.Take();
}

ErrorReason ReasonOfDecoding(absl::string_view bytes) {
  return ReasonOf(DecodeManifest(bytes).status());
}

TEST(BlockSize, DoublesFromTheSizeThatWouldGiveMoreThan4096Blocks) {
  EXPECT_EQ(BlockSizeFor(0), kBlockSizeMin);
  EXPECT_EQ(BlockSizeFor(1024 * kMiB), kBlockSizeMin);
  EXPECT_EQ(BlockSizeFor(1024 * kMiB + 1), 2 * kBlockSizeMin);
  EXPECT_EQ(BlockSizeFor(65536 * kMiB), kBlockSizeMax);
  EXPECT_EQ(BlockSizeFor(kFileSizeMax), kBlockSizeMax);
}

// The worked examples of docs/protocol/files.md.
TEST(Manifest, HasTheDocumentedBytes) {
  Manifest empty = ManifestOf(FileType::kFile, "");
  EXPECT_EQ(absl::BytesToHexString(empty.Encode()),
            "70616e616c206d616e696665737420763100"
            "01"
            "0000000000000000"
            "00040000");
  EXPECT_EQ(empty.Id().ToText(), "vmml4qwx536mjptn53stfrrsumvkpjsscrljshoalf7rjsbmz5lq");

  Manifest abc = ManifestOf(FileType::kFile, "abc");
  EXPECT_EQ(absl::BytesToHexString(abc.Encode()),
            "70616e616c206d616e696665737420763100"
            "01"
            "0000000000000003"
            "00040000"
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(abc.Id().ToText(), "7f4f53r7j7bxzcqaefv5zwy2fqsopjsvd5cjj5qsktva2xdlmvva");
}

TEST(Manifest, CutsAtBlockBoundaries) {
  std::string content(kBlockSizeMin + 1, 'x');

  Manifest one = ManifestOf(FileType::kFile, absl::string_view(content).substr(1));
  Manifest two = ManifestOf(FileType::kFile, content);

  EXPECT_EQ(one.blocks.size(), 1u);
  EXPECT_EQ(one.BlockSize(0), kBlockSizeMin);
  ASSERT_EQ(two.blocks.size(), 2u);
  EXPECT_EQ(two.blocks[0], one.blocks[0]);
  EXPECT_EQ(two.BlockSize(1), 1u);
  EXPECT_EQ(two.blocks[1], Sha256("x"));
}

TEST(Manifest, DecodesWhatItEncoded) {
  Manifest manifest = ManifestOf(FileType::kDirectory, std::string(kBlockSizeMin * 2 + 5, 'y'));

  absl::StatusOr<Manifest> decoded = DecodeManifest(manifest.Encode(), manifest.Id());

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, manifest);
}

TEST(Manifest, IsRefusedUnderAnotherId) {
  Manifest manifest = ManifestOf(FileType::kFile, "abc");

  absl::StatusOr<Manifest> decoded = DecodeManifest(manifest.Encode(), FileId{});

  EXPECT_EQ(ReasonOf(decoded.status()), ErrorReason::kManifestInvalid);
}

TEST(Manifest, IsRefusedWhereItsHeadIsWrong) {
  std::string good = HeadOf(1, 0, kBlockSizeMin);
  EXPECT_TRUE(DecodeManifest(good).ok());

  std::string magic = good;
  magic[0] = 'P';
  EXPECT_EQ(ReasonOfDecoding(magic), ErrorReason::kManifestInvalid);
  EXPECT_EQ(ReasonOfDecoding(""), ErrorReason::kManifestInvalid);
  EXPECT_EQ(ReasonOfDecoding(good.substr(0, good.size() - 1)), ErrorReason::kManifestInvalid);
  EXPECT_EQ(ReasonOfDecoding(good + "x"), ErrorReason::kManifestInvalid);
  EXPECT_EQ(ReasonOfDecoding(HeadOf(0, 0, kBlockSizeMin)), ErrorReason::kManifestInvalid);
  EXPECT_EQ(ReasonOfDecoding(HeadOf(3, 0, kBlockSizeMin)), ErrorReason::kManifestInvalid);
  EXPECT_EQ(ReasonOfDecoding(HeadOf(1, 0, 2 * kBlockSizeMin)), ErrorReason::kManifestInvalid);
}

TEST(Manifest, IsRefusedWithAnotherNumberOfHashes) {
  EXPECT_FALSE(DecodeManifest(HeadOf(1, 1, kBlockSizeMin)).ok());
  EXPECT_TRUE(DecodeManifest(HeadOf(1, 1, kBlockSizeMin) + std::string(32, 'h')).ok());
  EXPECT_FALSE(DecodeManifest(HeadOf(1, 1, kBlockSizeMin) + std::string(64, 'h')).ok());
  EXPECT_FALSE(DecodeManifest(HeadOf(1, ~0ull, kBlockSizeMax)).ok());
}

TEST(Manifest, DescribesUpTo1TiB) {
  std::string hashes(65536 * 32, 'h');

  EXPECT_TRUE(DecodeManifest(HeadOf(1, kFileSizeMax, kBlockSizeMax) + hashes).ok());
  EXPECT_FALSE(DecodeManifest(HeadOf(1, kFileSizeMax + 1, kBlockSizeMax) + hashes).ok());
}

TEST(Manifest, IsTheSameHoweverTheBytesCome) {
  std::string content(kBlockSizeMin * 2 + 100, 'z');
  ManifestBuilder builder(FileType::kFile, content.size());
  for (size_t at = 0; at < content.size(); at += 65521) {
    builder.Update(absl::string_view(content).substr(at, 65521));
  }

  EXPECT_EQ(builder.Finish(), ManifestOf(FileType::kFile, content));
}

}  // namespace
}  // namespace panal
