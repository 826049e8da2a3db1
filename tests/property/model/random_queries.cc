#include "tests/property/model/random_queries.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace panal {
namespace {

constexpr absl::string_view kKeys[] = {"k", "lang"};
constexpr absl::string_view kSeparators[] = {" ", "-", ".", "_", ", "};

template <typename T, size_t N>
T Pick(Random& random, const T (&items)[N]) {
  return items[random.Below(N)];
}

std::string RandomText(Random& random) {
  std::string text(Pick(random, kQueryWords));
  for (uint64_t i = random.Below(4); i > 0; --i) {
    absl::StrAppend(&text, Pick(random, kSeparators), Pick(random, kQueryWords));
  }
  return random.Below(3) == 0 ? absl::AsciiStrToUpper(text) : text;
}

QueryNode RandomLeaf(Random& random) {
  QueryNode node;
  uint64_t kind = random.Below(10);
  if (kind < 5) {
    node.op = random.Below(3) == 0 ? QueryOp::kPrefix : QueryOp::kPhrase;
    if (random.Below(4) == 0) node.field = "name";
    for (uint64_t i = 1 + random.Below(2); i > 0; --i) {
      node.terms.emplace_back(Pick(random, kQueryWords));
    }
  } else if (kind < 7) {
    node.op = QueryOp::kCompare;
    node.field = std::string(Pick(random, kKeys));
    node.comparison = static_cast<Comparison>(random.Below(6));
    if (node.comparison == Comparison::kHas) return node;
    node.value = std::string(Pick(random, kQueryWords));
    if (node.comparison != Comparison::kEqual) {
      node.has_number = absl::SimpleAtod(node.value, &node.number);
    }
  } else if (kind < 8) {
    node.op = QueryOp::kCompare;
    node.field = "size";
    node.comparison = static_cast<Comparison>(random.Below(5));
    node.value = absl::StrCat(random.Below(4) * 512);
    node.has_number = absl::SimpleAtod(node.value, &node.number);
  } else if (kind < 9) {
    node.op = QueryOp::kKind;
    node.kind = static_cast<RecordKind>(1 + random.Below(4));
  }
  return node;
}

// With parentheses around whatever is no leaf.
std::string PrintChild(const QueryNode& node) {
  return node.children.empty() ? PrintQuery(node) : absl::StrCat("(", PrintQuery(node), ")");
}

}  // namespace

Record RandomTextRecord(Random& random) {
  Record record;
  record.kind = static_cast<RecordKind>(1 + random.Below(4));
  record.name = RandomText(random);
  record.size_bytes = random.Below(4) * 512;
  for (absl::string_view key : kKeys) {
    if (random.Below(2) == 0) record.attributes[std::string(key)] = RandomText(random);
  }
  return record;
}

QueryNode RandomQueryTree(Random& random, int depth) {
  QueryNode node;
  uint64_t kind = depth == 0 ? 9 : random.Below(10);
  if (kind >= 6) return RandomLeaf(random);
  node.op = kind < 2 ? QueryOp::kAnd : kind < 4 ? QueryOp::kOr : QueryOp::kNot;
  uint64_t count = node.op == QueryOp::kNot ? 1 : 2 + random.Below(2);
  for (; count > 0; --count) node.children.push_back(RandomQueryTree(random, depth - 1));
  return node;
}

std::string PrintQuery(const QueryNode& node) {
  static constexpr absl::string_view kOperators[] = {":", "<", "<=", ">", ">=", ":*"};
  std::vector<std::string> children;
  for (const QueryNode& child : node.children) children.push_back(PrintChild(child));
  switch (node.op) {
    case QueryOp::kAnd:
      return absl::StrJoin(children, " ");
    case QueryOp::kOr:
      return absl::StrJoin(children, " OR ");
    case QueryOp::kNot:
      return absl::StrCat("-", children[0]);
    case QueryOp::kPhrase:
    case QueryOp::kPrefix:
      return absl::StrCat(node.field, node.field.empty() ? "\"" : ":\"",
                          absl::StrJoin(node.terms, " "), "\"",
                          node.op == QueryOp::kPrefix ? "*" : "");
    case QueryOp::kCompare:
      return absl::StrCat(node.field, kOperators[static_cast<int>(node.comparison)], node.value);
    case QueryOp::kKind:
      return absl::StrCat("kind:", RecordKindName(node.kind));
    case QueryOp::kId:
      return absl::StrCat("id:", node.value);
    case QueryOp::kAll:
      return "*";
  }
  return "";
}

}  // namespace panal
