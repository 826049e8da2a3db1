// Digests of neighbors, and this peer's own. What a digest is: common/model/digest.h; rules:
// docs/protocol/digests.md.
//
// Specification:
// - G1. A digest is kept of a neighbor only, and only while its versions come without a gap.
//   Rationale: one that lacks what was added denies what is there.
// - G2. The own digest is sent to neighbors that take digests: whole to a new one, and to all when
//   so much was added, or dropped, that a filter of the right size is worth it; otherwise what was
//   added, at most every two seconds.
// - G3. What was dropped (expired, deleted, replaced) stays in the digest until it is built anew
//   from the catalog. Rationale: a filter forgets nothing, and a stale term costs a contact only.
// - G4. With more than kDigestTermsMax terms a peer has no digest and says so.
// - G5. A saturated mesh has no digests: everybody is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/digest.h"
#include "common/model/frame.h"
#include "server/processing/core.h"
#include "server/processing/search/neighbors.h"
#include "server/processing/search/sizes.h"

namespace panal {

// What was added first waits for more so long. Guess: a page and its publisher's page come
// together.
inline constexpr absl::Duration kDigestDelay = absl::Milliseconds(200);
// Two deltas, and two whole digests to everybody, are at least so far apart. Guess: half a frame a
// second and neighbor at most; with the largest digest 13 KiB a second.
inline constexpr absl::Duration kDigestDeltaInterval = absl::Seconds(2);
inline constexpr absl::Duration kDigestWholeInterval = absl::Seconds(10);
// How often a peer without a digest looks whether the mesh has outgrown the saturated case. Guess.
inline constexpr absl::Duration kDigestTick = absl::Seconds(5);
// A catalog that could not build the digest is asked again after this long. Guess.
inline constexpr absl::Duration kDigestRetry = absl::Seconds(60);
// The digest is sent whole when this share of it was dropped. Guess: false positives rise by as
// much.
inline constexpr double kDigestStaleShare = 0.125;

// Hashes added to a whole digest of `size` bytes may take as much room as it, and a page of memory:
// so a digest doubles before it is sent anew.
inline constexpr size_t DigestAddedMax(size_t size) { return (size + 4096) / sizeof(uint32_t); }

// Frames taken from a neighbor: so many at once and one a second in the long run; a whole digest
// counts as kDigestWholeCost. A peer that keeps G2 sends 0.6 a second.
inline constexpr double kDigestFramesMax = 64;
inline constexpr double kDigestFramesPerSecond = 1;
inline constexpr double kDigestWholeCost = 8;

// The digests that neighbors sent. Not thread-safe.
class NeighborDigests {
 public:
  // `neighbors` must outlive this.
  explicit NeighborDigests(const Neighbors& neighbors) : neighbors_(neighbors) {}

  void OnDigest(const PeerId& from, const DigestFrame& frame, absl::Time now, Outputs& outputs);
  void OnDelta(const PeerId& from, const DigestDelta& delta, absl::Time now, Outputs& outputs);

  void OnNeighborDown(const PeerId& peer) { kept_.erase(peer); }

  // Whether `peer` may keep something that matches. Nothing: there is no digest of it.
  std::optional<bool> MayMatch(const PeerId& peer, const DigestQuery& query) const;
  // Share of the neighbors of which there is a digest.
  double Share() const;

  void CheckInvariants() const;

 private:
  struct Kept {
    uint64_t version = 0;
    TermDigestPtr digest;         // Null: none.
    std::vector<uint32_t> added;  // Since; ascending.
    double allowance = kDigestFramesMax;
    absl::Time counted_at = absl::InfinitePast();
  };

  // Whether the neighbor may send so much now.
  static bool Take(Kept& kept, double cost, absl::Time now);
  static void Drop(Kept& kept);

  const Neighbors& neighbors_;
  absl::btree_map<PeerId, Kept> kept_;
};

// What this peer tells its neighbors. Not thread-safe.
class OwnDigest {
 public:
  // All references must outlive this.
  OwnDigest(const SearchOptions& options, const Neighbors& neighbors, const BubbleSizes& sizes,
            Tokens& tokens);

  void OnStart(absl::Time now, Outputs& outputs);
  // `takes`: it takes digests.
  void OnNeighborUp(const PeerId& peer, bool takes, Outputs& outputs);

  void OnNeighborDown(const PeerId& peer) { receivers_.erase(peer); }

  // A page with a body is in the catalog now.
  void OnPageKept(const Page& page, absl::Time now, Outputs& outputs);
  void OnBuilt(const DigestBuilt& built, absl::Time now, Outputs& outputs);
  // A timer of kind kDigest.
  void OnTimer(absl::Time now, Outputs& outputs);

  // Whether there is one.
  bool built() const { return built_; }

  void CheckInvariants() const;

 private:
  void Add(uint32_t hash);
  // Nothing is told until the catalog is asked again.
  void Withdraw(Outputs& outputs);
  void SendWhole(const PeerId& peer, Outputs& outputs);
  void SendWholeToAll(absl::Time now, Outputs& outputs);
  // Sends what is due.
  void Flush(absl::Time now, Outputs& outputs);
  bool WholeIsDue() const;
  // When something is to be sent; never, where there is nothing.
  absl::Time FlushAt() const;
  void Arm(absl::Time now, Outputs& outputs);

  const SearchOptions& options_;
  const Neighbors& neighbors_;
  const BubbleSizes& sizes_;
  Tokens& tokens_;
  absl::btree_set<PeerId> receivers_;
  bool built_ = false;
  absl::btree_set<uint32_t> hashes_;
  TermDigestPtr whole_;  // Of all of `hashes_`; null when some came since it was made.
  size_t whole_size_ = kDigestSizeMax;  // Bytes of the smallest that a neighbor may still have.
  uint64_t version_ = 0;                // Sent last.
  size_t added_ = 0;                    // Hashes sent since that one.
  size_t stale_ = 0;                    // Hashes that it has and `hashes_` has not.
  std::vector<uint32_t> pending_;       // To be sent.
  absl::Time pending_since_ = absl::InfiniteFuture();
  absl::Time delta_at_ = absl::InfinitePast();  // Sent last.
  absl::Time whole_at_ = absl::InfinitePast();
  // What is being built, and what came meanwhile.
  std::optional<uint64_t> building_;
  absl::btree_set<uint32_t> meanwhile_;
  absl::Time build_at_ = absl::InfiniteFuture();
  absl::Time armed_at_ = absl::InfiniteFuture();
};

}  // namespace panal
