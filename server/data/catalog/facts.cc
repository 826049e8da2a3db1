#include "server/data/catalog/facts.h"

#include "common/base/status.h"

namespace panal::catalog {

absl::Status KeepFacts(Connection& db, const std::vector<FactPtr>& facts) {
  for (const FactPtr& fact : facts) {
    PANAL_RETURN_IF_ERROR(db.Run("INSERT OR IGNORE INTO fact(id, bytes) VALUES(?, ?)",
                                 Blob{fact->id.view()}, Blob{fact->bytes}));
  }
  return absl::OkStatus();
}

absl::Status ForgetFacts(Connection& db, const std::vector<Sha256Digest>& ids) {
  for (const Sha256Digest& id : ids) {
    PANAL_RETURN_IF_ERROR(db.Run("DELETE FROM fact WHERE id = ?", Blob{id.view()}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> KeptFacts(Connection& db) {
  std::vector<std::string> facts;
  PANAL_ASSIGN_OR_RETURN(Statement statement, db.Query("SELECT bytes FROM fact ORDER BY id"));
  while (true) {
    PANAL_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return facts;
    facts.emplace_back(statement.Bytes(0));
  }
}

}  // namespace panal::catalog
