#include "common/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/base/random.h"

namespace panal {
namespace {

TEST(ByteWriter, WritesBigEndian) {
  ByteWriter writer;

  writer.U8(0x01);
  writer.U16(0x0203);
  writer.U32(0x04050607);
  writer.U64(0x08090a0b0c0d0e0f);

  EXPECT_EQ(writer.bytes(), "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
}

TEST(ByteWriter, WritesTheLengthBeforeAString) {
  ByteWriter writer;

  writer.String16("abc");
  writer.Raw("xy");

  EXPECT_EQ(writer.Take(), std::string("\x00\x03"
                                       "abcxy",
                                       7));
}

TEST(ByteWriter, TakesAStringOfTheLongestLength) {
  ByteWriter writer;
  writer.String16(std::string(65535, 'a'));

  ByteReader reader(writer.bytes());

  EXPECT_EQ(reader.String16().size(), 65535u);
  EXPECT_TRUE(reader.AtEnd());
}

TEST(ByteWriterDeathTest, AbortsOnAStringOneByteTooLong) {
  ByteWriter writer;
  std::string text(65536, 'a');
  EXPECT_DEATH(writer.String16(text), "check failed");
}

TEST(ByteReader, ReadsTheExtremesOfEveryWidth) {
  ByteWriter writer;
  for (uint64_t value : {uint64_t{0}, std::numeric_limits<uint64_t>::max()}) {
    writer.U8(static_cast<uint8_t>(value));
    writer.U16(static_cast<uint16_t>(value));
    writer.U32(static_cast<uint32_t>(value));
    writer.U64(value);
  }

  ByteReader reader(writer.bytes());

  for (uint64_t value : {uint64_t{0}, std::numeric_limits<uint64_t>::max()}) {
    EXPECT_EQ(reader.U8(), static_cast<uint8_t>(value));
    EXPECT_EQ(reader.U16(), static_cast<uint16_t>(value));
    EXPECT_EQ(reader.U32(), static_cast<uint32_t>(value));
    EXPECT_EQ(reader.U64(), value);
  }
  EXPECT_TRUE(reader.AtEnd());
}

TEST(ByteReader, GivesZerosFromTheFirstReadPastTheEndOn) {
  ByteReader reader("\x01\x02\x03");

  EXPECT_EQ(reader.U32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0u);
  EXPECT_EQ(reader.U16(), 0u);
  EXPECT_EQ(reader.U64(), 0u);
  EXPECT_EQ(reader.Raw(1), "");
  EXPECT_EQ(reader.String16(), "");
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_FALSE(reader.AtEnd());
}

TEST(ByteReader, RefusesALengthBeyondTheEnd) {
  ByteReader exact(absl::string_view("\x00\x02xy", 4));
  EXPECT_EQ(exact.String16(), "xy");
  EXPECT_TRUE(exact.AtEnd());

  ByteReader beyond(absl::string_view("\x00\x03xy", 4));
  EXPECT_EQ(beyond.String16(), "");
  EXPECT_FALSE(beyond.ok());
}

TEST(ByteReader, RefusesALengthNearTheLargestNumber) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.Raw(std::numeric_limits<size_t>::max()), "");
  EXPECT_FALSE(reader.ok());
}

TEST(ByteReader, AcceptsAnEmptyReadAtTheEnd) {
  ByteReader reader("");
  EXPECT_EQ(reader.Raw(0), "");
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.AtEnd());
}

// Reads random widths from random bytes and keeps count beside it.
TEST(ByteReader, FailsExactlyWhenMoreIsReadThanThereIs) {
  Random random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = random.Bytes(random.Below(30));
    ByteReader reader(bytes);
    size_t read = 0;
    while (read <= bytes.size()) {
      size_t width = size_t{1} << random.Below(4);
      if (width == 1) reader.U8();
      if (width == 2) reader.U16();
      if (width == 4) reader.U32();
      if (width == 8) reader.U64();
      read += width;
      EXPECT_EQ(reader.ok(), read <= bytes.size());
      EXPECT_EQ(reader.AtEnd(), read == bytes.size());
    }
  }
}

}  // namespace
}  // namespace panal
