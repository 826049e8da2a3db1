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

TEST(HitMerger, KeepsKindNamePublisherAndIdApart) {
  HitMerger merger(10);
  Hit other_kind = MakeHit("a");
  other_kind.record.kind = RecordKind::kDirectory;
  Hit other_id = MakeHit("a");
  other_id.record.id = Sha256("b");

  merger.Add({MakeHit("a"), MakeHit("a", 2), other_kind, other_id});

  EXPECT_EQ(merger.Take().size(), 4u);
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
  for (const auto& part : parts) EXPECT_LE(part.size(), 20u);
}

}  // namespace
}  // namespace panal
