// Random queries and records in a universe of a few words and attributes, so that many match. Same
// generator state, same value.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "common/base/random.h"
#include "common/model/query.h"
#include "common/model/record.h"

namespace panal {

inline constexpr absl::string_view kQueryWords[] = {"a", "ab", "abc", "b", "1", "12"};

Record RandomTextRecord(Random& random);
QueryNode RandomQueryTree(Random& random, int depth);
// The text that parses to `node`.
std::string PrintQuery(const QueryNode& node);

}  // namespace panal
