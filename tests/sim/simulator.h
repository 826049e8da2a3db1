// The simulator: the peers' real processing library under virtual time, from one seed.
//
// It replaces the runtime and nothing else: links with latency, timers, an in-memory catalog. Same
// seed, same options, same calls: same run, event by event (TraceHash). Signatures are fakes.
//
//   Simulation sim({.seed = 7});
//   std::vector<PeerIndex> peers = sim.AddPeers(64);
//   sim.Run(absl::Seconds(10));
//   sim.Publish(peers[3], {FileRecord("report.txt")});
//   sim.Run(absl::Seconds(5));
//   SearchResult result = sim.Search(peers[9], "report");
//
// What it models:
// - S1. One link a peer pair; the connection dialled by the lower id stays (core.h, point 1).
// - S2. A link delivers frames in order, after a one-way latency that is fixed for the pair of
//   peers.
// - S3. Opening takes two round trips. A dial of a dead, cut off or moved peer fails after
//   dial_timeout.
// - S4. A closed link is lost at the other end one latency later, after the frames sent before; a
//   crash or a cut is noticed at either end after crash_notice.
// - S9. A peer that refuses a frame with its link (FrameRefused.close) closes it, as in S4.
// - S6. Frames are lost, doubled and reordered only where the options say so: beyond what the
//   runtime's links do, but what a frame that is shed on the way amounts to.
// - S5. A catalog answers after index_time and keeps at most catalog_pages_max pages of other
//   peers. That of a slow peer takes its own time; one at a time, it sheds what waits too long.
// - S7. A frame with a page whose fake signature is wrong never reaches a core.
// - S10. A fact is valid where somebody said it (SayFact); verifying one takes a worker's time.
// - S8. A one-way cut swallows what one side sends; its links are lost at both ends after
//   crash_notice, and nobody can dial across.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/model/fact.h"
#include "common/model/page.h"
#include "common/model/query.h"
#include "common/model/record.h"
#include "common/model/revocations.h"
#include "server/processing/core.h"

namespace panal::sim {

// A peer of the simulation, in the order of AddPeer from 0.
using PeerIndex = uint32_t;

struct SimulationOptions {
  // Everything random follows from it. The environment variable PANAL_SEED replaces it.
  uint64_t seed = 1;
  CoreOptions core;
  // One-way latency of a pair of peers: uniform between these.
  absl::Duration latency_min = absl::Milliseconds(2);
  absl::Duration latency_max = absl::Milliseconds(40);
  absl::Duration dial_timeout = absl::Seconds(2);
  absl::Duration crash_notice = absl::Seconds(1);
  absl::Duration index_time = absl::Milliseconds(1);
  size_t catalog_pages_max = 1'000'000;
  // Every peer publishes its peer page 20 s after it started; otherwise with the first page it is
  // given. Canaries need it.
  bool peer_pages = false;
  // Whether a peer says that it keeps a page and does not.
  std::function<bool(PeerIndex)> drops_pages;
  // CheckInvariants of a peer after everything that happens to it.
  bool check_every_event = false;
  // Notes which peers evaluated what, for CheckAccount. Queries must differ from search to search.
  bool watch_searches = false;
  // Faults of every link: a frame is lost, comes twice, or comes up to this much later than its
  // turn.
  double loss = 0;
  double duplication = 0;
  absl::Duration reorder_max = absl::ZeroDuration();
  // What a hostile or slow peer does to a frame it sends: changes it, and says how much later it
  // goes. An infinite time: never.
  std::function<absl::Duration(PeerIndex from, PeerIndex to, Frame& frame)> tamper;
  // Called with every frame that is sent over a link that is up: the global observer.
  std::function<void(PeerIndex from, PeerIndex to, const Frame&)> on_frame;
  // Called with everything that a peer's core asks for, before it is done.
  std::function<void(PeerIndex peer, const Output&)> on_output;
};

// What makes a peer slow.
struct Slowness {
  // Each request to its catalog takes this long where that is longer than the simulation's.
  absl::Duration index_time = absl::ZeroDuration();
  // Requests wait for each other; with too many of them the catalog fails the next (overload).
  bool one_at_a_time = false;
  // One-way, on all its links. Lowering it lets later frames overtake earlier ones.
  absl::Duration added_latency = absl::ZeroDuration();
};

struct AddOptions {
  double capacity = 1.0;
  // Bootstrap: the peer dialled and joined. Nothing: the live peer that was added first.
  std::optional<PeerIndex> contact;
  // Remembered peers given to Start.
  std::vector<PeerIndex> known;
  // True: no bootstrap; `known` only.
  bool without_contact = false;
};

struct SearchArguments {
  double recall = 0.99;
  uint32_t limit = 10'000;
  absl::Duration timeout = absl::Seconds(10);
  uint32_t enough = 0;
};

struct SearchResult {
  bool done = false;
  std::vector<Hit> hits;
  SearchSummary summary;
  absl::Duration elapsed;
};

// What was sent since the start. Bytes are an estimate of the protobuf encoding.
struct Traffic {
  uint64_t frames = 0;
  uint64_t bytes = 0;

  struct Count {
    uint64_t frames = 0;
    uint64_t bytes = 0;
  };

  std::map<std::string, Count> by_kind;  // `cast_query`, `cast_page`, `answer`, `measure` …
};

// A record of kind file with a made-up id that follows from `name`.
Record FileRecord(absl::string_view name, uint64_t size_bytes = 1000);

class Simulation {
 public:
  explicit Simulation(SimulationOptions options);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // --- Peers -------------------------------------------------------------------------------------
  PeerIndex AddPeer(const AddOptions& options = {});
  // `count` peers through the first one, one every `spacing` of virtual time (which passes).
  std::vector<PeerIndex> AddPeers(int count, absl::Duration spacing = absl::Milliseconds(20));
  // The process ends without a word; its catalog and remembered peers stay.
  void Crash(PeerIndex peer);
  // Graceful: Leave, then the process ends once Left came.
  void Leave(PeerIndex peer);
  // Starts a peer that crashed or left, from what it remembered, with no bootstrap address. With
  // `moved` it has another address than before.
  void Restart(PeerIndex peer, bool moved = false);
  // The same without its disk: an empty catalog, nobody remembered, the same address; joins through
  // `contact`, or the live peer that was added first. With `new_key` it is another peer: its id
  // changes, its index stays.
  void RestartEmpty(PeerIndex peer, bool new_key, std::optional<PeerIndex> contact = std::nullopt);
  // Breaks the link between two peers, if any, and fails dials between them until Mend.
  void Cut(PeerIndex a, PeerIndex b);
  void Mend(PeerIndex a, PeerIndex b);
  // Cuts `side` off from everybody else, until Heal.
  void Partition(const std::vector<PeerIndex>& side);
  // The same for several sides; who is on none of them is on one more.
  void PartitionInto(const std::vector<std::vector<PeerIndex>>& sides);
  // One-way: what `side` sends to everybody else vanishes, until Heal. What the others send arrives
  // until the links are lost.
  void Mute(const std::vector<PeerIndex>& side);
  void Heal();
  void SlowDown(PeerIndex peer, const Slowness& slowness);
  // Breaks the link of two peers once; it may be opened again.
  void BreakLink(PeerIndex a, PeerIndex b);

  // --- Pages and searches ------------------------------------------------------------------------
  // Publishes `records` as one or more new pages of `peer` (numbers from 1 up), after its peer page
  // (number 0) was published once. Returns the numbers.
  std::vector<uint32_t> Publish(PeerIndex peer, std::vector<Record> records);
  // A new version of page `number` with other records; none delete it.
  void Republish(PeerIndex peer, uint32_t number, std::vector<Record> records);
  // Runs until the search is done.
  SearchResult Search(PeerIndex peer, absl::string_view query,
                      const SearchArguments& arguments = {});
  // Starts a search and returns at once; ResultOf tells how far it is.
  uint64_t StartSearch(PeerIndex peer, absl::string_view query,
                       const SearchArguments& arguments = {});
  void CancelSearch(PeerIndex peer, uint64_t request);
  const SearchResult& ResultOf(uint64_t request) const;
  // Frees the result of a search that is done; it may not be asked for any more.
  void ForgetSearch(uint64_t request);
  // The newest PageSpread of an own page, if any came.
  std::optional<PageSpread> SpreadOf(PeerIndex peer, uint32_t number) const;
  // Live peers that hold an unexpired page with a body, its publisher included.
  std::vector<PeerIndex> HoldersOf(const PageKey& key) const;
  // Whether `peer` holds the page, at least in `version`.
  bool Holds(PeerIndex peer, const PageKey& key, uint64_t version = 0) const;
  // Whether `peer` keeps a record that matches; its catalog does not count it as evaluated.
  bool KeepsMatch(PeerIndex peer, const Query& query) const;
  // How many times any catalog evaluated a query, or the catalog of `peer` did.
  uint64_t QueriesEvaluated() const;
  uint64_t QueriesEvaluatedAt(PeerIndex peer) const;

  // --- Facts: with core.admission.facts ----------------------------------------------------------
  // `peer`, an admin, says `body`, and stores it.
  FactPtr SayFact(PeerIndex peer, FactBody body);
  // What counts at `peer`.
  const Revocations& RevocationsOf(PeerIndex peer) const;
  // What `peer` has on its disk, by id.
  std::vector<FactPtr> FactsOf(PeerIndex peer) const;

  // --- Time --------------------------------------------------------------------------------------
  void Run(absl::Duration duration);
  // Runs until `done` holds, checked every 100 ms; false when `limit` passed first.
  bool RunUntil(const std::function<bool()>& done, absl::Duration limit);
  absl::Time now() const;
  // Calls `action` when the time comes.
  void At(absl::Duration delay, std::function<void()> action);

  // --- What is -----------------------------------------------------------------------------------
  uint64_t seed() const;
  // Hash of everything that happened: time, peer, input and the outputs it brought about.
  uint64_t TraceHash() const;
  size_t size() const;
  std::vector<PeerIndex> Live() const;
  size_t LiveCount() const;
  bool IsLive(PeerIndex peer) const;
  // When it was started last.
  absl::Time StartedAt(PeerIndex peer) const;
  // Peers that `peer` has a working link to, whatever either knows of it, ascending.
  std::vector<PeerIndex> LinksOf(PeerIndex peer) const;
  // A uniformly chosen live peer.
  PeerIndex RandomLive();
  Random& random();
  const PeerId& IdOf(PeerIndex peer) const;
  std::optional<PeerIndex> IndexOf(const PeerId& id) const;
  // REQUIRES: the peer is live.
  const Core& CoreOf(PeerIndex peer) const;
  // Feeds any input to a live peer.
  void Feed(PeerIndex peer, Input input);
  Traffic traffic() const;
  uint64_t events() const;
  // Frames with forged pages that were not let through.
  uint64_t ForgedFrames() const;

  // --- Checks: an empty string, or what is wrong -------------------------------------------------
  // Every active view entry of a live peer is a live peer that has it in its own active view.
  std::string CheckSymmetric() const;
  // The active views of the live peers form one component.
  std::string CheckConnected() const;
  // Every live peer has between `least` and `most` neighbors.
  std::string CheckDegrees(size_t least, size_t most) const;
  // Nobody keeps a forged page, or one newer than what its publisher made.
  std::string CheckPages() const;
  // The peers a finished search claims to have reached did evaluate it; where nothing was lost they
  // are all that did. REQUIRES: watch_searches.
  std::string CheckAccount(uint64_t request, bool nothing_lost) const;
  // CheckInvariants of every live core; aborts.
  void CheckInvariants() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace panal::sim
