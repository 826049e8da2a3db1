#include "server/processing/admission/fact_set.h"

#include <algorithm>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/processing/admission/facts_for_tests.h"

namespace panal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Outcome = FactSet::Outcome;

constexpr FactQuota QuotaOf(FactKind kind) { return kFactQuotas[static_cast<size_t>(kind)]; }

Outcome Add(FactSet& set, const FactPtr& fact, absl::Time now = kFactsNow) {
  FactPtr displaced;
  const Outcome outcome = set.Add(fact, now, &displaced);
  EXPECT_EQ(displaced, nullptr);
  return outcome;
}

// Facts of `kind`, each signer as many as it may, until `count` are there.
void Fill(FactSet& set, const FactBody& body, FactKind kind, size_t count) {
  const size_t each = QuotaOf(kind).per_signer;
  for (size_t i = 0; i < count; ++i) {
    const auto signer = kind == FactKind::kRoot ? 0 : static_cast<uint32_t>(1 + i / each);
    ASSERT_EQ(Add(set, TestFact(signer, body, static_cast<uint32_t>(i)), kFactsNow),
              Outcome::kAdded);
  }
  set.CheckInvariants();
}

TEST(FactSet, TakesAFactOnceAndFindsItByName) {
  FactSet set;
  const FactPtr fact = TestRevocation(1, 1);

  EXPECT_EQ(Add(set, fact, kFactsNow), Outcome::kAdded);
  EXPECT_EQ(Add(set, fact, kFactsNow), Outcome::kKnown);

  EXPECT_EQ(set.Find(NameOf(fact->id)), fact);
  EXPECT_EQ(set.Find(NameOf(TestRevocation(1, 2)->id)), nullptr);
  EXPECT_THAT(set.Names(), ElementsAre(NameOf(fact->id)));
}

TEST(FactSet, HasTheSameDigestInWhateverOrderFactsCame) {
  FactSet one;
  FactSet other;
  const FactDigest none = one.Digest();
  for (uint32_t i : {1, 2, 3}) Add(one, TestRevocation(1, i), kFactsNow);
  for (uint32_t i : {3, 1}) Add(other, TestRevocation(1, i), kFactsNow);
  EXPECT_NE(one.Digest(), other.Digest());
  EXPECT_NE(other.Digest(), none);

  Add(other, TestRevocation(1, 2), kFactsNow);

  EXPECT_EQ(one.Digest(), other.Digest());
  EXPECT_EQ(one.Digest().count, 3u);
}

TEST(FactSet, ForgetsWhatHasExpiredAndNothingElse) {
  FactSet set;
  const FactPtr brief = TestRevocation(1, 1, absl::Hours(1));
  Add(set, brief, kFactsNow);
  Add(set, TestRevocation(1, 2, absl::Hours(2)), kFactsNow);
  const FactDigest before = set.Digest();

  EXPECT_THAT(set.Expire(kFactsNow + absl::Hours(1) - absl::Seconds(1)), IsEmpty());
  EXPECT_THAT(set.Expire(kFactsNow + absl::Hours(1)), ElementsAre(brief));

  EXPECT_EQ(set.size(), 1u);
  EXPECT_NE(set.Digest(), before);
  EXPECT_EQ(Add(set, brief, kFactsNow + absl::Hours(1)), Outcome::kExpired);
  set.CheckInvariants();
}

TEST(FactSet, TakesAsManyOfASignerAsItsQuota) {
  const std::pair<FactBody, FactKind> kinds[] = {{Revocation{}, FactKind::kRevocation},
                                                 {MovedTo{}, FactKind::kMove},
                                                 {Redemption{}, FactKind::kRedemption}};
  for (const auto& [body, kind] : kinds) {
    FactSet set;
    const auto most = static_cast<uint32_t>(QuotaOf(kind).per_signer);
    Fill(set, body, kind, most);

    EXPECT_EQ(Add(set, TestFact(1, body, most), kFactsNow), Outcome::kFull);
    EXPECT_EQ(Add(set, TestFact(2, body, most), kFactsNow), Outcome::kAdded);
  }
}

TEST(FactSet, TakesAsManyOfAKindAsItsQuotaAndOthersBesideThem) {
  FactSet set;
  Fill(set, Redemption{}, FactKind::kRedemption, QuotaOf(FactKind::kRedemption).facts);
  Fill(set, MovedTo{}, FactKind::kMove, QuotaOf(FactKind::kMove).facts);
  EXPECT_EQ(Add(set, TestFact(9999, Redemption{}, 99'999), kFactsNow), Outcome::kFull);
  EXPECT_EQ(Add(set, TestFact(9999, MovedTo{}, 99'999), kFactsNow), Outcome::kFull);

  Fill(set, Revocation{}, FactKind::kRevocation, QuotaOf(FactKind::kRevocation).facts);
  EXPECT_EQ(Add(set, TestRevocation(9999, 99'999), kFactsNow), Outcome::kFull);

  Fill(set, Revocation{}, FactKind::kRoot, QuotaOf(FactKind::kRoot).facts);
  EXPECT_EQ(Add(set, TestRevocation(0, 9999), kFactsNow), Outcome::kFull);
  EXPECT_EQ(set.size(), kFactsMax);
}

TEST(FactSet, HasRoomAgainForWhatExpired) {
  FactSet set;
  const auto most = static_cast<uint32_t>(QuotaOf(FactKind::kRevocation).per_signer);
  for (uint32_t i = 0; i < most; ++i) Add(set, TestRevocation(1, i, absl::Hours(1)), kFactsNow);
  ASSERT_EQ(Add(set, TestRevocation(1, most), kFactsNow), Outcome::kFull);

  set.Expire(kFactsNow + absl::Hours(1));

  EXPECT_EQ(Add(set, TestRevocation(1, most), kFactsNow), Outcome::kAdded);
}

TEST(FactSet, SaysWhatCounts) {
  FactSet set;
  Add(set, TestFact(1, Revocation{.target = FactPeer(2)}, 1), kFactsNow);
  Add(set, TestFact(2, Revocation{.target = FactPeer(3)}, 2), kFactsNow);

  const Revocations revocations = set.Count();

  EXPECT_TRUE(revocations.Check({{.subject = FactPeer(2)}}).has_value());
  EXPECT_FALSE(revocations.Check({{.subject = FactPeer(3)}}).has_value());
}

// --- Who makes room ------------------------------------------------------------------------------

// Three of a signer, five in all.
constexpr FactSet::Quotas kSmallQuotas = {FactQuota{5, 5}, FactQuota{5, 3}, FactQuota{5, 3},
                                          FactQuota{5, 3}};

// What had to make room for `fact`, which is added.
FactPtr Displaced(FactSet& set, const FactPtr& fact) {
  FactPtr displaced;
  EXPECT_EQ(set.Add(fact, kFactsNow, &displaced), Outcome::kAdded);
  set.CheckInvariants();
  return displaced;
}

TEST(FactSet, MakesRoomAmongASignersFactsForAnEarlierOne) {
  FactSet set(kSmallQuotas);
  for (uint32_t number : {2, 3, 4}) Add(set, TestRevocation(1, number));
  const FactPtr last = TestRevocation(1, 4);

  EXPECT_EQ(Add(set, TestRevocation(1, 5)), Outcome::kFull);
  EXPECT_EQ(Displaced(set, TestRevocation(1, 1))->id, last->id);

  EXPECT_FALSE(set.Has(NameOf(last->id)));
  EXPECT_EQ(set.size(), 3u);
  EXPECT_EQ(Add(set, last), Outcome::kFull);
  EXPECT_EQ(Add(set, TestRevocation(2, 9)), Outcome::kAdded);
}

TEST(FactSet, MakesRoomForWhoIsNearerToTheRootAndNotForOthers) {
  FactSet set(kSmallQuotas);
  for (uint32_t signer : {1, 2, 3}) Add(set, DeepRevocation(signer, 2, 100));
  Add(set, DeepRevocation(4, 3, 1));
  Add(set, DeepRevocation(5, 3, 2));

  // However early it says it is.
  EXPECT_EQ(Add(set, DeepRevocation(6, 4, 0)), Outcome::kFull);
  EXPECT_EQ(Displaced(set, DeepRevocation(7, 1, 500))->id, DeepRevocation(5, 3, 2)->id);
  EXPECT_EQ(Displaced(set, DeepRevocation(8, 2, 101))->id, DeepRevocation(4, 3, 1)->id);
  EXPECT_EQ(Add(set, DeepRevocation(9, 2, 102)), Outcome::kFull);
}

TEST(FactSet, MakesRoomOfAKindOnlyWhereTheSignersShareDidNot) {
  FactSet set(kSmallQuotas);
  for (uint32_t number : {2, 3, 4}) Add(set, TestRevocation(1, number));
  for (uint32_t number : {8, 9}) Add(set, TestRevocation(2, number));

  EXPECT_EQ(Displaced(set, TestRevocation(1, 1))->id, TestRevocation(1, 4)->id);
  EXPECT_EQ(set.size(), 5u);
  EXPECT_EQ(Displaced(set, TestRevocation(3, 7))->id, TestRevocation(2, 9)->id);
}

// Facts that exceed every quota, in random orders, to peers that then pass all they keep to each other.
TEST(FactSet, KeepsTheSameOfTheSameFactsInWhateverOrderTheyCame) {
  std::mt19937 random(20260301);
  for (int round = 0; round < 200; ++round) {
    std::vector<FactPtr> facts;
    for (uint32_t i = 0; i < 40; ++i) {
      const auto signer = static_cast<uint32_t>(random() % 7);
      const FactBody bodies[] = {Revocation{}, Redemption{}, MovedTo{}};
      facts.push_back(DeepFact(signer, bodies[random() % 3], 1 + signer % 3, random() % 30));
    }
    FactSet all(kSmallQuotas);
    FactSet other(kSmallQuotas);
    FactPtr ignored;
    for (const FactPtr& fact : facts) all.Add(fact, kFactsNow, &ignored);
    std::shuffle(facts.begin(), facts.end(), random);
    for (const FactPtr& fact : facts) other.Add(fact, kFactsNow, &ignored);
    ASSERT_EQ(all.Digest(), other.Digest()) << round;

    FactSet one(kSmallQuotas);
    FactSet two(kSmallQuotas);
    for (size_t i = 0; i < facts.size(); ++i) {
      (i % 2 == 0 ? one : two).Add(facts[i], kFactsNow, &ignored);
    }
    for (FactSet* from : {&one, &two}) {
      FactSet& to = from == &one ? two : one;
      for (const FactName& name : from->Names()) to.Add(from->Find(name), kFactsNow, &ignored);
    }
    ASSERT_EQ(one.Digest(), two.Digest()) << round;
    ASSERT_EQ(one.Digest(), all.Digest()) << round;
    one.CheckInvariants();
  }
}

}  // namespace
}  // namespace panal
