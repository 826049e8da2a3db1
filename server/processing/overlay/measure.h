// Measurement of the mesh: how many peers there are, and the sums of their degrees and squared
// degrees.
//
// Push-sum (Kempe, Dobra, Gehrke, FOCS 2003) with BubbleStorm's "fish" instead of a leader: every
// peer enters a round with one fish whose lottery number is a hash of its id and the round; the
// highest number survives, so that in the end the mass of one fish is spread over the mesh and
// count / fish = n at every peer. Shares that were not acknowledged are taken back when the link is
// lost. Frames and rules: docs/protocol/overlay.md.
//
// Differences from BubbleStorm:
// - Shares are halves, not weighted by the degrees of both ends: a neighbor's degree is not known.
//   A pass takes as long at every peer (E14), so that masses even out whatever the degrees.
// - Rounds do not run all the time. A change of neighbors starts one, and a slow timer. A round
//   runs at full pace and then falls silent, so that the numbers are there seconds after a join and
//   an idle mesh sends next to nothing.
// - A round ends by a relative tolerance, not 64 units in the last place: half the messages.
// - A peer whose round has ended answers a share that differs from its result with a share of its
//   own, so that a peer that began late is not left alone.
//
// Specification:
// - E1. Mass is conserved: a share leaves this peer's mass when sent, enters the receiver's when
//   received, and comes back when its link is lost before the acknowledgement. What belongs to an
//   older round is acknowledged and dropped. Rationale: 1 % of mass lost early costs 2.6 % of the
//   estimate.
// - E2. A share of a later round takes this peer into that round first; a peer begins a round only
//   after its own one has ended. Rounds are serial numbers: the later of two is less than half of
//   the numbers ahead, and 0 is none. Rationale: whatever number somebody makes up, the next one is
//   later, and nobody is left behind it.
// - E3. A round ends for this peer after degree + 16 receipts in a row that change the estimate by
//   less than `tolerance`, or after shares_max shares. A later receipt that changes it more resumes
//   the round. It has settled where half of those receipts came, or where so many in a row left the
//   estimate within kSettledBand of one value. Rationale: halves that have just met have few links
//   across, and after all shares their error was 0.3 %: thrown away, nobody knew of the other half.
// - E4. A peer that has no result takes the one that comes with a share (last_*), and so does one
//   that was taken into a new round before its own ended.
// - E5. The estimate is never below 1 + the size of the active view.
// - E6. A share with a value outside the bounds below is refused. Of a share, and of what a neighbor
//   says of the round before, the degrees are taken as far as the peers counted can have them: 1 to
//   kPeerDegreeMax each, and squares that fit (Cauchy-Schwarz). Rationale: a sum is only as honest as
//   its least honest member; the bounds keep the damage finite, no more. A liar can bias the result.
// - E7. A round is begun by a peer that saw the mesh change (a newcomer joined, a neighbor was lost
//   or left) or whose degree differs by more than a quarter from the one it put in; a swapped link
//   begins none. Rationale: links are swapped all the time, and n does not care.
// - E8. At most kUnackedMax shares of a neighbor are unacknowledged; it is passed over until it
//   answers.
// - E9. A result more than kJump times another than the one before, in a mesh of more than
//   kUnconfirmedMax, is taken only from two sources: two rounds, two neighbors' last_*, or one of
//   each; a smaller one also where this peer itself lost kLossShare of its neighbors since.
//   Rationale: one round that somebody bent, or that ended before it had mixed, must not change
//   every size.
// - E10. From one neighbor comes, in one round, at most kNeighborMassMax more of the count than
//   went to it; what is beyond is scaled away. Rationale: bounds what one liar can add.
// - E11. Another round follows soon where a result differs by more than kRestlessChange from the
//   one before, and after each of kUnsettledRoundsMax rounds in a row that did not settle.
//   Rationale: two meshes that meet mix badly at first.
// - E12. A peer that lost kLossShare of its neighbors within kLossTime begins a round soon. Other
//   changes wait for Gap(), which grows with the mesh. Rationale: a round costs some 160 messages a
//   peer, and in a large mesh somebody comes or goes all the time.
//
// - E13. While more than half of its neighbors, and more than kOwingMin, owe an acknowledgement a
//   peer sends no share; one in kStallsPerShare of the moments that pass so counts as a share sent,
//   which bounds the round. Rationale: the machines are busy, and more shares would only make them
//   busier: two hundred peers of two cores sent shares for ever and knew their number never.
// - E14. A pass over the neighbors takes as long at every peer, whatever its degree (BubbleStorm):
//   one with more than kPassLinks sends as much more often, and as many more shares. Rationale: at
//   one pace for all, what comes to a peer of 128 links waits there; in Gia's mix, where most
//   neighbors of the weak are such, a third of the peers saw every round fall silent.
// - E15. Of a link every share is taken once: one whose number was seen, or is kSequenceWindow or
//   more behind the highest, is acknowledged and nothing else. Numbering begins afresh with every
//   link, at both ends. Rationale: a share that is sent again would add mass.
//
// Sans-IO. Not thread-safe; the node loop owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/model/frame.h"
#include "server/processing/core.h"

namespace panal {

// Shares to one neighbor without an acknowledgement. Guess: two seconds of a mesh of five.
inline constexpr size_t kUnackedMax = 8;
// E13. Few neighbors answer one after the other, so their number alone says nothing. Guess.
inline constexpr size_t kOwingMin = 4;
// E13. At 50 ms a moment a round of 192 shares takes 77 s at most. Guess.
inline constexpr int kStallsPerShare = 8;
// Peers that a share or a result may speak of: a hundred times what Panal is made for.
inline constexpr double kMeshSizeMax = 1e8;
// Neighbors of a peer: kActiveViewMax and the slack of four (MembershipOptions).
inline constexpr double kPeerDegreeMax = 132;
// Receipts in a row without a change that end a round, besides one a neighbor (BubbleStorm).
inline constexpr int kStableReceipts = 16;
// Shares in a row without a receipt that end a round. Guess: 0.8 s, longer than most round trips.
inline constexpr int kSilentShares = 16;
// E3. Where an error of all falls to this in the last of twelve passes, less than 1 % of it is left.
inline constexpr double kSettledBand = 0.002;
// E14. Neighbors of a peer of capacity 1 (MembershipOptions), with the slack of four.
inline constexpr size_t kPassLinks = 20;
// E15. Links keep the order, so any would do. Guess: far more than kUnackedMax.
inline constexpr uint64_t kSequenceWindow = 64;
// Rounds that changes start are round_gap apart for every so many peers: at most kGapsMax of them,
// or kUrgentGapsMax where E11 or E12 say soon.
inline constexpr double kPeersPerGap = 64;
inline constexpr double kGapsMax = 120;
inline constexpr double kUrgentGapsMax = 30;
// E9. In a mesh up to that size nearly everybody is a neighbor, and a few joins double it.
inline constexpr double kJump = 2.1;  // A little above two: equal halves that meet are no jump.
inline constexpr double kUnconfirmedMax = 64;
// E9, E12. Plain churn takes a neighbor in minutes. Guess.
inline constexpr double kLossShare = 0.25;
inline constexpr absl::Duration kLossTime = absl::Seconds(10);
// E10. Between honest neighbors at most 7.2 was seen (500 peers, Gia's mix).
inline constexpr double kNeighborMassMax = 16;
// E11. Sizes of bubbles change by half of it. Guess.
inline constexpr double kRestlessChange = 0.1;
inline constexpr int kUnsettledRoundsMax = 5;

class Measurement {
 public:
  // `random` must outlive this object. REQUIRES: options.Validate().ok().
  Measurement(PeerId self, const MeasureOptions& options, Random& random);

  void OnStart(absl::Time now, Outputs& outputs);
  // The active view after it changed, ascending; it is the degree from the next round on.
  // `mesh_changed`: not only a link was swapped (E7).
  void OnNeighborUp(const std::vector<PeerId>& active, bool mesh_changed, absl::Time now,
                    Outputs& outputs);
  // Before OnNeighborDown, when this peer itself sent the goodbye (E1).
  void OnDropped(const PeerId& peer);
  void OnNeighborDown(const PeerId& peer, const std::vector<PeerId>& active, bool mesh_changed,
                      absl::Time now, Outputs& outputs);
  void OnMeasure(const PeerId& from, const Measure& share, absl::Time now, Outputs& outputs);
  void OnMeasureAck(const PeerId& from, const MeasureAck& ack);
  // kMeasurePass.
  void OnTimer(const Timer& timer, absl::Time now, Outputs& outputs);
  // Gives the whole mass to one neighbor; no share is sent afterwards. Before the goodbyes are
  // sent.
  void OnLeave(absl::Time now, Outputs& outputs);

  // A canary ended; goes into the next round, at most kCanariesPerRoundMax of them.
  void CountCanary(double found);

  MeshEstimate Estimate() const;

  // Rounds of this peer's own whose result was taken, and the canaries of the mesh in the last one.
  uint64_t results() const { return results_; }

  double canaries_asked() const { return canaries_.asked; }

  double canaries_found() const { return canaries_.found; }

  uint64_t round() const { return round_; }

  // Whether a round is under way at this peer.
  bool running() const { return running_; }

  void CheckInvariants() const;

 private:
  struct Mass {
    uint64_t fish_id = 0;
    double fish = 0;
    double count = 0;
    double degree = 0;
    double degree_squared = 0;
    double asked = 0;  // Canaries.
    double found = 0;
  };

  struct Result {
    double count = 0;  // 0: none yet.
    double degree = 0;
    double degree_squared = 0;
  };

  struct Unacked {
    uint64_t sequence = 0;
    Mass mass;
  };

  struct Neighbor {
    uint64_t next_sequence = 1;
    std::vector<Unacked> unacked;   // At most kUnackedMax; without memory when empty.
    uint64_t highest_sequence = 0;  // Received.
    uint64_t sequences_seen = 0;    // A bit each; the lowest is the highest number (E15).
    double mass_net = 0;            // Count received in this round and not sent back (E10).
  };

  // Whether `round` is later than `than` (E2).
  static bool IsLater(uint64_t round, uint64_t than);
  void EnterRound(uint64_t round, absl::Time now, Outputs& outputs);
  void EndRound(absl::Time now, Outputs& outputs);
  void NoteChange(const std::vector<PeerId>& active, bool mesh_changed, absl::Time now,
                  Outputs& outputs);
  void PlanNextRound(absl::Time now, Outputs& outputs);
  void WakeAt(absl::Time when, absl::Time now, Outputs& outputs);
  void Merge(const Mass& mass);
  // Degrees as `count` peers can have them (E6).
  static void BoundDegrees(double count, double& degree, double& degree_squared);
  // What of a neighbor's share counts (E6, E10).
  Mass Bounded(const PeerId& from, const Measure& share);
  // Whether a result may be taken (E9).
  // `told_by`: the neighbor whose result it is; null for a round of this peer's own.
  bool IsBelievable(double count, const PeerId* told_by);
  void NoteLoss(absl::Time now);
  void TakeResult(const Measure& share);
  // Whether a share of that number has not come over this link before; it has from now on (E15).
  static bool IsFirst(uint64_t sequence, Neighbor& neighbor);
  void NoteReceipt(bool stable);
  void OnShareOfRound(const PeerId& from, const Measure& share, absl::Time now, Outputs& outputs);
  // Parts with `part` of the mass, from 0 to 1.
  void SendShare(const PeerId& to, double part, Outputs& outputs);
  // Tells a neighbor of an older round what is known, without any mass.
  void TellResult(const PeerId& to, uint64_t round, Outputs& outputs);
  void SendNextShare(absl::Time now, Outputs& outputs);
  // Whether the next share waits for acknowledgements (E13).
  bool Stalls();
  // How much more often than others this peer sends (E14).
  double Pace() const;
  absl::Duration ShareInterval() const;
  int SharesMax() const;
  // Whether the ratio has stayed over enough receipts to be believed (E3).
  bool Settled() const;
  // Count per fish; 0 while this peer has no fish to speak of.
  double Ratio() const;
  absl::Duration Gap() const;
  static bool IsPlausible(const Measure& share);

  const PeerId id_;
  const MeasureOptions options_;
  Random& random_;
  bool started_ = false;
  bool leaving_ = false;

  uint64_t round_ = 0;
  bool running_ = false;
  bool changed_ = false;   // The mesh changed since this peer entered the round (E7).
  bool urgent_ = false;    // And the next one is to come soon (E11, E12).
  double degree_put_ = 0;  // Put into the present round.
  Mass mass_;
  uint64_t results_ = 0;

  struct Canaries {
    double asked = 0;
    double found = 0;
  };

  Canaries canaries_;      // Of the mesh.
  Canaries own_canaries_;  // For the next round.
  Result result_;
  double unconfirmed_ = 0;         // A result that was not taken yet (E9); 0: none.
  std::optional<PeerId> told_by_;  // The neighbor it is from; nothing: this peer's own round.
  int unsettled_rounds_ = 0;       // In a row.
  // Neighbors lost within kLossTime, since then and of so many (E12); since the last result (E9).
  size_t recent_losses_ = 0;
  absl::Time recent_since_ = absl::InfinitePast();
  size_t recent_degree_ = 0;
  size_t losses_ = 0;
  int stable_receipts_ = 0;
  double band_ = 0;        // The estimate that the last receipts stayed near (E3).
  int band_receipts_ = 0;  // How many they are.
  int shares_sent_ = 0;
  int silent_shares_ = 0;  // Sent since the last receipt.
  int stalls_ = 0;         // Since the round began.
  absl::Time ended_ = absl::InfinitePast();

  std::vector<PeerId> active_;
  std::vector<PeerId> order_;  // Neighbors that have their share of this pass before them.
  absl::btree_map<PeerId, Neighbor> neighbors_;

  // The only timer that counts; earlier ones are out of date.
  uint64_t timer_ = 0;
  bool change_planned_ = false;  // It starts a round because of a change.
};

}  // namespace panal
