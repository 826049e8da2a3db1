#include "server/data/block_store/block_store.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/support/block_store_testing.h"

namespace panal {
namespace {

constexpr size_t kBlock = kBlockSizeMin;

TEST(BlockStore, HoldsTheBlocksThatWereWritten) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock + 5);
  ASSERT_TRUE(store->Create(content.manifest).ok());

  ASSERT_TRUE(store->WriteBlock(content.id, 2, content.Block(2)).ok());

  absl::StatusOr<HeldBlocks> held = store->Find(content.id);
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_EQ(held->held, (std::vector<bool>{false, false, true}));
  EXPECT_EQ(held->held_bytes, 5u);
  EXPECT_FALSE(held->complete);
  EXPECT_EQ(held->manifest, content.manifest);
  EXPECT_EQ(store->stored_bytes(), 5);
  EXPECT_EQ(*store->ReadBlock(content.id, 2), content.Block(2));
  EXPECT_EQ(ReasonOf(store->ReadBlock(content.id, 0).status()), ErrorReason::kFileIncomplete);
}

TEST(BlockStore, IsCompleteWithItsLastBlock) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());

  for (uint32_t i : {1, 0}) ASSERT_TRUE(store->WriteBlock(content.id, i, content.Block(i)).ok());

  EXPECT_TRUE(store->Find(content.id)->complete);
  EXPECT_EQ(store->stored_bytes(), int64_t{2 * kBlock});
}

TEST(BlockStore, HasNothingMissingOfAnEmptyContent) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content("");

  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());

  EXPECT_TRUE(store->Find(content.id)->complete);
  EXPECT_EQ(ReasonOf(store->ReadBlock(content.id, 0).status()), ErrorReason::kRangeInvalid);
}

TEST(BlockStore, RefusesABlockThatDoesNotHashToItsManifest) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(kBlock + 1);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  std::string wrong = content.Block(0);
  wrong[7] = static_cast<char>(wrong[7] ^ 1);

  EXPECT_EQ(ReasonOf(store->WriteBlock(content.id, 0, wrong)), ErrorReason::kBlockCorrupt);
  EXPECT_EQ(ReasonOf(store->WriteBlock(content.id, 0, "short")), ErrorReason::kBlockCorrupt);
  EXPECT_EQ(ReasonOf(store->WriteBlock(content.id, 1, content.Block(0))),
            ErrorReason::kBlockCorrupt);
  EXPECT_EQ(ReasonOf(store->WriteBlock(content.id, 2, content.Block(0))),
            ErrorReason::kBlockCorrupt);
  EXPECT_EQ(store->stored_bytes(), 0);
}

TEST(BlockStore, DoesNotKnowWhatWasNotCreated) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(10);

  EXPECT_EQ(ReasonOf(store->Find(content.id).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(store->WriteBlock(content.id, 0, content.bytes)), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(store->ReadBlock(content.id, 0).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(store->Checkpoint(content.id)), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(store->Remove(content.id).status()), ErrorReason::kFileNotFound);
}

TEST(BlockStore, KeepsCheckpointedBlocksThroughLostPower) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(3 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 2, content.Block(2)).ok());

  Random random(1);
  fs.PowerCut(random, 0);
  store = OpenStore(fs);

  EXPECT_EQ(store->Find(content.id)->held, (std::vector<bool>{false, true, false}));
  EXPECT_EQ(*store->ReadBlock(content.id, 1), content.Block(1));
}

TEST(BlockStore, FindsBlocksWrittenAfterTheCheckpointWhenTheProcessWasKilled) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(3 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 2, content.Block(2)).ok());

  fs.Killed();
  store = OpenStore(fs);

  EXPECT_EQ(store->Find(content.id)->held, (std::vector<bool>{false, true, true}));
  EXPECT_EQ(store->stored_bytes(), int64_t{2 * kBlock});
}

TEST(BlockStore, HashesNothingAgainAfterACleanCheckpoint) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(4 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 0, content.Block(0)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  fs.Killed();
  store = OpenStore(fs);
  int64_t before = fs.operations();

  ASSERT_TRUE(store->Find(content.id).ok());

  // Open, size and read of the map; the three blocks that are missing are not read.
  EXPECT_EQ(fs.operations() - before, 3);
}

TEST(BlockStore, ForgetsACorruptBlockAndTakesItAgain) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  for (uint32_t i : {0, 1}) ASSERT_TRUE(store->WriteBlock(content.id, i, content.Block(i)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  fs.CorruptByte(DataPath(fs, content.id), kBlock + 3);

  EXPECT_EQ(ReasonOf(store->ReadBlock(content.id, 1).status()), ErrorReason::kBlockCorrupt);
  EXPECT_EQ(store->Find(content.id)->held, (std::vector<bool>{true, false}));
  EXPECT_EQ(store->stored_bytes(), int64_t{kBlock});
  EXPECT_EQ(ReasonOf(store->ReadBlock(content.id, 1).status()), ErrorReason::kFileIncomplete);

  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());
  EXPECT_EQ(*store->ReadBlock(content.id, 1), content.Block(1));
}

TEST(BlockStore, NoLongerClaimsACorruptBlockBeforeItIsOverwritten) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  for (uint32_t i : {0, 1}) ASSERT_TRUE(store->WriteBlock(content.id, i, content.Block(i)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  fs.CorruptByte(DataPath(fs, content.id), 3);
  ASSERT_FALSE(store->ReadBlock(content.id, 0).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 0, content.Block(0)).ok());

  Random random(1);
  fs.PowerCut(random, 0);
  store = OpenStore(fs);

  EXPECT_EQ(store->Find(content.id)->held, (std::vector<bool>{false, true}));
}

TEST(BlockStore, ReturnsCorruptBytesOnlyWhenToldNotToVerify) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(10);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 0, content.bytes).ok());
  fs.CorruptByte(DataPath(fs, content.id), 3);

  EXPECT_TRUE(store->ReadBlock(content.id, 0, /*verify=*/false).ok());
  EXPECT_FALSE(store->ReadBlock(content.id, 0).ok());
}

TEST(BlockStore, ForgetsWhatAFailedSyncMayHaveLost) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 0, content.Block(0)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());
  fs.FailNextSync();

  EXPECT_EQ(ReasonOf(store->Checkpoint(content.id)), ErrorReason::kStorageFailed);
  EXPECT_EQ(store->Find(content.id)->held, (std::vector<bool>{true, false}));

  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  Random random(1);
  fs.PowerCut(random, 0);
  EXPECT_TRUE(OpenStore(fs)->Find(content.id)->complete);
}

TEST(BlockStore, RemovesDataAndMap) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(kBlock + 9);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());

  absl::StatusOr<int64_t> freed = store->Remove(content.id);

  ASSERT_TRUE(freed.ok()) << freed.status();
  EXPECT_EQ(*freed, 9);
  EXPECT_EQ(store->stored_bytes(), 0);
  EXPECT_EQ(DataPath(fs, content.id), "");
  EXPECT_FALSE(fs.Exists(MapPath(content.id)));
  EXPECT_EQ(ReasonOf(store->Find(content.id).status()), ErrorReason::kFileNotFound);
  EXPECT_TRUE(store->List().empty());
}

TEST(BlockStore, CanBeGivenAgainWhatWasRemoved) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(10);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 0, content.bytes).ok());
  ASSERT_TRUE(store->Remove(content.id).ok());

  ASSERT_TRUE(store->Create(content.manifest).ok());

  EXPECT_FALSE(store->Find(content.id)->complete);
  EXPECT_TRUE(store->WriteBlock(content.id, 0, content.bytes).ok());
}

TEST(BlockStore, RecoversTheBlocksOfADamagedMap) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(2 * kBlock);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE(store->WriteBlock(content.id, 1, content.Block(1)).ok());
  ASSERT_TRUE(store->Checkpoint(content.id).ok());
  fs.CorruptByte(MapPath(content.id), 50);
  fs.Killed();

  store = OpenStore(fs);
  EXPECT_TRUE(store->List().empty());

  ASSERT_TRUE(store->Create(content.manifest).ok());
  EXPECT_EQ(store->Find(content.id)->held, (std::vector<bool>{false, true}));
}

TEST(BlockStore, RefusesAStoreOfALaterVersion) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs);
  Content content = Content::Of(10);
  ASSERT_TRUE(store->Create(content.manifest).ok());
  ASSERT_TRUE((*fs.OpenForWrite(MapPath(content.id)))->WriteAt(19, "\x02").ok());
  fs.Killed();

  absl::StatusOr<std::unique_ptr<BlockStore>> opened = BlockStore::Open({.dir = kStoreDir}, fs);

  EXPECT_EQ(ReasonOf(opened.status()), ErrorReason::kDataDirTooNew);
}

TEST(BlockStore, DropsWhatACrashLeftBehind) {
  FaultyFileSystem fs;
  OpenStore(fs).reset();
  Content content = Content::Of(10);
  std::string folder = MapPath(content.id).substr(0, MapPath(content.id).rfind('/'));
  std::string orphan = folder + "/" + content.id.ToText() + ".0000000000000007";
  ASSERT_TRUE(fs.MakeDirs(folder).ok());
  ASSERT_TRUE(fs.OpenForWrite(std::string(kStoreDir) + "/tmp/7").ok());
  ASSERT_TRUE(fs.OpenForWrite(orphan).ok());
  ASSERT_TRUE(fs.OpenForWrite(MapPath(content.id) + ".new").ok());

  OpenStore(fs).reset();

  EXPECT_FALSE(fs.Exists(std::string(kStoreDir) + "/tmp/7"));
  EXPECT_FALSE(fs.Exists(orphan));
  EXPECT_FALSE(fs.Exists(MapPath(content.id) + ".new"));
}

TEST(BlockStore, ServesManyThreadsAtOnce) {
  FaultyFileSystem fs;
  auto store = OpenStore(fs, {.open_files_max = 1});
  std::vector<Content> contents;
  for (uint64_t seed = 0; seed < 3; ++seed) contents.push_back(Content::Of(3 * kBlock, seed));
  for (const Content& content : contents) ASSERT_TRUE(store->Create(content.manifest).ok());

  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uint32_t i = 0; i < 3; ++i) {
        for (const Content& content : contents) {
          EXPECT_TRUE(store->WriteBlock(content.id, i, content.Block(i)).ok());
          EXPECT_EQ(*store->ReadBlock(content.id, i), content.Block(i));
          EXPECT_TRUE(store->Checkpoint(content.id).ok());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  for (const Content& content : contents) EXPECT_TRUE(store->Find(content.id)->complete);
  EXPECT_EQ(store->stored_bytes(), int64_t{9 * kBlock});
}

}  // namespace
}  // namespace panal
