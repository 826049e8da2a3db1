// Spreads the pages of this peer and keeps them alive: page bubbles, extra ranges for keepers that
// were full or lost, refresh before expiry. Rules: docs/protocol/bubbles.md.
//
// Only headers are held here; bodies are loaded when their turn comes, so that ten thousand pages
// in the queue cost no memory for bodies.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "server/processing/core.h"
#include "server/processing/search/bubble.h"
#include "server/processing/search/neighbors.h"
#include "server/processing/search/sizes.h"

namespace panal {

// Time for one round of a spread. Guess: bodies cross ten slow links.
inline constexpr absl::Duration kSpreadRoundTime = absl::Seconds(30);
// Rounds of one spread: the page bubble and further ranges for the copies that are missing.
inline constexpr int kSpreadRoundsMax = 6;
// Due pages are looked for this often, and so many are asked for at once.
inline constexpr absl::Duration kRefreshTick = absl::Seconds(5);
inline constexpr size_t kRefreshBatchMax = 256;
// Refreshes are spread over the last quarter of the interval, so that pages that were published
// together do not stay together.
inline constexpr double kRefreshJitter = 0.25;
// A page goes out again when the mesh wants this many times the copies it was spread for: in
// between, the query side has lambda(policy) to spare.
inline constexpr double kRespreadGrowth = 1.1;
// A peer that knows nothing of the mesh holds its pages back this long: until it has measured it
// would take any mesh for one of its neighbors only, and send everything to everyone. Guess: a
// small mesh measures itself in two seconds.
inline constexpr absl::Duration kMeasureWait = absl::Seconds(30);
// Meanwhile it looks this often whether it has measured.
inline constexpr absl::Duration kMeasureTick = absl::Milliseconds(100);
// A spread that reached less than half of its target is tried again after this long. Guess.
inline constexpr absl::Duration kRespreadDelay = absl::Seconds(30);
// The layout of a page's bubble (its positions) is kept while the size wanted is within this share
// of it, so that a refresh meets the keepers of the time before.
inline constexpr double kLayoutShareMin = 0.8;

// Not thread-safe.
class PageSpreader {
 public:
  // All references must outlive the spreader.
  PageSpreader(PeerId self, const SearchOptions& options, const Neighbors& neighbors,
               const BubbleSizes& sizes, Tokens& tokens, Random& random, BubbleEngine& engine);

  void OnOwnPagesSigned(const OwnPagesSigned& signed_pages, absl::Time now, Outputs& outputs);
  // A token that is not the spreader's is ignored.
  void OnPageLoaded(const PageLoaded& loaded, absl::Time now, Outputs& outputs);
  // A timer of kind kRefresh.
  void OnTimer(absl::Time now, Outputs& outputs);
  // False when the report belongs to no spread.
  bool OnReport(const BubbleReport& report, absl::Time now, Outputs& outputs);

  void CheckInvariants() const;

 private:
  struct OwnPage {
    PageHeader header;
    absl::Time refresh_at;
    absl::Time respread_at = absl::InfiniteFuture();
    bool queued = false;
    bool with_body = false;    // The next spread carries the body: nobody has this version yet.
    uint32_t layout = 0;       // Positions of its bubble.
    uint32_t size_before = 0;  // Peers wanted at the last spread; 0: never spread.
    bool is_due = false;       // The next spread is the first of its version.
  };

  struct Spread {
    uint32_t number = 0;
    uint64_t version = 0;
    PagePtr page;  // Null while it is being loaded.
    bool has_body = false;
    bool begun = false;
    BubbleId bubble;
    bool everyone = false;
    uint32_t next_position = 0;
    uint32_t extra = 0;  // Positions of the next round.
    int rounds = 0;
    uint32_t target = 1;
    uint64_t visited = 1;
    uint64_t kept = 1;  // The publisher's own copy.
    uint64_t kept_before = 0;
  };

  using Spreads = absl::btree_map<uint64_t, Spread>;

  void Note(const PagePtr& page, bool spread_now, absl::Time now);
  void Enqueue(uint32_t number, OwnPage& page, bool with_body);
  void StartNext(absl::Time now, Outputs& outputs);
  void Load(Spreads::iterator it, Outputs& outputs);
  // Begins the next round of a spread whose page is here.
  void Launch(Spreads::iterator it, absl::Time now, Outputs& outputs);
  void Continue(Spreads::iterator it, uint32_t unanswered, absl::Time now, Outputs& outputs);
  void Finish(Spreads::iterator it, absl::Time now, Outputs& outputs);
  void ArmTick(absl::Time now, Outputs& outputs);

  // Whether pages wait for a measurement.
  bool Holds(absl::Time now) const { return !sizes_.measured() && now < hold_until_; }

  absl::Duration Jittered();
  uint64_t SeedOf(uint32_t number, int round) const;

  const PeerId self_;
  const SearchOptions& options_;
  const Neighbors& neighbors_;
  const BubbleSizes& sizes_;
  Tokens& tokens_;
  Random& random_;
  BubbleEngine& engine_;
  absl::btree_map<uint32_t, OwnPage> pages_;
  PagePtr peer_page_;
  std::vector<uint32_t> queue_;  // In their order; few, but for a peer that publishes many.
  Spreads spreads_;
  absl::btree_map<uint64_t, uint64_t> loads_;       // Token of LoadPage -> spread.
  absl::Time hold_until_ = absl::InfiniteFuture();  // From the first page on.
  bool ticking_ = false;
};

}  // namespace panal
