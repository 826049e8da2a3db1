#include "server/processing/admission/fact_set.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/processing/admission/facts_for_tests.h"

namespace panal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Outcome = FactSet::Outcome;

constexpr FactQuota QuotaOf(FactKind kind) { return kFactQuotas[static_cast<size_t>(kind)]; }

// Facts of `kind`, each signer as many as it may, until `count` are there.
void Fill(FactSet& set, const FactBody& body, FactKind kind, size_t count) {
  const size_t each = QuotaOf(kind).per_signer;
  for (size_t i = 0; i < count; ++i) {
    const auto signer = kind == FactKind::kRoot ? 0 : static_cast<uint32_t>(1 + i / each);
    ASSERT_EQ(set.Add(TestFact(signer, body, static_cast<uint32_t>(i)), kFactsNow),
              Outcome::kAdded);
  }
  set.CheckInvariants();
}

TEST(FactSet, TakesAFactOnceAndFindsItByName) {
  FactSet set;
  const FactPtr fact = TestRevocation(1, 1);

  EXPECT_EQ(set.Add(fact, kFactsNow), Outcome::kAdded);
  EXPECT_EQ(set.Add(fact, kFactsNow), Outcome::kKnown);

  EXPECT_EQ(set.Find(NameOf(fact->id)), fact);
  EXPECT_EQ(set.Find(NameOf(TestRevocation(1, 2)->id)), nullptr);
  EXPECT_THAT(set.Names(), ElementsAre(NameOf(fact->id)));
}

TEST(FactSet, HasTheSameDigestInWhateverOrderFactsCame) {
  FactSet one;
  FactSet other;
  const FactDigest none = one.Digest();
  for (uint32_t i : {1, 2, 3}) one.Add(TestRevocation(1, i), kFactsNow);
  for (uint32_t i : {3, 1}) other.Add(TestRevocation(1, i), kFactsNow);
  EXPECT_NE(one.Digest(), other.Digest());
  EXPECT_NE(other.Digest(), none);

  other.Add(TestRevocation(1, 2), kFactsNow);

  EXPECT_EQ(one.Digest(), other.Digest());
  EXPECT_EQ(one.Digest().count, 3u);
}

TEST(FactSet, ForgetsWhatHasExpiredAndNothingElse) {
  FactSet set;
  const FactPtr brief = TestRevocation(1, 1, absl::Hours(1));
  set.Add(brief, kFactsNow);
  set.Add(TestRevocation(1, 2, absl::Hours(2)), kFactsNow);
  const FactDigest before = set.Digest();

  EXPECT_THAT(set.Expire(kFactsNow + absl::Hours(1) - absl::Seconds(1)), IsEmpty());
  EXPECT_THAT(set.Expire(kFactsNow + absl::Hours(1)), ElementsAre(brief));

  EXPECT_EQ(set.size(), 1u);
  EXPECT_NE(set.Digest(), before);
  EXPECT_EQ(set.Add(brief, kFactsNow + absl::Hours(1)), Outcome::kExpired);
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

    EXPECT_EQ(set.Add(TestFact(1, body, most), kFactsNow), Outcome::kFull);
    EXPECT_EQ(set.Add(TestFact(2, body, most), kFactsNow), Outcome::kAdded);
  }
}

TEST(FactSet, TakesAsManyOfAKindAsItsQuotaAndOthersBesideThem) {
  FactSet set;
  Fill(set, Redemption{}, FactKind::kRedemption, QuotaOf(FactKind::kRedemption).facts);
  Fill(set, MovedTo{}, FactKind::kMove, QuotaOf(FactKind::kMove).facts);
  EXPECT_EQ(set.Add(TestFact(9999, Redemption{}, 0), kFactsNow), Outcome::kFull);
  EXPECT_EQ(set.Add(TestFact(9999, MovedTo{}, 0), kFactsNow), Outcome::kFull);

  Fill(set, Revocation{}, FactKind::kRevocation, QuotaOf(FactKind::kRevocation).facts);
  EXPECT_EQ(set.Add(TestRevocation(9999, 0), kFactsNow), Outcome::kFull);

  Fill(set, Revocation{}, FactKind::kRoot, QuotaOf(FactKind::kRoot).facts);
  EXPECT_EQ(set.Add(TestRevocation(0, 9999), kFactsNow), Outcome::kFull);
  EXPECT_EQ(set.size(), kFactsMax);
}

TEST(FactSet, HasRoomAgainForWhatExpired) {
  FactSet set;
  const auto most = static_cast<uint32_t>(QuotaOf(FactKind::kRevocation).per_signer);
  for (uint32_t i = 0; i < most; ++i) set.Add(TestRevocation(1, i, absl::Hours(1)), kFactsNow);
  ASSERT_EQ(set.Add(TestRevocation(1, most), kFactsNow), Outcome::kFull);

  set.Expire(kFactsNow + absl::Hours(1));

  EXPECT_EQ(set.Add(TestRevocation(1, most), kFactsNow), Outcome::kAdded);
}

TEST(FactSet, SaysWhatCounts) {
  FactSet set;
  set.Add(TestFact(1, Revocation{.target = FactPeer(2)}, 1), kFactsNow);
  set.Add(TestFact(2, Revocation{.target = FactPeer(3)}, 2), kFactsNow);

  const Revocations revocations = set.Count();

  EXPECT_TRUE(revocations.Check({{.subject = FactPeer(2)}}).has_value());
  EXPECT_FALSE(revocations.Check({{.subject = FactPeer(3)}}).has_value());
}

}  // namespace
}  // namespace panal
