// The query language (grammar: docs/protocol/search.md): words, "phrases", prefix*, field:value,
// size>1M, OR, -negation, parentheses, kind:file, id:….
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/record.h"

namespace panal {

inline constexpr int kQueryNodesMax = 64;  // Nodes of the tree: bounds the work of one evaluation.
inline constexpr int kQueryDepthMax = 16;  // Nested parentheses.

enum class QueryOp : uint8_t {
  kAnd,     // All of `children`.
  kOr,      // Any of `children`.
  kNot,     // Not `children[0]`.
  kPhrase,  // `terms` one after the other, in the name or in one attribute; one term: a word.
  kPrefix,  // A word that begins with `terms[0]`.
  kCompare, // `field` compared with `value` by `comparison`.
  kKind,    // Record kind `kind`; kFile also matches directories.
  kId,      // Id text begins with `value` (4 to 52 base32 characters).
  kAll,     // Everything (`*`).
};

enum class Comparison : uint8_t { kEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kHas };

struct QueryNode {
  QueryOp op = QueryOp::kAll;
  std::vector<QueryNode> children;
  std::vector<std::string> terms;
  std::string field;  // `name`, `size`, `publisher` or an attribute key.
  Comparison comparison = Comparison::kEqual;
  std::string value;
  double number = 0;  // `value` as a number (sizes with their unit), where has_number.
  bool has_number = false;
  RecordKind kind = RecordKind::kFile;

  bool operator==(const QueryNode&) const = default;
};

// A parsed query. Immutable.
class Query {
 public:
  // Error: QUERY_INVALID, which names the position (from 1) and what was expected there.
  static absl::StatusOr<Query> Parse(absl::string_view text);

  const std::string& text() const { return text_; }
  const QueryNode& root() const { return root_; }

 private:
  std::string text_;
  QueryNode root_;
};

// Whether `record`, published by `publisher`, matches. The one matcher: whatever an index proposes, this
// decides. Cost: linear in the record's text times the nodes of the query.
bool Matches(const Query& query, const Record& record, const PeerId& publisher);

}  // namespace panal
