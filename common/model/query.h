// The query language (grammar: docs/protocol/search.md): words, "phrases", prefix*, field:value,
// size>1M, OR, -negation, parentheses, kind:file, id:….
//
// Words, phrases and prefixes are looked for in the name and in the attribute values of a record,
// not in attribute keys, ids or addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/record.h"

namespace panal {

inline constexpr size_t kQuerySizeMax = 1024;  // Bytes (proto/panal/v1/frames.proto).
inline constexpr int kQueryNodesMax = 64;  // Nodes of the tree: bounds the work of one evaluation.
inline constexpr int kQueryDepthMax = 16;  // Nested parentheses.

enum class QueryOp : uint8_t {
  kAnd,     // All of `children`.
  kOr,      // Any of `children`.
  kNot,     // Not `children[0]`.
  kPhrase,  // `terms` one after the other, in the name or in one attribute value; one term: a word.
            // Where `field` is `name`: in the name only.
  kPrefix,  // As kPhrase, but a word need only begin with the last of `terms`.
  kCompare,  // `field` compared with `value` by `comparison`.
  kKind,     // Record kind `kind`; kFile also matches directories.
  kId,       // Id text begins with `value` (4 to 52 base32 characters). Never an object's.
  kAll,      // Everything (`*`).
};

// kEqual ignores the case of ASCII letters; the others compare as numbers where both sides are
// numbers, bytewise otherwise. `size` exists for files and directories only. `publisher` has kEqual
// only: the id text begins with `value`.
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
  // Error: QUERY_INVALID, which names the position (in characters, from 1) and what was expected
  // there.
  static absl::StatusOr<Query> Parse(absl::string_view text);

  const std::string& text() const { return text_; }

  const QueryNode& root() const { return root_; }

 private:
  std::string text_;
  QueryNode root_;
};

// `text` as a finite decimal number (`12`, `-0.5`, `1e3`); nothing when it is anything else.
std::optional<double> ParseQueryNumber(absl::string_view text);

// Whether `record`, published by `publisher`, matches. The one matcher: whatever an index proposes,
// this decides. Cost: linear in the record's text times the nodes of the query.
bool Matches(const Query& query, const Record& record, const PeerId& publisher);

}  // namespace panal
