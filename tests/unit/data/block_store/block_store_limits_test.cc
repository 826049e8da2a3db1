// Room: the peer's limit, the disk's end, open files, and the block sizes.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "tests/support/block_store_testing.h"

namespace panal {
namespace {

constexpr size_t kBlock = kBlockSizeMin;

TEST(BlockStoreLimits, TakesContentsUpToTheLimitAndNoByteMore) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs, {.size_bytes_max = 100});
  ASSERT_TRUE(store->Create(Content::Of(60).manifest).ok());

  EXPECT_EQ(ReasonOf(store->Create(Content::Of(41, 2).manifest)), ErrorReason::kStorageFull);
  EXPECT_TRUE(store->Create(Content::Of(40, 3).manifest).ok());
  EXPECT_EQ(ReasonOf(store->Create(Content::Of(1, 4).manifest)), ErrorReason::kStorageFull);
}

TEST(BlockStoreLimits, FreesItsRoomWithWhatIsRemoved) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs, {.size_bytes_max = 100});
  Content content = Content::Of(100);
  ASSERT_TRUE(store->Create(content.manifest).ok());

  ASSERT_TRUE(store->Remove(content.id).ok());

  EXPECT_TRUE(store->Create(Content::Of(100, 2).manifest).ok());
}

TEST(BlockStoreLimits, CountsWhatIsThereAlreadyAfterARestart) {
  FaultyFileSystem fs;
  ASSERT_TRUE(OpenStore(fs, {.size_bytes_max = 100})->Create(Content::Of(60).manifest).ok());

  auto store = OpenStore(fs, {.size_bytes_max = 100});

  EXPECT_EQ(ReasonOf(store->Create(Content::Of(41, 2).manifest)), ErrorReason::kStorageFull);
}

TEST(BlockStoreLimits, CreatesOnceWhatIsThereAlready) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs, {.size_bytes_max = 100});
  Content content = Content::Of(100);
  ASSERT_TRUE(store->Create(content.manifest).ok());

  EXPECT_TRUE(store->Create(content.manifest).ok());
  EXPECT_EQ(store->List(), std::vector<FileId>{content.id});
}

TEST(BlockStoreLimits, GoesOnWhenAFullDiskHasRoomAgain) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 0, content.Block(0)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  fs.SetCapacity(kBlock + 1000);

  EXPECT_EQ(ReasonOf(store->WriteBlock(content.id, 1, content.Block(1))),
            ErrorReason::kStorageFull);
  EXPECT_EQ(store->Find(content.id)->held, (std::vector<bool>{true, false}));
  EXPECT_EQ(ReasonOf(store->Create(Content::Of(kBlock, 2).manifest)), ErrorReason::kStorageFull);

  fs.SetCapacity(-1);
  EXPECT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());
  EXPECT_TRUE(store->Checkpoint(content.id).ok());
}

TEST(BlockStoreLimits, GoesOnWhenARealFullDiskHasRoomAgain) {
  if (geteuid() != 0) GTEST_SKIP() << "only root mounts a tmpfs";
  char folder[] = "/tmp/panal_full_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  if (mount("tmpfs", folder, "tmpfs", 0, "size=2m") != 0) {
    rmdir(folder);
    GTEST_SKIP() << "mounting a tmpfs is not allowed here";
  }
  {
    absl::StatusOr<std::unique_ptr<BlockStore>> store =
        BlockStore::Open({.dir = std::string(folder) + "/blocks"}, RealFileSystem());
    ASSERT_TRUE(store.ok()) << store.status();
    Content content = Content::Of(4 * kBlock);
    ASSERT_TRUE((*store)->Create(content.manifest).ok());
    ASSERT_TRUE((*store)->WriteBlock(content.id, 0, content.Block(0)).ok());
    std::string filler = std::string(folder) + "/filler";
    auto file = RealFileSystem().OpenForWrite(filler);
    while ((*file)->WriteAt(*(*file)->Size(), std::string(4096, 'x')).ok()) {
    }

    EXPECT_EQ(ReasonOf((*store)->WriteBlock(content.id, 1, content.Block(1))),
              ErrorReason::kStorageFull);
    EXPECT_EQ(ReasonOf((*store)->NewWriter(FileType::kFile, kBlock).status()),
              ErrorReason::kStorageFull);
    EXPECT_EQ(*(*store)->ReadBlock(content.id, 0), content.Block(0));

    file->reset();
    ASSERT_TRUE(RealFileSystem().Remove(filler).ok());
    for (uint32_t i = 1; i < 4; ++i) {
      EXPECT_TRUE((*store)->WriteBlock(content.id, i, content.Block(i)).ok());
    }
    EXPECT_TRUE((*store)->Checkpoint(content.id).ok());
    EXPECT_TRUE((*store)->Find(content.id)->complete);
  }
  umount2(folder, MNT_DETACH);
  rmdir(folder);
}

TEST(BlockStoreLimits, KeepsNoMoreFilesOpenThanAllowed) {
  char folder[] = "/tmp/panal_open_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  auto open_files = [] {
    auto fds = std::filesystem::directory_iterator("/proc/self/fd");
    return std::distance(begin(fds), end(fds));
  };
  for (int limit : {0, 1, 5}) {
    auto before = open_files();
    BlockStoreOptions options{.dir = std::string(folder), .open_files_max = limit};
    absl::StatusOr<std::unique_ptr<BlockStore>> store = BlockStore::Open(options, RealFileSystem());
    ASSERT_TRUE(store.ok()) << store.status();
    for (uint64_t seed = 0; seed < 10; ++seed) {
      Content content = Content::Of(10, seed);
      ASSERT_TRUE((*store)->Create(content.manifest).ok());
      ASSERT_TRUE((*store)->WriteBlock(content.id, 0, content.bytes).ok());
      ASSERT_TRUE((*store)->ReadBlock(content.id, 0).ok());
    }
    EXPECT_EQ(open_files() - before, limit);
  }
  std::filesystem::remove_all(folder);
}

TEST(BlockStoreLimits, LosesNoBlockWhenAContentFallsOutOfMemory) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs, {.open_files_max = 1});
  Content first = Content::Of(2 * kBlock, 1);
  Content second = Content::Of(2 * kBlock, 2);
  for (const Content* content : {&first, &second}) {
    ASSERT_TRUE(store->Create(content->manifest).ok());
    ASSERT_TRUE(store->WriteBlock(content->id, 0, content->Block(0)).ok());
  }

  EXPECT_EQ(store->Find(first.id)->held, (std::vector<bool>{true, false}));
  EXPECT_EQ(store->Find(second.id)->held, (std::vector<bool>{true, false}));
  EXPECT_EQ(store->stored_bytes(), int64_t{2 * kBlock});
}

// A content that is all zeros but for its last block: sparse on the disk, quick to make.
TEST(BlockStoreLimits, PlacesTheLastBlockOfTheLargestContents) {
  char folder[] = "/tmp/panal_sparse_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  for (uint64_t size : {uint64_t{kBlocksPreferredMax} * kBlockSizeMin,
                        uint64_t{kBlocksPreferredMax} * kBlockSizeMin + 1,
                        uint64_t{kBlocksPreferredMax} * kBlockSizeMax / 2 + 12345}) {
    absl::StatusOr<std::unique_ptr<BlockStore>> store =
        BlockStore::Open({.dir = std::string(folder) + "/blocks"}, RealFileSystem());
    ASSERT_TRUE(store.ok()) << store.status();
    Manifest manifest{.size_bytes = size, .block_size_bytes = BlockSizeFor(size)};
    manifest.blocks.resize((size + manifest.block_size_bytes - 1) / manifest.block_size_bytes,
                           Sha256(std::string(manifest.block_size_bytes, '\0')));
    auto last = static_cast<uint32_t>(manifest.blocks.size() - 1);
    std::string bytes = Random(1).Bytes(manifest.BlockSize(last));
    manifest.blocks[last] = Sha256(bytes);

    absl::Status created = (*store)->Create(manifest);
    if (ReasonOf(created) == ErrorReason::kStorageFull) continue;  // Of a small disk.
    ASSERT_TRUE(created.ok()) << created;
    ASSERT_TRUE((*store)->WriteBlock(manifest.Id(), last, bytes).ok());
    ASSERT_TRUE((*store)->Checkpoint(manifest.Id()).ok());

    EXPECT_EQ(*(*store)->ReadBlock(manifest.Id(), last), bytes);
    EXPECT_EQ((*store)->Find(manifest.Id())->held_bytes, bytes.size());
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace panal
