#include "server/data/catalog/codec.h"

#include <gtest/gtest.h>

#include "common/base/random.h"
#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog {
namespace {

TEST(Codec, GivesARecordBack) {
  Record record =
      catalog_test::MakeRecord("a/b ü", RecordKind::kDirectory, {{"k", "v"}, {"l", ""}});
  record.addresses = {"host:1", "[::1]:2"};
  record.size_bytes = kRecordSizeBytesMax;

  auto decoded = DecodeRecord(EncodeRecord(record), "x.db");

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, record);
}

TEST(Codec, TakesTruncatedValuesForDamage) {
  std::string bytes =
      EncodeRecord(catalog_test::MakeRecord("name", RecordKind::kFile, {{"k", "v"}}));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ReasonOf(DecodeRecord(bytes.substr(0, size), "x.db").status()),
              ErrorReason::kCatalogCorrupt);
  }
  EXPECT_FALSE(DecodeKeys("1234567", "x.db").ok());
  EXPECT_FALSE(DecodeAttributes("", "x.db").ok());
}

TEST(RangeOfPrefix, HoldsExactlyTheIdsThatBeginWithIt) {
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    FileId id = catalog_test::File(absl::StrCat(i));
    std::string text = id.ToText();
    size_t size = random.Below(text.size() + 1);

    PrefixRange range = RangeOfPrefix(text.substr(0, size));

    ASSERT_TRUE(range.valid);
    EXPECT_LE(range.range.first, id.ToBytes());
    EXPECT_GE(range.range.last, id.ToBytes());
    FileId other = catalog_test::File(absl::StrCat("other ", i));
    bool inside = range.range.first <= other.ToBytes() && other.ToBytes() <= range.range.last;
    EXPECT_EQ(inside, other.ToText().substr(0, size) == text.substr(0, size));
  }
}

TEST(RangeOfPrefix, IsNotValidForWhatNoIdBeginsWith) {
  EXPECT_FALSE(RangeOfPrefix("abc1").valid);
  EXPECT_FALSE(RangeOfPrefix("ABC").valid);
  EXPECT_FALSE(RangeOfPrefix(std::string(53, 'a')).valid);
  // The last character of an id holds one bit of it.
  EXPECT_FALSE(RangeOfPrefix(std::string(51, 'a') + "b").valid);
  EXPECT_TRUE(RangeOfPrefix(std::string(51, 'a') + "q").valid);
}

}  // namespace
}  // namespace panal::catalog
