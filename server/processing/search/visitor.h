// What is done at a peer that a bubble visits: a query is evaluated, a page is kept, and its body
// asked for where it is missing. Also serves the bodies that others ask for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/frame.h"
#include "server/processing/core.h"
#include "server/processing/search/bubble.h"
#include "server/processing/search/neighbors.h"
#include "server/processing/search/standing_visits.h"

namespace panal {

// Pages being read for neighbors. Guess: 16 MiB of bodies in memory.
inline constexpr size_t kServesMax = 256;

// A neighbor has at most this share of the pages being read, and of the bodies asked for. Guess:
// three others are served while one asks for all it can.
inline constexpr size_t kVisitorShares = 4;

// Not thread-safe.
class Visitor {
 public:
  // The outcome of a visit, for BubbleEngine::OnVisited.
  struct Done {
    BubbleId bubble;
    Tally tally;
    bool failed = false;
  };

  // All references must outlive the visitor.
  Visitor(const SearchOptions& options, const Neighbors& neighbors, Tokens& tokens,
          StandingVisits& standing);

  void Begin(const Visit& visit, absl::Time now, Outputs& outputs);
  void OnIndexAnswered(const IndexAnswered& answer);
  void OnPageStored(const PageStored& stored, absl::Time now, Outputs& outputs);
  void OnPageWant(const PeerId& from, const PageWant& want, Outputs& outputs);
  void OnPageBody(const PeerId& from, const PageBodyFrame& body, Outputs& outputs);
  // A token that is not the visitor's is ignored.
  void OnPageLoaded(const PageLoaded& loaded, Outputs& outputs);
  void OnNeighborDown(const PeerId& peer);

  std::vector<Done> TakeDone() { return std::exchange(done_, {}); }

  // Pages with a body that the catalog keeps now.
  std::vector<PagePtr> TakeKept() { return std::exchange(kept_, {}); }

  void CheckInvariants() const;

 private:
  // A page given to the catalog, for the bubbles that brought it.
  struct Store {
    std::vector<BubbleId> bubbles;
    PagePtr page;
    PeerId from;
    absl::Time until;
    bool has_body = false;
  };

  // A body asked for.
  struct Pull {
    uint64_t version = 0;
    PeerId asked;
    absl::Time until;
    std::vector<BubbleId> bubbles;
    std::vector<PeerId> waiting;
  };

  // A page read for a neighbor.
  struct Serve {
    PeerId to;
    PageWant want;
  };

  size_t VisitsMax() const { return static_cast<size_t>(options_.bubbles_max); }

  size_t PullsMax() const { return static_cast<size_t>(options_.pulls_max); }

  size_t PullsOfOneMax() const { return std::max<size_t>(PullsMax() / kVisitorShares, 1); }

  // Whether one more body may be asked of `from`.
  bool MayPull(const PeerId& from, absl::Time now);

  size_t PullWaitersMax() const { return static_cast<size_t>(options_.pull_waiters_max); }

  void BeginQuery(const Visit& visit, const QueryPayload& query, absl::Time now, Outputs& outputs);
  void BeginPage(const Visit& visit, const PagePayload& payload, Outputs& outputs);
  void AskBody(const Store& store, absl::Time now, Outputs& outputs);
  void Finish(const std::vector<BubbleId>& bubbles, PageOutcome outcome);
  // Lets `to` wait for a body that is asked for; false when none is.
  bool Wait(const PeerId& to, const PageWant& want);

  const SearchOptions& options_;
  const Neighbors& neighbors_;
  Tokens& tokens_;
  StandingVisits& standing_;
  absl::btree_map<uint64_t, BubbleId> evaluations_;
  absl::btree_map<uint64_t, Store> stores_;
  absl::btree_map<PageKey, Pull> pulls_;
  absl::btree_map<uint64_t, Serve> serves_;
  std::vector<Done> done_;
  std::vector<PagePtr> kept_;
};

}  // namespace panal
