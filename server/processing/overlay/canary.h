// Canaries: searches that test whether bubbles meet as often as promised.
//
// Every peer publishes a peer record. Now and then a peer searches for that of a peer it knows of
// and is no neighbor of, with a recall so small that it often misses, and counts. The measurement
// sums what everybody counted, so every peer knows the match rate of the mesh, and makes its
// bubbles larger where the rate is below what was promised (docs/protocol/overlay.md, Canaries).
//
// Specification:
// - K1. Whom a peer searches for was chosen one interval before. Rationale: a newcomer's page takes
//   time to spread.
// - K2. Only a search that says it kept its promise counts, and nothing in a mesh where everybody
//   is asked. A hit counts kCanaryRecall over the recall that was reached, so that the mean of what
//   is counted is kCanaryRecall whatever the rounding.
// - K3. The factor rises only where the rate is below the promise by more than kDoubt standard
//   deviations of chance, by the ratio of the exponents; evidence from before it rose is dropped.
//   Where enough evidence is in order it decays.
// - K4. 1 <= factor <= kCanaryFactorMax. Rationale: liars can bend the rate; this bounds what it
//   costs.
//
// Sans-IO. Not thread-safe; the node loop owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "server/processing/core.h"

namespace panal {

// Recall of a canary: 1 - 1/e. An answer says most where it is neither sure to come nor to fail.
inline constexpr double kCanaryRecall = 0.63212055882855767;
inline constexpr absl::Duration kCanaryTimeMax = absl::Seconds(10);
// Canaries of the whole mesh in one interval; in a larger one each peer sends them more rarely, at
// most so much. Guess: the rate is then known to 1.5 % in every interval.
inline constexpr double kCanariesWanted = 1000;
inline constexpr double kCanaryRarestMax = 30;
// Most that one peer puts into one round of the measurement.
inline constexpr double kCanariesPerRoundMax = 4;
inline constexpr double kDoubt = 3;
inline constexpr double kCanaryFactorMax = 2;
// One step of the factor at most multiplies it by this. Guess: halves at most what is missing.
inline constexpr double kCanaryStepMax = 1.5;
// Evidence in order that lets the factor decay, and by how much of what is above 1. Guess.
inline constexpr double kEvidenceEnough = 4000;
inline constexpr double kCanaryDecay = 0.1;
// Requests of canaries have this bit; those of programs do not.
inline constexpr uint64_t kCanaryRequest = uint64_t{1} << 63;

class Canary {
 public:
  // `random` must outlive this object. REQUIRES: options.Validate().ok().
  Canary(const CanaryOptions& options, Random& random);

  // The own peer page is being spread: this peer can be found, so it searches for others.
  void OnPeerPage(double peers, Outputs& outputs);
  // kCanary. The search to begin, if any. `passive`: whom to choose from.
  std::optional<SearchRequested> OnTimer(const std::vector<PeerContact>& passive, double peers,
                                         bool saturated, Outputs& outputs);
  // Takes what answers a canary out of `outputs` from `begin` on. What is to be counted for a
  // search that is done: 0 for a miss. Nothing: none ended, or it does not count.
  std::optional<double> Collect(size_t begin, Outputs& outputs);
  // What a round of the measurement says the mesh asked and found.
  void OnMeasured(double asked, double found);

  // Of the size of bubbles.
  double factor() const { return factor_; }

  bool pending() const { return request_ != 0; }

  void CheckInvariants() const;

 private:
  void Plan(double peers, Outputs& outputs);

  const CanaryOptions options_;
  Random& random_;
  bool started_ = false;
  std::optional<PeerId> next_;    // K1.
  std::optional<PeerId> target_;  // Of the search under way.
  uint64_t request_ = 0;          // 0: none.
  uint64_t last_request_ = kCanaryRequest;
  bool hit_ = false;
  double factor_ = 1;
  double asked_ = 0;
  double found_ = 0;
  bool stale_ = false;  // The next round still speaks of the factor before.
};

}  // namespace panal
