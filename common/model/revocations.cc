#include "common/model/revocations.h"

#include <algorithm>
#include <tuple>
#include <variant>

#include "common/base/check.h"

namespace panal {
namespace {

bool ComesBefore(const VerifiedFact& one, const VerifiedFact& other) {
  return std::tie(one.time, one.id) < std::tie(other.time, other.id);
}

// Whether what is not cascading spares a chain that has its target at `place`: the target's own
// grant never, what it granted until then.
bool IsSpared(const std::vector<VerifiedGrant>& chain, size_t place, absl::Time time) {
  return place + 1 < chain.size() && chain[place + 1].not_before <= time;
}

}  // namespace

Revocations::Revocations(std::vector<FactPtr> facts) {
  std::sort(facts.begin(), facts.end(), [](const FactPtr& one, const FactPtr& other) {
    PANAL_CHECK(one != nullptr && other != nullptr);
    return ComesBefore(*one, *other);
  });
  for (const FactPtr& fact : facts) {
    if (Counts(*fact)) Add(fact);
  }
}

void Revocations::Add(const FactPtr& fact) {
  if (const auto* redemption = std::get_if<Redemption>(&fact->body)) {
    redeemers_[redemption->ticket].insert(redemption->peer);
    return;
  }
  const auto* revocation = std::get_if<Revocation>(&fact->body);
  Named* named = nullptr;
  if (revocation == nullptr) {
    named = &peers_[std::get<MovedTo>(fact->body).from];
  } else if (const auto* peer = std::get_if<PeerId>(&revocation->target)) {
    named = &peers_[*peer];
  } else {
    named = &grants_[std::get<Serial>(revocation->target)];
  }
  const bool cascade = revocation != nullptr && revocation->cascade;
  FactPtr& first = cascade ? named->cascading : named->plain;
  if (first == nullptr) first = fact;
}

std::optional<Revocations::Cause> Revocations::Find(const std::vector<VerifiedGrant>& chain,
                                                    const VerifiedFact* before) const {
  auto voids = [before](const FactPtr& fact) {
    return fact != nullptr && (before == nullptr || ComesBefore(*fact, *before));
  };
  for (size_t place = 0; place < chain.size(); ++place) {
    const auto peer = peers_.find(chain[place].subject);
    const auto grant = grants_.find(chain[place].serial);
    for (const Named* named : {peer == peers_.end() ? nullptr : &peer->second,
                               grant == grants_.end() ? nullptr : &grant->second}) {
      if (named == nullptr) continue;
      if (voids(named->cascading)) return Cause{named->cascading, place};
      if (!voids(named->plain) || IsSpared(chain, place, named->plain->time)) continue;
      return Cause{named->plain, place};
    }
  }
  return std::nullopt;
}

std::optional<Revocations::Cause> Revocations::Check(
    const std::vector<VerifiedGrant>& chain) const {
  return Find(chain, nullptr);
}

bool Revocations::Counts(const VerifiedFact& fact) const {
  return !Find(fact.signer, &fact).has_value();
}

std::vector<FactPtr> Revocations::Voiding() const {
  std::vector<FactPtr> facts;
  const auto add = [&](const Named& named) {
    facts.push_back(named.cascading != nullptr ? named.cascading : named.plain);
  };
  for (const auto& [peer, named] : peers_) add(named);
  for (const auto& [serial, named] : grants_) add(named);
  return facts;
}

std::vector<PeerId> Revocations::RedeemersOf(const Serial& ticket) const {
  auto it = redeemers_.find(ticket);
  if (it == redeemers_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

}  // namespace panal
