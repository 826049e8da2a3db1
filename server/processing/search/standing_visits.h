// Standing queries that this peer keeps for others and for itself: what comes here and matches is
// told to the neighbor that brought the query, from neighbor to neighbor up to who subscribed.
// Rules: docs/protocol/bubbles.md.
//
// The way back is the tree of first visits of the newest round: a peer's *via* was visited before
// it in the same round, so the ways never close to a ring. Where the via is gone the vias of the
// rounds before are tried; where all are gone the hits are dropped, and the next round finds them.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/frame.h"
#include "server/processing/core.h"
#include "server/processing/search/neighbors.h"

namespace panal {

// Records remembered as passed on for one standing query, so that of a page's many keepers one is
// heard. Guess: more than a round brings; what is forgotten is dropped where it was subscribed.
inline constexpr size_t kPassedRecordsMax = 512;
// Ways back remembered of one standing query. Guess: the rounds that a lease spans, and one more.
inline constexpr size_t kViasMax = 3;

// Not thread-safe.
class StandingVisits {
 public:
  // All references must outlive the object.
  StandingVisits(PeerId self, const SearchOptions& options, const Neighbors& neighbors);

  // Keeps `query`, or renews it; `from` brought it, or this peer itself subscribed. False: no room.
  // REQUIRES: query.standing.
  bool Keep(const PeerId& from, const QueryPayload& query, absl::Time now);
  void Forget(const SubscriptionId& subscription);

  // Records of `page`, at these places, came to the catalog. `from` brought them.
  void OnStored(const Page& page, const std::vector<uint32_t>& fresh, const PeerId& from,
                absl::Time now, Outputs& outputs);
  // Own pages were signed: what in them is newer than the version before came here too.
  void OnOwnPages(const std::vector<PagePtr>& pages, absl::Time now, Outputs& outputs);
  void OnMatched(const StandingMatched& matched, Outputs& outputs);
  void OnHits(const PeerId& from, const StandingHits& hits, Outputs& outputs);

  // What arrived for this peer's own subscriptions.
  std::vector<StandingHits> TakeOwn() { return std::exchange(own_, {}); }

  size_t kept() const { return kept_.size(); }

  void CheckInvariants() const;

 private:
  struct Kept {
    explicit Kept(Query parsed) : query(std::move(parsed)) {}

    Query query;
    absl::Time until;
    std::vector<PeerId> vias;  // The newest first.
    absl::btree_map<Sha256Digest, uint64_t> passed;
    std::deque<Sha256Digest> passed_order;
  };

  using AllKept = absl::btree_map<SubscriptionId, Kept>;

  bool HasRoom(const PeerId& from, bool renewal);
  void Erase(AllKept::iterator it);
  void Expire(absl::Time now);
  void Match(std::vector<Hit> records, const PeerId& from, absl::Time now, Outputs& outputs);
  void PassOn(const SubscriptionId& subscription, Kept& kept, std::vector<Hit> hits,
              Outputs& outputs);
  // Whether the record was not passed yet in this version; remembers it.
  static bool IsNew(Kept& kept, const Hit& hit);

  const PeerId self_;
  const SearchOptions& options_;
  const Neighbors& neighbors_;
  AllKept kept_;
  absl::btree_map<PeerId, int> brought_;  // How many standing queries came through whom.
  absl::Time next_expiry_ = absl::InfiniteFuture();
  StandingQueries queries_;  // All of kept_; null when that changed.
  // Versions of the own pages, by number: at most kPageNumberMax.
  absl::btree_map<uint32_t, uint64_t> own_versions_;
  std::vector<StandingHits> own_;
};

}  // namespace panal
