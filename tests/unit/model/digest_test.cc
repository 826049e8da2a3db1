#include "common/model/digest.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"

namespace panal {
namespace {

Record RecordOf(absl::string_view name) {
  Record record;
  record.name = std::string(name);
  record.id = Sha256(name);
  return record;
}

TermDigest DigestOf(const Record& record) {
  std::vector<uint32_t> hashes;
  ForEachDigestHash(record, [&](uint32_t hash) { hashes.push_back(hash); });
  return TermDigest::Of(hashes);
}

DigestQuery Asked(absl::string_view text) { return DigestQuery(*Query::Parse(text)); }

// The vectors of docs/protocol/digests.md.
TEST(TermDigest, HashesAsDocumented) {
  EXPECT_EQ(DigestHash("a"), 0x3e506e57u);
  EXPECT_EQ(DigestHash("report"), 0x1be02f78u);
  EXPECT_EQ(DigestHash("annualreport"), 0xb9964845u);
  EXPECT_EQ(DigestHash(Sha256("")), 0x73fcf3e4u);
}

TEST(TermDigest, SetsTheBitsThatAreDocumented) {
  const TermDigest digest = TermDigest::Of({DigestHash("report")});

  EXPECT_EQ(absl::BytesToHexString(digest.bytes()),
            "0000040000000004000000000400000000000000000000000000000000000000"
            "0000000000000000000000800010000000000100000000000000000000000000");
}

TEST(TermDigest, IsTheSmallestPowerOfTwoWithTwelveBitsATerm) {
  auto size_of = [](size_t terms) {
    std::vector<uint32_t> hashes;
    for (uint32_t i = 0; i < terms; ++i) hashes.push_back(i);
    return TermDigest::Of(hashes).bytes().size();
  };
  EXPECT_EQ(size_of(0), kDigestSizeMin);
  EXPECT_EQ(size_of(42), 64u);
  EXPECT_EQ(size_of(43), 128u);
  EXPECT_EQ(size_of(1000), 2048u);
  EXPECT_EQ(size_of(200'000), kDigestSizeMax);
}

TEST(TermDigest, TakesPowersOfTwoWithinItsLimitsOnly) {
  EXPECT_TRUE(TermDigest::FromBytes(std::string(64, 'x')).has_value());
  EXPECT_TRUE(TermDigest::FromBytes(std::string(kDigestSizeMax, 'x')).has_value());
  EXPECT_FALSE(TermDigest::FromBytes(std::string(32, 'x')).has_value());
  EXPECT_FALSE(TermDigest::FromBytes(std::string(65, 'x')).has_value());
  EXPECT_FALSE(TermDigest::FromBytes(std::string(96, 'x')).has_value());
  EXPECT_FALSE(TermDigest::FromBytes(std::string(2 * kDigestSizeMax, 'x')).has_value());
  EXPECT_FALSE(TermDigest::FromBytes("").has_value());
}

TEST(DigestQuery, KnowsWhatADigestCanAnswer) {
  const std::string id = Sha256("x").ToText();
  for (const std::string& text :
       {std::string("report"), std::string("annual report"), std::string("\"annual report\""),
        std::string("\"annual rep\"*"), std::string("report size>1M"), std::string("lang:es"),
        std::string("name:report"), std::string("a OR b"), std::string("report -draft"),
        std::string("kind:file report"), absl::StrCat("id:", id)}) {
    EXPECT_TRUE(Asked(text).digestible()) << text;
  }
  for (const std::string& text :
       {std::string("*"), std::string("rep*"), std::string("-report"), std::string("size>1M"),
        std::string("kind:file"), std::string("year>2000"), std::string("lang:*"),
        std::string("a OR b*"), std::string("lang=-"), absl::StrCat("id:", id.substr(0, 51)),
        absl::StrCat("publisher:", id)}) {
    EXPECT_FALSE(Asked(text).digestible()) << text;
    EXPECT_TRUE(Asked(text).MayMatch(TermDigest::Of({}))) << text;
  }
}

TEST(DigestQuery, AsksForNamesAttributesAndIds) {
  Record record = RecordOf("Annual-Report.pdf");
  record.attributes = {{"lang", "Español"}};
  const TermDigest digest = DigestOf(record);
  for (const std::string& text :
       {std::string("report"), std::string("ANNUAL pdf"), std::string("lang:español"),
        std::string("espanol"), std::string("missing OR report"), std::string("report -missing"),
        absl::StrCat("id:", record.id.ToText())}) {
    EXPECT_TRUE(Asked(text).MayMatch(digest)) << text;
  }
  for (const std::string& text :
       {std::string("missing"), std::string("report missing"), std::string("lang:de"),
        std::string("missing OR lost"), absl::StrCat("id:", Sha256("other").ToText())}) {
    EXPECT_FALSE(Asked(text).MayMatch(digest)) << text;
  }
}

TEST(DigestQuery, AnObjectHasNoId) {
  Record record = RecordOf("door");
  record.kind = RecordKind::kObject;

  EXPECT_FALSE(Asked(absl::StrCat("id:", record.id.ToText())).MayMatch(DigestOf(record)));
}

}  // namespace
}  // namespace panal
