#include "tests/sim/simulator.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <queue>
#include <set>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "tests/sim/frame_size.h"
#include "tests/sim/sim_catalog.h"

namespace panal::sim {
namespace {

// Where virtual time begins: expiry of pages counts in milliseconds since 1970.
const absl::Time kStart = absl::FromUnixSeconds(1'750'000'000);
// One-way trips until the acceptor has a link: SYN, SYN-ACK, then TLS and Hello with the ACK.
constexpr int kTripsToAcceptor = 3;
constexpr absl::Duration kCheckInterval = absl::Milliseconds(100);

uint64_t SeedFromEnvironment(uint64_t seed) {
  const char* text = std::getenv("PANAL_SEED");
  uint64_t value = 0;
  if (text != nullptr && absl::SimpleAtoi(text, &value)) return value;
  return seed;
}

}  // namespace

Record FileRecord(absl::string_view name, uint64_t size_bytes) {
  Record record;
  record.kind = RecordKind::kFile;
  record.name = std::string(name);
  record.id = Sha256(name);
  record.size_bytes = size_bytes;
  record.version = 1;
  return record;
}

namespace {

// Ids carry the index of their peer in their last bytes, so that it is found without a table; what
// is before them is random.
PeerId MakeId(std::string bytes, PeerIndex index) {
  std::memcpy(bytes.data() + bytes.size() - sizeof(index), &index, sizeof(index));
  return *PeerId::FromBytes(bytes);
}

PeerIndex IndexIn(const PeerId& id) {
  PeerIndex index = 0;
  std::memcpy(&index, id.bytes.data() + id.bytes.size() - sizeof(index), sizeof(index));
  return index;
}

}  // namespace

class Simulation::Impl {
 public:
  explicit Impl(SimulationOptions options)
      : options_(std::move(options)),
        seed_(SeedFromEnvironment(options_.seed)),
        random_(seed_),
        now_(kStart) {}

  struct SimPeer {
    PeerId id;
    std::string address;
    double capacity = 1.0;
    bool live = false;
    bool leaving = false;
    absl::Time started;
    uint32_t life = 0;  // Rises with every start; what belongs to an earlier one is dropped.
    std::unique_ptr<Random> random;
    std::unique_ptr<Core> core;
    std::unique_ptr<SimCatalog> catalog;
    absl::btree_map<PeerIndex, uint64_t> links;  // Connection of each link that is up here.
    absl::btree_set<PeerIndex> dialling;
    std::vector<PeerContact> remembered;
    uint32_t next_page = kPeerPageNumber + 1;
    absl::btree_map<uint32_t, PageSpread> spreads;
  };

  // A connection; an end that closed it or lost it is no longer up.
  struct Connection {
    PeerIndex dialler = 0;
    PeerIndex acceptor = 0;
    bool broken = false;  // Nothing gets through any more.
    bool up_at_dialler = false;
    bool up_at_acceptor = false;

    bool& UpAt(PeerIndex peer) { return peer == dialler ? up_at_dialler : up_at_acceptor; }
  };

  // What is due; the action lies in a slot of its own, so that the heap moves little.
  struct Event {
    int64_t time_ns = 0;  // Since the start.
    uint64_t sequence = 0;
    uint32_t slot = 0;

    bool operator<(const Event& other) const {
      return std::tie(time_ns, sequence) > std::tie(other.time_ns, other.sequence);
    }
  };

  // --- Time
  // ---------------------------------------------------------------------------------------
  void At(absl::Duration delay, std::function<void()> action) {
    uint32_t slot = 0;
    if (free_slots_.empty()) {
      slot = static_cast<uint32_t>(actions_.size());
      actions_.push_back(std::move(action));
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
      actions_[slot] = std::move(action);
    }
    events_.push_back({SinceStart(now_ + delay), next_sequence_++, slot});
    std::push_heap(events_.begin(), events_.end());
  }

  void RunTo(absl::Time end) {
    const int64_t end_ns = SinceStart(end);
    while (!events_.empty() && events_.front().time_ns <= end_ns) {
      std::pop_heap(events_.begin(), events_.end());
      Event event = events_.back();
      events_.pop_back();
      now_ = kStart + absl::Nanoseconds(event.time_ns);
      ++event_count_;
      std::function<void()> action = std::move(actions_[event.slot]);
      free_slots_.push_back(event.slot);
      action();
    }
    now_ = end;
  }

  static int64_t SinceStart(absl::Time time) { return absl::ToInt64Nanoseconds(time - kStart); }

  void Trace(uint64_t value) { trace_ = Mix64(trace_ ^ value); }

  // --- Peers
  // --------------------------------------------------------------------------------------
  PeerIndex AddPeer(const AddOptions& add) {
    auto index = static_cast<PeerIndex>(peers_.size());
    std::optional<PeerIndex> contact = add.contact;
    if (!contact && !add.without_contact) contact = FirstLive();
    peers_.emplace_back();
    SimPeer& peer = peers_.back();
    peer.id = MakeId(random_.Bytes(PeerId::kSize), index);
    peer.address = absl::StrCat("p", index, ":7401");
    peer.capacity = add.capacity;
    peer.catalog = std::make_unique<SimCatalog>(peer.id, options_.catalog_pages_max);
    std::vector<PeerContact> known;
    for (PeerIndex other : add.known) known.push_back(ContactOf(other));
    StartPeer(index, std::move(known));
    if (contact) JoinThrough(index, *contact);
    return index;
  }

  void StartPeer(PeerIndex index, std::vector<PeerContact> known) {
    SimPeer& peer = peers_[index];
    peer.live = true;
    ++live_count_;
    peer.leaving = false;
    peer.started = now_;
    ++peer.life;
    peer.random = std::make_unique<Random>(random_.Next());
    CoreOptions core = options_.core;
    core.capacity = peer.capacity;
    peer.core = Core::Create(peer.id, core, *peer.random);
    Feed(index, Start{ContactOf(index), std::move(known)});
    std::vector<PagePtr> own = peer.catalog->OwnPages();
    if (!own.empty()) Feed(index, OwnPagesSigned{std::move(own), /*spread_now=*/false});
  }

  // What the runtime does with a bootstrap address: dials it, learns the id, reports both.
  void JoinThrough(PeerIndex index, PeerIndex contact) {
    Feed(index, PeerLearned{ContactOf(contact), /*join=*/true});
    OpenConnection(index, ContactOf(contact));
  }

  void EndPeer(PeerIndex index, absl::Duration notice) {
    SimPeer& peer = peers_[index];
    if (!peer.live) return;
    peer.live = false;
    --live_count_;
    Trace(Mix64(index) ^ 0xdead);
    std::vector<std::pair<PeerIndex, uint64_t>> links(peer.links.begin(), peer.links.end());
    for (const auto& [other, connection] : links) {
      connections_[connection].UpAt(index) = false;
      connections_[connection].broken = true;
      LoseAfter(notice, other, index, connection);
    }
    peer.links.clear();
    peer.dialling.clear();
    peer.core.reset();
  }

  void LeavePeer(PeerIndex index) {
    if (!peers_[index].live) return;
    peers_[index].leaving = true;
    Feed(index, panal::Leave{});
  }

  void RestartPeer(PeerIndex index, bool moved) {
    SimPeer& peer = peers_[index];
    PANAL_CHECK(!peer.live);
    if (moved) peer.address = absl::StrCat("p", index, "-", peer.life, ":7401");
    StartPeer(index, peer.remembered);
    if (moved && peer.next_page > kPeerPageNumber + 1) PublishPeerPage(index);
  }

  // --- The network
  // --------------------------------------------------------------------------------
  bool IsBlocked(PeerIndex a, PeerIndex b) const {
    return side_.contains(a) != side_.contains(b) || cut_.contains(std::minmax(a, b));
  }

  // Fixed for a pair, whatever else happens.
  absl::Duration Latency(PeerIndex a, PeerIndex b) const {
    auto [low, high] = std::minmax(a, b);
    uint64_t mixed = Mix64(seed_ ^ Mix64((uint64_t{low} << 32) | high));
    double unit = static_cast<double>(mixed >> 11) * 0x1.0p-53;
    absl::Duration spread = options_.latency_max - options_.latency_min;
    return options_.latency_min + absl::Nanoseconds(unit * absl::ToDoubleNanoseconds(spread));
  }

  std::optional<PeerIndex> Resolve(const PeerContact& contact) const {
    std::optional<PeerIndex> index = IndexOf(contact.id);
    if (!index) return std::nullopt;
    const std::vector<std::string>& tried = contact.addresses;
    bool there = std::find(tried.begin(), tried.end(), peers_[*index].address) != tried.end();
    return there ? index : std::nullopt;
  }

  // Nothing for an id that no peer has: hostile peers make some up.
  std::optional<PeerIndex> IndexOf(const PeerId& id) const {
    PeerIndex index = IndexIn(id);
    if (index >= peers_.size() || peers_[index].id != id) return std::nullopt;
    return index;
  }

  void OpenConnection(PeerIndex from, const PeerContact& contact) {
    SimPeer& dialler = peers_[from];
    std::optional<PeerIndex> to = Resolve(contact);
    if (to && (dialler.links.contains(*to) || dialler.dialling.contains(*to))) return;
    uint32_t life = dialler.life;
    PeerId id = contact.id;
    if (!to || !peers_[*to].live || IsBlocked(from, *to)) {
      At(options_.dial_timeout, [=, this] { FeedIfSame(from, life, DialFailed{id}); });
      return;
    }
    dialler.dialling.insert(*to);
    uint64_t connection = connections_.size();
    connections_.push_back({.dialler = from, .acceptor = *to});
    At(kTripsToAcceptor * Latency(from, *to),
       [=, this, to = *to] { ReachAcceptor(from, life, to, connection); });
  }

  void ReachAcceptor(PeerIndex from, uint32_t life, PeerIndex to, uint64_t connection) {
    bool there = peers_[to].live && !IsBlocked(from, to) && IsSame(from, life);
    bool up = there && TakeConnection(to, from, connection, /*outbound=*/false);
    if (!up) connections_[connection].broken = true;
    absl::Duration delay = there ? Latency(from, to) : options_.dial_timeout;
    At(delay, [=, this] { ReachDialler(from, life, to, connection); });
  }

  void ReachDialler(PeerIndex from, uint32_t life, PeerIndex to, uint64_t connection) {
    if (!IsSame(from, life)) return;
    peers_[from].dialling.erase(to);
    bool up =
        !connections_[connection].broken && TakeConnection(from, to, connection, /*outbound=*/true);
    if (up) return;
    if (!connections_[connection].broken) CloseAt(from, to, connection, /*report=*/false);
    Feed(from, DialFailed{peers_[to].id});
  }

  // Reports a connection as the link to `other`, unless the one that is there wins (core.h, point
  // 1).
  bool TakeConnection(PeerIndex at, PeerIndex other, uint64_t connection, bool outbound) {
    SimPeer& peer = peers_[at];
    auto it = peer.links.find(other);
    if (it != peer.links.end()) {
      uint64_t old = it->second;
      PeerIndex old_dialler = connections_[old].dialler;
      PeerIndex dialler = connections_[connection].dialler;
      bool old_wins = old_dialler != dialler && peers_[old_dialler].id < peers_[dialler].id;
      if (old_wins) return false;
      CloseAt(at, other, old, /*report=*/true);
    }
    peer.links[other] = connection;
    connections_[connection].UpAt(at) = true;
    LinkUp up{ContactOf(other), outbound, peers_[other].capacity};
    Feed(at, std::move(up));
    return true;
  }

  // `at` closes the connection: lost here at once, there one latency later, after the frames
  // before.
  void CloseAt(PeerIndex at, PeerIndex other, uint64_t connection, bool report) {
    SimPeer& peer = peers_[at];
    bool up = std::exchange(connections_[connection].UpAt(at), false);
    if (up) peer.links.erase(other);
    LoseAfter(Latency(at, other), other, at, connection);
    if (!up || !report) return;
    losses_.push_back({at, peer.life, peers_[other].id});
    if (!feeding_) ReportLosses();
  }

  // LinkLost comes before anything else can happen, but never inside of a Handle.
  void ReportLosses() {
    while (!losses_.empty()) {
      Loss loss = losses_.front();
      losses_.erase(losses_.begin());
      FeedIfSame(loss.at, loss.life, LinkLost{loss.peer});
    }
  }

  void LoseAfter(absl::Duration delay, PeerIndex at, PeerIndex other, uint64_t connection) {
    At(delay, [=, this] {
      connections_[connection].broken = true;
      SimPeer& peer = peers_[at];
      if (!std::exchange(connections_[connection].UpAt(at), false)) return;
      peer.links.erase(other);
      Feed(at, LinkLost{peers_[other].id});
    });
  }

  // Both ends notice after crash_notice.
  void Break(PeerIndex a, PeerIndex b) {
    for (auto [at, other] : {std::pair(a, b), std::pair(b, a)}) {
      auto it = peers_[at].links.find(other);
      if (it == peers_[at].links.end()) continue;
      connections_[it->second].broken = true;
      LoseAfter(options_.crash_notice, at, other, it->second);
    }
  }

  void Send(PeerIndex from, SendFrame& send) {
    std::optional<PeerIndex> to = IndexOf(send.to);
    if (!to) return;
    auto link = peers_[from].links.find(*to);
    if (link == peers_[from].links.end()) return;  // As the runtime: dropped without a link.
    Counter& counter = sent_[FrameKind(send.frame)];
    ++counter.frames;
    counter.bytes += FrameSize(send.frame);
    uint64_t connection = link->second;
    PeerIndex at = *to;
    if (options_.on_frame) options_.on_frame(from, at, send.frame);
    if (connections_[connection].broken) return;
    absl::Duration delay = Latency(from, at);
    if (options_.tamper) delay += options_.tamper(from, at, send.frame);
    if (Chance(options_.loss) || delay == absl::InfiniteDuration()) return;
    if (options_.reorder_max > absl::ZeroDuration()) delay += random_.Unit() * options_.reorder_max;
    auto frame = std::make_shared<const Frame>(std::move(send.frame));
    Deliver(from, at, connection, frame, delay);
    if (Chance(options_.duplication)) Deliver(from, at, connection, frame, 2 * delay);
  }

  // Draws nothing where the fault is switched off.
  bool Chance(double share) { return share > 0 && random_.Unit() < share; }

  void Deliver(PeerIndex from, PeerIndex at, uint64_t connection,
               std::shared_ptr<const Frame> frame, absl::Duration delay) {
    At(delay, [=, this, frame = std::move(frame)] {
      if (!connections_[connection].UpAt(at)) return;
      Trace(Mix64(frame->index()) ^ from);
      Feed(at, FrameReceived{peers_[from].id, *frame});
    });
  }

  // --- Feeding
  // ------------------------------------------------------------------------------------
  bool IsSame(PeerIndex index, uint32_t life) const {
    return peers_[index].live && peers_[index].life == life;
  }

  void FeedIfSame(PeerIndex index, uint32_t life, Input input) {
    if (IsSame(index, life)) Feed(index, std::move(input));
  }

  void Feed(PeerIndex index, Input input) {
    SimPeer& peer = peers_[index];
    PANAL_CHECK(peer.live);
    Outputs outputs;
    peer.core->Handle(input, now_, outputs);
    Trace(absl::ToUnixNanos(now_) ^ (uint64_t{index} << 40) ^ (input.index() << 8) ^
          (uint64_t{outputs.size()} << 20));
    uint32_t life = peer.life;
    feeding_ = true;
    for (Output& output : outputs) {
      if (!IsSame(index, life)) break;  // Left ended it.
      Trace(output.index());
      std::visit([&](auto& value) { Perform(index, value); }, output);
    }
    feeding_ = false;
    ReportLosses();
  }

  void Perform(PeerIndex index, const Dial& dial) { OpenConnection(index, dial.peer); }

  void Perform(PeerIndex index, const CloseLink& close) {
    std::optional<PeerIndex> other = IndexOf(close.peer);
    if (!other) return;
    auto it = peers_[index].links.find(*other);
    if (it != peers_[index].links.end()) CloseAt(index, *other, it->second, true);
  }

  void Perform(PeerIndex index, SendFrame& send) { Send(index, send); }

  void Perform(PeerIndex index, const ScheduleTimer& schedule) {
    uint32_t life = peers_[index].life;
    Timer timer = schedule.timer;
    At(schedule.delay, [=, this] { FeedIfSame(index, life, TimerExpired{timer}); });
  }

  void Perform(PeerIndex index, const QueryIndex& query) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      ++evaluated_;
      Feed(index, peers_[index].catalog->Search(query, now_));
    });
  }

  void Perform(PeerIndex index, const StorePage& store) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      PageOutcome outcome = peers_[index].catalog->Store(store.page, store.has_body, now_);
      Feed(index, PageStored{store.token, outcome});
    });
  }

  void Perform(PeerIndex index, const LoadPage& load) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      Feed(index, PageLoaded{load.token, peers_[index].catalog->Load(load.key, now_)});
    });
  }

  // Signs own pages again with a new expiry; the version stays, as nothing in them changed.
  void Perform(PeerIndex index, const RefreshOwnPages& refresh) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      SimPeer& peer = peers_[index];
      OwnPagesSigned renewed;
      for (uint32_t number : refresh.numbers) {
        PagePtr old = peer.catalog->Load({peer.id, number}, now_);
        if (old == nullptr) continue;
        PagePtr page =
            MakePage(peer.id, number, old->header.version, now_ + kPageLifetime, old->records);
        peer.catalog->Store(page, /*has_body=*/true, now_);
        renewed.pages.push_back(std::move(page));
      }
      if (!renewed.pages.empty()) Feed(index, std::move(renewed));
    });
  }

  void Perform(PeerIndex index, const NeighborUp&) {}

  void Perform(PeerIndex index, const NeighborDown&) {}

  void Perform(PeerIndex index, const RememberPeers& remember) {
    std::vector<PeerContact>& kept = peers_[index].remembered;
    for (const PeerContact& contact : remember.peers) {
      kept.erase(std::remove_if(kept.begin(), kept.end(),
                                [&](const PeerContact& old) { return old.id == contact.id; }),
                 kept.end());
      kept.insert(kept.begin(), contact);  // Most recently seen first.
    }
  }

  void Perform(PeerIndex, SearchHits& hits) {
    SearchResult& result = searches_[hits.request].result;
    for (Hit& hit : hits.hits) result.hits.push_back(std::move(hit));
  }

  void Perform(PeerIndex, const SearchDone& done) {
    PendingSearch& search = searches_[done.request];
    search.result.done = true;
    search.result.summary = done.summary;
    search.result.elapsed = now_ - search.started;
  }

  void Perform(PeerIndex index, const PageSpread& spread) {
    peers_[index].spreads[spread.number] = spread;
  }

  void Perform(PeerIndex index, const Left&) {
    uint32_t life = peers_[index].life;
    // Its neighbors have read the goodbyes and closed, or had their time to.
    At(absl::ZeroDuration(), [=, this] {
      if (IsSame(index, life)) EndPeer(index, options_.latency_max);
    });
  }

  void Perform(PeerIndex, const FrameRefused&) { ++refused_; }

  // --- Pages and searches
  // -------------------------------------------------------------------------
  void PublishPeerPage(PeerIndex index) {
    SimPeer& peer = peers_[index];
    Record record;
    record.kind = RecordKind::kPeer;
    record.name = absl::StrCat("peer-", index);
    record.id = *Sha256Digest::FromBytes(peer.id.view());
    record.version = ToMilliseconds(now_);
    record.addresses = {peer.address};
    StoreAndSpread(index, {MakePage(peer.id, kPeerPageNumber, record.version, now_ + kPageLifetime,
                                    {record})});
  }

  void StoreAndSpread(PeerIndex index, std::vector<PagePtr> pages) {
    for (const PagePtr& page : pages) peers_[index].catalog->Store(page, true, now_);
    Feed(index, OwnPagesSigned{std::move(pages), /*spread_now=*/true});
  }

  std::vector<uint32_t> Publish(PeerIndex index, std::vector<Record> records) {
    SimPeer& peer = peers_[index];
    if (peer.next_page == kPeerPageNumber + 1) PublishPeerPage(index);
    std::vector<PagePtr> pages;
    std::vector<uint32_t> numbers;
    for (size_t begin = 0; begin < records.size(); begin += kPageRecordsMax) {
      size_t end = std::min(begin + kPageRecordsMax, records.size());
      std::vector<Record> part(records.begin() + begin, records.begin() + end);
      numbers.push_back(peer.next_page);
      pages.push_back(MakePage(peer.id, peer.next_page++, ToMilliseconds(now_),
                               now_ + kPageLifetime, std::move(part)));
    }
    StoreAndSpread(index, std::move(pages));
    return numbers;
  }

  PeerContact ContactOf(PeerIndex index) const {
    return {peers_[index].id, {peers_[index].address}};
  }

  std::optional<PeerIndex> FirstLive() const {
    for (PeerIndex i = 0; i < peers_.size(); ++i) {
      if (peers_[i].live && !peers_[i].leaving) return i;
    }
    return std::nullopt;
  }

  std::vector<PeerIndex> Live() const {
    std::vector<PeerIndex> live;
    for (PeerIndex i = 0; i < peers_.size(); ++i) {
      if (peers_[i].live) live.push_back(i);
    }
    return live;
  }

  struct Counter {
    uint64_t frames = 0;
    uint64_t bytes = 0;
  };

  struct Loss {
    PeerIndex at;
    uint32_t life;
    PeerId peer;
  };

  struct PendingSearch {
    absl::Time started;
    SearchResult result;
  };

  const SimulationOptions options_;
  const uint64_t seed_;
  Random random_;
  absl::Time now_;
  std::vector<Event> events_;  // A heap.
  std::vector<std::function<void()>> actions_;
  std::vector<uint32_t> free_slots_;
  uint64_t next_sequence_ = 0;
  uint64_t event_count_ = 0;
  uint64_t trace_ = 0;
  std::vector<SimPeer> peers_;
  size_t live_count_ = 0;
  std::vector<Connection> connections_;
  std::vector<Loss> losses_;  // Links closed here whose LinkLost is due.
  bool feeding_ = false;
  absl::btree_set<std::pair<PeerIndex, PeerIndex>> cut_;
  absl::btree_set<PeerIndex> side_;
  absl::btree_map<uint64_t, PendingSearch> searches_;
  uint64_t next_request_ = 1;
  uint64_t evaluated_ = 0;
  uint64_t refused_ = 0;
  std::array<Counter, kFrameKinds> sent_;
};

Simulation::Simulation(SimulationOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

Simulation::~Simulation() = default;

PeerIndex Simulation::AddPeer(const AddOptions& options) { return impl_->AddPeer(options); }

std::vector<PeerIndex> Simulation::AddPeers(int count, absl::Duration spacing) {
  std::vector<PeerIndex> added;
  for (int i = 0; i < count; ++i) {
    added.push_back(AddPeer());
    Run(spacing);
  }
  return added;
}

void Simulation::Crash(PeerIndex peer) { impl_->EndPeer(peer, impl_->options_.crash_notice); }

void Simulation::Leave(PeerIndex peer) { impl_->LeavePeer(peer); }

void Simulation::Restart(PeerIndex peer, bool moved) { impl_->RestartPeer(peer, moved); }

void Simulation::Cut(PeerIndex a, PeerIndex b) {
  impl_->cut_.insert(std::minmax(a, b));
  impl_->Break(a, b);
}

void Simulation::Mend(PeerIndex a, PeerIndex b) { impl_->cut_.erase(std::minmax(a, b)); }

void Simulation::Partition(const std::vector<PeerIndex>& side) {
  impl_->side_.clear();
  impl_->side_.insert(side.begin(), side.end());
  for (PeerIndex a : side) {
    for (PeerIndex b = 0; b < impl_->peers_.size(); ++b) {
      if (!impl_->side_.contains(b)) impl_->Break(a, b);
    }
  }
}

void Simulation::Heal() { impl_->side_.clear(); }

void Simulation::BreakLink(PeerIndex a, PeerIndex b) { impl_->Break(a, b); }

std::vector<uint32_t> Simulation::Publish(PeerIndex peer, std::vector<Record> records) {
  return impl_->Publish(peer, std::move(records));
}

void Simulation::Republish(PeerIndex peer, uint32_t number, std::vector<Record> records) {
  uint64_t version = ToMilliseconds(impl_->now_);
  PagePtr old = impl_->peers_[peer].catalog->Load({IdOf(peer), number}, impl_->now_);
  if (old != nullptr) version = std::max(version, old->header.version + 1);
  impl_->StoreAndSpread(peer, {MakePage(IdOf(peer), number, version, impl_->now_ + kPageLifetime,
                                        std::move(records))});
}

SearchResult Simulation::Search(PeerIndex peer, absl::string_view query,
                                const SearchArguments& arguments) {
  uint64_t request = StartSearch(peer, query, arguments);
  RunUntil([&] { return ResultOf(request).done; }, arguments.timeout + absl::Seconds(5));
  return ResultOf(request);
}

uint64_t Simulation::StartSearch(PeerIndex peer, absl::string_view query,
                                 const SearchArguments& arguments) {
  uint64_t request = impl_->next_request_++;
  impl_->searches_[request].started = impl_->now_;
  impl_->Feed(peer, SearchRequested{.request = request,
                                    .query = std::string(query),
                                    .recall = arguments.recall,
                                    .limit = arguments.limit,
                                    .timeout = arguments.timeout});
  return request;
}

void Simulation::CancelSearch(PeerIndex peer, uint64_t request) {
  impl_->Feed(peer, SearchCancelled{request});
}

const SearchResult& Simulation::ResultOf(uint64_t request) const {
  auto it = impl_->searches_.find(request);
  PANAL_CHECK(it != impl_->searches_.end());
  return it->second.result;
}

std::optional<PageSpread> Simulation::SpreadOf(PeerIndex peer, uint32_t number) const {
  const auto& spreads = impl_->peers_[peer].spreads;
  auto it = spreads.find(number);
  if (it == spreads.end()) return std::nullopt;
  return it->second;
}

std::vector<PeerIndex> Simulation::HoldersOf(const PageKey& key) const {
  std::vector<PeerIndex> holders;
  for (PeerIndex peer : Live()) {
    if (Holds(peer, key)) holders.push_back(peer);
  }
  return holders;
}

bool Simulation::Holds(PeerIndex peer, const PageKey& key, uint64_t version) const {
  PagePtr page = impl_->peers_[peer].catalog->Load(key, impl_->now_);
  return page != nullptr && page->header.version >= version;
}

uint64_t Simulation::QueriesEvaluated() const { return impl_->evaluated_; }

uint64_t Simulation::QueriesEvaluatedAt(PeerIndex peer) const {
  return impl_->peers_[peer].catalog->evaluated();
}

void Simulation::Run(absl::Duration duration) { impl_->RunTo(impl_->now_ + duration); }

bool Simulation::RunUntil(const std::function<bool()>& done, absl::Duration limit) {
  absl::Time end = impl_->now_ + limit;
  while (!done()) {
    if (impl_->now_ >= end) return false;
    Run(kCheckInterval);
  }
  return true;
}

void Simulation::At(absl::Duration delay, std::function<void()> action) {
  impl_->At(delay, std::move(action));
}

absl::Time Simulation::now() const { return impl_->now_; }

uint64_t Simulation::seed() const { return impl_->seed_; }

uint64_t Simulation::TraceHash() const { return impl_->trace_; }

size_t Simulation::size() const { return impl_->peers_.size(); }

std::vector<PeerIndex> Simulation::Live() const { return impl_->Live(); }

size_t Simulation::LiveCount() const { return impl_->live_count_; }

absl::Time Simulation::StartedAt(PeerIndex peer) const { return impl_->peers_[peer].started; }

std::vector<PeerIndex> Simulation::LinksOf(PeerIndex peer) const {
  std::vector<PeerIndex> others;
  for (auto [other, connection] : impl_->peers_[peer].links) {
    if (impl_->peers_[other].live && !impl_->connections_[connection].broken)
      others.push_back(other);
  }
  return others;
}

bool Simulation::IsLive(PeerIndex peer) const { return impl_->peers_[peer].live; }

PeerIndex Simulation::RandomLive() {
  std::vector<PeerIndex> live = Live();
  PANAL_CHECK(!live.empty());
  return live[impl_->random_.Below(live.size())];
}

Random& Simulation::random() { return impl_->random_; }

const PeerId& Simulation::IdOf(PeerIndex peer) const { return impl_->peers_[peer].id; }

std::optional<PeerIndex> Simulation::IndexOf(const PeerId& id) const { return impl_->IndexOf(id); }

const Core& Simulation::CoreOf(PeerIndex peer) const {
  PANAL_CHECK(impl_->peers_[peer].live);
  return *impl_->peers_[peer].core;
}

void Simulation::Feed(PeerIndex peer, Input input) { impl_->Feed(peer, std::move(input)); }

Traffic Simulation::traffic() const {
  Traffic traffic;
  for (size_t kind = 0; kind < kFrameKinds; ++kind) {
    const Impl::Counter& counter = impl_->sent_[kind];
    if (counter.frames == 0) continue;
    traffic.frames += counter.frames;
    traffic.bytes += counter.bytes;
    traffic.by_kind[std::string(FrameKindName(kind))] = {counter.frames, counter.bytes};
  }
  return traffic;
}

uint64_t Simulation::events() const { return impl_->event_count_; }

}  // namespace panal::sim
