// Membership: which few peers this peer keeps links to (HyParView, Leitao, Pereira, Rodrigues, DSN
// 2007).
//
// The active view is the set of neighbors; every link is a neighbor at both ends or at neither. The
// passive view holds spares. Normative text, frames and state tables: docs/protocol/overlay.md.
//
// Differences from the paper:
// - Degree 16 times the capacity, not log10(n) + 1: the links carry bubbles, whose recall needs it.
// - A walk that ends at a peer with enough links puts the newcomer into one of that peer's links
//   (it drops a random neighbor and names the newcomer as the replacement), as BubbleStorm splices
//   joiners into edges. Degrees stay what they are and the graph stays random. The paper only
//   drops.
// - A peer short of links takes every newcomer whose walk passes; in a mesh no larger than the
//   views everybody so links to everybody within a few latencies.
// - "High priority" means fewer than half of the links wanted, not none.
// - A peer without any neighbor joins again instead of asking.
// - A peer that leaves pairs its neighbors. The paper has no leave.
// - Feelers: now and then one link is swapped for one to a remembered peer outside both views. It
//   heals a mesh that was cut in halves and keeps the graph mixing. The paper has neither.
//
// Specification:
// - M1. No view holds this peer, a peer twice, or a peer of the other view. The active view holds
//   at most wanted + slack peers (one more while an input is handled), the passive view
//   passive_view_size. Rationale: each neighbor costs an open link; the bounds are what makes the
//   overlay scale.
// - M2. Every neighbor has a link that is up. A neighbor is dropped by Disconnect and closing the
//   link, and a lost link drops the neighbor. Rationale: both ends agree within one latency,
//   whatever crossed.
// - M3. A link is no neighbor before one end asked (Join, NeighborAsk) and the other accepted. A
//   link over which that does not happen within neighbor_timeout is closed.
// - M4. A Join is always accepted, a NeighborAsk while there is room, one of high priority always:
//   a random neighbor makes room and gets the asking peer as its replacement.
// - M5. A lost neighbor is replaced from the passive view at once, at most dials_max attempts at a
//   time; the repair timer repeats this until the wanted links are there or nobody is left to ask.
// - M6. A candidate that refused or failed rests for retry_backoff, doubled each time, at most 64
//   times that. One that could not be dialled leaves the passive view and stays among the
//   remembered.
// - M7. A peer short of links with nobody to ask shuffles after 1, 2, 4 … seconds, up to
//   shuffle_interval. Rationale: after a mass failure or a flash join the minute is too long.
// - M8. A shuffle reply is taken only while one is awaited. Rationale: nobody may fill the views
//   unasked.
// - M9. Every table is bounded by a constant below or an option.
// - M10. A leaving peer says goodbye and lets its neighbors close their links, which tells it that
//   they know; what leave_timeout finds open it closes itself. Rationale: one that closed at once
//   could be gone before its goodbye was read, and its neighbors would take it for crashed.
// - M11. Walks, shuffles and replies to them that one neighbor sends are taken at a rate; those beyond
//   are dropped, and the driver is told. Rationale: each is passed on over several links.
//
// Sans-IO: feed one event, perform every output, in order. Not thread-safe; the node loop owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/base/token_bucket.h"
#include "common/model/frame.h"
#include "server/processing/core.h"

namespace panal {

// Links known at once, neighbors or not yet. As many as the runtime accepts (runtime/links.h).
inline constexpr size_t kLinksTrackedMax = 1024;
// Walk ends whose newcomer is being dialled at once; beyond, the newcomer becomes a spare. Guess.
inline constexpr size_t kSplicesMax = 16;
// Doublings of a rest: 64 times retry_backoff.
inline constexpr int kBackoffDoublingsMax = 6;
// Most neighbors any peer wants (overlay.md A1).
inline constexpr int kActiveViewMax = 128;
// Join walks taken from one neighbor. A newcomer brings one over every other link of its contact, so
// the burst is 512 that join through one contact at once. Guess; a mesh that grows everywhere by a
// tenth a second has a third of a walk a second on each link.
inline constexpr Rate kWalksOfNeighbor = {.burst = 256, .period = absl::Milliseconds(125)};
// Shuffles, and replies, taken from one neighbor: so many at once, and in a shuffle_interval. Guess: a
// third of one is usual, but where most peers have failed the others may shuffle every second (M7)
// over the few links that are left; the burst is a minute of that.
inline constexpr double kShufflesBurst = 64;
inline constexpr int kShufflesPerInterval = 6;

class Membership {
 public:
  // `random` must outlive this object. REQUIRES: options.Validate().ok(), capacity above 0.
  Membership(PeerId self, const MembershipOptions& options, double capacity, Random& random);

  void OnStart(const Start& start, absl::Time now, Outputs& outputs);
  void OnPeerLearned(const PeerLearned& learned, absl::Time now, Outputs& outputs);
  void OnLinkUp(const LinkUp& link, absl::Time now, Outputs& outputs);
  void OnLinkLost(const PeerId& peer, absl::Time now, Outputs& outputs);
  void OnDialFailed(const PeerId& peer, absl::Time now, Outputs& outputs);
  void OnSelfChanged(const SelfChanged& change);
  // kRepair and kShuffle.
  void OnTimer(const Timer& timer, absl::Time now, Outputs& outputs);
  void OnLeave(absl::Time now, Outputs& outputs);
  // A timer of kind kLeave: closes the links that are still up.
  void OnLeaveTimeout(Outputs& outputs);

  // Whether any link is up, neighbor or not.
  bool HasLinks() const;

  void OnJoin(const PeerId& from, absl::Time now, Outputs& outputs);
  void OnForwardJoin(const PeerId& from, const ForwardJoin& walk, absl::Time now, Outputs& outputs);
  void OnNeighborAsk(const PeerId& from, const NeighborAsk& ask, absl::Time now, Outputs& outputs);
  void OnNeighborReply(const PeerId& from, const NeighborReply& reply, absl::Time now,
                       Outputs& outputs);
  void OnDisconnect(const PeerId& from, const Disconnect& disconnect, absl::Time now,
                    Outputs& outputs);
  void OnShuffle(const PeerId& from, const Shuffle& shuffle, absl::Time now, Outputs& outputs);
  void OnShuffleReply(const PeerId& from, const ShuffleReply& reply, absl::Time now,
                      Outputs& outputs);

  // Neighbors, ascending.
  const std::vector<PeerId>& active() const { return active_; }

  bool IsActive(const PeerId& peer) const;
  // Spares, ascending by id.
  std::vector<PeerContact> Passive() const;

  // Links wanted: active_view_size times the capacity, even, at most kActiveViewMax.
  size_t wanted() const { return wanted_; }

  const PeerContact& self() const { return self_; }

  // Aborts when M1, M2 or M9 is broken.
  void CheckInvariants() const;

 private:
  enum class LinkState : uint8_t {
    kDialing,   // Dial was put out.
    kIdle,      // Up; nobody asked yet.
    kAsked,     // Up; this end asked.
    kNeighbor,  // Up; in both active views.
    kClosing,   // CloseLink was put out, or this end, leaving, waits for the other to close.
  };

  // Why a link was dialled, and so what is done once the other end accepted.
  enum class Purpose : uint8_t {
    kNone,    // Accepted, or a plain candidate.
    kJoin,    // Join whatever else is going on.
    kSplice,  // A random neighbor makes way if there are enough.
  };

  struct Link {
    PeerContact contact;
    LinkState state = LinkState::kDialing;
    Purpose purpose = Purpose::kNone;
    bool outbound = false;
    // When this state ends at the latest; not used for neighbors.
    absl::Time deadline = absl::InfiniteFuture();
    // Until then a neighbor that was short of links is not dropped to make room.
    absl::Time spared_until = absl::InfinitePast();
    // When it joined through this peer.
    absl::Time joined = absl::InfinitePast();
    // Walks for this neighbor were sent then; a repeated Join brings no more for a while.
    absl::Time walks_sent = absl::InfinitePast();
    // What it may send of each, as a neighbor.
    TokenBucket walks{kWalksOfNeighbor};
    TokenBucket shuffles{{}};
    TokenBucket replies{{}};
  };

  struct Rest {
    absl::Time until = absl::InfinitePast();
    int failures = 0;
    bool barred = false;  // Left or unreachable: no spare until the rest is over.
  };

  // Contacts by their ids: what is kept of many peers holds an id once.
  struct ById {
    using is_transparent = void;

    static const PeerId& IdOf(const PeerId& id) { return id; }

    static const PeerId& IdOf(const PeerContact& contact) { return contact.id; }

    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return IdOf(a) < IdOf(b);
    }
  };

  struct Remembered {
    absl::Time last_link = absl::InfinitePast();
    bool reported = false;
  };

  // --- Links ---
  Link* FindLink(const PeerId& peer);
  size_t CountLinks(LinkState state) const;
  // Links that may soon become neighbors and that a repair began.
  size_t Pending() const;
  bool DialPeer(const PeerContact& peer, Purpose purpose, absl::Time now, Outputs& outputs);
  void Ask(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs);
  void Accept(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs);
  void Decline(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs);
  void DropLink(const PeerId& peer, absl::Time now, Outputs& outputs);
  void BecomeNeighbors(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs);
  void RemoveNeighbor(const PeerId& peer, Outputs& outputs);
  void CloseQuietly(const PeerId& peer, Link& link, Outputs& outputs);
  // Drops a random neighbor other than `newcomer`, naming `newcomer` as its replacement.
  void MakeRoom(const PeerContact& newcomer, absl::Time now, Outputs& outputs);
  std::optional<PeerId> ChooseVictim(const PeerId& newcomer, absl::Time now);
  void SendWalks(const PeerId& newcomer, Link& link, absl::Time now, Outputs& outputs);
  // Takes one; false where there is none, which the driver is told.
  static bool Allow(TokenBucket& bucket, const PeerId& from, absl::Time now, Outputs& outputs);
  void EndWalk(const PeerContact& newcomer, absl::Time now, Outputs& outputs);

  // --- Repair ---
  bool IsShort() const;
  void TopUp(absl::Time now, Outputs& outputs);
  std::optional<PeerContact> NextCandidate(absl::Time now);
  void ExpireLinks(absl::Time now, Outputs& outputs);
  void SendFeeler(absl::Time now, Outputs& outputs);
  void ReportRemembered(Outputs& outputs);

  // --- Views ---
  bool MayAsk(const PeerContact& peer, absl::Time now) const;
  bool IsResting(const PeerId& peer, absl::Time now) const;
  void LetRest(const PeerId& peer, absl::Time now, bool barred = false);
  void AddPassive(const PeerContact& peer, absl::Time now, std::vector<PeerId>* expendable);
  void TakePassiveAway(std::vector<PeerId>* expendable);
  void Remember(const PeerContact& peer, absl::Time now);
  void Forget(const PeerId& peer, absl::Time now);
  std::optional<PeerId> RandomActive(const std::vector<PeerId>& except);
  void SampleActive(size_t count, const PeerId& except, std::vector<PeerContact>& sample);
  void SamplePassive(size_t count, const PeerId& except, std::vector<PeerContact>& sample);

  // --- Shuffles ---
  void StartShuffle(absl::Time now, Outputs& outputs);
  void AnswerShuffle(const PeerId& from, const Shuffle& shuffle, absl::Time now, Outputs& outputs);
  void Integrate(const std::vector<PeerContact>& peers, std::vector<PeerId> expendable,
                 absl::Time now);

  const PeerId id_;
  const MembershipOptions options_;
  Random& random_;
  size_t wanted_;
  PeerContact self_;
  bool started_ = false;
  bool leaving_ = false;

  absl::btree_map<PeerId, Link> links_;
  std::vector<PeerId> active_;  // Ascending; the keys of links_ in state kNeighbor.
  absl::btree_set<PeerContact, ById> passive_;
  absl::btree_map<PeerId, Rest> resting_;
  absl::btree_map<PeerContact, Remembered, ById> remembered_;
  bool unreported_ = false;  // Some of them may not be reported yet.
  // Peers of Start and PeerLearned not tried yet, in their order; only used while there is no
  // neighbor.
  std::vector<PeerContact> known_;
  // Peers to join through as soon as their link is up: bootstrap addresses dialled by the runtime.
  std::vector<PeerId> join_through_;

  // The shuffle under way: what was sent, given up first when spares must go.
  bool shuffle_awaited_ = false;
  std::vector<PeerId> shuffle_sent_;
  absl::Time next_early_shuffle_ = absl::InfinitePast();
  absl::Duration early_shuffle_gap_;
  absl::Time next_feeler_ = absl::InfiniteFuture();
};

}  // namespace panal
