// Searches of local programs: how many peers to ask, asking more when too few were reached, and an
// honest summary at the end. Rules: docs/protocol/bubbles.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "server/processing/core.h"
#include "server/processing/search/bubble.h"
#include "server/processing/search/digests.h"
#include "server/processing/search/hits.h"
#include "server/processing/search/neighbors.h"
#include "server/processing/search/sizes.h"

namespace panal {

// Share of a search's remaining time that one round may take; the rest is for asking others. Guess.
inline constexpr double kRoundShare = 0.6;
// Rounds of one search. Each reaches about what the one before missed, so three nearly always do.
inline constexpr int kSearchRoundsMax = 8;
// Rounds over everybody: the second is for peers lost in the first, more would be a flood.
inline constexpr int kEveryoneRoundsMax = 3;
// A search that has enough with a few hits asks these shares of its bubble first (dynamic queries
// of Gnutella): what is popular is found by the first.
inline constexpr std::array<double, 2> kSliceShares = {1.0 / 16, 1.0 / 4};
// No round is begun with less time than this.
inline constexpr absl::Duration kRoundTimeMin = absl::Milliseconds(20);
// A round for `m` peers casts more positions than `m`, because some meet peers that were met
// before: the expected number, times a margin so that one round usually is enough, and at most so
// many times `m`.
inline constexpr double kRoundMargin = 1.5;
inline constexpr double kRoundOversizeMax = 8.0;
// Positions of a search that consults digests, and links of each, beyond those that meet the
// promise on average: a link is not consulted whose contact is late, and a position lost that meets
// a peer again. Guess.
inline constexpr double kConsultMargin = 1.1;
// Longest search: what the budget of a cast can say.
inline constexpr absl::Duration kSearchTimeMax = absl::Milliseconds(kBudgetMsMax);

// Positions to cast so that about `missing` peers are met that are not among the `reached` of
// `peers`.
uint32_t PositionsFor(uint64_t missing, uint64_t reached, double peers);

// What came of a search that this peer runs for itself.
struct RoundReport {
  uint64_t owner = 0;
  std::vector<Hit> hits;
  std::optional<SearchSummary> done;
};

// Not thread-safe.
class Searcher {
 public:
  // All references must outlive the searcher.
  Searcher(const SearchOptions& options, const Neighbors& neighbors, const NeighborDigests& digests,
           const BubbleSizes& sizes, Tokens& tokens, Random& random, BubbleEngine& engine);

  void OnRequested(const SearchRequested& request, absl::Time now, Outputs& outputs);
  void OnCancelled(uint64_t request);
  // Begins a search whose outcome is not told to a program but reported (TakeRounds). One at a time
  // of each owner.
  void BeginRound(uint64_t owner, QueryPayload query, double recall, absl::Duration timeout,
                  absl::Time now, Outputs& outputs);
  void CancelRound(uint64_t owner);

  std::vector<RoundReport> TakeRounds() { return std::exchange(rounds_, {}); }

  // A timer of kind kSearch: the search's time is over.
  void OnTimer(uint64_t token, Outputs& outputs);
  // False when the report belongs to no search.
  bool OnReport(const BubbleReport& report, absl::Time now, Outputs& outputs);

  void CheckInvariants() const;

 private:
  struct Search {
    explicit Search(uint32_t limit) : merger(limit) {}

    uint64_t request = 0;  // Or the owner of a round.
    bool is_round = false;
    QueryPayload query;
    double recall = 0;
    uint32_t enough = 0;  // Ids after which it ends; 0: never.
    absl::Time deadline;
    BubbleId bubble;
    bool everyone = false;
    uint32_t consult = 0;  // Links that each peer visited consults at most.
    uint32_t size = 0;     // Positions of the bubble as planned.
    uint32_t next_position = 0;
    size_t slices = 0;  // Of its bubble, begun.
    int rounds = 0;
    // Distinct peers in the current bubble: by positions, and by contacts alone. Links consulted.
    uint64_t reached = 0;
    uint64_t contacted = 0;
    uint64_t consulted = 0;
    uint64_t settled = 0;  // Of those, up to the end of a round: counted on.
    // The most of any bubble before it.
    uint64_t reached_before = 0;
    bool exact = false;  // Everybody was asked, and every answer came.
    bool truncated = false;
    HitMerger merger;
  };

  using Searches = absl::btree_map<uint64_t, Search>;

  bool Full() const { return searches_.size() >= static_cast<size_t>(options_.searches_max); }

  void Start(Search search, absl::Duration timeout, absl::Time now, Outputs& outputs);
  void Cancel(uint64_t request, bool is_round);
  void TellHits(const Search& search, std::vector<Hit> hits, Outputs& outputs);
  void TellDone(const Search& search, const SearchSummary& summary, Outputs& outputs);
  // Begins the first round, or another one over everybody.
  void BeginBubble(uint64_t token, Search& search, absl::Time now, Outputs& outputs);
  // After a round: done, or another round.
  void Continue(Searches::iterator it, uint32_t unanswered, absl::Time now, Outputs& outputs);
  // Casts the next slice of the bubble; false where all of it was cast.
  bool NextSlice(Searches::iterator it, absl::Time now, Outputs& outputs);
  // Where the slice that comes after `slices` ends, in a bubble of `size` positions.
  static uint32_t SliceEnd(size_t slices, uint32_t size);
  void Finish(Searches::iterator it, CutShort why, Outputs& outputs);
  // Share of the neighbors with a digest that it does not rule out; nothing where no digest can
  // answer the query, or too few neighbors sent one.
  std::optional<double> MatchShare(const QueryPayload& query) const;
  // Plans the bubble: by digests where that takes fewer casts. Returns its positions.
  uint32_t Plan(Search& search) const;
  static Coverage CoverageOf(const Search& search);
  bool HasReachedEnough(const Search& search) const;
  // Peers that must be reached besides; no longer by digests where too few have one.
  uint32_t Missing(Search& search) const;
  absl::Time RoundDeadline(const Search& search, absl::Time now) const;

  const SearchOptions& options_;
  const Neighbors& neighbors_;
  const NeighborDigests& digests_;
  const BubbleSizes& sizes_;
  Tokens& tokens_;
  Random& random_;
  BubbleEngine& engine_;
  Searches searches_;
  std::vector<RoundReport> rounds_;
};

}  // namespace panal
