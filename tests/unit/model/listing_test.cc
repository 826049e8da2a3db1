#include "common/model/listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/bytes.h"
#include "common/base/status.h"

namespace panal {
namespace {

using testing::HasSubstr;

ListingEntry Entry(absl::string_view name, FileType type = FileType::kFile) {
  ListingEntry entry;
  entry.name = std::string(name);
  entry.type = type;
  entry.id.bytes.fill(0x44);
  return entry;
}

// Entries as they stand, valid or not.
std::string Raw(const std::vector<ListingEntry>& entries, uint8_t type = 1,
                uint8_t executable = 0) {
  ByteWriter writer;
  writer.Raw(absl::string_view("panal listing v1\0", 17));
  writer.U32(static_cast<uint32_t>(entries.size()));
  for (const ListingEntry& entry : entries) {
    writer.String16(entry.name);
    writer.U8(type);
    writer.U8(executable);
    writer.U64(entry.size_bytes);
    writer.Raw(entry.id.view());
  }
  return writer.Take();
}

std::string ErrorOf(absl::string_view bytes) {
  absl::StatusOr<std::vector<ListingEntry>> entries = DecodeListing(bytes);
  if (entries.ok()) return "";
  EXPECT_EQ(ReasonOf(entries.status()), ErrorReason::kListingInvalid);
  return std::string(entries.status().message());
}

// The worked example of docs/protocol/files.md.
TEST(Listing, HasTheDocumentedBytes) {
  ListingEntry script = Entry("run");
  script.executable = true;
  script.size_bytes = 3;
  ListingEntry folder = Entry("doc", FileType::kDirectory);
  folder.size_bytes = 21;

  EXPECT_EQ(absl::BytesToHexString(EncodeListing({script, folder})),
            "70616e616c206c697374696e6720763100"
            "00000002"
            "0003646f63"
            "02"
            "00"
            "0000000000000015"
            "4444444444444444444444444444444444444444444444444444444444444444"
            "000372756e"
            "01"
            "01"
            "0000000000000003"
            "4444444444444444444444444444444444444444444444444444444444444444");
}

TEST(Listing, DecodesWhatItEncodedInBytewiseOrder) {
  std::vector<ListingEntry> entries = {Entry("b"), Entry("\xff\n"), Entry("a b"), Entry("B")};

  absl::StatusOr<std::vector<ListingEntry>> decoded = DecodeListing(EncodeListing(entries));

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_THAT(*decoded,
              testing::ElementsAre(Entry("B"), Entry("a b"), Entry("b"), Entry("\xff\n")));
}

TEST(Listing, MayBeEmpty) { EXPECT_TRUE(DecodeListing(EncodeListing({}))->empty()); }

TEST(Listing, ForgetsThatADirectoryIsExecutable) {
  ListingEntry plain = Entry("d", FileType::kDirectory);
  ListingEntry executable = plain;
  executable.executable = true;

  EXPECT_EQ(EncodeListing({executable}), EncodeListing({plain}));
}

TEST(Listing, IsRefusedOutOfOrder) {
  EXPECT_THAT(ErrorOf(Raw({Entry("b"), Entry("a")})), HasSubstr("entry 1"));
  EXPECT_THAT(ErrorOf(Raw({Entry("a"), Entry("a")})), HasSubstr("not above"));
}

TEST(Listing, IsRefusedWithWrongFields) {
  ListingEntry large = Entry("a");
  large.size_bytes = kFileSizeMax + 1;

  EXPECT_EQ(ErrorOf(Raw({Entry("a")}, 1, 1)), "");
  EXPECT_THAT(ErrorOf(Raw({Entry("a")}, 1, 2)), HasSubstr("executable 2"));
  EXPECT_THAT(ErrorOf(Raw({Entry("a")}, 2, 1)), HasSubstr("executable 1 with type 2"));
  EXPECT_THAT(ErrorOf(Raw({Entry("a")}, 3)), HasSubstr("type 3"));
  EXPECT_THAT(ErrorOf(Raw({large})), HasSubstr("exceeds"));
  for (absl::string_view name : {"", ".", "..", "a/b"}) {
    // The byte behind is what an empty name lacks to the least size of an entry.
    std::string bytes = Raw({Entry(name)}) + "x";
    EXPECT_THAT(ErrorOf(bytes), HasSubstr("no name of an entry")) << name;
  }
}

TEST(Listing, IsRefusedCutShortOrWithBytesBehind) {
  std::string good = EncodeListing({Entry("abc"), Entry("d")});

  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(ErrorOf(absl::string_view(good).substr(0, size)), "") << size;
  }
  EXPECT_THAT(ErrorOf(good + "x"), HasSubstr("1 bytes follow"));
}

TEST(Listing, ReservesNothingForACountThatTheBytesCannotHold) {
  std::string head = Raw({});
  head.replace(17, 4, std::string("\x00\x0f\x42\x40", 4));  // 1,000,000
  EXPECT_THAT(ErrorOf(head), HasSubstr("too few"));
  head.replace(17, 4, std::string("\x00\x0f\x42\x41", 4));
  EXPECT_THAT(ErrorOf(head), HasSubstr("1000001 entries exceed 1000000"));
}

TEST(Listing, HoldsAHundredThousandEntries) {
  std::vector<ListingEntry> entries;
  for (int i = 0; i < 100'000; ++i) entries.push_back(Entry(absl::StrCat("file ", i)));

  EXPECT_EQ(DecodeListing(EncodeListing(entries))->size(), 100'000u);
}

TEST(EntryName, HasOneTo255Bytes) {
  EXPECT_TRUE(IsValidEntryName(std::string(kListingNameSizeMax, 'a')));
  EXPECT_FALSE(IsValidEntryName(std::string(kListingNameSizeMax + 1, 'a')));
  EXPECT_FALSE(IsValidEntryName(""));
  EXPECT_FALSE(IsValidEntryName(absl::string_view("a\0", 2)));
  EXPECT_TRUE(IsValidEntryName("..."));
}

}  // namespace
}  // namespace panal
