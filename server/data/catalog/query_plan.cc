#include "server/data/catalog/query_plan.h"

#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/model/terms.h"
#include "server/data/catalog/codec.h"
#include "server/data/catalog/record_rows.h"

namespace panal::catalog {
namespace {

// Characters of a prefix from which the index is asked: it keeps those of 2 and 3 by themselves,
// and joins the lists of all terms for others. A single character is as good as none.
constexpr size_t kPrefixCharactersMin = 2;

// An FTS5 expression that every match fulfills; nothing where there is none.
using Expression = std::optional<std::string>;

size_t Characters(absl::string_view text) {
  size_t count = 0;
  for (char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return count;
}

// Terms are letters and digits, so nothing in them needs escaping.
Expression PhraseOf(const std::vector<std::string>& terms) {
  if (terms.empty()) return std::nullopt;
  return absl::StrCat("\"", absl::StrJoin(terms, " "), "\"");
}

Expression PrefixOf(std::vector<std::string> terms) {
  if (terms.empty()) return std::nullopt;
  if (Characters(terms.back()) >= kPrefixCharactersMin) return *PhraseOf(terms) + " *";
  terms.pop_back();
  return PhraseOf(terms);
}

// The index has an attribute's key right before its value.
Expression CompareOf(const QueryNode& node) {
  if (node.field == "size" || node.field == "publisher") return std::nullopt;
  std::string text = node.field == "name" ? "" : node.field;
  if (node.comparison == Comparison::kEqual) absl::StrAppend(&text, " ", node.value);
  std::vector<std::string> terms;
  for (Term& term : Terms(text)) terms.push_back(std::move(term.text));
  return PhraseOf(terms);
}

Expression ExpressionOf(const QueryNode& node);

Expression Joined(const QueryNode& node, absl::string_view separator, bool all_needed) {
  std::vector<std::string> parts;
  for (const QueryNode& child : node.children) {
    Expression part = ExpressionOf(child);
    if (part) parts.push_back(*std::move(part));
    if (!part && all_needed) return std::nullopt;
  }
  if (parts.empty()) return std::nullopt;
  return absl::StrCat("(", absl::StrJoin(parts, separator), ")");
}

// Depth: at most kQueryDepthMax, by the parser.
Expression ExpressionOf(const QueryNode& node) {
  switch (node.op) {
    case QueryOp::kAnd:
      return Joined(node, " AND ", /*all_needed=*/false);
    case QueryOp::kOr:
      return Joined(node, " OR ", /*all_needed=*/true);
    case QueryOp::kPhrase:
      return PhraseOf(node.terms);
    case QueryOp::kPrefix:
      return PrefixOf(node.terms);
    case QueryOp::kCompare:
      return CompareOf(node);
    case QueryOp::kNot:
    case QueryOp::kKind:
    case QueryOp::kId:
    case QueryOp::kAll:
      return std::nullopt;
  }
  return std::nullopt;
}

// Conditions that every match fulfills, as SQL.
class Filters {
 public:
  explicit Filters(const QueryNode& root) { Collect(root); }

  bool has_id() const { return has_id_; }

  std::optional<RecordKind> rare_kind() const { return rare_kind_; }

  const std::vector<std::string>& conditions() const { return conditions_; }

  const std::vector<Value>& values() const { return values_; }

 private:
  void Collect(const QueryNode& node) {
    if (node.op == QueryOp::kAnd) {
      for (const QueryNode& child : node.children) Collect(child);
    } else if (node.op == QueryOp::kKind) {
      AddKind(node.kind);
    } else if (node.op == QueryOp::kId) {
      has_id_ = true;
      AddPrefix("r.id", node.value);
    } else if (node.op == QueryOp::kCompare && node.field == "publisher") {
      AddPrefix("p.publisher", node.value);
    } else if (node.op == QueryOp::kCompare && node.field == "size") {
      AddSize(node);
    }
  }

  // Kinds are spelled out, or SQLite would not see that the partial indexes serve.
  void AddKind(RecordKind kind) {
    if (kind == RecordKind::kFile) {
      conditions_.emplace_back("r.kind IN (1, 2)");
      return;
    }
    conditions_.push_back(absl::StrCat("r.kind = ", static_cast<int>(kind)));
    if (kind == RecordKind::kObject || kind == RecordKind::kPeer) rare_kind_ = kind;
  }

  void AddPrefix(absl::string_view column, absl::string_view prefix) {
    PrefixRange range = RangeOfPrefix(prefix);
    // Nothing begins with it: an empty range.
    if (!range.valid) range.range = {std::string(1, '\xff'), std::string()};
    conditions_.push_back(absl::StrCat(column, " BETWEEN ? AND ?"));
    values_.emplace_back(BlobValue{range.range.first});
    values_.emplace_back(BlobValue{range.range.last});
  }

  // The matcher compares doubles, SQLite exactly: a margin above a double's precision.
  void AddSize(const QueryNode& node) {
    double margin = std::abs(node.number) * 1e-12;
    Comparison comparison = node.comparison;
    if (comparison == Comparison::kHas) return;
    bool below = comparison == Comparison::kLess || comparison == Comparison::kLessEqual;
    bool above = comparison == Comparison::kGreater || comparison == Comparison::kGreaterEqual;
    if (!below) AddBound("r.size >= ?", node.number - margin);
    if (!above) AddBound("r.size <= ?", node.number + margin);
  }

  void AddBound(absl::string_view condition, double bound) {
    conditions_.emplace_back(condition);
    values_.emplace_back(bound);
  }

  bool has_id_ = false;
  std::optional<RecordKind> rare_kind_;
  std::vector<std::string> conditions_;
  std::vector<Value> values_;
};

// CROSS JOIN keeps SQLite to the order of the tables.
absl::string_view SourceOf(bool words, const Filters& filters) {
  if (words) return "record_words CROSS JOIN record r ON r.key = record_words.rowid";
  if (filters.has_id()) return "record r INDEXED BY record_id";
  if (filters.rare_kind() == RecordKind::kObject) return "record r INDEXED BY record_object";
  if (filters.rare_kind() == RecordKind::kPeer) return "record r INDEXED BY record_peer";
  return "record r NOT INDEXED";
}

absl::string_view OrderOf(bool words, const Filters& filters) {
  if (words) return " ORDER BY record_words.rowid DESC";
  return filters.has_id() || filters.rare_kind() ? "" : " ORDER BY r.key DESC";
}

}  // namespace

QueryPlan PlanQuery(const Query& query, int64_t now_ms) {
  Expression expression = ExpressionOf(query.root());
  Filters filters(query.root());
  QueryPlan plan;
  plan.sql = absl::StrCat("SELECT ", kRecordColumns, ", p.publisher FROM ",
                          SourceOf(expression.has_value(), filters),
                          " CROSS JOIN page p ON p.key = r.page WHERE p.expires_ms > ?");
  plan.values.emplace_back(now_ms);
  if (expression) {
    absl::StrAppend(&plan.sql, " AND record_words MATCH ?");
    plan.values.emplace_back(*std::move(expression));
  }
  for (const std::string& condition : filters.conditions()) {
    absl::StrAppend(&plan.sql, " AND ", condition);
  }
  plan.values.insert(plan.values.end(), filters.values().begin(), filters.values().end());
  absl::StrAppend(&plan.sql, OrderOf(expression.has_value(), filters));
  return plan;
}

QueryPlan PlanArrivals(const Query& query, int64_t now_ms, int64_t since_ms) {
  Filters filters(query.root());
  QueryPlan plan;
  plan.sql = absl::StrCat("SELECT ", kRecordColumns,
                          ", p.publisher FROM record r INDEXED BY record_arrived CROSS JOIN page p "
                          "ON p.key = r.page WHERE r.arrived_ms >= ? AND p.expires_ms > ?");
  plan.values.emplace_back(since_ms);
  plan.values.emplace_back(now_ms);
  for (const std::string& condition : filters.conditions()) {
    absl::StrAppend(&plan.sql, " AND ", condition);
  }
  plan.values.insert(plan.values.end(), filters.values().begin(), filters.values().end());
  absl::StrAppend(&plan.sql, " ORDER BY r.arrived_ms DESC");
  return plan;
}

}  // namespace panal::catalog
