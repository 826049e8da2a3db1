#include "common/model/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace panal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

QueryNode Root(absl::string_view text) {
  absl::StatusOr<Query> query = Query::Parse(text);
  EXPECT_TRUE(query.ok()) << text << ": " << query.status();
  return query.ok() ? query->root() : QueryNode{};
}

// The message, or an empty string when the query is fine.
std::string ErrorOf(absl::string_view text) {
  absl::StatusOr<Query> query = Query::Parse(text);
  if (query.ok()) return "";
  EXPECT_EQ(ReasonOf(query.status()), ErrorReason::kQueryInvalid) << text;
  return std::string(query.status().message());
}

// The tree as a term, for short expectations.
std::string Shape(const QueryNode& node) {
  std::vector<std::string> children;
  for (const QueryNode& child : node.children) children.push_back(Shape(child));
  std::string inner = absl::StrJoin(children, ",");
  switch (node.op) {
    case QueryOp::kAnd:
      return absl::StrCat("and(", inner, ")");
    case QueryOp::kOr:
      return absl::StrCat("or(", inner, ")");
    case QueryOp::kNot:
      return absl::StrCat("not(", inner, ")");
    case QueryOp::kPhrase:
      return absl::StrCat(node.field, "[", absl::StrJoin(node.terms, " "), "]");
    case QueryOp::kPrefix:
      return absl::StrCat(node.field, "[", absl::StrJoin(node.terms, " "), "*]");
    case QueryOp::kAll:
      return "all";
    case QueryOp::kKind:
      return absl::StrCat("kind=", RecordKindName(node.kind));
    case QueryOp::kId:
      return absl::StrCat("id=", node.value);
    case QueryOp::kCompare:
      static constexpr absl::string_view kNames[] = {"=", "<", "<=", ">", ">=", "?"};
      return absl::StrCat(node.field, kNames[static_cast<int>(node.comparison)], node.value);
  }
  return "";
}

TEST(Query, JoinsByAndUnlessOrStandsBetween) {
  EXPECT_EQ(Shape(Root("a b OR c d")), "or(and([a],[b]),and([c],[d]))");
  EXPECT_EQ(Shape(Root("a (b OR c) d")), "and([a],or([b],[c]),[d])");
  EXPECT_EQ(Shape(Root("a AND b")), "and([a],[b])");
  EXPECT_EQ(Shape(Root("((a))")), "[a]");
  EXPECT_EQ(Shape(Root("a(b)c")), "and([a],[b],[c])");
}

TEST(Query, TakesOrAsAKeywordInUpperCaseOnly) {
  EXPECT_EQ(Shape(Root("a or b")), "and([a],[or],[b])");
  EXPECT_EQ(Shape(Root("a ORb")), "and([a],[orb])");
  EXPECT_EQ(Shape(Root("\"OR\" a")), "and([or],[a])");
}

TEST(Query, NegatesWhatFollowsTheMinusAtOnce) {
  EXPECT_EQ(Shape(Root("a -b")), "and([a],not([b]))");
  EXPECT_EQ(Shape(Root("-(a OR b)")), "not(or([a],[b]))");
  EXPECT_EQ(Shape(Root("-\"a b\" -size>1")), "and(not([a b]),not(size>1))");
  EXPECT_EQ(Shape(Root("foo-bar")), "[foo bar]");
}

TEST(Query, AllowsNegationsOnly) { EXPECT_EQ(Shape(Root("-a")), "not([a])"); }

TEST(Query, MakesAPhraseOfAWordWithSeveralTerms) {
  EXPECT_EQ(Shape(Root("foo-bar.txt")), "[foo bar txt]");
  EXPECT_EQ(Shape(Root("東京")), "[東 京]");
  EXPECT_EQ(Shape(Root("*.txt")), "[txt]");
}

TEST(Query, TakesAStarAtTheEndOfATermAsPrefix) {
  EXPECT_EQ(Shape(Root("foo*")), "[foo*]");
  EXPECT_EQ(Shape(Root("foo-ba*")), "[foo ba*]");
  EXPECT_EQ(Shape(Root("\"foo ba\"*")), "[foo ba*]");
  EXPECT_EQ(Shape(Root("foo-*")), "[foo]");
  EXPECT_EQ(Shape(Root("name:foo*")), "name[foo*]");
}

TEST(Query, TakesABareStarAsEverything) {
  EXPECT_EQ(Shape(Root("*")), "all");
  EXPECT_EQ(Shape(Root("kind:*")), "all");
}

TEST(Query, ComparesFields) {
  EXPECT_EQ(Shape(Root("size>1M")), "size>1M");
  EXPECT_EQ(Root("size>1M").number, 1024.0 * 1024);
  EXPECT_EQ(Shape(Root("size<=1.5GB")), "size<=1.5GB");
  EXPECT_EQ(Shape(Root("Lang:C++")), "lang=C++");
  EXPECT_EQ(Shape(Root("lang=c")), "lang=c");
  EXPECT_EQ(Shape(Root("author:\"Ana María\"")), "author=Ana María");
  EXPECT_EQ(Shape(Root("author:*")), "author?");
  EXPECT_EQ(Shape(Root("note:\"\"")), "note=");
  EXPECT_EQ(Shape(Root("year>=2020")), "year>=2020");
  EXPECT_TRUE(Root("year>=2020").has_number);
  EXPECT_FALSE(Root("year>=abc").has_number);
}

TEST(Query, LooksForWordsInTheNameOnlyWhereAsked) {
  EXPECT_EQ(Shape(Root("name:foo-bar")), "name[foo bar]");
  EXPECT_EQ(Shape(Root("name:\"foo bar\"")), "name[foo bar]");
  EXPECT_EQ(Shape(Root("name=a/b.txt")), "name=a/b.txt");
}

TEST(Query, ReadsKindsAndIdPrefixes) {
  EXPECT_EQ(Shape(Root("kind:File")), "kind=file");
  EXPECT_EQ(Shape(Root("kind:peer id:ABCD")), "and(kind=peer,id=abcd)");
  EXPECT_EQ(Shape(Root("publisher:abcd2")), "publisher=abcd2");
}

TEST(Query, TakesAnOperatorAfterNoFieldNameAsPunctuation) {
  EXPECT_EQ(Shape(Root("12:30")), "[12 30]");
  EXPECT_EQ(Shape(Root(":a")), "[a]");
}

TEST(Query, UnescapesQuotesInQuotes) {
  EXPECT_EQ(Root("a:\"x \\\"y\\\" \\\\ \\z\"").value, "x \"y\" \\ \\z");
}

TEST(Query, IgnoresAWordWithoutTermsBesideOthers) {
  EXPECT_EQ(Shape(Root("foo - bar & baz")), "and([foo],[bar],[baz])");
}

TEST(Query, NamesPositionAndWhatWasExpected) {
  EXPECT_EQ(ErrorOf(""),
            "query: position 1: expected a word, a quoted phrase, field:value, a "
            "comparison or (");
  EXPECT_EQ(ErrorOf("!!!"), "query: position 1: expected a word with a letter or digit");
  EXPECT_EQ(ErrorOf("a OR !!!"), "query: position 6: expected a word with a letter or digit");
  EXPECT_EQ(ErrorOf("(a"), "query: position 3: expected ) for the ( at 1");
  EXPECT_EQ(ErrorOf("a)"), "query: position 2: expected no ) without a ( before it");
  EXPECT_EQ(ErrorOf("é \"x"), "query: position 5: expected \" for the \" at 3");
  EXPECT_EQ(ErrorOf("size>abc"), "query: position 6: expected a size such as 1500, 64KiB or 1.5M");
  EXPECT_EQ(ErrorOf("kind:song"), "query: position 6: expected file, directory, object or peer");
  EXPECT_EQ(ErrorOf("a lang:"), "query: position 8: expected a value for lang");
  for (absl::string_view text :
       {"OR", "a OR", "OR a", "a AND", "AND a", "a AND OR b", "()", "--a", "-!!!", "name:!!",
        "lang:x*", "kind>file", "id:a", "id:abc1", "publisher:!!!!", "size:"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("expected")) << text;
  }
}

TEST(Query, RefusesTextThatIsNotUtf8OrHoldsNul) {
  EXPECT_THAT(ErrorOf("a\xff"), HasSubstr("UTF-8"));
  EXPECT_THAT(ErrorOf(absl::string_view("a\0b", 3)), HasSubstr("NUL"));
}

TEST(Query, BoundsItsSize) {
  EXPECT_EQ(ErrorOf(std::string(kQuerySizeMax, 'a')), "");
  EXPECT_EQ(ErrorOf(std::string(kQuerySizeMax + 1, 'a')), "query: 1025 bytes exceed 1024");
}

TEST(Query, BoundsItsNodes) {
  std::string words;
  for (int i = 0; i < kQueryNodesMax - 1; ++i) absl::StrAppend(&words, "a ");

  EXPECT_EQ(ErrorOf(words), "");  // The words and the AND above them.
  EXPECT_THAT(ErrorOf(words + "a"), HasSubstr("at most 64"));
}

TEST(Query, BoundsItsDepth) {
  auto nested = [](int depth) { return std::string(depth, '(') + "a" + std::string(depth, ')'); };

  EXPECT_EQ(ErrorOf(nested(kQueryDepthMax)), "");
  EXPECT_THAT(ErrorOf(nested(kQueryDepthMax + 1)), HasSubstr("at most 16 nested"));
  EXPECT_EQ(ErrorOf("(a) (b) (c) (d) (e) (f) (g) (h) (i) (j) (k) (l) (m) (n) (o) (p) (q)"), "");
}

TEST(Query, KeepsItsText) { EXPECT_EQ(Query::Parse(" a  B ")->text(), " a  B "); }

TEST(QueryNumber, IsAWholeFiniteDecimalNumber) {
  EXPECT_EQ(ParseQueryNumber("-1.5"), -1.5);
  EXPECT_EQ(ParseQueryNumber("1e3"), 1000);
  for (absl::string_view text : {"", "1x", " 1", "inf", "nan", "1e999", "0x10"}) {
    EXPECT_EQ(ParseQueryNumber(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace panal
