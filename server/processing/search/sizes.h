// How many peers a page and a query must reach. Formulas and their proof: docs/protocol/bubbles.md.
//
// Vocabulary: n peers with degrees d; D1 = sum d, D2 = sum d^2. A bubble visits peers with
// probability proportional to their degree, so two bubbles meet as often as uniform ones in a mesh
// of T = D1^2 / D2 peers (BubbleStorm). Two bubbles that pass one peer share its links, which costs
// a factor comp = D2 / (D2 - 2 * D1) of the copies.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "server/processing/core.h"

namespace panal {

// Largest compensator: that of a mesh of degree 4. Below it the formula has a pole (degree 2), and
// such a mesh is asked whole anyway.
inline constexpr double kCompensatorMax = 2.0;
// Compensator while the degrees are not measured: that of degree 16, the default.
inline constexpr double kCompensatorUnmeasured = 16.0 / 14.0;
// Share of today's copies that is assumed to be there at least after the mesh shrank: the square
// root of the share of peers left, for a loss of 94 %. Bounds what one wrong measurement does.
inline constexpr double kLiveCopiesShareMin = 0.25;
// A cast is plausible up to so many times the bubble that this peer's own estimate makes: of a
// page, and of a query at the policy's lambda. A neighbor of the origin gets a quarter of the
// bubble, so that there is room for estimates that differ, for recalls above the policy's and for
// origins with few links.
inline constexpr double kPageRangeFactor = 1.5;
inline constexpr double kQueryRangeFactor = 2.0;
// That everything goes to everyone is plausible up to so many times the largest saturated mesh: one
// that grows knows its size late.
inline constexpr double kEveryoneFactor = 4.0;
// A search consults digests where so many of its own neighbors sent one: otherwise it asks by
// positions alone. Guess: with half of them, half as many more positions are cast.
inline constexpr double kDigestShareMin = 0.5;
// A part claims at most so many times the mean of links consulted a position: what a peer with many
// links may have, and a liar gain. Guess.
inline constexpr double kConsultedFactor = 3.0;
// Longest plausible range of a small query that consults digests, beside that factor. Guess: a few
// rounds of a few positions.
inline constexpr double kConsultingRangeSlack = 32;
// Earlier measurements remembered for one refresh interval.
inline constexpr size_t kShapesRememberedMax = 16;

// What the formulas need of a measurement.
struct MeshShape {
  double peers = 1;        // n, at least 1.
  double mass = 1;         // T, from 1 to n.
  double compensator = 1;  // From 1 to kCompensatorMax.
  double links = 1;        // D1.
  double degree = 1;       // D2 / D1: links, on average, of a peer that a bubble visits.
};

// What a query reached: distinct peers by positions, and links of theirs consulted: by a digest
// that ruled the query out or a contact that was answered.
struct Coverage {
  double peers = 0;
  double consulted = 0;
};

MeshShape ShapeOf(const MeshEstimate& estimate);

// D: peers that a page goes to, the publisher included. From 1 to n.
uint32_t PageCopies(const MeshShape& shape, double lambda);
// q: distinct peers that a query must reach so that RecallOf is at least `recall`, when every page
// has `copies` copies. From 1 to n; n for a recall of 1.
uint32_t QueryPeers(const MeshShape& shape, double copies, double recall);
// Probability that a page with `copies` copies is found by a query with this coverage. 1 when
// everybody was reached.
double RecallOf(const MeshShape& shape, double copies, const Coverage& coverage);

inline double RecallOf(const MeshShape& shape, double copies, double peers) {
  return RecallOf(shape, copies, Coverage{peers, 0});
}

// Distinct peers that a query with this coverage must reach besides so that RecallOf is at least
// `recall`, where `consulted` links of each of them are consulted.
uint32_t FurtherPeers(const MeshShape& shape, double copies, double recall,
                      const Coverage& coverage, double consulted);

// The sizes that hold now. Not thread-safe.
class BubbleSizes {
 public:
  explicit BubbleSizes(const SearchOptions& options);

  // The newest measurement. Takes effect at once; the former is remembered from the next Advance
  // on.
  void SetEstimate(const MeshEstimate& estimate);

  // Bubbles meet less often than their sizes say, by the square of `scale`: pages and queries are
  // so much larger, and a query of a given size is worth as much less. From 1 up.
  void SetScale(double scale) { scale_ = scale; }

  // Pages are so much larger, for the keepers that depart before the next refresh. Queries do not
  // count on it. From 1 up.
  void SetOversize(double oversize) { oversize_ = oversize; }

  // Tells the time; shapes older than a refresh interval are forgotten.
  void Advance(absl::Time now);

  const MeshShape& shape() const { return shape_; }

  // Whether the shape was measured, or is only what the active view proves.
  bool measured() const { return measured_; }

  // n, rounded.
  uint32_t MeshSize() const;
  // Whether everything goes to everyone.
  bool Saturated() const;
  // Whether pages go to everyone, however many that are: in the saturated case, once that was
  // measured. Until then they go to as many peers as the mesh is believed to have, which are the
  // neighbors. Rationale: a newcomer to a large mesh, with few links yet, would ask all of it for a
  // copy of each of its pages.
  bool PagesToEveryone() const;
  // Peers that a page goes to: all that the mesh is believed to have in the saturated case.
  uint32_t PageSize() const;
  // Distinct peers that a query has to reach; everyone in the saturated case.
  uint32_t QuerySize(double recall) const;
  // Those that a query still has to reach by positions where each of them consults `links`.
  uint32_t ConsultingQuerySize(double recall, double links, const Coverage& coverage = {}) const;
  // Links that each of `positions` peers must consult at least; more than kLinksPerPeerMax where no
  // number is enough.
  uint32_t LinksWanted(double recall, uint32_t positions) const;
  // Links that each peer visited by a position can consult: not its parent's and its children's.
  double LinksConsulted() const;
  // The most that an answer may claim for a position.
  uint32_t ConsultedPerPeerMax() const;
  // Longest range of a query, or of a page, that the estimates of the last refresh interval make
  // plausible. kBubbleSizeMax while nothing is measured: a newcomer knows too few peers to judge.
  uint32_t QueryRangeMax() const;
  // Of a query that consults digests.
  uint32_t ConsultingRangeMax() const;
  uint32_t PageRangeMax() const;
  // Whether somebody may think that everything goes to everyone.
  bool EveryonePlausible() const;
  // What was reached is worth at least, however many keepers departed.
  double Recall(const Coverage& coverage) const;
  // What it is worth on average: pages are larger for the keepers that depart, and between two refreshes
  // some have not yet.
  double ExpectedRecall(const Coverage& coverage) const;

 private:
  struct Past {
    MeshShape shape;
    absl::Time until;
  };

  // Copies that are still there of a page that was spread in the mesh as it was: where the mesh
  // shrank, copies went with the peers until the refresh.
  double LiveCopies() const;

  const SearchOptions options_;
  MeshShape shape_;
  double scale_ = 1;
  double oversize_ = 1;
  bool measured_ = false;
  absl::Time now_ = absl::InfinitePast();
  std::vector<Past> past_;  // At most kShapesRememberedMax.
};

}  // namespace panal
