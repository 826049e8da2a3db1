#include "common/model/hit_limit.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"

namespace panal {
namespace {

using Verdict = HitLimit::Verdict;

Hit MakeHit(absl::string_view id, uint64_t publisher = 1, absl::string_view name = "name") {
  Hit hit;
  hit.record.name = std::string(name);
  hit.record.id = Sha256(id);
  hit.publisher.id = PeerId{Sha256(absl::StrCat("publisher ", publisher)).bytes};
  return hit;
}

TEST(HitLimit, CountsIdsAndNotWhoPublishesThem) {
  HitLimit limit(2);

  for (uint64_t publisher = 1; publisher <= 5; ++publisher) {
    EXPECT_EQ(limit.Take(MakeHit("a", publisher)), Verdict::kTaken);
  }
  EXPECT_EQ(limit.Take(MakeHit("b")), Verdict::kTaken);
  EXPECT_EQ(limit.Take(MakeHit("c")), Verdict::kFull);
  EXPECT_EQ(limit.Take(MakeHit("a", 6)), Verdict::kTaken);
  EXPECT_EQ(limit.hits(), 7u);
}

TEST(HitLimit, TellsAsManyPublishersOfAnIdAsItsBound) {
  HitLimit limit(1);
  for (uint64_t publisher = 0; publisher < kPublishersPerIdMax; ++publisher) {
    ASSERT_EQ(limit.Take(MakeHit("a", publisher)), Verdict::kTaken);
  }

  EXPECT_EQ(limit.Take(MakeHit("a", kPublishersPerIdMax)), Verdict::kSurplus);
  EXPECT_EQ(limit.Take(MakeHit("a", 0, "another name")), Verdict::kTaken);
}

TEST(HitLimit, TellsAsManyNamesOfAPublisherAsItsBound) {
  HitLimit limit(1);
  for (size_t i = 0; i < kNamesPerPublisherMax; ++i) {
    ASSERT_EQ(limit.Take(MakeHit("a", 1, absl::StrCat(i))), Verdict::kTaken);
  }

  EXPECT_EQ(limit.Take(MakeHit("a", 1, "one more")), Verdict::kSurplus);
  EXPECT_EQ(limit.Take(MakeHit("a", 2, "of another")), Verdict::kTaken);
}

TEST(HitLimit, EndsAtItsHitsInAllWhateverTheLimit) {
  HitLimit limit(10'000);
  size_t taken = 0;
  for (size_t i = 0; taken < kSearchHitsMax; ++i) {
    for (uint64_t publisher = 0; publisher < 8; ++publisher, ++taken) {
      ASSERT_EQ(limit.Take(MakeHit(absl::StrCat(i), publisher)), Verdict::kTaken);
    }
  }
  ASSERT_EQ(taken, kSearchHitsMax);

  EXPECT_EQ(limit.Take(MakeHit("0", 9)), Verdict::kFull);
}

TEST(HitLimit, CountsObjectsByPublisherAndName) {
  HitLimit limit(2);
  Hit object = MakeHit("");
  object.record.kind = RecordKind::kObject;
  object.record.id = {};
  Hit renamed = object;
  renamed.record.name = "other";
  Hit third = MakeHit("", 2);
  third.record.kind = RecordKind::kObject;
  third.record.id = {};

  EXPECT_EQ(limit.Take(object), Verdict::kTaken);
  EXPECT_EQ(limit.Take(renamed), Verdict::kTaken);
  EXPECT_EQ(limit.Take(third), Verdict::kFull);
}

TEST(HitLimit, GivesBackRoom) {
  HitLimit limit(1);
  ASSERT_EQ(limit.Take(MakeHit("a")), Verdict::kTaken);
  ASSERT_EQ(limit.Take(MakeHit("b")), Verdict::kFull);

  limit.Release(MakeHit("a"));

  EXPECT_EQ(limit.Take(MakeHit("b")), Verdict::kTaken);
  EXPECT_EQ(limit.hits(), 1u);
}

}  // namespace
}  // namespace panal
