// The parser and the matcher against naive models, in a universe of a few words and attributes.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "common/model/query.h"
#include "common/model/terms.h"
#include "tests/property/model/random_queries.h"

namespace panal {
namespace {

constexpr uint64_t kSeeds = 1000;

// ` word word ` in lower case: a phrase is then a substring.
std::string Flat(absl::string_view text) {
  std::string flat = " ";
  for (char c : absl::AsciiStrToLower(text)) {
    bool word = absl::ascii_isalnum(static_cast<unsigned char>(c));
    if (word) flat.push_back(c);
    if (!word && flat.back() != ' ') flat.push_back(' ');
  }
  return flat.back() == ' ' ? flat : flat + " ";
}

template <typename T>
bool NaiveCompare(Comparison comparison, const T& left, const T& right) {
  if (comparison == Comparison::kLess) return left < right;
  if (comparison == Comparison::kLessEqual) return !(right < left);
  if (comparison == Comparison::kGreater) return right < left;
  if (comparison == Comparison::kGreaterEqual) return !(left < right);
  return left == right;
}

bool NaiveWords(const QueryNode& node, const Record& record) {
  std::string wanted =
      absl::StrCat(" ", absl::StrJoin(node.terms, " "), node.op == QueryOp::kPhrase ? " " : "");
  if (absl::StrContains(Flat(record.name), wanted)) return true;
  if (node.field == "name") return false;
  for (const auto& [key, value] : record.attributes) {
    if (absl::StrContains(Flat(value), wanted)) return true;
  }
  return false;
}

bool NaiveField(const QueryNode& node, const Record& record) {
  bool content = record.kind == RecordKind::kFile || record.kind == RecordKind::kDirectory;
  if (node.field == "size") {
    return content &&
           NaiveCompare(node.comparison, static_cast<double>(record.size_bytes), node.number);
  }
  if (record.attributes.count(node.field) == 0) return false;
  if (node.comparison == Comparison::kHas) return true;
  std::string value = record.attributes.at(node.field);
  if (node.comparison == Comparison::kEqual) {
    return absl::AsciiStrToLower(value) == absl::AsciiStrToLower(node.value);
  }
  double left = 0, right = 0;
  if (absl::SimpleAtod(value, &left) && absl::SimpleAtod(node.value, &right)) {
    return NaiveCompare(node.comparison, left, right);
  }
  return NaiveCompare(node.comparison, value, node.value);
}

bool NaiveMatches(const QueryNode& node, const Record& record) {
  bool all = true, any = false;
  for (const QueryNode& child : node.children) {
    bool matches = NaiveMatches(child, record);
    all = all && matches;
    any = any || matches;
  }
  if (node.op == QueryOp::kAnd) return all;
  if (node.op == QueryOp::kOr) return any;
  if (node.op == QueryOp::kNot) return !all;
  if (node.op == QueryOp::kCompare) return NaiveField(node, record);
  if (node.op == QueryOp::kAll) return true;
  if (node.op == QueryOp::kKind) {
    return record.kind == node.kind ||
           (node.kind == RecordKind::kFile && record.kind == RecordKind::kDirectory);
  }
  return NaiveWords(node, record);
}

TEST(QueryProperty, ParsesWhatWasPrintedToTheSameTree) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    QueryNode tree = RandomQueryTree(random, 3);
    std::string text = PrintQuery(tree);

    absl::StatusOr<Query> query = Query::Parse(text);

    ASSERT_TRUE(query.ok()) << seed << ": " << text << ": " << query.status();
    EXPECT_EQ(query->root(), tree)
        << seed << ": " << text << ", again " << PrintQuery(query->root());
  }
}

TEST(MatcherProperty, AgreesWithTheNaiveModel) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    QueryNode tree = RandomQueryTree(random, 3);
    absl::StatusOr<Query> query = Query::Parse(PrintQuery(tree));
    ASSERT_TRUE(query.ok()) << seed;
    for (int i = 0; i < 20; ++i) {
      Record record = RandomTextRecord(random);
      EXPECT_EQ(Matches(*query, record, PeerId{}), NaiveMatches(tree, record))
          << seed << ": " << query->text() << " on " << record.name;
    }
  }
}

// An index made by ForEachTerm proposes exactly the records that the matcher takes for one word.
TEST(TermsProperty, IndexAndMatcherAgreeOnSingleWords) {
  for (uint64_t seed = 0; seed < kSeeds / 10; ++seed) {
    Random random(seed);
    std::vector<Record> records;
    std::map<std::string, std::set<int>> index;
    for (int i = 0; i < 20; ++i) {
      records.push_back(RandomTextRecord(random));
      std::vector<std::string> texts = {records.back().name};
      for (const auto& [key, value] : records.back().attributes) texts.push_back(value);
      for (const std::string& text : texts) {
        for (const Term& term : Terms(text)) index[term.text].insert(i);
      }
    }
    for (absl::string_view word : kQueryWords) {
      absl::StatusOr<Query> query = Query::Parse(word);
      std::set<int> found;
      for (int i = 0; i < 20; ++i) {
        if (Matches(*query, records[i], PeerId{})) found.insert(i);
      }
      EXPECT_EQ(found, index[std::string(word)]) << seed << ": " << word;
    }
  }
}

}  // namespace
}  // namespace panal
