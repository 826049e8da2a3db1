// What the facts of an invite mesh say taken together: which chains of grants are void, and who used
// which ticket (docs/protocol/admission.md, "Facts").
//
// Specification:
// - R1. Facts are gone through by (time, id). Those count whose signer's chain none voids that counts
//   and comes before. Rationale: who is thrown out has no say from then on, and what it said before
//   stands; every peer that has the same facts comes to the same end, in whatever order they came.
// - R2. Nothing voids the chain of the root, which has no grants. So a revocation by the root that is
//   dated back undoes what the revoked peer said since.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "common/base/ids.h"
#include "common/model/fact.h"
#include "common/model/grant.h"

namespace panal {

// Immutable; thread-safe.
class Revocations {
 public:
  Revocations() = default;
  // `facts`: in any order, each once, none null.
  explicit Revocations(std::vector<FactPtr> facts);

  // Why a chain is void: what says so, and the place in the chain of who, or what, it names.
  struct Cause {
    FactPtr fact;
    size_t place = 0;
  };

  // Nothing: the chain is as good as it was. Two look-ups a grant.
  std::optional<Cause> Check(const std::vector<VerifiedGrant>& chain) const;

  // Whether `fact`, one of these or another, counts.
  bool Counts(const VerifiedFact& fact) const;

  // What voids something: of each target the fact that says most. Peers first, ascending, then grants.
  std::vector<FactPtr> Voiding() const;

  // Peers that used the ticket, by the facts that count. Ascending.
  std::vector<PeerId> RedeemersOf(const Serial& ticket) const;

 private:
  // The first of either kind that names a target.
  struct Named {
    FactPtr cascading;
    FactPtr plain;  // Without cascade: the first is the strictest.
  };

  void Add(const FactPtr& fact);
  // By what came before `before`, where it is given.
  std::optional<Cause> Find(const std::vector<VerifiedGrant>& chain,
                            const VerifiedFact* before) const;

  absl::btree_map<PeerId, Named> peers_;
  absl::btree_map<Serial, Named> grants_;
  absl::btree_map<Serial, absl::btree_set<PeerId>> redeemers_;
};

}  // namespace panal
