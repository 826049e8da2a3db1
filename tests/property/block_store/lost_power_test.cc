// Lost power at a random operation: what was acknowledged is there, and nothing is claimed that is
// wrong.
//
// Method: random commands on a file system that drops any subset of what was not synced. After a
// cut the store is opened again and compared with what its answers promised; then the commands go
// on.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "tests/support/block_store_testing.h"

namespace panal {
namespace {

class LostPowerTest {
 public:
  LostPowerTest(uint64_t seed, bool kill) : random_(seed), kill_(kill) {
    for (uint64_t i = 0; i < 3; ++i) {
      contents_.push_back(Content::Of(i * kBlockSizeMin + 1 + random_.Below(1000), i));
    }
    open_files_ = static_cast<int>(random_.Below(3));
    store_ = OpenStore(fs_, {.open_files_max = open_files_});
  }

  void Round() {
    fs_.StopAfter(static_cast<int64_t>(random_.Below(120)));
    for (int step = 0; step < 30; ++step) Command();
    if (kill_) {
      fs_.Killed();
    } else {
      const double survivals[] = {0, 0.3, 0.7, 1};
      fs_.PowerCut(random_, survivals[random_.Below(4)]);
    }
    store_ = OpenStore(fs_, {.open_files_max = open_files_});
    Check();
  }

 private:
  void Command() {
    const Content& content = contents_[random_.Below(contents_.size())];
    auto index = static_cast<uint32_t>(random_.Below(content.manifest.blocks.size()));
    switch (random_.Below(10)) {
      case 0:
      case 1:
        (void)store_->Create(content.manifest);
        break;
      case 2:
      case 3:
      case 4:
        if (store_->WriteBlock(content.id, index, content.Block(index)).ok()) {
          written_[content.id].insert(index);
        }
        break;
      case 5:
      case 6:
        if (store_->Checkpoint(content.id).ok()) safe_[content.id] = written_[content.id];
        break;
      case 7:
        if (random_.Below(3) == 0) Remove(content);
        break;
      case 8:
        if (random_.Below(3) == 0) WriteWhole(content);
        break;
      default:
        (void)store_->ReadBlock(content.id, index);
    }
  }

  void Remove(const Content& content) {
    // From here on nothing of it is promised.
    safe_.erase(content.id);
    written_.erase(content.id);
    (void)store_->Remove(content.id);
  }

  void WriteWhole(const Content& content) {
    auto writer = store_->NewWriter(FileType::kFile, content.bytes.size());
    if (!writer.ok() || !(*writer)->Append(content.bytes).ok() || !(*writer)->Finish().ok()) return;
    for (uint32_t i = 0; i < content.manifest.blocks.size(); ++i) written_[content.id].insert(i);
    safe_[content.id] = written_[content.id];
  }

  void Check() {
    const auto& promised = kill_ ? written_ : safe_;
    for (const Content& content : contents_) {
      auto at = promised.find(content.id);
      std::set<uint32_t> blocks = at == promised.end() ? std::set<uint32_t>() : at->second;
      absl::StatusOr<HeldBlocks> held = store_->Find(content.id);
      ASSERT_TRUE(held.ok() || blocks.empty()) << held.status();
      std::set<uint32_t> found;
      for (uint32_t i = 0; held.ok() && i < held->held.size(); ++i) {
        if (!held->held[i]) continue;
        found.insert(i);
        absl::StatusOr<std::string> block = store_->ReadBlock(content.id, i);
        ASSERT_TRUE(block.ok()) << "claimed and wrong: " << block.status();
        ASSERT_EQ(*block, content.Block(i));
      }
      for (uint32_t i : blocks) ASSERT_TRUE(found.contains(i)) << "lost block " << i;
      written_[content.id] = found;
      safe_[content.id] = blocks;
    }
  }

  Random random_;
  const bool kill_;
  FaultyFileSystem fs_;
  int open_files_ = 0;
  std::unique_ptr<BlockStore> store_;
  std::vector<Content> contents_;
  std::map<FileId, std::set<uint32_t>> written_;  // Promised to survive kill -9.
  std::map<FileId, std::set<uint32_t>> safe_;     // Promised to survive lost power.
};

TEST(LostPower, KeepsWhatWasAcknowledgedAndClaimsNothingWrong) {
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE(seed);
    LostPowerTest test(seed, /*kill=*/false);
    for (int round = 0; round < 3; ++round) ASSERT_NO_FATAL_FAILURE(test.Round()) << round;
  }
}

TEST(LostPower, KeepsEveryBlockWrittenWhenOnlyTheProcessDies) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    LostPowerTest test(seed, /*kill=*/true);
    for (int round = 0; round < 3; ++round) ASSERT_NO_FATAL_FAILURE(test.Round()) << round;
  }
}

}  // namespace
}  // namespace panal
