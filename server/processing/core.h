// LAYER 2: the mesh logic of one peer as a sans-IO state machine. Events in, actions out.
//
// The driver (server/runtime, or the simulator) feeds one Input at a time and performs every Output
// in order. No clock, no threads, no sockets, no disk, no signatures here: time is a parameter,
// randomness an injected generator; same state, input, time and generator state give the same
// outputs.
//
// What the driver owes:
// 1. Links. On Dial it opens a link (TLS, Hello) and reports LinkUp or DialFailed. It reports
//   LinkUp for accepted links too, LinkLost exactly once for every LinkUp, and keeps at most one
//   link a peer (on a double dial the connection dialled by the lower id stays). Frames of a link
//   are delivered in order; the other end may send urgent ones first, but its goodbye last.
// 2. Pages. A page in a frame reaches Handle only after its signature was verified against the
// mesh.
// 3. Data. It answers QueryIndex with IndexAnswered, StorePage with PageStored, LoadPage with
//    PageLoaded and BuildDigest with DigestBuilt, each exactly once, in any order. VerifyFacts with
//    FactsVerified and StoreFacts with FactsStored alike. FactsLoaded comes before Start.
// 4. Timers. ScheduleTimer comes back as TimerExpired once, not before its time.
//
// Not thread-safe; the node loop owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/model/fact.h"
#include "common/model/frame.h"
#include "common/model/page.h"
#include "common/model/query.h"
#include "common/model/record.h"
#include "common/model/revocations.h"

namespace panal {

// Parameters of membership (HyParView; Panal's degree is larger, overlay.md A1 in docs/protocol).
struct MembershipOptions {
  // Links wanted: d = 16 * capacity, 16 to 128, even. 16 is the knee of recall against degree.
  int active_view_size = 16;
  // Links accepted beyond the wanted ones before one is dropped to make room.
  int active_view_slack = 4;
  // Peers remembered as spares: 8 * log10(1,000,000).
  int passive_view_size = 48;
  // Steps of a newcomer's walk, and the step after which it enters passive views (HyParView 5.1).
  int forward_join_ttl = 6;
  int passive_join_ttl = 3;
  // Steps of a shuffle; peers taken from either view (HyParView 5.1).
  int shuffle_ttl = 6;
  int shuffle_active = 3;
  int shuffle_passive = 4;
  absl::Duration shuffle_interval = absl::Seconds(60);
  // Period of the check that tops the active view up from the passive view.
  absl::Duration repair_interval = absl::Seconds(1);
  // A candidate that refused or failed is not asked again for this long (doubled per failure,
  // capped at 64 times). Guess.
  absl::Duration retry_backoff = absl::Seconds(5);
  // Dials under way at once. Guess: joins are fast without a storm.
  int dials_max = 4;
  // A link over which nobody became a neighbor, or asked, is closed after this long. Guess.
  absl::Duration neighbor_timeout = absl::Seconds(5);
  // A dial that neither came up nor failed is forgotten after this long. Guess: above the
  // runtime's.
  absl::Duration dial_timeout = absl::Seconds(60);
  // One link is swapped for one to a remembered peer outside the views in this period, so that a
  // mesh that was cut heals. Guess: one link set-up in two minutes costs next to nothing.
  absl::Duration feeler_interval = absl::Minutes(2);
  // Candidates remembered as resting, and peers remembered because they were neighbors once. Guess:
  // five passive views.
  int resting_max = 256;
  int remembered_max = 256;
  // A peer that leaves waits this long for its neighbors to close their links. Guess: several round
  // trips; a neighbor that is dead must not hold it up.
  absl::Duration leave_timeout = absl::Seconds(1);

  absl::Status Validate() const;
};

// Parameters of the measurement of the mesh (push-sum with a fish, BubbleStorm; overlay.md 1.6).
struct MeasureOptions {
  // While a round runs one share goes to one neighbor in this period. An error halves with every
  // two shares or so whatever the degree, so a round of some 80 shares takes four seconds.
  absl::Duration share_interval = absl::Milliseconds(50);
  // A round ends after this many shares at the latest: twelve passes over 16 neighbors
  // (BubbleStorm).
  int shares_max = 192;
  // Relative change of the estimate below which it counts as stable. Exact after rounding up to
  // 100,000 peers.
  double tolerance = 1e-6;
  // A change of neighbors starts a round after this long, so that the changes that follow are in
  // it.
  absl::Duration change_delay = absl::Milliseconds(500);
  // Rounds that changes start are this far apart for every 64 peers of the mesh, at least once and
  // at most 30 times: one peer more or less matters the less the larger the mesh is.
  absl::Duration round_gap = absl::Seconds(1);
  // Without any change a round starts after this long, plus up to half of it.
  absl::Duration idle_interval = absl::Seconds(60);

  absl::Status Validate() const;
};

// Parameters of the searches that test whether bubbles meet (overlay/canary.h).
struct CanaryOptions {
  // Between two of them, on average, in a mesh of up to 1,000 peers; n/1,000 times that in a larger
  // one. None by default: how they do among peers that come and go was not measured. A minute is
  // meant.
  absl::Duration interval = absl::InfiniteDuration();

  absl::Status Validate() const;
};

// Parameters of search and publishing.
struct SearchOptions {
  // Policy of the mesh: pages go to D = sqrt(lambda * T) * comp peers. 9.21 = ln(1/0.0001).
  double lambda = 9.21;
  // At n <= saturated_factor * lambda everything goes to everyone. 0 switches the case off (tests).
  double saturated_factor = 4.0;
  // Parts a bubble is split into at every peer.
  int split = 4;
  // Bubbles remembered for de-duplication, and for how long after their budget. Guess: one neighbor
  // may bring half of them, which is 758 searches of 10 s a second that ask everyone.
  int bubbles_max = 8192;
  absl::Duration bubble_memory = absl::Seconds(60);
  // Visits under way at once; a cast that needs one more is refused, so that its sender asks
  // another neighbor. Guess: half a second of an index that takes a millisecond.
  int visits_max = 512;
  // Searches of local programs under way at once. OVERLOADED beyond.
  int searches_max = 256;
  // Peers tried for a range whose neighbor did not answer.
  int range_tries_max = 4;
  // A part of a query is cast to a second neighbor when it takes so many times as long as its
  // siblings did (conduct.h). Guess, tuned with `panal-sim hostile`: with less, honest meshes cast
  // more; with more, a search among silent peers takes longer than three times as long. 0: never.
  double late_factor = 1.5;
  // Share of the remaining budget after which partial answers are flushed to the parent.
  double flush_share = 0.25;
  // Pages in spreading at once; the rest waits its turn.
  int spreads_max = 32;
  // Parents that wait for the final answer to one range besides the first.
  int further_parents_max = 4;
  // Hits of one bubble kept for a parent that is gone, and of all of them; one neighbor's bubbles
  // may have half. Guess: at half a kilobyte each, 16 MiB.
  int orphan_hits_max = 1000;
  int late_hits_max = 32'768;
  // Subscriptions of local programs. Guess: a desktop with a few windows each, four times over.
  int subscriptions_max = 64;
  // Records that one subscription remembers, told or known from before: its end beyond. Some 100
  // bytes each.
  int subscription_records_max = 16'384;
  // A subscription's query is cast anew in this period, and kept by who is visited for one and a
  // half of it, so that one round goes over into the next.
  absl::Duration standing_round = absl::Seconds(60);
  // Standing queries kept for others; those that one neighbor brought. Guess: matching a page of
  // 256 records against all of them takes a worker some 0.3 s.
  int standing_kept_max = 1024;
  int standing_kept_per_neighbor_max = 512;
  // Bodies asked for and not yet here. Guess: at 64 KiB each, 64 MiB on the way.
  int pulls_max = 1024;
  // Bubbles, and neighbors, that wait for one body.
  int pull_waiters_max = 16;
  absl::Duration page_refresh_interval = kPageRefreshInterval;
  // Tell neighbors which terms the catalog holds, and ask by what they tell
  // (docs/protocol/digests.md).
  bool digests = true;

  // Rules that tests switch off to see that their checks notice. Never off otherwise.
  struct Rules {
    bool compensate = true;  // For links that bubbles share (sizes.h).
    bool visit_once = true;  // However many ranges of a bubble reach a peer.
    bool oversize = true;    // Pages, for the keepers that depart before the next refresh.
    bool audit = true;       // Whether neighbors find what they should (search/audit.h).
  };

  Rules rules;

  absl::Status Validate() const;
};

struct AdmissionOptions {
  // Spread facts: in a mesh with the policy invite.
  bool facts = false;
};

struct CoreOptions {
  MembershipOptions membership;
  MeasureOptions measure;
  CanaryOptions canary;
  SearchOptions search;
  AdmissionOptions admission;
  double capacity = 1.0;

  absl::Status Validate() const;
};

// --- Timers --------------------------------------------------------------------------------------
enum class TimerKind : uint8_t {
  kRepair,
  kShuffle,
  kNeighborTimeout,
  kMeasurePass,
  kBubble,
  kSearch,
  kRefresh,
  kLeave,
  kCanary,
  kStanding,
  kDigest,
  kFacts
};

struct Timer {
  TimerKind kind = TimerKind::kRepair;
  // What it belongs to, by the kind: a sequence number that the machine that set it understands.
  uint64_t token = 0;
  bool operator==(const Timer&) const = default;
};

// --- Inputs --------------------------------------------------------------------------------------
// The peer begins to run. `known`: peers to try, bootstrap addresses' peers first.
struct Start {
  PeerContact self;
  std::vector<PeerContact> known;
};

// A peer id and its address, learned outside of the mesh (a bootstrap address that was dialled).
struct PeerLearned {
  PeerContact peer;
  bool join = false;  // True: join the mesh through it.
};

struct LinkUp {
  PeerContact peer;
  bool outbound = false;
  double capacity = 1.0;
  bool digests = false;  // It has the feature kDigestFeature.
};

struct LinkLost {
  PeerId peer;
};

struct DialFailed {
  PeerId peer;
};

struct FrameReceived {
  PeerId from;
  Frame frame;
};

struct TimerExpired {
  Timer timer;
};

// A program searches. Answered by SearchHits and one SearchDone with the same `request`.
struct SearchRequested {
  uint64_t request = 0;  // Below 2^63.
  std::string query;     // Parsed and valid.
  double recall = 0.99;  // Above 0, at most 1.
  uint32_t limit = 100;  // Different ids (hit_limit.h).
  absl::Duration timeout = absl::Seconds(10);
  // Different ids after which the search ends, asking few peers first; 0: not before the recall is
  // met.
  uint32_t enough = 0;
};

struct SearchCancelled {
  uint64_t request = 0;
};

// A program subscribes to what matches from now on. Answered by SubscriptionBegun, then
// SubscriptionHits and SubscriptionRound until it is cancelled, or by SubscriptionEnded.
struct SubscribeRequested {
  uint64_t request = 0;
  std::string query;     // Parsed and valid.
  double recall = 0.99;  // Of every round: above 0, at most 1.
  absl::Duration timeout = absl::InfiniteDuration();
};

struct SubscribeCancelled {
  uint64_t request = 0;
};

// What of a MatchStanding matches which standing query. Publishers' addresses are filled in.
struct StandingMatch {
  SubscriptionId subscription;
  std::vector<Hit> hits;
};

struct StandingMatched {
  std::vector<StandingMatch> matches;
};

// The local catalog's answer to QueryIndex.
struct IndexAnswered {
  uint64_t token = 0;
  std::vector<Hit> hits;
  bool truncated = false;
  // The catalog could not answer (overload, disk): this peer does not count as visited.
  bool failed = false;
};
enum class PageOutcome : uint8_t { kKept, kFull, kStale, kBodyMissing, kFailed };

struct PageStored {
  uint64_t token = 0;
  PageOutcome outcome = PageOutcome::kKept;
  // Places in the page of the records that are new to the catalog, or newer than it had them.
  std::vector<uint32_t> fresh;
};

struct PageLoaded {
  uint64_t token = 0;
  PagePtr page;  // Null when it is not here.
};

// The local catalog's answer to BuildDigest.
struct DigestBuilt {
  uint64_t token = 0;
  // Of everything that is kept and every own page (ForEachDigestHash), in any order; of more than
  // kDigestTermsMax different ones that many and one.
  std::vector<uint32_t> hashes;
  bool failed = false;
};

// Own pages that were signed and stored: spread them (with body), and refresh them from now on.
// Also given at start for every own page, with `spread_now` false when their expiry is far.
struct OwnPagesSigned {
  std::vector<PagePtr> pages;
  bool spread_now = true;
};

// The peer's addresses or capacity changed.
struct SelfChanged {
  PeerContact self;
  double capacity = 1.0;
};

// What the disk remembers, verified when it came. Before Start.
struct FactsLoaded {
  std::vector<FactPtr> facts;
};

// This peer made a fact, and stored it. Answered by FactAnswered with the same `token`.
struct FactMade {
  FactPtr fact;
  uint64_t token = 0;
};

// The answer to VerifyFacts: in their order, null where one is invalid.
struct FactsVerified {
  uint64_t token = 0;
  std::vector<FactPtr> facts;
  bool failed = false;  // Overload: nothing is known of them, and `facts` is empty.
};

// The answer to StoreFacts, also where it failed.
struct FactsStored {
  uint64_t token = 0;
};

// Leave the mesh: neighbors are told and given to each other. Answered by Left, once.
struct Leave {};

using Input =
    std::variant<Start, PeerLearned, LinkUp, LinkLost, DialFailed, FrameReceived, TimerExpired,
                 SearchRequested, SearchCancelled, IndexAnswered, PageStored, PageLoaded,
                 OwnPagesSigned, SelfChanged, Leave, SubscribeRequested, SubscribeCancelled,
                 StandingMatched, DigestBuilt, FactsLoaded, FactMade, FactsVerified, FactsStored>;

// --- Outputs -------------------------------------------------------------------------------------
struct Dial {
  PeerContact peer;
};

// Close the link once what was sent on it is written. LinkLost follows.
struct CloseLink {
  PeerId peer;
};

struct SendFrame {
  PeerId to;
  Frame frame;
};

struct ScheduleTimer {
  absl::Duration delay;
  Timer timer;
};

// Evaluate a query on the local catalog. `from`, here and below: who brought it about, a neighbor
// or this peer itself, so that the driver can be fair between them.
struct QueryIndex {
  uint64_t token = 0;
  std::string query;
  uint32_t limit = 0;  // Different ids (hit_limit.h).
  absl::Duration time_max;
  PeerId from;
  // Only records that came to the catalog, or changed there, within this long.
  absl::Duration arrived_within = absl::InfiniteDuration();
};

// A standing query that is kept here.
struct StandingQuery {
  SubscriptionId subscription;
  Query query;
};

using StandingQueries = std::shared_ptr<const std::vector<StandingQuery>>;

// Match `records` against every one of `queries`. Answered by StandingMatched where anything
// matches.
struct MatchStanding {
  StandingQueries queries;
  std::vector<Hit> records;  // Without addresses.
  PeerId from;
};

// Keep a verified page. The peer page that came with it is kept by a StorePage of its own.
struct StorePage {
  uint64_t token = 0;
  PagePtr page;
  bool has_body = false;
  PeerId from;
};

// Read a kept or own page, with body.
struct LoadPage {
  uint64_t token = 0;
  PageKey key;
  PeerId from;
};

// List what a digest holds of the catalog. Answered by DigestBuilt; what is stored afterwards need
// not be in it.
struct BuildDigest {
  uint64_t token = 0;
};

// Own pages are due: sign them with a new expiry, store them, and give them back by OwnPagesSigned.
struct RefreshOwnPages {
  std::vector<uint32_t> numbers;
};

// Neighbors came or went. For metrics, status and waiting programs.
struct NeighborUp {
  PeerContact peer;
  bool outbound = false;
};

struct NeighborDown {
  PeerId peer;
};

// Peers worth remembering on disk.
struct RememberPeers {
  std::vector<PeerContact> peers;
};

struct SearchHits {
  uint64_t request = 0;
  // Merged with what was sent before: a record comes again only in a newer version, or with newer
  // addresses of its publisher.
  std::vector<Hit> hits;
};
// kEnough: as many ids as were enough are there, and the recall is not met.
enum class CutShort : uint8_t { kNothing, kTimeout, kPeersLost, kOverloaded, kEnough };

struct SearchSummary {
  uint64_t peers_reached = 0;
  uint64_t mesh_size = 1;
  // Links whose digests ruled the query out, or that were asked because of them and answered.
  uint64_t digests_consulted = 0;
  double recall = 0;
  bool complete = false;
  bool truncated = false;  // The limit left out ids.
  CutShort cut_short = CutShort::kNothing;
};

struct SearchDone {
  uint64_t request = 0;
  SearchSummary summary;
};

// What matches from here on is told.
struct SubscriptionBegun {
  uint64_t request = 0;
  // More was there already than is remembered: what is over may be told as if it were new.
  bool known_truncated = false;
};

struct SubscriptionHits {
  uint64_t request = 0;
  std::vector<Hit> hits;  // Each record once in each version.
};

// A round is over: who keeps the query now.
struct SubscriptionRound {
  uint64_t request = 0;
  SearchSummary summary;
};

// kTimeout: its time is over. kRecordsFull: it remembers subscription_records_max records.
enum class SubscriptionEnd : uint8_t { kTimeout, kOverloaded, kRecordsFull };

struct SubscriptionEnded {
  uint64_t request = 0;
  SubscriptionEnd why = SubscriptionEnd::kTimeout;
};

// How far an own page was spread (the second acknowledgement; the first is the local commit).
struct PageSpread {
  uint32_t number = 0;
  uint64_t version = 0;
  uint32_t copies = 0;
  uint32_t target = 0;
};

// Leaving is done: every neighbor was told and has closed its link, or had leave_timeout to do so.
struct Left {};

// A frame of a neighbor broke a rule that only the machine can check. For metrics; close the link
// where `close` is set.
struct FrameRefused {
  PeerId from;
  std::string why;
  bool close = false;
};

// Verify facts, each by all rules of docs/protocol/admission.md. Answered by FactsVerified.
struct VerifyFacts {
  uint64_t token = 0;
  PeerId from;
  std::vector<std::string> facts;
};

// Keep facts, durably. Answered by FactsStored.
struct StoreFacts {
  uint64_t token = 0;
  std::vector<FactPtr> facts;
};

// What came of a FactMade. kAdded: it is in effect and on its way to the neighbors.
struct FactAnswered {
  uint64_t token = 0;
  FactOutcome outcome = FactOutcome::kAdded;
};

// Facts that expired, or that are not to be remembered after all.
struct ForgetFacts {
  std::vector<FactPtr> facts;
};

// What all facts that are known say together, from now on: whoever is revoked by it has no say and
// no connection.
struct FactsChanged {
  std::shared_ptr<const Revocations> revocations;
};

using Output =
    std::variant<Dial, CloseLink, SendFrame, ScheduleTimer, QueryIndex, StorePage, LoadPage,
                 RefreshOwnPages, NeighborUp, NeighborDown, RememberPeers, SearchHits, SearchDone,
                 PageSpread, Left, FrameRefused, MatchStanding, SubscriptionBegun, SubscriptionHits,
                 SubscriptionRound, SubscriptionEnded, BuildDigest, VerifyFacts, StoreFacts,
                 ForgetFacts, FactsChanged, FactAnswered>;
using Outputs = std::vector<Output>;

// What the measurement says of the mesh. Never below what the active view proves.
struct MeshEstimate {
  double peers = 1;              // n
  double degree_sum = 0;         // D1
  double degree_square_sum = 0;  // D2
  bool measured = false;         // False: only the lower bound from the views.
};

// The mesh logic of one peer.
class Core {
 public:
  virtual ~Core() = default;

  // `random` must outlive the core. REQUIRES: options.Validate().ok().
  static std::unique_ptr<Core> Create(PeerId self, const CoreOptions& options, Random& random);

  // Advances the state by one event and appends what the driver must do to `outputs`.
  virtual void Handle(const Input& input, absl::Time now, Outputs& outputs) = 0;

  virtual std::vector<PeerId> ActiveView() const = 0;
  virtual std::vector<PeerContact> PassiveView() const = 0;
  virtual MeshEstimate Estimate() const = 0;
  // By how much bubbles are larger than the estimate alone says, since canaries were missed: 1
  // to 2.
  virtual double CanaryFactor() const = 0;
  // Positions of a page bubble and of a query bubble for `recall`, by the estimate now.
  virtual uint32_t PageBubbleSize() const = 0;
  virtual uint32_t QueryBubbleSize(double recall) const = 0;

  // Facts that are known, and a hash of which.
  virtual FactDigest Facts() const = 0;

  // Aborts when a rule of a header below is broken. For tests and the simulator.
  virtual void CheckInvariants() const = 0;
};

}  // namespace panal
