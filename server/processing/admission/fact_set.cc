#include "server/processing/admission/fact_set.h"

#include <variant>

#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/sha256.h"

namespace panal {

FactSet::Signer FactSet::SignerOf(const VerifiedFact& fact) {
  if (fact.signer.empty()) return {FactKind::kRoot, PeerId()};
  const PeerId& signer = fact.signer.back().subject;
  if (std::holds_alternative<Revocation>(fact.body)) return {FactKind::kRevocation, signer};
  if (std::holds_alternative<MovedTo>(fact.body)) return {FactKind::kMove, signer};
  return {FactKind::kRedemption, signer};
}

FactSet::Outcome FactSet::Add(const FactPtr& fact, absl::Time now) {
  PANAL_CHECK(fact != nullptr);
  const FactName name = NameOf(fact->id);
  if (Has(name)) return Outcome::kKnown;
  if (fact->expires <= now) return Outcome::kExpired;
  const Signer signer = SignerOf(*fact);
  const auto kind = static_cast<size_t>(signer.first);
  if (by_kind_[kind] >= kFactQuotas[kind].facts) return Outcome::kFull;
  const auto said = by_signer_.find(signer);
  if (said != by_signer_.end() && said->second >= kFactQuotas[kind].per_signer) {
    return Outcome::kFull;
  }
  facts_[name] = fact;
  ++by_kind_[kind];
  ++by_signer_[signer];
  digest_.reset();
  return Outcome::kAdded;
}

std::vector<FactPtr> FactSet::Expire(absl::Time now) {
  std::vector<FactPtr> expired;
  for (auto it = facts_.begin(); it != facts_.end();) {
    if (it->second->expires > now) {
      ++it;
      continue;
    }
    const Signer signer = SignerOf(*it->second);
    --by_kind_[static_cast<size_t>(signer.first)];
    if (--by_signer_[signer] == 0) by_signer_.erase(signer);
    expired.push_back(it->second);
    it = facts_.erase(it);
  }
  if (!expired.empty()) digest_.reset();
  return expired;
}

FactPtr FactSet::Find(const FactName& name) const {
  const auto it = facts_.find(name);
  return it == facts_.end() ? nullptr : it->second;
}

std::vector<FactName> FactSet::Names() const {
  std::vector<FactName> names;
  names.reserve(facts_.size());
  for (const auto& [name, fact] : facts_) names.push_back(name);
  return names;
}

const FactDigest& FactSet::Digest() const {
  if (digest_.has_value()) return *digest_;
  Sha256Hasher hasher;
  for (const auto& [name, fact] : facts_) {
    hasher.Update(absl::string_view(reinterpret_cast<const char*>(name.data()), name.size()));
  }
  digest_ = FactDigest{static_cast<uint32_t>(facts_.size()), hasher.Finish()};
  return *digest_;
}

Revocations FactSet::Count() const {
  std::vector<FactPtr> facts;
  facts.reserve(facts_.size());
  for (const auto& [name, fact] : facts_) facts.push_back(fact);
  return Revocations(std::move(facts));
}

void FactSet::CheckInvariants() const {
  PANAL_CHECK(facts_.size() <= kFactsMax);
  size_t facts = 0;
  for (size_t kind = 0; kind < kFactQuotas.size(); ++kind) {
    PANAL_CHECK(by_kind_[kind] <= kFactQuotas[kind].facts);
    facts += by_kind_[kind];
  }
  PANAL_CHECK(facts == facts_.size());
  for (const auto& [signer, said] : by_signer_) {
    PANAL_CHECK(said > 0 && said <= kFactQuotas[static_cast<size_t>(signer.first)].per_signer);
  }
}

}  // namespace panal
