// Digests never deny what matches, and rarely claim what is not there.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/sha256.h"
#include "common/model/digest.h"
#include "tests/property/model/random_queries.h"

namespace panal {
namespace {

constexpr uint64_t kSeeds = 1000;

TermDigest DigestOf(const std::vector<Record>& records) {
  std::set<uint32_t> hashes;
  for (const Record& record : records) {
    ForEachDigestHash(record, [&](uint32_t hash) { hashes.insert(hash); });
  }
  return TermDigest::Of({hashes.begin(), hashes.end()});
}

// A query of words and attributes, or for the whole id of one of `records`.
std::string RandomQuery(const std::vector<Record>& records, Random& random) {
  if (random.Below(8) != 0) return PrintQuery(RandomQueryTree(random, 3));
  return absl::StrCat("id:", records[random.Below(records.size())].id.ToText());
}

TEST(DigestProperty, NeverDeniesWhatMatches) {
  int matched = 0, denied = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    std::vector<Record> records;
    for (uint64_t i = 1 + random.Below(3); i > 0; --i) {
      records.push_back(RandomTextRecord(random));
      records.back().id = Sha256(absl::StrCat(random.Next()));
    }
    const TermDigest digest = DigestOf(records);
    for (int i = 0; i < 20; ++i) {
      absl::StatusOr<Query> query = Query::Parse(RandomQuery(records, random));
      ASSERT_TRUE(query.ok()) << seed;
      const bool matches = std::any_of(records.begin(), records.end(), [&](const Record& record) {
        return Matches(*query, record, PeerId{});
      });
      const DigestQuery asked(*query);
      const bool may = asked.MayMatch(digest);
      matched += matches ? 1 : 0;
      denied += may ? 0 : 1;
      EXPECT_TRUE(may || !matches) << seed << ": " << query->text();
      EXPECT_TRUE(may || asked.digestible()) << seed << ": " << query->text();
    }
  }
  // Both happen often enough for the test to mean something.
  EXPECT_GE(matched, 1000);
  EXPECT_GE(denied, 1000);
}

TEST(DigestProperty, SeemsToHaveFewerThanOneInAHundredOfWhatIsAbsent) {
  // Just full: every term has its 12 bits and not one more.
  for (size_t terms : {42u, 10'922u, 87'381u}) {
    std::vector<uint32_t> hashes;
    for (size_t i = 0; i < terms; ++i) hashes.push_back(DigestHash(absl::StrCat("term", i)));
    const TermDigest digest = TermDigest::Of(hashes);
    EXPECT_LT(8 * digest.bytes().size(), (kDigestBitsPerTerm + 1) * terms);
    int present = 0;
    constexpr int kAsked = 200'000;
    for (int i = 0; i < kAsked; ++i) {
      present += digest.MayHave(DigestHash(absl::StrCat("absent", i))) ? 1 : 0;
    }
    std::printf("%zu terms: %.4f of absent terms seem present\n", terms,
                static_cast<double>(present) / kAsked);
    EXPECT_LT(present, kAsked / 100) << terms;
  }
}

TEST(DigestProperty, SaysLittleFalseStillWithTheMostTerms) {
  std::vector<uint32_t> hashes;
  for (size_t i = 0; i < kDigestTermsMax; ++i) hashes.push_back(DigestHash(absl::StrCat(i)));
  const TermDigest digest = TermDigest::Of(hashes);
  EXPECT_EQ(digest.bytes().size(), kDigestSizeMax);
  int present = 0;
  for (int i = 0; i < 100'000; ++i) present += digest.MayHave(DigestHash(absl::StrCat("x", i)));
  EXPECT_LT(present, 10'000);
}

}  // namespace
}  // namespace panal
