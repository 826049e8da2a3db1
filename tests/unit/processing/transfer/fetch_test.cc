#include "server/processing/transfer/fetch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace panal {
namespace {

PeerId Peer(int number) {
  PeerId id;
  id.bytes[0] = static_cast<uint8_t>(number);
  return id;
}

template <typename T>
std::vector<T> Only(const std::vector<FetchOutput>& outputs) {
  std::vector<T> only;
  for (const FetchOutput& output : outputs) {
    if (const T* one = std::get_if<T>(&output)) only.push_back(*one);
  }
  return only;
}

class FetchTest : public testing::Test {
 protected:
  void Begin(std::vector<bool> held, FetchOptions options = {}) {
    fetch_ = Fetch::Create(std::move(held), block_size_, options, random_);
  }

  std::vector<FetchOutput> Do(const FetchInput& input) {
    std::vector<FetchOutput> outputs;
    fetch_->Handle(input, now_, outputs);
    fetch_->CheckInvariants();
    return outputs;
  }

  std::vector<FetchOutput> AddReady(int number, std::vector<bool> held = {}) {
    Do(SourceAdded{Peer(number)});
    return Do(SourceReady{Peer(number), std::move(held)});
  }

  uint32_t block_size_ = 256 * 1024;
  Random random_{1};
  absl::Time now_ = absl::UnixEpoch();
  std::unique_ptr<Fetch> fetch_;
};

TEST_F(FetchTest, CompletesAtOnceWhenNothingIsMissing) {
  Begin({true, true});

  EXPECT_EQ(Only<FetchComplete>(Do(FetchTick{})).size(), 1u);
  EXPECT_TRUE(fetch_->complete());
}

TEST_F(FetchTest, AsksEachMissingBlockOnce) {
  Begin({false, true, false});

  std::vector<WantBlock> wants = Only<WantBlock>(AddReady(1));

  std::set<uint32_t> asked;
  for (const WantBlock& want : wants) asked.insert(want.index);
  EXPECT_EQ(wants.size(), 2u);
  EXPECT_EQ(asked, (std::set<uint32_t>{0, 2}));
}

TEST_F(FetchTest, KeepsToTheWindowOfASource) {
  Begin(std::vector<bool>(100, false), {.wants_per_source_max = 3});

  std::vector<WantBlock> wants = Only<WantBlock>(AddReady(1));
  ASSERT_EQ(wants.size(), 3u);

  EXPECT_EQ(Only<WantBlock>(Do(BlockStored{Peer(1), wants[0].index})).size(), 1u);
}

TEST_F(FetchTest, AsksTheRarestBlockFirst) {
  Begin(std::vector<bool>(3, false), {.wants_per_source_max = 1});
  Do(SourceAdded{Peer(1)});
  Do(SourceAdded{Peer(2)});
  Do(SourceReady{Peer(2), {true, false, true}});

  std::vector<WantBlock> wants = Only<WantBlock>(Do(SourceReady{Peer(1), {}}));

  ASSERT_EQ(wants.size(), 1u);
  EXPECT_EQ(wants[0].index, 1u);
}

TEST_F(FetchTest, DropsASourceThatSentACorruptBlockForGood) {
  Begin(std::vector<bool>(2, false));
  std::vector<WantBlock> wants = Only<WantBlock>(AddReady(1));

  auto outputs = Do(BlockFailed{Peer(1), wants[0].index, BlockFailure::kCorrupt});

  EXPECT_EQ(Only<CloseSource>(outputs).size(), 1u);
  ASSERT_EQ(Only<SourcesExhausted>(outputs).size(), 1u);
  EXPECT_NE(Only<SourcesExhausted>(outputs)[0].why.find("corrupt"), std::string::npos);
  EXPECT_TRUE(Only<OpenSource>(Do(SourceAdded{Peer(1)})).empty());
}

TEST_F(FetchTest, AsksAnotherSourceWhenOneIsLost) {
  Begin(std::vector<bool>(4, false), {.wants_per_source_max = 4});
  AddReady(1);
  Do(SourceFailed{Peer(1), "gone"});

  std::set<uint32_t> asked;
  for (const WantBlock& want : Only<WantBlock>(AddReady(2))) asked.insert(want.index);

  EXPECT_EQ(asked.size(), 4u);
}

TEST_F(FetchTest, GivesAWantThatTimedOutToAnotherSource) {
  Begin({false}, {.block_wait_min = absl::Seconds(5)});
  AddReady(1);
  AddReady(2);

  now_ += absl::Seconds(6);
  std::vector<WantBlock> wants = Only<WantBlock>(Do(FetchTick{}));

  EXPECT_FALSE(wants.empty());
}

// 16 MiB at the 64 KiB/s of a first block: 256 s.
TEST_F(FetchTest, WaitsForALargeBlockAsLongAsASlowLineTakes) {
  block_size_ = 16 * 1024 * 1024;
  Begin({false});
  ASSERT_EQ(Only<WantBlock>(AddReady(1)).size(), 1u);

  now_ += absl::Seconds(255);
  EXPECT_TRUE(Only<WantBlock>(Do(FetchTick{})).empty());
  now_ += absl::Seconds(1);
  EXPECT_EQ(Only<WantBlock>(Do(FetchTick{})).size(), 1u);  // Once more.
}

TEST_F(FetchTest, DropsASourceThatAnswersNothingAfterTwoSilences) {
  Begin({false});
  AddReady(1);

  now_ += absl::Seconds(15);
  EXPECT_TRUE(Only<CloseSource>(Do(FetchTick{})).empty());
  now_ += absl::Seconds(14);
  EXPECT_TRUE(Only<CloseSource>(Do(FetchTick{})).empty());
  now_ += absl::Seconds(1);
  EXPECT_EQ(Only<CloseSource>(Do(FetchTick{})).size(), 1u);
}

// Two minutes a block: a want at the end of the window waits longer than any one block may take.
TEST_F(FetchTest, KeepsASourceThatDeliversSlowlyButSteadily) {
  block_size_ = 16 * 1024 * 1024;
  Begin(std::vector<bool>(8, false), {.wants_per_source_max = 8});
  std::vector<WantBlock> wants = Only<WantBlock>(AddReady(1));
  ASSERT_EQ(wants.size(), 8u);

  for (const WantBlock& want : wants) {
    for (int second = 0; second < 120; ++second) {
      now_ += absl::Seconds(1);
      EXPECT_TRUE(Do(FetchTick{}).empty());
    }
    Do(BlockStored{Peer(1), want.index});
  }

  EXPECT_TRUE(fetch_->complete());
}

// A source that sent four blocks a second and then nothing is not waited for as if it were new.
TEST_F(FetchTest, JudgesASourceByItsPace) {
  block_size_ = 16 * 1024 * 1024;
  Begin(std::vector<bool>(40, false), {.wants_per_source_max = 4});
  std::vector<WantBlock> wants = Only<WantBlock>(AddReady(1));
  for (int i = 0; i < 20; ++i) {
    now_ += absl::Milliseconds(250);
    std::vector<WantBlock> next = Only<WantBlock>(Do(BlockStored{Peer(1), wants[i].index}));
    wants.insert(wants.end(), next.begin(), next.end());
  }

  now_ += absl::Seconds(14);
  EXPECT_TRUE(Only<WantBlock>(Do(FetchTick{})).empty());
  now_ += absl::Seconds(1);
  EXPECT_EQ(Only<WantBlock>(Do(FetchTick{})).size(), 4u);
}

TEST_F(FetchTest, AsksAgainForABlockThatASourcePassesOver) {
  Begin(std::vector<bool>(25, false), {.wants_per_source_max = 2});
  std::vector<WantBlock> wants = Only<WantBlock>(AddReady(1));
  const uint32_t passed_over = wants[0].index;
  uint32_t next = wants[1].index;

  bool again = false;
  for (int second = 0; second < 31; ++second) {
    now_ += absl::Seconds(1);
    for (const WantBlock& want : Only<WantBlock>(Do(BlockStored{Peer(1), next}))) next = want.index;
    for (const WantBlock& want : Only<WantBlock>(Do(FetchTick{}))) {
      again = again || want.index == passed_over;
    }
  }

  EXPECT_TRUE(again);
  EXPECT_EQ(fetch_->sources_open(), 1);  // It lives.
}

TEST_F(FetchTest, UsesTheBlocksThatAPartialSourceGotMeanwhile) {
  Begin({false, false});
  AddReady(1, {true, false});
  Do(BlockStored{Peer(1), 0});
  now_ += absl::Seconds(9);
  EXPECT_TRUE(Only<RefreshSource>(Do(FetchTick{})).empty());
  now_ += absl::Seconds(1);
  ASSERT_EQ(Only<RefreshSource>(Do(FetchTick{})).size(), 1u);
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Only<RefreshSource>(Do(FetchTick{})).empty());  // Under way.

  std::vector<WantBlock> wants = Only<WantBlock>(Do(SourceReady{Peer(1), {true, true}}));

  ASSERT_EQ(wants.size(), 1u);
  EXPECT_EQ(wants[0].index, 1u);
  now_ += absl::Seconds(11);
  EXPECT_TRUE(Only<RefreshSource>(Do(FetchTick{})).empty());  // It holds everything.
}

TEST_F(FetchTest, DropsAPartialSourceThatNoLongerSaysWhatItHolds) {
  Begin({false, false});
  AddReady(1, {true, false});
  Do(BlockStored{Peer(1), 0});
  now_ += absl::Seconds(10);
  ASSERT_EQ(Only<RefreshSource>(Do(FetchTick{})).size(), 1u);

  now_ += absl::Seconds(15);

  EXPECT_EQ(Only<CloseSource>(Do(FetchTick{})).size(), 1u);
}

TEST_F(FetchTest, UsesAtMostTheSourcesAllowedAndKeepsSpares) {
  Begin({false}, {.sources_max = 2});

  EXPECT_EQ(Only<OpenSource>(Do(SourceAdded{Peer(1)})).size(), 1u);
  EXPECT_EQ(Only<OpenSource>(Do(SourceAdded{Peer(2)})).size(), 1u);
  EXPECT_EQ(Only<OpenSource>(Do(SourceAdded{Peer(3)})).size(), 0u);
  EXPECT_EQ(Only<OpenSource>(Do(SourceFailed{Peer(1), "gone"})).size(), 1u);
}

TEST_F(FetchTest, RemembersAtMostTheSourcesAllowed) {
  Begin({false}, {.sources_max = 1, .known_sources_max = 2});
  for (int i = 1; i <= 3; ++i) Do(SourceAdded{Peer(i)});

  int opened = 0;
  for (int i = 1; i <= 3; ++i) {
    opened += static_cast<int>(Only<OpenSource>(Do(SourceFailed{Peer(i), "gone"})).size());
  }

  EXPECT_EQ(opened, 1);  // The first was open already; the third was never remembered.
}

TEST_F(FetchTest, AsksEqualSourcesForEveryBlockOnce) {
  constexpr size_t kBlocks = 40;
  Begin(std::vector<bool>(kBlocks, false));
  std::map<PeerId, std::vector<uint32_t>> queues;
  size_t asked = 0;
  auto note = [&](const std::vector<FetchOutput>& outputs) {
    for (const WantBlock& want : Only<WantBlock>(outputs)) {
      queues[want.source].push_back(want.index);
      ++asked;
    }
  };
  note(AddReady(1));
  note(AddReady(2));

  for (size_t turn = 0; turn < kBlocks && !fetch_->complete(); ++turn) {
    now_ += absl::Milliseconds(200);  // 16 blocks wait for longer than end_game_wait.
    for (auto& [source, queue] : queues) {
      if (queue.empty()) continue;
      const uint32_t index = queue.front();
      queue.erase(queue.begin());
      note(Do(BlockStored{source, index}));
    }
  }

  EXPECT_TRUE(fetch_->complete());
  EXPECT_EQ(asked, kBlocks);
}

TEST_F(FetchTest, AsksAnIdleSourceForWhatAnotherIsLateWith) {
  Begin(std::vector<bool>(8, false), {.wants_per_source_max = 4});
  std::vector<WantBlock> slow = Only<WantBlock>(AddReady(1));
  std::vector<WantBlock> fast = Only<WantBlock>(AddReady(2));
  ASSERT_EQ(slow.size(), 4u);
  ASSERT_EQ(fast.size(), 4u);
  for (const WantBlock& want : fast) {
    now_ += absl::Milliseconds(10);
    EXPECT_TRUE(Only<WantBlock>(Do(BlockStored{Peer(2), want.index})).empty());
  }
  now_ = absl::UnixEpoch() + FetchOptions().end_game_wait - absl::Milliseconds(1);
  EXPECT_TRUE(Only<WantBlock>(Do(FetchTick{})).empty());
  now_ += absl::Milliseconds(1);
  std::vector<WantBlock> again = Only<WantBlock>(Do(FetchTick{}));
  ASSERT_EQ(again.size(), 1u);  // One at a time: the other may still come.
  EXPECT_EQ(again[0].source, Peer(2));

  size_t taken_over = 0;
  for (; !again.empty(); ++taken_over) {
    now_ += absl::Milliseconds(10);
    again = Only<WantBlock>(Do(BlockStored{Peer(2), again[0].index}));
  }

  EXPECT_TRUE(fetch_->complete());
  EXPECT_EQ(taken_over, slow.size());
}

TEST_F(FetchTest, AsksNoMoreThanTwoSourcesForABlock) {
  block_size_ = 64 * 1024;
  Begin({false, false, false});
  std::vector<WantBlock> wants = Only<WantBlock>(AddReady(1));
  ASSERT_EQ(wants.size(), 3u);
  AddReady(2);
  AddReady(3);
  now_ += absl::Seconds(14);  // Late, and before the source counts as silent.

  std::vector<WantBlock> again = Only<WantBlock>(Do(FetchTick{}));
  ASSERT_EQ(again.size(), 2u);
  EXPECT_NE(again[0].index, again[1].index);
  EXPECT_NE(again[0].source, again[1].source);
  EXPECT_TRUE(Only<WantBlock>(Do(FetchTick{})).empty());
}

// A small world: sources hold random blocks, some lie, some vanish. The naive truth: the fetch can
// complete exactly when honest sources that stay hold every missing block.
class FetchProperty : public testing::TestWithParam<uint64_t> {};

TEST_P(FetchProperty, CompletesWheneverHonestSourcesHoldEverything) {
  Random world(GetParam());
  Random random(GetParam() + 1);
  const uint32_t blocks = 1 + static_cast<uint32_t>(world.Below(24));
  std::vector<bool> held(blocks);
  for (uint32_t i = 0; i < blocks; ++i) held[i] = world.Below(4) == 0;
  auto fetch = Fetch::Create(held, 256 * 1024,
                             {.wants_per_source_max = 3, .wants_max = 7, .sources_max = 3}, random);

  struct Truth {
    std::vector<bool> held;
    bool corrupt = false;
    bool vanishes = false;
  };

  std::map<PeerId, Truth> truth;
  std::vector<bool> reachable = held;
  std::vector<FetchInput> pending;
  for (int i = 1; i <= 6; ++i) {
    Truth one{std::vector<bool>(blocks), world.Below(4) == 0, world.Below(4) == 0};
    for (uint32_t b = 0; b < blocks; ++b) {
      one.held[b] = world.Below(2) == 0;
      if (one.held[b] && !one.corrupt && !one.vanishes) reachable[b] = true;
    }
    truth[Peer(i)] = one;
    pending.push_back(SourceAdded{Peer(i)});
  }
  absl::Time now = absl::UnixEpoch();
  bool completed = false;
  bool exhausted = false;
  for (int step = 0; step < 5000 && !pending.empty(); ++step) {
    size_t pick = world.Below(pending.size());
    FetchInput input = pending[pick];
    pending.erase(pending.begin() + static_cast<long>(pick));
    std::vector<FetchOutput> outputs;
    fetch->Handle(input, now, outputs);
    fetch->CheckInvariants();
    for (const FetchOutput& output : outputs) {
      if (const auto* open = std::get_if<OpenSource>(&output)) {
        pending.push_back(SourceReady{open->source, truth[open->source].held});
      } else if (const auto* want = std::get_if<WantBlock>(&output)) {
        const Truth& source = truth[want->source];
        ASSERT_TRUE(source.held[want->index]) << "asked for a block that the source does not hold";
        ASSERT_FALSE(held[want->index]) << "asked for a block that is held";
        if (source.vanishes) {
          pending.push_back(SourceFailed{want->source, "vanished"});
        } else if (source.corrupt) {
          pending.push_back(BlockFailed{want->source, want->index, BlockFailure::kCorrupt});
        } else {
          pending.push_back(BlockStored{want->source, want->index});
        }
      } else if (std::get_if<FetchComplete>(&output) != nullptr) {
        completed = true;
      } else if (std::get_if<SourcesExhausted>(&output) != nullptr) {
        exhausted = true;
      }
    }
    if (const auto* stored = std::get_if<BlockStored>(&input)) held[stored->index] = true;
  }

  bool possible = std::find(reachable.begin(), reachable.end(), false) == reachable.end();
  EXPECT_EQ(completed, possible) << "seed " << GetParam();
  EXPECT_TRUE(completed || exhausted) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, FetchProperty, testing::Range<uint64_t>(0, 500));

}  // namespace
}  // namespace panal
