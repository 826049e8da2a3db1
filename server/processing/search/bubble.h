// Bubbles: how a query or a page is carried to many peers and the answers back. Rules and a worked
// example: docs/protocol/bubbles.md.
//
// Vocabulary. A *bubble* is named by its id; its *origin* began it. A *range* [begin, end) of
// positions is cast to a neighbor, which takes position `begin` and splits the rest into *parts*
// for its own neighbors. A *task* is one range that this peer has accepted: it is held until every
// part is answered or given up, and then answered to its *parent*. A peer is *visited* (asked to
// evaluate or keep the payload) once per bubble, however many ranges reach it.
//
// The engine knows nothing of catalogs: it hands out visits (TakeVisits) and is told their outcome
// (OnVisited); what comes back to an origin is handed out as reports (TakeReports).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/base/token_bucket.h"
#include "common/model/frame.h"
#include "server/processing/core.h"
#include "server/processing/search/audit.h"
#include "server/processing/search/conduct.h"
#include "server/processing/search/digests.h"
#include "server/processing/search/hits.h"
#include "server/processing/search/neighbors.h"
#include "server/processing/search/sizes.h"

namespace panal {

// Share of the remaining time that a neighbor gets for a part; the rest is for its answer's way
// back and for trying another neighbor. Guess: at 10 hops a third is left.
inline constexpr double kHopShare = 0.9;
// A neighbor is silent when it has said nothing for flush_share and this share of the remaining
// time: one flush and its way back. Guess.
inline constexpr double kSilenceSlack = 0.1;
// A peer whose catalog could not answer refuses casts for this long. Guess: as kRefusedTime.
inline constexpr absl::Duration kOverloadTime = absl::Milliseconds(200);
// No part is cast or cast again with less time than this. Guess: two hops in a data center.
inline constexpr absl::Duration kPartTimeMin = absl::Milliseconds(2);
// Partial answers that carry nothing new stop when less time than this remains.
inline constexpr absl::Duration kFlushTimeMin = absl::Milliseconds(50);
// Hits wait this long for others before they go to the parent while parts are outstanding. Guess:
// below what people notice, and one message a level instead of one a peer.
inline constexpr absl::Duration kHitDelay = absl::Milliseconds(100);
// Ranges of one bubble that one peer accepts. A bubble has at most about as many positions as the
// mesh has peers, so that a peer meets it once or twice and, with further rounds, a few times.
inline constexpr size_t kRangesPerBubbleMax = 16;
// Casts that one peer sends for one bubble of another: four parts of every range it may accept.
inline constexpr uint32_t kCastsPerBubbleMax = 64;
// From link to link the longest plausible range becomes so many times shorter, as by the split over
// four neighbors. Peers with fewer use up what the longest one has to spare: a neighbor of the
// origin gets an eighth of it.
inline constexpr uint64_t kHopShrink = 4;
// Bubbles for everyone that one neighbor may bring, its own or handed on, where more than
// kEveryoneFactor times a saturated mesh were measured. Each makes every peer cast over all its
// links, so this bounds what 16 neighbors bring together to 256 casts a second. Guess: searches for
// a recall of 1 are rare; a mesh of 10,000 whose peers search so once in 10 min has one a second and
// link. At once: ten searches whose three rounds all fall short.
inline constexpr Rate kEveryoneOfNeighbor = {.burst = 32, .period = absl::Seconds(1)};
// In smaller meshes, where all that is searched and published may go to everyone: as many as an
// index that takes a millisecond answers, at once as many as the table holds of one neighbor.
inline constexpr Rate kEveryoneInSmallMesh = {.burst = 4096, .period = absl::Milliseconds(1)};
// What is over is forgotten at most this much later.
inline constexpr absl::Duration kForgetInterval = absl::Seconds(1);
// Ranges of one bubble that its origin casts: more than the rounds of a search or a spread.
inline constexpr size_t kRootRangesMax = 16;

// A sum of positions or peers, at most those of the largest bubble.
inline uint32_t CappedSum(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>(std::min<uint64_t>(uint64_t{a} + b, kBubbleSizeMax));
}

using CastPayload = std::variant<QueryPayload, PagePayload>;

// What was found at peers visited and is not yet reported.
struct Tally {
  uint32_t visited = 0;
  uint32_t kept = 0;
  uint32_t full = 0;
  // Links whose digest ruled the query out or whose contact was answered; peers evaluated by those.
  uint32_t consulted = 0;
  uint32_t contacted = 0;
  bool truncated = false;
  std::vector<Hit> hits;

  bool Empty() const {
    return visited == 0 && kept == 0 && full == 0 && consulted == 0 && contacted == 0 &&
           !truncated && hits.empty();
  }

  void Add(Tally other);
};

// This peer is visited: evaluate or keep `payload`, then call OnVisited.
struct Visit {
  BubbleId bubble;
  PeerId from;  // Whom to ask for a body.
  std::shared_ptr<const CastPayload> payload;
  absl::Time until;
};

// What came back to the origin. `round_finished`: the range begun last is answered, but for
// `unanswered` positions.
struct BubbleReport {
  uint64_t owner = 0;
  Tally tally;
  bool round_finished = false;
  uint32_t unanswered = 0;
};

// What the origin casts: a range, or everyone.
struct CastRange {
  uint64_t seed = 0;
  uint32_t begin = 0;
  uint32_t end = 1;
  bool everyone = false;
  uint32_t consult = 0;  // Links that who is visited consults at most.
  bool contact = false;  // Position 0, for a visit only.

  bool operator==(const CastRange&) const = default;
};

// Not thread-safe.
class BubbleEngine {
 public:
  // All references must outlive the engine.
  BubbleEngine(PeerId self, const SearchOptions& options, const Neighbors& neighbors,
               const NeighborDigests& digests, const BubbleSizes& sizes, Random& random);

  // Begins a bubble of `owner`. The origin takes position 0: with `visit_self` it is visited,
  // otherwise the owner accounts for it. `range.begin` is 0.
  BubbleId Begin(uint64_t owner, CastPayload payload, const CastRange& range, bool visit_self,
                 absl::Time deadline, absl::Time now, Outputs& outputs);
  // Casts a further range of a bubble begun here; the origin takes no position of it. REQUIRES: the
  // owner has not let go of it.
  void Extend(const BubbleId& bubble, CastPayload payload, const CastRange& range,
              absl::Time deadline, absl::Time now, Outputs& outputs);
  // The owner wants no further reports; what is under way for it here ends.
  void LetGo(const BubbleId& bubble);

  void OnCast(const PeerId& from, const Cast& cast, absl::Time now, Outputs& outputs);
  void OnAnswer(const PeerId& from, const Answer& answer, absl::Time now, Outputs& outputs);
  void OnNeighborDown(const PeerId& peer, absl::Time now, Outputs& outputs);
  // A timer of kind kBubble.
  void OnTimer(uint64_t token, absl::Time now, Outputs& outputs);
  // The visit is over. `failed`: it did not take place; the position is then unanswered.
  void OnVisited(const BubbleId& bubble, Tally tally, bool failed, absl::Time now,
                 Outputs& outputs);

  std::vector<Visit> TakeVisits() { return std::exchange(visits_, {}); }

  std::vector<BubbleReport> TakeReports() { return std::exchange(reports_, {}); }

  size_t bubbles() const { return bubbles_.size(); }

  // Visits that a task waits for.
  size_t visits() const { return visiting_; }

  size_t active_tasks() const { return active_.size(); }

  void CheckInvariants() const;

 private:
  void CheckHolders() const;
  void CheckLateHits() const;

  // A range given to neighbors.
  struct Part {
    uint32_t begin = 0;
    uint32_t end = 0;
    std::vector<PeerId> tried;  // The last one holds it.
    std::vector<PeerId> open;   // Those that may still answer finally: casts in flight.
    absl::Time cast_at;         // To the one that holds it.
    absl::Time silent_at = absl::InfiniteFuture();
    absl::Time late_at = absl::InfiniteFuture();
    bool resolved = false;
    uint32_t visited = 0;
    uint32_t kept = 0;
    uint32_t full = 0;
    bool contact = false;  // By a digest: never sent elsewhere.
    uint32_t consulted = 0;
    uint32_t contacted = 0;
    uint32_t missing = 0;    // Positions of it that the task counts as unanswered.
    bool truncated = false;  // More was found than it brought.
    bool audited = false;

    uint32_t size() const { return end - begin; }
  };

  // What a task needs until it is finished. Finished ones are many times as many.
  struct Work {
    explicit Work(uint32_t limit) : merger(limit) {}

    std::shared_ptr<const CastPayload> payload;
    PeerId origin;
    // Positions from here on are implausible, or beyond the budget: not cast, and unanswered.
    uint32_t reach = 0;
    std::vector<PeerId> further_parents;
    int hops = 0;
    absl::Time deadline;
    absl::Time flush_at = absl::InfiniteFuture();
    absl::Time armed_at = absl::InfiniteFuture();
    bool visiting = false;  // This peer's own visit belongs to the task and is not over.
    absl::Time cast_at;     // When the parts were cast first.
    absl::Duration pace;    // After which half of them were answered; zero: not yet.
    // Neighbors with a digest, and those of them that it does not rule out.
    uint32_t links = 0;
    uint32_t contacts = 0;
    Tally pending;  // Without hits; those are in `merger`.
    HitMerger merger;
    Finds finds;
  };

  struct Task {
    Task(uint64_t sequence, const BubbleId& bubble, uint32_t limit)
        : sequence(sequence), bubble(bubble), work(std::make_unique<Work>(limit)) {}

    const uint64_t sequence;
    const BubbleId bubble;
    CastRange range;
    bool root = false;
    PeerId parent;  // Meaningless for a root.
    std::vector<Part> parts;
    uint32_t unanswered = 0;
    std::unique_ptr<Work> work;  // Null when finished.

    bool finished() const { return work == nullptr; }
  };

  // Bubbles for everyone that a neighbor may still bring, by the size of the mesh.
  struct Everyone {
    TokenBucket large{kEveryoneOfNeighbor};
    TokenBucket small{kEveryoneInSmallMesh};
  };

  // Who brought bubbles: a neighbor, also one that is gone, or this peer itself.
  struct Holder {
    explicit Holder(const PeerId& peer) : peer(peer) {}

    const PeerId peer;
    absl::btree_set<std::pair<absl::Time, BubbleId>> bubbles;  // By the time they are forgotten.
    std::unique_ptr<Everyone> everyone;                        // Null: it brought none.
    size_t late_hits = 0;                                      // In the orphans of its bubbles.
  };

  struct Bubble {
    Holder* holder = nullptr;
    bool owned = false;
    uint64_t owner = 0;
    bool visited = false;
    bool consulted = false;   // The digests of the neighbors were, or could not be.
    uint64_t visit_task = 0;  // Sequence of the task that the visit belongs to.
    absl::Time deadline = absl::InfinitePast();
    absl::Time forget_at = absl::InfinitePast();
    std::vector<std::unique_ptr<Task>> tasks;
    // What could not be delivered; attached to the next cast. Null: nothing.
    std::unique_ptr<Tally> orphans;
    size_t active = 0;
    // For others: casts sent, and positions in them when they were cast first.
    uint32_t casts = 0;
    uint64_t forwarded = 0;
  };

  Bubble* FindBubble(const BubbleId& id);

  // Bubbles that count against bubbles_max.
  size_t Remembered() const { return bubbles_.size() - owned_bubbles_; }

  Holder& HolderOf(const PeerId& peer);
  // Bubbles of it that count against bubbles_max.
  size_t Held(const Holder& holder) const;
  // Hits that may still be kept for who brought its bubbles.
  size_t LateRoom(const Holder& holder) const;
  // Whether it may bring one more.
  bool HasRoom(const Holder& holder) const;
  // What it may still bring for everyone.
  TokenBucket& EveryoneOf(Holder& holder) const;
  // Whether the cast is none for everyone, or its sender may bring one more of those.
  bool MayReachEveryone(const PeerId& from, const Cast& cast, absl::Time now);
  // Forgets it where nothing is left of it and it is no neighbor.
  void DropIfIdle(const Holder& holder);
  // Whether `from` may bring one more bubble, which may take one that was brought before.
  bool MakeRoom(const PeerId& from, absl::Time now);
  // Forgets the oldest bubble of it whose budget is over.
  bool EvictOf(const Holder& holder, absl::Time now);
  void ForgetOld(absl::Time now);
  void Erase(const BubbleId& id);
  void KeepUntil(const BubbleId& id, Bubble& bubble, absl::Time deadline);
  Task& AddTask(const BubbleId& id, Bubble& bubble, CastPayload payload, const CastRange& range,
                absl::Time deadline);

  // Where the positions end that this peer takes of a range, by what is plausible and what it has
  // forwarded of the bubble so far. `hops`: links from the origin.
  uint32_t ReachOf(const Bubble* bubble, const Cast& cast, int hops) const;
  // Rejoins a range that is known already.
  void Rejoin(Bubble& bubble, Task& task, const PeerId& from, absl::Time now, Outputs& outputs);
  static void Refuse(const PeerId& from, const Cast& cast, Outputs& outputs);

  // At the first range by which the bubble comes: contacts the neighbors whose digests do not rule
  // the query out.
  void Consult(Bubble& bubble, Task& task, absl::Time now, Outputs& outputs);
  // Links that count as consulted: all where every contact was answered, else that share of all.
  // What is found is behind contacts, so that one that was not answered weighs more than one link.
  static uint32_t Consulted(const Task& task);
  // Of an answer, to a contact or to a part, what digests brought.
  static void CountContact(const Answer& answer, Part& part, Tally& tally);
  void CountConsulted(const Answer& answer, uint32_t consult, Part& part, Tally& tally) const;
  // Rank of a neighbor in the permutation of (seed, begin). A hash per neighbor and not a shuffle,
  // so that a refresh with the same seed finds the same peers although some neighbor has changed.
  static uint64_t RankOf(uint64_t seed, uint32_t begin, const PeerId& neighbor);
  void Forward(Task& task, absl::Time now, Outputs& outputs);
  void ForwardToEveryone(Task& task, absl::Time now, Outputs& outputs);
  void ForwardRange(Task& task, uint32_t begin, uint32_t casts, absl::Time now, Outputs& outputs);
  void CheckBounds(const Task& task) const;
  // Casts that may still be sent for the task's bubble.
  uint32_t CastsLeft(const Task& task) const;
  // Neighbors in the order of the task's permutation; those of last resort (the sender, the origin)
  // at the end, and those that may be given nothing left out. `preferred`: how many come before the
  // last resort.
  std::vector<PeerId> Candidates(const Task& task, absl::Time now, size_t* preferred) const;
  void SendPart(Task& task, Part& part, const PeerId& to, absl::Time now, Outputs& outputs);
  // Gives the part to the next neighbor, or up.
  void Retry(Task& task, Part& part, absl::Time now, Outputs& outputs);
  // Gives a part that is late to a second neighbor, if there is one; the first may still answer.
  void Hedge(Task& task, Part& part, absl::Time now, Outputs& outputs);
  // Whom to give the part next; null when nobody is left, or nothing may be cast.
  std::optional<PeerId> NextFor(const Task& task, const Part& part, absl::Time now) const;
  uint32_t PaceSize(const Task& task, const Part& part) const;
  // When a part that was just cast is late.
  absl::Time LateAt(const Task& task, const Part& part) const;
  // A part was answered by who holds it: what is late follows from it.
  void NotePace(Task& task, const Part& part, absl::Time now);
  static void GiveUp(Task& task, Part& part);
  // Whether what neighbors find tells whether they looked.
  bool Audits(const Task& task) const;
  void NoteFinds(Task& task, const PeerId& finder, const std::vector<Hit>& hits);
  void Compare(const Task& task, const Part& part, absl::Time now);
  // Every part is answered. Gives those of neighbors that are distrusted now to others: false where
  // there is none.
  bool AuditParts(Task& task, absl::Time now, Outputs& outputs);
  // Nobody waits for what the task cast any more.
  void EndCasts(Task& task);
  // Whether a cast that brings about a visit must go elsewhere.
  bool Overloaded(absl::Time now) const;
  void BeginVisit(Bubble& bubble, Task& task, const PeerId& from);
  void EndVisit(Task& task);
  static Part* FindPart(Bubble& bubble, const PeerId& from, uint32_t begin, Task** task);

  void AddTally(Bubble& bubble, Task& task, Tally tally, absl::Time now, Outputs& outputs);
  void KeepOrphans(Bubble& bubble, Tally tally, absl::Time now, Outputs& outputs);
  void Process(Task& task, absl::Time now, Outputs& outputs);
  void FinishIfDone(Task& task, absl::Time now, Outputs& outputs);
  void Finish(Bubble& bubble, Task& task, absl::Time now, Outputs& outputs);
  Tally TakeOrphans(Bubble& bubble);
  static Tally TakePending(Work& work);
  // `unanswered` only with a final answer: positions given up must not count twice.
  static void SendAnswer(const PeerId& to, const Task& task, Tally tally, bool final,
                         uint32_t unanswered, Outputs& outputs);
  void Arm(Task& task, absl::Time now, Outputs& outputs) const;
  absl::Duration SilenceAfter(absl::Duration remaining) const;
  static bool HasUnresolved(const Task& task);

  const PeerId self_;
  const SearchOptions& options_;
  const Neighbors& neighbors_;
  const NeighborDigests& digests_;
  const BubbleSizes& sizes_;
  Random& random_;
  uint64_t next_sequence_ = 1;
  absl::btree_map<BubbleId, Bubble> bubbles_;
  absl::btree_map<PeerId, std::unique_ptr<Holder>> holders_;
  absl::Time forgot_at_ = absl::InfinitePast();
  size_t late_hits_ = 0;  // Of all holders.
  size_t owned_bubbles_ = 0;
  // Tasks not finished, by sequence.
  absl::btree_map<uint64_t, Task*> active_;
  Conduct conduct_;
  Audit audit_;
  Pace pace_;
  std::vector<Visit> visits_;
  size_t visiting_ = 0;
  absl::Time overloaded_until_ = absl::InfinitePast();
  std::vector<BubbleReport> reports_;
};

}  // namespace panal
