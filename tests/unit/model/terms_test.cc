#include "common/model/terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> TextsOf(absl::string_view text) {
  std::vector<std::string> texts;
  for (const Term& term : Terms(text)) texts.push_back(term.text);
  return texts;
}

TEST(Terms, SplitsAtEverythingThatIsNoLetterOrDigit) {
  EXPECT_THAT(TextsOf("annual-report_2024 (final).PDF"),
              ElementsAre("annual", "report", "2024", "final", "pdf"));
  EXPECT_THAT(TextsOf("a/b\\c\td\ne\x01"
                      "f"),
              ElementsAre("a", "b", "c", "d", "e", "f"));
  EXPECT_THAT(TextsOf("\xe2\x80\x9cquoted\xe2\x80\x9d\xe2\x80\x94"
                      "dash"),
              ElementsAre("quoted", "dash"));
}

TEST(Terms, FindsNoneInTextWithoutLettersAndDigits) {
  EXPECT_THAT(TextsOf(""), IsEmpty());
  EXPECT_THAT(TextsOf("!!! --- ..."), IsEmpty());
  EXPECT_THAT(TextsOf("\xcc\x81"), IsEmpty());  // A combining mark alone.
}

TEST(Terms, FoldsCaseAndDiacriticsOfLatinGreekAndCyrillic) {
  EXPECT_THAT(TextsOf("ÀÉÎÕÜ ñandú ŁÓDŹ Žižkov"), ElementsAre("aeiou", "nandu", "łodz", "zizkov"));
  EXPECT_THAT(TextsOf("Ἀθῆναι ΑΘΗΝΑΙ"), ElementsAre("αθηναι", "αθηναι"));
  EXPECT_THAT(TextsOf("λόγος ΛΟΓΟΣ"), ElementsAre("λογοσ", "λογοσ"));
  EXPECT_THAT(TextsOf("Ёлка ЙОГА"), ElementsAre("елка", "иога"));
  EXPECT_THAT(TextsOf("việt Straße µm"), ElementsAre("viet", "straße", "μm"));
}

TEST(Terms, TreatsDecomposedTextAsComposed) {
  EXPECT_EQ(TextsOf("cafe\xcc\x81s"), TextsOf("caf\xc3\xa9s"));
}

TEST(Terms, TakesEveryIdeographKanaAndSyllableByItself) {
  EXPECT_THAT(TextsOf("東京tokyo"), ElementsAre("東", "京", "tokyo"));
  EXPECT_THAT(TextsOf("カメラ"), ElementsAre("カ", "メ", "ラ"));
  EXPECT_THAT(TextsOf("한국"), ElementsAre("한", "국"));
}

TEST(Terms, LeavesOtherScriptsAsTheyAre) {
  EXPECT_THAT(TextsOf("مرحبا، عالم"), ElementsAre("مرحبا", "عالم"));
  EXPECT_THAT(TextsOf("हिन्दी भाषा"), ElementsAre("हिन्दी", "भाषा"));
}

TEST(Terms, SeparatesAtBytesThatAreNotUtf8) {
  EXPECT_THAT(TextsOf("ab\xff"
                      "cd"),
              ElementsAre("ab", "cd"));
  EXPECT_THAT(TextsOf("ab\xc3"), ElementsAre("ab"));
  EXPECT_THAT(TextsOf("ab\xed\xa0\x80"
                      "cd"),
              ElementsAre("ab", "cd"));  // A surrogate.
  EXPECT_THAT(TextsOf("ab\xc0\xaf"
                      "cd"),
              ElementsAre("ab", "cd"));  // Overlong.
  EXPECT_THAT(TextsOf(std::string("ab\0cd", 5)), ElementsAre("ab", "cd"));
}

TEST(Terms, CutsRunsAtTheLimitAndDropsTheRest) {
  std::string exact(kTermSizeMax, 'x');

  EXPECT_THAT(TextsOf(exact), ElementsAre(exact));
  EXPECT_THAT(TextsOf(exact + "yz 1"), ElementsAre(exact, "1"));
  // A character that would straddle the limit is left out, and so is what follows.
  std::string almost(kTermSizeMax - 1, 'x');
  EXPECT_THAT(TextsOf(almost + "łx"), ElementsAre(almost));
}

TEST(Terms, SaysWhichBytesATermCameFrom) {
  EXPECT_THAT(Terms("a  É1!"), ElementsAre(Term{"a", 0, 1}, Term{"e1", 3, 6}));
}

TEST(Terms, StopsWhenTheSinkHasEnough) {
  int calls = 0;

  ForEachTerm("a b c", [&calls](absl::string_view, size_t, size_t) { return ++calls < 2; });

  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace panal
