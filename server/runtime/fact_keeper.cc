#include "server/runtime/fact_keeper.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/fact.h"

namespace panal {

FactKeeper::FactKeeper(const MeshId& mesh, Catalog& catalog) : mesh_(mesh), catalog_(catalog) {}

absl::StatusOr<std::vector<FactPtr>> FactKeeper::Load() {
  PANAL_ASSIGN_OR_RETURN(const std::vector<std::string> kept, catalog_.KeptFacts());
  std::vector<FactPtr> facts;
  std::vector<Sha256Digest> left_out;
  for (const std::string& bytes : kept) {
    absl::StatusOr<VerifiedFact> fact = RestoreFact(bytes, mesh_);
    if (fact.ok()) {
      facts.push_back(std::make_shared<const VerifiedFact>(*std::move(fact)));
    } else {
      left_out.push_back(Sha256(bytes));
    }
  }
  if (!left_out.empty()) {
    Log(LogLevel::kWarning, "facts_left_out", {{"facts", absl::StrCat(left_out.size())}});
    PANAL_RETURN_IF_ERROR(catalog_.ForgetFacts(left_out));
  }
  return facts;
}

std::vector<FactPtr> FactKeeper::Verify(const std::vector<std::string>& facts,
                                        absl::Time now) const {
  std::vector<FactPtr> verified;
  for (const std::string& bytes : facts) {
    absl::StatusOr<VerifiedFact> fact = CheckFact(bytes, mesh_, now);
    if (!fact.ok()) {
      LogLimited(LogLevel::kWarning, "fact_refused",
                 {{"why", std::string(fact.status().message())}});
    }
    verified.push_back(fact.ok() ? std::make_shared<const VerifiedFact>(*std::move(fact))
                                 : nullptr);
  }
  return verified;
}

absl::Status FactKeeper::Keep(const std::vector<FactPtr>& facts) {
  return catalog_.KeepFacts(facts);
}

absl::Status FactKeeper::Forget(const std::vector<FactPtr>& facts) {
  std::vector<Sha256Digest> ids;
  ids.reserve(facts.size());
  for (const FactPtr& fact : facts) ids.push_back(fact->id);
  return catalog_.ForgetFacts(ids);
}

}  // namespace panal
