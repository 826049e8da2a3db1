// The facts of an invite mesh that this peer remembers. Each method but KeptFacts runs in the writer's
// transaction.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/model/fact.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

absl::Status KeepFacts(Connection& db, const std::vector<FactPtr>& facts);
absl::Status ForgetFacts(Connection& db, const std::vector<Sha256Digest>& ids);
// The bytes of all, ascending ids.
absl::StatusOr<std::vector<std::string>> KeptFacts(Connection& db);

}  // namespace panal::catalog
