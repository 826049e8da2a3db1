#include "common/model/query.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/charconv.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/base32.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/base/utf8.h"
#include "common/model/terms.h"

namespace panal {
namespace {

constexpr size_t kIdPrefixSizeMin = 4;  // Characters: 20 bits, few enough to type.
constexpr absl::string_view kOperators = ":=<>";
constexpr absl::string_view kTermExpected =
    "a word, a quoted phrase, field:value, a comparison or (";

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }

bool EndsWord(char c) { return IsSpace(c) || c == '(' || c == ')' || c == '"'; }

// As for attribute keys, in either case.
bool IsFieldName(absl::string_view text) {
  auto allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  };
  return !text.empty() && text.size() <= kAttributeKeySizeMax &&
         absl::ascii_isalpha(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), allowed);
}

// A word of the query: `text` without quotes and escapes, and where it began.
struct Word {
  std::string text;
  bool quoted = false;
  bool star = false;  // `*` at its end, outside the quotes, taken off.
  size_t position = 0;
};

// Recursive descent over docs/protocol/search.md's grammar. Positions are byte offsets until an
// error is made of them.
class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<QueryNode> Parse() {
    PANAL_ASSIGN_OR_RETURN(QueryNode root, ParseOr());
    if (position_ < text_.size()) return Expected(position_, "no ) without a ( before it");
    return root;
  }

 private:
  absl::StatusOr<QueryNode> ParseOr() {
    std::vector<QueryNode> children;
    do {
      PANAL_ASSIGN_OR_RETURN(QueryNode child, ParseAnd());
      children.push_back(std::move(child));
    } while (ConsumeKeyword("OR"));
    return Join(QueryOp::kOr, std::move(children));
  }

  absl::StatusOr<QueryNode> ParseAnd() {
    SkipSpaces();
    size_t begin = position_;
    std::vector<QueryNode> children;
    bool wants_more = true;  // After AND, and at the start.
    while (wants_more || !AtEndOfAnd()) {
      if (AtEndOfAnd() || AtKeyword("AND")) break;
      PANAL_ASSIGN_OR_RETURN(std::optional<QueryNode> child, ParseUnary());
      if (child) children.push_back(*std::move(child));
      wants_more = ConsumeKeyword("AND");
    }
    if (wants_more) return Expected(position_, kTermExpected);
    if (children.empty()) return Expected(begin, "a word with a letter or digit");
    return Join(QueryOp::kAnd, std::move(children));
  }

  // Nothing for a word without letters and digits.
  absl::StatusOr<std::optional<QueryNode>> ParseUnary() {
    bool negated = text_[position_] == '-' && position_ + 1 < text_.size() &&
                   !IsSpace(text_[position_ + 1]) && text_[position_ + 1] != ')';
    if (!negated) return ParsePrimary();
    size_t begin = ++position_;
    if (text_[begin] == '-') return Expected(begin, kTermExpected);
    PANAL_ASSIGN_OR_RETURN(std::optional<QueryNode> child, ParsePrimary());
    if (!child) return Expected(begin, "a word with a letter or digit");
    PANAL_ASSIGN_OR_RETURN(QueryNode node, NewNode(QueryOp::kNot));
    node.children.push_back(*std::move(child));
    return node;
  }

  absl::StatusOr<std::optional<QueryNode>> ParsePrimary() {
    if (text_[position_] == '(') return ParseGroup();
    Word word;
    word.position = position_;
    if (text_[position_] == '"') {
      PANAL_RETURN_IF_ERROR(TakeQuoted(word));
      return MakeWords(word, "");
    }
    absl::string_view raw = TakeRaw();
    size_t op = raw.find_first_of(kOperators);
    if (op != absl::string_view::npos && IsFieldName(raw.substr(0, op))) {
      return ParseField(raw, op, word.position);
    }
    if (raw == "*") return NewNode(QueryOp::kAll);
    SetText(raw, word);
    return MakeWords(word, "");
  }

  absl::StatusOr<std::optional<QueryNode>> ParseGroup() {
    size_t begin = position_++;
    if (++depth_ > kQueryDepthMax) {
      return Expected(begin, absl::StrCat("at most ", kQueryDepthMax, " nested parentheses"));
    }
    PANAL_ASSIGN_OR_RETURN(QueryNode node, ParseOr());
    if (position_ >= text_.size()) {
      return Expected(position_, absl::StrCat(") for the ( at ", CharacterOf(begin)));
    }
    ++position_;
    --depth_;
    return node;
  }

  // `raw` is `field`, an operator at `op`, and the value unless that is quoted.
  absl::StatusOr<std::optional<QueryNode>> ParseField(absl::string_view raw, size_t op,
                                                      size_t begin) {
    std::string field = absl::AsciiStrToLower(raw.substr(0, op));
    absl::string_view rest = raw.substr(op);
    bool contains = absl::StartsWith(rest, ":");
    Comparison comparison = TakeComparison(rest);
    Word value;
    value.position = begin + raw.size() - rest.size();
    if (!rest.empty()) {
      if (rest == "*" && comparison == Comparison::kEqual) return MakeHas(field);
      SetText(rest, value);
    } else if (position_ < text_.size() && text_[position_] == '"') {
      PANAL_RETURN_IF_ERROR(TakeQuoted(value));
    }
    if (value.text.empty() && !value.quoted) {
      return Expected(value.position, absl::StrCat("a value for ", field));
    }
    if (field == "name" && contains) {
      PANAL_ASSIGN_OR_RETURN(std::optional<QueryNode> node, MakeWords(value, field));
      if (!node) return Expected(value.position, "a word with a letter or digit");
      return node;
    }
    if (value.star) return Expected(value.position, "a value without * (only words take it)");
    return MakeComparison(field, comparison, value);
  }

  static Comparison TakeComparison(absl::string_view& rest) {
    if (absl::ConsumePrefix(&rest, "<=")) return Comparison::kLessEqual;
    if (absl::ConsumePrefix(&rest, ">=")) return Comparison::kGreaterEqual;
    if (absl::ConsumePrefix(&rest, "<")) return Comparison::kLess;
    if (absl::ConsumePrefix(&rest, ">")) return Comparison::kGreater;
    rest.remove_prefix(1);
    return Comparison::kEqual;
  }

  absl::StatusOr<std::optional<QueryNode>> MakeHas(const std::string& field) {
    static constexpr absl::string_view kAlways[] = {"name", "size", "kind", "id", "publisher"};
    if (std::find(std::begin(kAlways), std::end(kAlways), field) != std::end(kAlways)) {
      return NewNode(QueryOp::kAll);
    }
    PANAL_ASSIGN_OR_RETURN(QueryNode node, NewNode(QueryOp::kCompare));
    node.field = field;
    node.comparison = Comparison::kHas;
    return node;
  }

  absl::StatusOr<std::optional<QueryNode>> MakeComparison(const std::string& field,
                                                          Comparison comparison, Word& value) {
    if (field == "kind" || field == "id" || field == "publisher") {
      if (comparison != Comparison::kEqual) {
        return Expected(value.position, absl::StrCat("no comparison of ", field, " but :"));
      }
      if (field == "kind") return MakeKind(value);
      return MakeIdPrefix(field, value);
    }
    PANAL_ASSIGN_OR_RETURN(QueryNode node, NewNode(QueryOp::kCompare));
    node.field = field;
    node.comparison = comparison;
    if (field == "size") {
      absl::StatusOr<int64_t> size = ParseSize(value.text);
      if (!size.ok()) return Expected(value.position, "a size such as 1500, 64KiB or 1.5M");
      node.number = static_cast<double>(*size);
      node.has_number = true;
    } else if (comparison != Comparison::kEqual) {
      std::optional<double> number = ParseQueryNumber(value.text);
      node.number = number.value_or(0);
      node.has_number = number.has_value();
    }
    node.value = std::move(value.text);
    return node;
  }

  absl::StatusOr<std::optional<QueryNode>> MakeKind(const Word& value) {
    for (RecordKind kind :
         {RecordKind::kFile, RecordKind::kDirectory, RecordKind::kObject, RecordKind::kPeer}) {
      if (!absl::EqualsIgnoreCase(value.text, RecordKindName(kind))) continue;
      PANAL_ASSIGN_OR_RETURN(QueryNode node, NewNode(QueryOp::kKind));
      node.kind = kind;
      return node;
    }
    return Expected(value.position, "file, directory, object or peer");
  }

  absl::StatusOr<std::optional<QueryNode>> MakeIdPrefix(const std::string& field,
                                                        const Word& value) {
    std::string prefix = absl::AsciiStrToLower(value.text);
    if (prefix.size() < kIdPrefixSizeMin || prefix.size() > PeerId::kTextSize ||
        !IsBase32(prefix)) {
      return Expected(value.position, absl::StrCat(kIdPrefixSizeMin, " to ", PeerId::kTextSize,
                                                   " base32 characters of an id"));
    }
    bool is_id = field == "id";
    PANAL_ASSIGN_OR_RETURN(QueryNode node, NewNode(is_id ? QueryOp::kId : QueryOp::kCompare));
    if (!is_id) node.field = field;
    node.value = std::move(prefix);
    return node;
  }

  // A word, phrase or prefix; nothing where the text has no terms.
  absl::StatusOr<std::optional<QueryNode>> MakeWords(const Word& word, absl::string_view field) {
    std::vector<Term> terms = Terms(word.text);
    if (terms.empty()) return std::optional<QueryNode>();
    // In `foo-*` the star belongs to no term.
    bool prefix = word.star && terms.back().end == word.text.size();
    PANAL_ASSIGN_OR_RETURN(QueryNode node, NewNode(prefix ? QueryOp::kPrefix : QueryOp::kPhrase));
    node.field = std::string(field);
    for (Term& term : terms) node.terms.push_back(std::move(term.text));
    return node;
  }

  // Joins `children` unless there is only one.
  absl::StatusOr<QueryNode> Join(QueryOp op, std::vector<QueryNode> children) {
    if (children.size() == 1) return std::move(children[0]);
    PANAL_ASSIGN_OR_RETURN(QueryNode node, NewNode(op));
    node.children = std::move(children);
    return node;
  }

  absl::StatusOr<QueryNode> NewNode(QueryOp op) {
    if (++nodes_ > kQueryNodesMax) {
      return Expected(position_, absl::StrCat("at most ", kQueryNodesMax,
                                              " words, comparisons and operators in a query"));
    }
    QueryNode node;
    node.op = op;
    return node;
  }

  // --- Characters --------------------------------------------------------------------------------
  void SkipSpaces() {
    while (position_ < text_.size() && IsSpace(text_[position_])) ++position_;
  }

  bool AtKeyword(absl::string_view keyword) const {
    absl::string_view rest = text_.substr(position_);
    return absl::ConsumePrefix(&rest, keyword) && (rest.empty() || EndsWord(rest[0]));
  }

  bool ConsumeKeyword(absl::string_view keyword) {
    SkipSpaces();
    if (!AtKeyword(keyword)) return false;
    position_ += keyword.size();
    return true;
  }

  bool AtEndOfAnd() {
    SkipSpaces();
    return position_ >= text_.size() || text_[position_] == ')' || AtKeyword("OR");
  }

  absl::string_view TakeRaw() {
    size_t begin = position_;
    while (position_ < text_.size() && !EndsWord(text_[position_])) ++position_;
    return text_.substr(begin, position_ - begin);
  }

  // `position_` is at the opening quote. `\"` and `\\` stand for themselves.
  absl::Status TakeQuoted(Word& word) {
    word.quoted = true;
    size_t begin = position_++;
    for (; position_ < text_.size() && text_[position_] != '"'; ++position_) {
      bool escaped = text_[position_] == '\\' && position_ + 1 < text_.size() &&
                     (text_[position_ + 1] == '"' || text_[position_ + 1] == '\\');
      if (escaped) ++position_;
      word.text.push_back(text_[position_]);
    }
    if (position_ >= text_.size()) {
      return Expected(position_, absl::StrCat("\" for the \" at ", CharacterOf(begin)));
    }
    ++position_;
    word.star = position_ < text_.size() && text_[position_] == '*';
    if (word.star) ++position_;
    return absl::OkStatus();
  }

  static void SetText(absl::string_view raw, Word& word) {
    word.star = absl::ConsumeSuffix(&raw, "*");
    word.text = std::string(raw);
  }

  // What people count: characters from 1.
  size_t CharacterOf(size_t position) const {
    size_t count = 1;
    for (char c : text_.substr(0, position)) {
      if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) ++count;
    }
    return count;
  }

  absl::Status Expected(size_t position, absl::string_view what) const {
    size_t character = CharacterOf(position);
    return Error(ErrorReason::kQueryInvalid,
                 absl::StrCat("query: position ", character, ": expected ", what),
                 {{"position", absl::StrCat(character)}});
  }

  const absl::string_view text_;
  size_t position_ = 0;
  int depth_ = 0;
  int nodes_ = 0;
};

}  // namespace

std::optional<double> ParseQueryNumber(absl::string_view text) {
  // Neither hexadecimal nor infinite, both of which from_chars takes.
  if (text.find_first_not_of("0123456789+-.eE") != absl::string_view::npos) return std::nullopt;
  double number = 0;
  const char* end = text.data() + text.size();
  absl::from_chars_result result = absl::from_chars(text.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

absl::StatusOr<Query> Query::Parse(absl::string_view text) {
  if (text.size() > kQuerySizeMax) {
    return Error(ErrorReason::kQueryInvalid,
                 absl::StrCat("query: ", text.size(), " bytes exceed ", kQuerySizeMax));
  }
  if (!IsValidUtf8(text) || absl::StrContains(text, '\0')) {
    return Error(ErrorReason::kQueryInvalid, "query: not UTF-8 without NUL");
  }
  Query query;
  query.text_ = std::string(text);
  PANAL_ASSIGN_OR_RETURN(query.root_, Parser(query.text_).Parse());
  return query;
}

}  // namespace panal
