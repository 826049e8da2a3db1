// Terms() as FTS5's tokenizer, under the name `panal`.
#pragma once

#include "absl/status/status.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// Registers the tokenizer on `connection`; every connection that touches the index needs it.
// Error: STORAGE_FAILED where SQLite lacks FTS5.
absl::Status RegisterTokenizer(Connection& connection);

}  // namespace panal::catalog
