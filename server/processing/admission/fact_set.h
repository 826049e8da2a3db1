// The facts of an invite mesh that a peer remembers, within quotas (docs/protocol/admission.md,
// "Facts" and "Spreading").
//
// Specification:
// - S1. A fact is forgotten when it has expired, and for no other reason. One that finds its quota
//   full is refused. Rationale: if facts could push each other out, whoever was thrown out would
//   push the fact that says so.
// - S2. What the root said, revocations, moves and redemptions have quotas of their own, and every
//   signer but the root has a share of them. Rationale: an inviter can let in as many signers of
//   redemptions and moves as it likes; they must not keep a revocation out, and an admin that
//   turns must not keep out the root's.
//
// Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/fact.h"
#include "common/model/frame.h"
#include "common/model/revocations.h"

namespace panal {

// Who says what; each kind has its quota.
enum class FactKind : uint8_t { kRoot, kRevocation, kMove, kRedemption };

struct FactQuota {
  size_t facts = 0;
  size_t per_signer = 0;
};

// By FactKind. Guesses: a mesh of a million peers of which one in a hundred is thrown out within
// five years, half of them by few admins; a peer moves once and may have erred; as many redemptions
// of one inviter as a ticket can have uses.
inline constexpr std::array<FactQuota, 4> kFactQuotas = {
    FactQuota{2048, 2048}, FactQuota{4096, 1024}, FactQuota{2048, 4}, FactQuota{8192, 1024}};
static_assert(kFactQuotas[0].facts + kFactQuotas[1].facts + kFactQuotas[2].facts +
                  kFactQuotas[3].facts ==
              kFactsMax);

class FactSet {
 public:
  using Outcome = FactOutcome;

  // REQUIRES: not null.
  Outcome Add(const FactPtr& fact, absl::Time now);
  // Forgets what has expired and returns it. Linear.
  std::vector<FactPtr> Expire(absl::Time now);

  // Null where it is not known.
  FactPtr Find(const FactName& name) const;

  bool Has(const FactName& name) const { return facts_.contains(name); }

  size_t size() const { return facts_.size(); }

  // Ascending.
  std::vector<FactName> Names() const;
  // Linear after a change, otherwise at once.
  const FactDigest& Digest() const;
  // What the facts say taken together. n log n.
  Revocations Count() const;

  void CheckInvariants() const;

 private:
  // The signer of the root's facts is no peer.
  using Signer = std::pair<FactKind, PeerId>;

  static Signer SignerOf(const VerifiedFact& fact);

  absl::btree_map<FactName, FactPtr> facts_;
  absl::btree_map<Signer, size_t> by_signer_;
  std::array<size_t, kFactQuotas.size()> by_kind_{};
  mutable std::optional<FactDigest> digest_;  // Nothing: it changed.
};

}  // namespace panal
