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

FactSet::Rank FactSet::RankOf(const VerifiedFact& fact) {
  return {fact.signer.size(), fact.time, fact.id};
}

bool FactSet::MakeRoom(const Ranks& ranks, size_t most, const Rank& rank,
                       FactPtr* displaced) const {
  if (*displaced != nullptr || ranks.size() < most) return true;
  const Rank& last = *ranks.rbegin();
  if (last < rank) return false;
  *displaced = Find(NameOf(std::get<Sha256Digest>(last)));
  return true;
}

FactSet::Outcome FactSet::Add(const FactPtr& fact, absl::Time now, FactPtr* displaced) {
  PANAL_CHECK(fact != nullptr && displaced != nullptr);
  displaced->reset();
  const FactName name = NameOf(fact->id);
  if (Has(name)) return Outcome::kKnown;
  if (fact->expires <= now) return Outcome::kExpired;
  const Signer signer = SignerOf(*fact);
  const Rank rank = RankOf(*fact);
  const auto kind = static_cast<size_t>(signer.first);
  // One that makes room among its signer's does so among all.
  const auto said = by_signer_.find(signer);
  if (said != by_signer_.end() &&
      !MakeRoom(said->second, quotas_[kind].per_signer, rank, displaced)) {
    return Outcome::kFull;
  }
  if (!MakeRoom(by_kind_[kind], quotas_[kind].facts, rank, displaced)) return Outcome::kFull;
  if (*displaced != nullptr) Remove(**displaced);
  facts_[name] = fact;
  by_kind_[kind].insert(rank);
  by_signer_[signer].insert(rank);
  digest_.reset();
  return Outcome::kAdded;
}

void FactSet::Remove(const VerifiedFact& fact) {
  const Signer signer = SignerOf(fact);
  const Rank rank = RankOf(fact);
  by_kind_[static_cast<size_t>(signer.first)].erase(rank);
  const auto said = by_signer_.find(signer);
  said->second.erase(rank);
  if (said->second.empty()) by_signer_.erase(said);
  facts_.erase(NameOf(fact.id));
  digest_.reset();
}

std::vector<FactPtr> FactSet::Expire(absl::Time now) {
  std::vector<FactPtr> expired;
  for (const auto& [name, fact] : facts_) {
    if (fact->expires <= now) expired.push_back(fact);
  }
  for (const FactPtr& fact : expired) Remove(*fact);
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
  for (size_t kind = 0; kind < quotas_.size(); ++kind) {
    PANAL_CHECK(by_kind_[kind].size() <= quotas_[kind].facts);
    facts += by_kind_[kind].size();
  }
  PANAL_CHECK(facts == facts_.size());
  size_t said = 0;
  for (const auto& [signer, ranks] : by_signer_) {
    const FactQuota& quota = quotas_[static_cast<size_t>(signer.first)];
    PANAL_CHECK(!ranks.empty() && ranks.size() <= quota.per_signer);
    said += ranks.size();
  }
  PANAL_CHECK(said == facts_.size());
}

}  // namespace panal
