#include <gtest/gtest.h>

#include "tests/support/block_store_testing.h"

namespace panal {
namespace {

constexpr size_t kBlock = kBlockSizeMin;

absl::StatusOr<Manifest> WriteAll(BlockStore& store, absl::string_view bytes, size_t part) {
  PANAL_ASSIGN_OR_RETURN(auto writer, store.NewWriter(FileType::kFile, bytes.size()));
  while (!bytes.empty()) {
    PANAL_RETURN_IF_ERROR(writer->Append(bytes.substr(0, part)));
    bytes.remove_prefix(std::min(part, bytes.size()));
  }
  return writer->Finish();
}

TEST(BlockWriter, GivesTheManifestOfWhatWasWritten) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  for (size_t size : {size_t{0}, size_t{1}, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock}) {
    Content content = Content::Of(size, size);

    absl::StatusOr<Manifest> manifest = WriteAll(*store, content.bytes, 100'000);

    ASSERT_TRUE(manifest.ok()) << manifest.status();
    EXPECT_EQ(*manifest, content.manifest);
    EXPECT_TRUE(store->Find(content.id)->complete);
    for (uint32_t i = 0; i < manifest->blocks.size(); ++i) {
      EXPECT_EQ(*store->ReadBlock(content.id, i), content.Block(i));
    }
  }
}

TEST(BlockWriter, IsDurableWhenItFinished) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(kBlock + 7);
  ASSERT_TRUE(WriteAll(*store, content.bytes, kBlock).ok());

  Random random(1);
  fs.PowerCut(random, 0);

  EXPECT_TRUE(OpenStore(fs)->Find(content.id)->complete);
}

TEST(BlockWriter, LeavesNothingWhenItIsDropped) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs, {.size_bytes_max = 100});
  {
    auto writer = store->NewWriter(FileType::kFile, 100);
    ASSERT_TRUE((*writer)->Append("some").ok());
    EXPECT_EQ(ReasonOf(store->NewWriter(FileType::kFile, 1).status()), ErrorReason::kStorageFull);
  }

  EXPECT_TRUE(fs.ListDir(std::string(kStoreDir) + "/tmp")->empty());
  EXPECT_TRUE(store->NewWriter(FileType::kFile, 100).ok());
}

TEST(BlockWriter, RefusesMoreOrFewerBytesThanAnnounced) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  auto writer = store->NewWriter(FileType::kFile, 5);
  ASSERT_TRUE((*writer)->Append("1234").ok());

  EXPECT_EQ(ReasonOf((*writer)->Append("56")), ErrorReason::kUploadIncomplete);
  EXPECT_EQ(ReasonOf((*writer)->Finish().status()), ErrorReason::kUploadIncomplete);
  EXPECT_TRUE((*writer)->Append("5").ok());
  EXPECT_TRUE((*writer)->Finish().ok());
}

TEST(BlockWriter, AcceptsTheLargestSizeAndNoneAbove) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);

  EXPECT_TRUE(store->NewWriter(FileType::kFile, kFileSizeMax).ok());
  EXPECT_EQ(ReasonOf(store->NewWriter(FileType::kFile, kFileSizeMax + 1).status()),
            ErrorReason::kContentTooLarge);
}

TEST(BlockWriter, KeepsOneOfTwoEqualContents) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs, {.size_bytes_max = 2 * kBlock});
  Content content = Content::Of(kBlock);

  ASSERT_TRUE(WriteAll(*store, content.bytes, kBlock).ok());
  ASSERT_TRUE(WriteAll(*store, content.bytes, kBlock).ok());

  EXPECT_EQ(store->stored_bytes(), int64_t{kBlock});
  EXPECT_TRUE(store->Create(Content::Of(kBlock, 2).manifest).ok());
}

TEST(BlockWriter, CompletesAContentThatIsBeingReceived) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());

  ASSERT_TRUE(WriteAll(*store, content.bytes, kBlock).ok());

  EXPECT_TRUE(store->Find(content.id)->complete);
  EXPECT_TRUE(store->WriteBlock(content.id, 0, content.Block(0)).ok());
  Random random(1);
  fs.PowerCut(random, 0);
  store = OpenStore(fs);
  EXPECT_EQ(*store->ReadBlock(content.id, 0), content.Block(0));
}

TEST(BlockWriter, SaysThatTheDiskIsFull) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  auto writer = store->NewWriter(FileType::kFile, 1000);
  fs.SetCapacity(500);

  EXPECT_EQ(ReasonOf((*writer)->Append(std::string(1000, 'x'))), ErrorReason::kStorageFull);
}

}  // namespace
}  // namespace panal
