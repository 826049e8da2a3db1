// The facts of an invite mesh that a peer remembers, within quotas (docs/protocol/admission.md,
// "Facts" and "Spreading").
//
// Specification:
// - S1. A fact is forgotten when it has expired, or where its quota is full of facts that come before
//   it: those whose signer's chain is shorter, then the earlier ones, then by id. Rationale: peers
//   that met the same facts keep the same ones, in whatever order they came. Whoever is thrown out
//   can date its facts back, and let in others that do; it pushes out no fact of who is nearer to the
//   root, none that was said before it came, and of its like no more than its own share.
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
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
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
  using Quotas = std::array<FactQuota, 4>;

  // Other quotas: for tests.
  explicit FactSet(const Quotas& quotas = kFactQuotas) : quotas_(quotas) {}

  // Where the fact is added and another had to make room, `displaced` becomes that one. REQUIRES:
  // neither is null.
  Outcome Add(const FactPtr& fact, absl::Time now, FactPtr* displaced);
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
  // Length of the signer's chain, time, id: S1.
  using Rank = std::tuple<size_t, absl::Time, Sha256Digest>;
  using Ranks = absl::btree_set<Rank>;

  static Signer SignerOf(const VerifiedFact& fact);
  static Rank RankOf(const VerifiedFact& fact);

  // The fact that makes room where there are `most` already. False: there is none that comes behind.
  bool MakeRoom(const Ranks& ranks, size_t most, const Rank& rank, FactPtr* displaced) const;
  void Remove(const VerifiedFact& fact);

  const Quotas quotas_;
  absl::btree_map<FactName, FactPtr> facts_;
  absl::btree_map<Signer, Ranks> by_signer_;
  std::array<Ranks, kFactQuotas.size()> by_kind_;
  mutable std::optional<FactDigest> digest_;  // Nothing: it changed.
};

}  // namespace panal
