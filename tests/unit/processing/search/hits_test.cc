#include "server/processing/search/hits.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/model/frame.h"
#include "tests/unit/processing/search/search_mesh.h"

namespace panal {
namespace {

Hit MakeHit(absl::string_view name, uint64_t publisher = 1) {
  Hit hit;
  hit.record.name = std::string(name);
  hit.record.id = Sha256(name);
  hit.publisher.id = PeerIdOf(publisher);
  return hit;
}

TEST(HitMerger, PassesEveryHitOnce) {
  HitMerger merger(10);

  merger.Add({MakeHit("a"), MakeHit("b"), MakeHit("a")});
  EXPECT_EQ(merger.Take().size(), 2u);
  merger.Add({MakeHit("b"), MakeHit("c")});

  const std::vector<Hit> fresh = merger.Take();
  ASSERT_EQ(fresh.size(), 1u);
  EXPECT_EQ(fresh[0].record.name, "c");
  EXPECT_FALSE(merger.truncated());
}

TEST(HitMerger, KeepsKindNameAndPublisherApart) {
  HitMerger merger(10);
  Hit other_kind = MakeHit("a");
  other_kind.record.kind = RecordKind::kDirectory;

  merger.Add({MakeHit("a"), MakeHit("a", 2), MakeHit("b"), other_kind});

  EXPECT_EQ(merger.Take().size(), 4u);
}

Hit Version(Hit hit, uint64_t version, absl::string_view content) {
  hit.record.version = version;
  hit.record.id = Sha256(content);
  return hit;
}

Hit At(Hit hit, uint64_t publisher_version, const std::string& address) {
  hit.publisher_version = publisher_version;
  hit.publisher.addresses = {address};
  return hit;
}

TEST(HitMerger, PassesTheNewerVersionOfARecord) {
  HitMerger merger(1);
  merger.Add({Version(MakeHit("a"), 1, "old"), Version(MakeHit("a"), 2, "new")});

  std::vector<Hit> fresh = merger.Take();
  ASSERT_EQ(fresh.size(), 1u);
  EXPECT_EQ(fresh[0].record.id, Sha256("new"));
  EXPECT_FALSE(merger.truncated());
  merger.Add({Version(MakeHit("a"), 1, "old"), Version(MakeHit("a"), 2, "new")});
  EXPECT_FALSE(merger.HasFresh());
}

TEST(HitMerger, ANewerVersionFollowsAnOlderOneThatWasPassed) {
  HitMerger merger(2);
  merger.Add({Version(MakeHit("a"), 1, "old")});
  merger.Take();

  merger.Add({Version(MakeHit("a"), 2, "new")});

  EXPECT_EQ(merger.Take().at(0).record.version, 2u);
}

TEST(HitMerger, KeepsTheAddressesOfTheNewerPeerRecord) {
  for (bool stale_first : {true, false}) {
    HitMerger merger(1);
    const Hit stale = At(MakeHit("a"), 1, "old:1");
    const Hit moved = At(MakeHit("a"), 2, "new:1");
    merger.Add(stale_first ? std::vector<Hit>{stale, moved} : std::vector<Hit>{moved, stale});

    const std::vector<Hit> fresh = merger.Take();
    ASSERT_EQ(fresh.size(), 1u);
    EXPECT_EQ(fresh[0].publisher.addresses, std::vector<std::string>{"new:1"});
  }
}

TEST(HitMerger, NewerAddressesFollowStaleOnesThatWerePassed) {
  HitMerger merger(1);
  merger.Add({At(MakeHit("a"), 1, "old:1")});
  merger.Take();

  merger.Add({At(MakeHit("a"), 1, "old:1"), At(MakeHit("a"), 2, "new:1")});

  const std::vector<Hit> fresh = merger.Take();
  ASSERT_EQ(fresh.size(), 1u);
  EXPECT_EQ(fresh[0].publisher_version, 2u);
}

TEST(HitMerger, LimitIsReachedWithoutTruncation) {
  HitMerger merger(2);

  merger.Add({MakeHit("a"), MakeHit("b"), MakeHit("a")});

  EXPECT_EQ(merger.Take().size(), 2u);
  EXPECT_FALSE(merger.truncated());
}

TEST(HitMerger, OnePastTheLimitIsLeftOutAndSaid) {
  HitMerger merger(2);

  merger.Add({MakeHit("a"), MakeHit("b"), MakeHit("c")});

  EXPECT_EQ(merger.Take().size(), 2u);
  EXPECT_TRUE(merger.truncated());
}

TEST(HitMerger, PublishersOfOneIdLeaveRoomForOtherIds) {
  HitMerger merger(3);
  std::vector<Hit> hits;
  for (uint64_t publisher = 1; publisher <= 5; ++publisher) {
    hits.push_back(MakeHit("a", publisher));
  }
  hits.push_back(MakeHit("b"));
  hits.push_back(MakeHit("c"));
  merger.Add(hits);

  EXPECT_EQ(merger.Take().size(), 7u);
  EXPECT_FALSE(merger.truncated());
  // What is full for new ids still tells of further publishers.
  merger.Add({MakeHit("d"), MakeHit("b", 2)});
  EXPECT_EQ(merger.Take().size(), 1u);
  EXPECT_TRUE(merger.truncated());
}

TEST(SplitIntoAnswers, NothingIsOneEmptyPart) {
  const auto parts = SplitIntoAnswers({});

  ASSERT_EQ(parts.size(), 1u);
  EXPECT_TRUE(parts[0].empty());
}

TEST(SplitIntoAnswers, CutsAtTheNumberOfHits) {
  std::vector<Hit> hits;
  for (size_t i = 0; i < kAnswerHitsMax; ++i) hits.push_back(MakeHit(absl::StrCat(i)));
  EXPECT_EQ(SplitIntoAnswers(hits).size(), 1u);

  hits.push_back(MakeHit("one more"));

  const auto parts = SplitIntoAnswers(hits);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].size(), kAnswerHitsMax);
  EXPECT_EQ(parts[1].size(), 1u);
}

TEST(SplitIntoAnswers, CutsAtTheBytesOfAFrame) {
  Hit large = MakeHit(std::string(kRecordNameSizeMax, 'x'));
  for (size_t i = 0; i < kRecordAttributesMax; ++i) {
    large.record.attributes[absl::StrCat("k", i, std::string(60, 'k'))] =
        std::string(kAttributeValueSizeMax, 'v');
  }

  const auto parts = SplitIntoAnswers(std::vector<Hit>(100, large));

  EXPECT_GT(parts.size(), 4u);
  size_t hits = 0;
  for (const auto& part : parts) {
    hits += part.size();
    EXPECT_LE(part.size() * HitFrameSizeMax(large), kAnswerHitsSizeMax);
  }
  EXPECT_EQ(hits, 100u);
  EXPECT_GT((parts[0].size() + 1) * HitFrameSizeMax(large), kAnswerHitsSizeMax);
}

}  // namespace
}  // namespace panal
