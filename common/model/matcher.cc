#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "common/model/query.h"
#include "common/model/terms.h"

namespace panal {
namespace {

using TextTerms = std::vector<std::string>;

template <typename T>
bool Holds(Comparison comparison, const T& left, const T& right) {
  switch (comparison) {
    case Comparison::kEqual:
      return left == right;
    case Comparison::kLess:
      return left < right;
    case Comparison::kLessEqual:
      return left <= right;
    case Comparison::kGreater:
      return left > right;
    case Comparison::kGreaterEqual:
      return left >= right;
    case Comparison::kHas:
      return true;
  }
  return false;
}

bool ComparesText(const QueryNode& node, absl::string_view text) {
  if (node.comparison == Comparison::kEqual) return absl::EqualsIgnoreCase(text, node.value);
  if (node.has_number) {
    std::optional<double> number = ParseQueryNumber(text);
    if (number) return Holds(node.comparison, *number, node.number);
  }
  return Holds(node.comparison, text, absl::string_view(node.value));
}

// Whether the terms of `node` stand in `terms` from `begin` on.
bool StandsAt(const QueryNode& node, const TextTerms& terms, size_t begin) {
  size_t count = node.terms.size();
  size_t whole = node.op == QueryOp::kPrefix ? count - 1 : count;
  for (size_t i = 0; i < whole; ++i) {
    if (terms[begin + i] != node.terms[i]) return false;
  }
  return whole == count || absl::StartsWith(terms[begin + whole], node.terms[whole]);
}

bool StandsIn(const QueryNode& node, const TextTerms& terms) {
  for (size_t begin = 0; begin + node.terms.size() <= terms.size(); ++begin) {
    if (StandsAt(node, terms, begin)) return true;
  }
  return false;
}

bool IsContent(RecordKind kind) {
  return kind == RecordKind::kFile || kind == RecordKind::kDirectory;
}

// One record under evaluation; its texts are split into terms once, when a node first needs them.
class Matcher {
 public:
  Matcher(const Record& record, const PeerId& publisher) : record_(record), publisher_(publisher) {}

  bool Evaluate(const QueryNode& node) {
    auto holds = [this](const QueryNode& child) { return Evaluate(child); };
    switch (node.op) {
      case QueryOp::kAnd:
        return std::all_of(node.children.begin(), node.children.end(), holds);
      case QueryOp::kOr:
        return std::any_of(node.children.begin(), node.children.end(), holds);
      case QueryOp::kNot:
        return !Evaluate(node.children[0]);
      case QueryOp::kPhrase:
      case QueryOp::kPrefix:
        return MatchesWords(node);
      case QueryOp::kCompare:
        return Compares(node);
      case QueryOp::kKind:
        return node.kind == RecordKind::kFile ? IsContent(record_.kind) : record_.kind == node.kind;
      case QueryOp::kId:
        return record_.kind != RecordKind::kObject &&
               absl::StartsWith(record_.id.ToText(), node.value);
      case QueryOp::kAll:
        return true;
    }
    return false;
  }

 private:
  bool MatchesWords(const QueryNode& node) {
    SplitTexts();
    if (node.field == "name") return StandsIn(node, texts_[0]);
    return std::any_of(texts_.begin(), texts_.end(),
                       [&](const TextTerms& terms) { return StandsIn(node, terms); });
  }

  bool Compares(const QueryNode& node) const {
    if (node.field == "name") return ComparesText(node, record_.name);
    if (node.field == "publisher") return absl::StartsWith(publisher_.ToText(), node.value);
    if (node.field == "size") {
      return IsContent(record_.kind) &&
             Holds(node.comparison, static_cast<double>(record_.size_bytes), node.number);
    }
    auto attribute = record_.attributes.find(node.field);
    if (attribute == record_.attributes.end()) return false;
    return node.comparison == Comparison::kHas || ComparesText(node, attribute->second);
  }

  void SplitTexts() {
    if (!texts_.empty()) return;
    texts_.reserve(1 + record_.attributes.size());
    AddText(record_.name);
    for (const auto& [key, value] : record_.attributes) AddText(value);
  }

  void AddText(absl::string_view text) {
    TextTerms& terms = texts_.emplace_back();
    ForEachTerm(text, [&terms](absl::string_view term, size_t, size_t) {
      terms.emplace_back(term);
      return true;
    });
  }

  const Record& record_;
  const PeerId& publisher_;
  // The name's terms first, then each attribute value's.
  std::vector<TextTerms> texts_;
};

}  // namespace

bool Matches(const Query& query, const Record& record, const PeerId& publisher) {
  return Matcher(record, publisher).Evaluate(query.root());
}

}  // namespace panal
