// Whether neighbors found what they say they looked for.
//
// An answer says how many peers were visited, and nothing proves it. But whoever visited so many
// peers finds what others found of the same query as often as the sizes promise: pages go to
// near-random peers. A neighbor that claims visits and finds far less than that, and far less than
// the other neighbors, is distrusted: it gets parts only where there is nobody else.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/record.h"

namespace panal {

// Publishers that one range remembers. Guess: a popular query convicts with fewer.
inline constexpr size_t kFindsMax = 64;
// Peers that brought finds to one range: more neighbors are asked only where many are silent.
inline constexpr size_t kFindersMax = 32;
// Of what the other neighbors find, relative to what each should, at least so much is honest. Guess:
// where a fifth is hostile an honest neighbor's answers hold 0.64 of what they should, three levels
// deep; a hostile one has what itself keeps.
inline constexpr double kHonestShare = 0.4;
// Less by more than so many standard deviations of chance is not. Guess: one test in a thousand of a
// neighbor on the verge.
inline constexpr double kAuditDoubt = 3;
// Finds expected of a neighbor beyond which its evidence is halved: what it does now counts.
inline constexpr double kEvidenceMax = 128;
// Finds, expected and made, that the other neighbors begin with: few say little of the mesh. Guess.
inline constexpr double kAuditPrior = 8;
// A neighbor is distrusted for so long, and then half of the evidence stays. Guess: a refresh
// interval, in which who was new to the mesh comes to keep pages.
inline constexpr absl::Duration kDistrustTime = absl::Minutes(10);

// Which neighbors found pages of which publishers, in one range. The pages of one publisher count
// once: whoever keeps one record of a page keeps all.
class Finds {
 public:
  struct Comparison {
    int others = 0;  // Publishers found by others than the peer asked about.
    int common = 0;  // And by it.
  };

  // What does not fit is dropped.
  void Note(const PeerId& finder, const std::vector<Hit>& hits);
  Comparison Compare(const PeerId& finder) const;

 private:
  std::vector<PeerId> finders_;
  absl::btree_map<PeerId, uint32_t> found_;  // By publisher: a bit for each of `finders_`.
};

// Bounded by the neighbors: Forget must be called for one that is gone.
class Audit {
 public:
  // Each of `others` publishers should have been found with a chance of `chance` by what `peer` says it
  // visited; `common` of them were.
  void OnCompared(const PeerId& peer, double chance, const Finds::Comparison& finds,
                  absl::Time now);
  bool Distrusts(const PeerId& peer, absl::Time now) const;

  void Forget(const PeerId& peer) { neighbors_.erase(peer); }

  size_t size() const { return neighbors_.size(); }

 private:
  struct Evidence {
    double expected = 0;
    double variance = 0;  // Of what who is just honest finds.
    double found = 0;
    absl::Time distrusted_until = absl::InfinitePast();
  };

  static void Halve(Evidence& evidence);
  // What all but `peer` found of what they should have.
  double ShareOfOthers(const PeerId& peer) const;

  absl::btree_map<PeerId, Evidence> neighbors_;
};

}  // namespace panal
