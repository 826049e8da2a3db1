// The block store against a naive model: random commands, the same answers.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "tests/support/block_store_testing.h"

namespace panal {
namespace {

// What is held, by content and block. Knows nothing of files.
struct Model {
  std::map<FileId, std::set<uint32_t>> held;

  int64_t Bytes(const std::vector<Content>& contents) const {
    int64_t bytes = 0;
    for (const Content& content : contents) {
      auto at = held.find(content.id);
      if (at == held.end()) continue;
      for (uint32_t i : at->second) bytes += content.manifest.BlockSize(i);
    }
    return bytes;
  }
};

class ModelTest {
 public:
  explicit ModelTest(uint64_t seed) : random_(seed) {
    open_files_ = static_cast<int>(random_.Below(3));
    store_ = OpenStore(fs_, {.open_files_max = open_files_});
    for (uint64_t i = 0; i < 4; ++i) {
      contents_.push_back(Content::Of(i * kBlockSizeMin + 1 + random_.Below(1000), i));
    }
  }

  void Step() {
    const Content& content = contents_[random_.Below(contents_.size())];
    auto index = static_cast<uint32_t>(random_.Below(content.manifest.blocks.size()));
    bool known = model_.held.contains(content.id);
    switch (random_.Below(8)) {
      case 0:
        ASSERT_TRUE(store_->Create(content.manifest).ok());
        model_.held[content.id];
        break;
      case 1:
      case 2:
        ASSERT_EQ(store_->WriteBlock(content.id, index, content.Block(index)).ok(), known);
        if (known) model_.held[content.id].insert(index);
        break;
      case 3:
        ASSERT_FALSE(store_->WriteBlock(content.id, index, "no such block").ok());
        break;
      case 4:
        ASSERT_EQ(store_->Checkpoint(content.id).ok(), known);
        break;
      case 5:
        if (random_.Below(4) == 0) {
          ASSERT_EQ(store_->Remove(content.id).ok(), known);
          model_.held.erase(content.id);
        }
        break;
      case 6:
        if (random_.Below(4) == 0) WriteWhole(content);
        break;
      default:
        if (random_.Below(4) == 0) {
          fs_.Killed();
          store_ = OpenStore(fs_, {.open_files_max = open_files_});
        }
    }
    Compare(content, index);
  }

 private:
  void WriteWhole(const Content& content) {
    auto writer = store_->NewWriter(FileType::kFile, content.bytes.size());
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Append(content.bytes).ok());
    ASSERT_TRUE((*writer)->Finish().ok());
    for (uint32_t i = 0; i < content.manifest.blocks.size(); ++i) model_.held[content.id].insert(i);
  }

  void Compare(const Content& content, uint32_t index) {
    absl::StatusOr<HeldBlocks> found = store_->Find(content.id);
    auto at = model_.held.find(content.id);
    ASSERT_EQ(found.ok(), at != model_.held.end());
    absl::StatusOr<std::string> block = store_->ReadBlock(content.id, index);
    bool held = at != model_.held.end() && at->second.contains(index);
    ASSERT_EQ(block.ok(), held) << block.status();
    if (held) ASSERT_EQ(*block, content.Block(index));
    if (found.ok()) {
      for (uint32_t i = 0; i < found->held.size(); ++i) {
        ASSERT_EQ(found->held[i], at->second.contains(i)) << i;
      }
      ASSERT_EQ(found->complete, at->second.size() == content.manifest.blocks.size());
      for (const Content& each : contents_) (void)store_->Find(each.id);
      ASSERT_EQ(store_->stored_bytes(), model_.Bytes(contents_));
    }
    ASSERT_EQ(store_->List().size(), model_.held.size());
  }

  Random random_;
  FaultyFileSystem fs_;
  int open_files_ = 0;
  std::unique_ptr<BlockStore> store_;
  std::vector<Content> contents_;
  Model model_;
};

TEST(BlockStoreModel, AnswersAsTheModelDoes) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    ModelTest test(seed);
    for (int step = 0; step < 40; ++step) {
      ASSERT_NO_FATAL_FAILURE(test.Step()) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace panal
