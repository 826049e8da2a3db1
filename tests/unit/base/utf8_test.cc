#include "common/base/utf8.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "common/base/random.h"

namespace panal {
namespace {

// Encodes one code point the long way.
std::string Encoded(uint32_t c) {
  auto byte = [](uint32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 63))};
  if (c < 0x10000) {
    return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
  }
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 63)), byte(0x80 | (c >> 6 & 63)),
          byte(0x80 | (c & 63))};
}

// The naive definition: the text is a sequence of encodings of code points that are no surrogates.
class NaiveUtf8 {
 public:
  NaiveUtf8() {
    for (uint32_t c = 0; c <= 0x10ffff; ++c) {
      if (c < 0xd800 || c > 0xdfff) characters_.insert(Encoded(c));
    }
  }

  size_t CharacterSize(absl::string_view text) const {
    for (size_t size = 1; size <= 4 && size <= text.size(); ++size) {
      if (characters_.count(std::string(text.substr(0, size))) > 0) return size;
    }
    return 0;
  }

  bool IsValid(absl::string_view text) const {
    while (!text.empty()) {
      size_t size = CharacterSize(text);
      if (size == 0) return false;
      text.remove_prefix(size);
    }
    return true;
  }

 private:
  std::set<std::string> characters_;
};

const NaiveUtf8& Naive() {
  static const NaiveUtf8* const naive = new NaiveUtf8;
  return *naive;
}

TEST(Utf8, AcceptsEveryCharacter) {
  for (uint32_t c = 0; c <= 0x10ffff; ++c) {
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    ASSERT_EQ(IsValidUtf8(Encoded(c)), !surrogate) << c;
  }
}

TEST(Utf8, RefusesWhatLiesAboveTheLastCharacter) {
  EXPECT_TRUE(IsValidUtf8(Encoded(0x10ffff)));
  EXPECT_FALSE(IsValidUtf8(Encoded(0x110000)));
  EXPECT_FALSE(IsValidUtf8("\xf5\x80\x80\x80"));
}

TEST(Utf8, RefusesOverlongForms) {
  EXPECT_FALSE(IsValidUtf8("\xc0\xaf"));
  EXPECT_FALSE(IsValidUtf8("\xc1\xbf"));
  EXPECT_FALSE(IsValidUtf8("\xe0\x80\xaf"));
  EXPECT_FALSE(IsValidUtf8("\xf0\x80\x80\xaf"));
}

TEST(Utf8, AgreesWithTheNaiveDefinitionOnAllPairsOfBytes) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      std::string text = {static_cast<char>(a), static_cast<char>(b)};
      ASSERT_EQ(IsValidUtf8(text), Naive().IsValid(text)) << a << " " << b;
    }
  }
}

TEST(Utf8, AgreesWithTheNaiveDefinitionOnRandomText) {
  // Bytes at the edges of the ranges, so that near misses are frequent.
  const std::string bytes =
      "a%"
      "\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5"
      "\xff";
  Random random(6);
  for (int round = 0; round < 50'000; ++round) {
    std::string text;
    for (size_t size = random.Below(7); text.size() < size;) {
      text += bytes[random.Below(bytes.size())];
    }
    ASSERT_EQ(IsValidUtf8(text), Naive().IsValid(text));
    ASSERT_TRUE(Naive().IsValid(ToValidUtf8(text)));
  }
}

TEST(Utf8, LeavesValidTextAsItIs) {
  EXPECT_EQ(ToValidUtf8("100% ñandú"), "100% ñandú");
  EXPECT_EQ(ToValidUtf8(""), "");
}

TEST(Utf8, WritesBytesThatAreNotUtf8AsHexAndThenAlsoThePercentSign) {
  EXPECT_EQ(ToValidUtf8("caf\xe9"), "caf%E9");
  EXPECT_EQ(ToValidUtf8("100% caf\xe9 ñ"), "100%25 caf%E9 ñ");
  EXPECT_EQ(ToValidUtf8("\xe2\x82"), "%E2%82");
}

TEST(Utf8, KeepsDifferentInvalidTextsApart) {
  std::set<std::string> names;
  for (absl::string_view name : {"\xff", "%FF\xff", "\xff%FF", "%\xff", "\xff\xff"}) {
    EXPECT_TRUE(names.insert(ToValidUtf8(name)).second) << name;
  }
}

}  // namespace
}  // namespace panal
