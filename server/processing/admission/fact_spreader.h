// Spreads the facts of an invite mesh (docs/protocol/admission.md, "Spreading").
//
// What is new goes to every link at once; what a link missed is found by comparing digests and asked
// for, from one neighbor at a time.
//
// Specification:
// - F1. A fact is verified and stored before it is sent on, and sent on once: to every link but the
//   one it came by. What was asked for is not sent on but told by the next digest. Rationale: whoever
//   comes back asks for thousands that its neighbors have already.
// - F2. What counts is told (FactsChanged) as soon as a fact is verified.
// - F3. A digest is the first frame on a link. It is told anew when a round of asking brought
//   something, and in every kFactInterval where it changed. Rationale: a frame may be shed.
// - F4. A peer asks one neighbor at a time, and for at most kFactAskingMax, for what its names list
//   and is not known here. A neighbor whose names brought nothing more is not asked again before its
//   digest changes.
// - F5. Facts of one neighbor are verified at a rate, kFactsVerifyingMax at once; names and facts are
//   served at a rate. What is beyond is dropped, and found again by digests.
// - F6. An invalid fact is refused (FrameRefused), and not remembered. Its sender's link stays open:
//   clocks differ. Whoever was asked and answered with one is asked no further.
// - F7. What had to make room for another fact (fact_set.h, S1) is forgotten. Whoever has it still offers it
//   in vain until it learns of the one that took its place. After facts were forgotten because they
//   had expired, every neighbor may be asked again: there is room.
//
// Sans-IO. Not thread-safe; the node loop owns it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/token_bucket.h"
#include "common/model/fact.h"
#include "common/model/frame.h"
#include "server/processing/admission/fact_set.h"
#include "server/processing/core.h"

namespace panal {

// Period in which expired facts are forgotten and digests are told that changed.
inline constexpr absl::Duration kFactInterval = absl::Seconds(60);
// How long one neighbor is asked before it is another's turn. Guess: all facts, verified by a core
// that has other things to do.
inline constexpr absl::Duration kFactAskingMax = absl::Seconds(30);
// Facts of one neighbor that nobody asked for: under verification at once, and in the long run. A
// fact has up to five signatures, some 0.8 ms of a worker. Guess: what an inviter of a busy hour
// brings.
inline constexpr size_t kFactsVerifyingMax = 128;
inline constexpr Rate kFactRate = {.burst = 256, .period = absl::Milliseconds(250)};
// Lists of names, of up to 192 KiB, and frames of facts, of up to 64 KiB, that one neighbor is
// served. Guess: it asks once when its link comes up and once an interval; all facts are 256 frames.
inline constexpr Rate kFactNamesRate = {.burst = 8, .period = absl::Seconds(15)};
inline constexpr Rate kFactWantRate = {.burst = 512, .period = absl::Seconds(1)};

class FactSpreader {
 public:
  void OnStart(Outputs& outputs);
  void OnLoaded(const FactsLoaded& loaded, absl::Time now, Outputs& outputs);
  void OnMade(const FactMade& made, absl::Time now, Outputs& outputs);
  void OnVerified(const FactsVerified& verified, absl::Time now, Outputs& outputs);
  void OnStored(const FactsStored& stored, Outputs& outputs);

  void OnLinkUp(const PeerId& peer, Outputs& outputs);
  void OnLinkLost(const PeerId& peer, Outputs& outputs);

  // Frames of a link that is up.
  void OnFrame(const PeerId& from, const FactDigest& digest, absl::Time now, Outputs& outputs);
  void OnFrame(const PeerId& from, const FactWant& want, absl::Time now, Outputs& outputs);
  void OnFrame(const PeerId& from, const FactNames& names, absl::Time now, Outputs& outputs);
  void OnFrame(const PeerId& from, const FactBodies& bodies, absl::Time now, Outputs& outputs);

  // kFacts.
  void OnTimer(uint64_t token, absl::Time now, Outputs& outputs);

  const FactSet& facts() const { return facts_; }

  // Whether nobody is asked, and nothing is verified or stored.
  bool idle() const { return !asking_.has_value() && batches_.empty(); }

  void CheckInvariants() const;

 private:
  struct Link {
    std::optional<FactDigest> told;
    std::optional<FactDigest> theirs;
    // Of theirs: asking brought what there was (F4).
    std::optional<FactDigest> settled;
    size_t verifying = 0;  // Facts that nobody asked for.
    TokenBucket facts{kFactRate};
    TokenBucket names{kFactNamesRate};
    TokenBucket wants{kFactWantRate};
  };

  // Facts that are verified, then stored, together.
  struct Batch {
    PeerId from;
    uint64_t asking = 0;            // The round that asked for them; 0: nobody did.
    std::vector<Sha256Digest> ids;  // Under verification.
    std::vector<FactPtr> facts;     // Verified and new.
  };

  // A round of asking one neighbor.
  struct Asking {
    PeerId peer;
    uint64_t number = 0;
    FactDigest theirs;
    bool listed = false;  // Its names are here.
    bool awaits_bodies = false;
    bool learned = false;
    std::vector<FactName> missing;  // Not asked for yet; descending.
  };

  void Tell(const PeerId& peer, Link& link, Outputs& outputs);
  // Tells the digest where another was told.
  void TellAll(Outputs& outputs);
  void TellChange(Outputs& outputs);
  void SendToAllBut(const PeerId& from, const std::vector<FactPtr>& facts, Outputs& outputs);
  // What of `bodies` is to be verified. `link`: of who sent them unasked, or null.
  std::vector<std::string> TakeFresh(const FactBodies& bodies, Link* link, Batch& batch,
                                     absl::Time now);
  // Keeps what is valid and new; false where something is invalid.
  bool Keep(const FactsVerified& verified, Batch& batch, absl::Time now, Outputs& outputs);
  // As FactSet::Add; what had to make room is added to `displaced`.
  FactOutcome Add(const FactPtr& fact, absl::Time now, std::vector<FactPtr>& displaced);

  bool IsAsked(const PeerId& peer) const { return asking_.has_value() && asking_->peer == peer; }

  bool IsBehind(const Link& link) const;
  void AskWhoeverIsNext(Outputs& outputs);
  void AskForMore(Outputs& outputs);
  void EndAsking(bool settled, Outputs& outputs);

  FactSet facts_;
  absl::btree_map<PeerId, Link> links_;
  absl::btree_map<uint64_t, Batch> batches_;  // By token.
  absl::btree_set<Sha256Digest> verifying_;
  uint64_t next_batch_ = 1;
  std::optional<Asking> asking_;
  uint64_t rounds_ = 0;
  std::deque<PeerId> behind_;  // Links to ask, each once.
};

}  // namespace panal
