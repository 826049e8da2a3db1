#include "common/base/base32.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/random.h"

namespace panal {
namespace {

TEST(Base32, EncodesTheVectorsOfRfc4648InLowerCaseWithoutPadding) {
  EXPECT_EQ(Base32Encode(""), "");
  EXPECT_EQ(Base32Encode("f"), "my");
  EXPECT_EQ(Base32Encode("fo"), "mzxq");
  EXPECT_EQ(Base32Encode("foo"), "mzxw6");
  EXPECT_EQ(Base32Encode("foob"), "mzxw6yq");
  EXPECT_EQ(Base32Encode("fooba"), "mzxw6ytb");
  EXPECT_EQ(Base32Encode("foobar"), "mzxw6ytboi");
}

TEST(Base32, DecodesWhatItEncodesForEveryLength) {
  Random random(7);
  for (size_t size = 0; size <= 100; ++size) {
    for (int round = 0; round < 20; ++round) {
      std::string bytes = random.Bytes(size);
      std::string text = Base32Encode(bytes);
      EXPECT_EQ(text.size(), (size * 8 + 4) / 5);
      EXPECT_TRUE(IsBase32(text));
      EXPECT_EQ(Base32Decode(text), bytes);
    }
  }
}

TEST(Base32, AcceptsOnlyTheTextThatEncodingGives) {
  Random random(8);
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t size = random.Below(10); text.size() < size;) text += alphabet[random.Below(32)];
    std::optional<std::string> bytes = Base32Decode(text);
    if (!bytes) continue;
    ++accepted;
    EXPECT_EQ(Base32Encode(*bytes), text);
  }
  EXPECT_GT(accepted, 1000);
}

TEST(Base32, RefusesLengthsThatNoEncodingHas) {
  EXPECT_EQ(Base32Decode("a"), std::nullopt);
  EXPECT_EQ(Base32Decode("aaa"), std::nullopt);
  EXPECT_EQ(Base32Decode("aaaaaa"), std::nullopt);
}

TEST(Base32, RefusesTrailingBitsThatAreNotZero) {
  EXPECT_EQ(Base32Decode("my"), "f");
  EXPECT_EQ(Base32Decode("mz"), std::nullopt);
}

TEST(Base32, RefusesEveryCharacterOutsideTheAlphabet) {
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  for (int c = 0; c < 256; ++c) {
    std::string text(8, static_cast<char>(c));
    bool inside = c != 0 && alphabet.find(static_cast<char>(c)) != std::string::npos;
    EXPECT_EQ(IsBase32(text), inside) << c;
    EXPECT_EQ(Base32Decode(text).has_value(), inside) << c;
  }
}

}  // namespace
}  // namespace panal
