// Subscriptions of local programs: a search that goes on. First one search for what is there
// already, then round after round of the query as a standing one; what comes is told once. Rules:
// docs/protocol/bubbles.md.
//
// Specification:
// - U1. A record is told at most once in each version, and not at all in a version that the first
//   search found.
// - U2. A record published after SubscriptionBegun is told with at least the recall of the round
//   under way; every later round that looks back on it adds its own.
//   Rationale: a round is a search, whose visits last.
// - U3. A subscription that remembers subscription_records_max records ends at the next new one.
//   Rationale: forgetting would tell records twice.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/model/frame.h"
#include "server/processing/core.h"
#include "server/processing/search/neighbors.h"
#include "server/processing/search/searcher.h"
#include "server/processing/search/standing_visits.h"

namespace panal {

// Recall of the first search, at least: what it misses is told as if it were new. The policy of the
// mesh's pages (SearchOptions::lambda).
inline constexpr double kKnownRecall = 0.9999;
// Time of the first search, and of a round. Guess: as the default of a search.
inline constexpr absl::Duration kSubscriptionRoundTime = absl::Seconds(10);
// A query is kept for this many periods: a round that is late by half of one leaves no gap. Guess.
inline constexpr double kLeasePeriods = 1.5;
// Share of the period after which a round that fell short is followed by the next. Guess.
inline constexpr double kShortRoundShare = 1.0 / 6;
// Every so many rounds one looks back to the beginning, or as far as pages live: for what was cut
// off and came back. Guess: once in a refresh interval, when such pages come.
inline constexpr int kDeepRoundEvery = 10;
// A mesh that grew by this factor from one round to the next was cut before. Guess.
inline constexpr double kMeshGrownFactor = 1.25;
// Added to every look back: a page on its way when the round before began. Guess.
inline constexpr absl::Duration kSinceSlack = absl::Seconds(2);

class Subscriber {
 public:
  // All references must outlive the subscriber.
  Subscriber(const SearchOptions& options, Tokens& tokens, Random& random, Searcher& searcher,
             StandingVisits& visits);

  void OnRequested(const SubscribeRequested& request, absl::Time now, Outputs& outputs);
  void OnCancelled(uint64_t request);
  // A timer of kind kStanding: the next round is due, or the subscription's time is over.
  void OnTimer(uint64_t token, absl::Time now, Outputs& outputs);
  void OnRound(const RoundReport& report, absl::Time now, Outputs& outputs);
  void OnHits(const StandingHits& hits, Outputs& outputs);

  void CheckInvariants() const;

 private:
  struct Subscription {
    uint64_t request = 0;
    SubscriptionId id;
    std::string query;
    double recall = 0;
    absl::Time requested;
    absl::Time until;
    bool begun = false;
    // Beginnings of the round under way and of those before, the newest first: two.
    std::vector<absl::Time> rounds_began;
    int rounds = 0;
    uint64_t mesh_size_before = 0;
    bool mesh_grew = false;
    // What was told or was there before, and in which version.
    absl::btree_map<Sha256Digest, uint64_t> known;
    bool known_truncated = false;
  };

  using Subscriptions = absl::btree_map<uint64_t, Subscription>;

  void BeginRound(uint64_t token, Subscription& subscription, absl::Time now, Outputs& outputs);
  // How far the round that begins looks back.
  absl::Duration Since(const Subscription& subscription, absl::Time now) const;
  void FinishRound(Subscriptions::iterator it, const SearchSummary& summary, absl::Time now,
                   Outputs& outputs);
  void Know(Subscription& subscription, const std::vector<Hit>& hits) const;
  // Tells what is new. False: the subscription has ended.
  bool Tell(Subscriptions::iterator it, const std::vector<Hit>& hits, Outputs& outputs);
  void End(Subscriptions::iterator it);
  void EndBecause(Subscriptions::iterator it, SubscriptionEnd why, Outputs& outputs);

  const SearchOptions& options_;
  Tokens& tokens_;
  Random& random_;
  Searcher& searcher_;
  StandingVisits& visits_;
  Subscriptions subscriptions_;
  absl::btree_map<SubscriptionId, uint64_t> by_id_;
};

}  // namespace panal
