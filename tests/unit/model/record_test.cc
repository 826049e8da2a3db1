#include "common/model/record.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {
namespace {

Record ValidFile() {
  Record record;
  record.name = "a/b c.txt";
  record.id.bytes.fill(1);
  return record;
}

TEST(FileName, IsARelativePathOfUtf8) {
  for (absl::string_view name : {"a", "a/b", "with space", "line\nbreak", "ünï", "...", "a..b"}) {
    EXPECT_TRUE(ValidateFileName(name).ok()) << name;
  }
  for (absl::string_view name : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "\xff"}) {
    EXPECT_EQ(ReasonOf(ValidateFileName(name)), ErrorReason::kFileNameInvalid) << name;
  }
  EXPECT_FALSE(ValidateFileName(absl::string_view("a\0b", 3)).ok());
}

TEST(FileName, HasAtMost1024Bytes) {
  EXPECT_TRUE(ValidateFileName(std::string(kRecordNameSizeMax, 'a')).ok());
  EXPECT_FALSE(ValidateFileName(std::string(kRecordNameSizeMax + 1, 'a')).ok());
}

TEST(Attributes, HaveKeysOfASmallAlphabet) {
  for (absl::string_view key : {"a", "lang", "exif.date-taken_2"}) {
    EXPECT_TRUE(ValidateAttributes({{std::string(key), "x"}}).ok()) << key;
  }
  for (absl::string_view key :
       {"", "A", "1a", "-a", "a b", "ä", "name", "size", "kind", "id", "publisher"}) {
    EXPECT_EQ(ReasonOf(ValidateAttributes({{std::string(key), "x"}})),
              ErrorReason::kAttributeInvalid)
        << key;
  }
}

TEST(Attributes, AreBoundedInNumberAndSize) {
  Attributes attributes;
  for (size_t i = 0; i < kRecordAttributesMax; ++i) attributes[absl::StrCat("k", i)] = "v";
  EXPECT_TRUE(ValidateAttributes(attributes).ok());
  attributes["one-more"] = "v";
  EXPECT_FALSE(ValidateAttributes(attributes).ok());

  EXPECT_TRUE(ValidateAttributes({{std::string(kAttributeKeySizeMax, 'k'), ""}}).ok());
  EXPECT_FALSE(ValidateAttributes({{std::string(kAttributeKeySizeMax + 1, 'k'), ""}}).ok());
  EXPECT_TRUE(ValidateAttributes({{"k", std::string(kAttributeValueSizeMax, 'v')}}).ok());
  EXPECT_FALSE(ValidateAttributes({{"k", std::string(kAttributeValueSizeMax + 1, 'v')}}).ok());
}

TEST(Attributes, HaveValuesOfUtf8WithoutNul) {
  EXPECT_FALSE(ValidateAttributes({{"k", "\xff"}}).ok());
  EXPECT_FALSE(ValidateAttributes({{"k", std::string("\0", 1)}}).ok());
}

TEST(Address, IsHostAndPort) {
  for (absl::string_view address : {"a:1", "example.org:7401", "127.0.0.1:65535", "[::1]:80",
                                    "[fe80::1%eth0]:80", "peer_1:7401"}) {
    EXPECT_TRUE(IsValidAddress(address)) << address;
  }
  for (absl::string_view address :
       {"", "a", ":1", "a:", "a:0", "a:65536", "a:-1", "a:+1", "a: 1", "a:000001", "::1:80",
        "[::1]", "[]:1", "[a]:1", "a b:1", "a/b:1", "[::1%]:1", "a\n:1"}) {
    EXPECT_FALSE(IsValidAddress(address)) << address;
  }
}

TEST(Address, HasAHostOfAtMost253Bytes) {
  EXPECT_TRUE(IsValidAddress(std::string(253, 'a') + ":65535"));
  EXPECT_FALSE(IsValidAddress(std::string(254, 'a') + ":65535"));
}

TEST(Record, IsValidWithinItsLimits) {
  Record record = ValidFile();
  record.size_bytes = kRecordSizeBytesMax;
  record.addresses.assign(kContactAddressesMax, "a:1");

  EXPECT_TRUE(ValidateRecord(record).ok());
}

TEST(Record, IsRefusedBeyondItsLimits) {
  Record large = ValidFile();
  large.size_bytes = kRecordSizeBytesMax + 1;
  Record everywhere = ValidFile();
  everywhere.addresses.assign(kContactAddressesMax + 1, "a:1");
  Record nowhere = ValidFile();
  nowhere.addresses = {"a"};

  for (const Record& record : {large, everywhere, nowhere}) {
    EXPECT_EQ(ReasonOf(ValidateRecord(record)), ErrorReason::kRecordInvalid);
  }
}

TEST(Record, TakesItsNameByItsKind) {
  Record record = ValidFile();
  record.name = "//any/../thing";
  EXPECT_EQ(ReasonOf(ValidateRecord(record)), ErrorReason::kFileNameInvalid);

  record.kind = RecordKind::kPeer;
  EXPECT_TRUE(ValidateRecord(record).ok());
  record.name = "";
  EXPECT_EQ(ReasonOf(ValidateRecord(record)), ErrorReason::kRecordInvalid);
}

TEST(Record, HasNoIdWhereItIsAnObject) {
  Record record = ValidFile();
  record.kind = RecordKind::kObject;
  EXPECT_FALSE(ValidateRecord(record).ok());

  record.id = {};
  EXPECT_TRUE(ValidateRecord(record).ok());
}

}  // namespace
}  // namespace panal
