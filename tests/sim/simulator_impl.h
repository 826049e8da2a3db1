// What is behind Simulation: events, links, peers. For simulator*.cc only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "tests/sim/frame_size.h"
#include "tests/sim/sim_catalog.h"
#include "tests/sim/sim_facts.h"
#include "tests/sim/simulator.h"

namespace panal::sim {

// Where virtual time begins: expiry of pages counts in milliseconds since 1970.
inline const absl::Time kStart = absl::FromUnixSeconds(1'750'000'000);
// One-way trips until the acceptor has a link: SYN, SYN-ACK, then TLS and Hello with the ACK.
inline constexpr int kTripsToAcceptor = 3;

// The mesh that grew with it is measured by then.
inline constexpr absl::Duration kPeerPageDelay = absl::Seconds(20);
// Requests that a catalog which serves one at a time holds before it sheds: as many as the runtime
// queues for a worker. Guess.
inline constexpr int kCatalogQueueMax = 64;

inline uint64_t SeedFromEnvironment(uint64_t seed) {
  const char* text = std::getenv("PANAL_SEED");
  uint64_t value = 0;
  if (text != nullptr && absl::SimpleAtoi(text, &value)) return value;
  return seed;
}

// Ids carry the index of their peer in their last bytes, so that it is found without a table; what
// is before them is random.
inline PeerId MakeId(std::string bytes, PeerIndex index) {
  std::memcpy(bytes.data() + bytes.size() - sizeof(index), &index, sizeof(index));
  return *PeerId::FromBytes(bytes);
}

inline PeerIndex IndexIn(const PeerId& id) {
  PeerIndex index = 0;
  std::memcpy(&index, id.bytes.data() + id.bytes.size() - sizeof(index), sizeof(index));
  return index;
}

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
    // Shared, where it did not change: many remember the same.
    std::shared_ptr<const PeerContact> contact;
    std::vector<std::shared_ptr<const PeerContact>> remembered;
    Slowness slowness;
    absl::Time catalog_free = absl::InfinitePast();  // One at a time: when its work is done.
    uint32_t next_page = kPeerPageNumber + 1;
    absl::btree_map<uint32_t, PageSpread> spreads;
    absl::btree_map<Sha256Digest, FactPtr> facts;  // On its disk.
    std::shared_ptr<const Revocations> revocations;
  };

  // A connection; an end that closed it or lost it is no longer up.
  struct Connection {
    PeerIndex dialler = 0;
    PeerIndex acceptor = 0;
    bool broken = false;   // Nothing gets through any more.
    bool one_way = false;  // Nothing gets through from the muted side; it ends soon.
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

  // --- Time --------------------------------------------------------------------------------------
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

  // --- Peers -------------------------------------------------------------------------------------
  PeerIndex AddPeer(const AddOptions& add) {
    auto index = static_cast<PeerIndex>(peers_.size());
    std::optional<PeerIndex> contact = add.contact;
    if (!contact && !add.without_contact) contact = FirstLive();
    peers_.emplace_back();
    SimPeer& peer = peers_.back();
    peer.id = MakeId(random_.Bytes(PeerId::kSize), index);
    peer.address = absl::StrCat("p", index, ":7401");
    peer.capacity = add.capacity;
    peer.catalog = std::make_unique<SimCatalog>(peer.id, options_.catalog_pages_max, refreshed_);
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
    LoadFacts(index);
    Feed(index, Start{ContactOf(index), std::move(known)});
    LoadOwnPages(index);
    if (!options_.peer_pages) return;
    At(kPeerPageDelay, [this, index, life = peer.life] {
      if (IsSame(index, life)) PublishPeerPage(index);
    });
  }

  void LoadFacts(PeerIndex index) {
    SimPeer& peer = peers_[index];
    peer.revocations = std::make_shared<const Revocations>();
    if (peer.facts.empty()) return;
    FactsLoaded loaded;
    for (const auto& [id, fact] : peer.facts) loaded.facts.push_back(fact);
    Feed(index, std::move(loaded));
  }

  // What the runtime does with the pages of an earlier run (PageSigner::LoadAll).
  void LoadOwnPages(PeerIndex index) {
    std::vector<PagePtr> own = peers_[index].catalog->OwnPages();
    const uint64_t aged = ToMilliseconds(now_ + 2 * kPageLifetime / 3);
    for (PagePtr& page : own) {
      if (!page->records.empty() && page->header.expires_ms < aged) page = Resign(index, *page);
    }
    if (!own.empty()) Feed(index, OwnPagesSigned{std::move(own), /*spread_now=*/false});
  }

  // Signs an own page with a new expiry; the version stays, as nothing in it changed.
  PagePtr Resign(PeerIndex index, const Page& old) {
    SimPeer& peer = peers_[index];
    PagePtr page = MakePage(peer.id, old.header.key.number, old.header.version,
                            now_ + kPageLifetime, old.records);
    peer.catalog->Store(page, /*has_body=*/true, now_);
    return page;
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
    std::vector<PeerContact> known;
    for (const auto& contact : peer.remembered) known.push_back(*contact);
    StartPeer(index, std::move(known));
    if (moved && peer.next_page > kPeerPageNumber + 1) PublishPeerPage(index);
  }

  // What a machine that was set up anew has: nothing but its address and, unless `new_key`, its
  // key.
  void RestartEmptyPeer(PeerIndex index, bool new_key, std::optional<PeerIndex> contact) {
    SimPeer& peer = peers_[index];
    PANAL_CHECK(!peer.live);
    ResetLinksOf(index);
    if (new_key) peer.id = MakeId(random_.Bytes(PeerId::kSize), index);
    peer.catalog = std::make_unique<SimCatalog>(peer.id, options_.catalog_pages_max, refreshed_);
    peer.remembered.clear();
    peer.next_page = kPeerPageNumber + 1;
    peer.spreads.clear();
    peer.facts.clear();
    if (!contact) contact = FirstLive();
    StartPeer(index, {});
    if (contact) JoinThrough(index, *contact);
  }

  // The machine answers again and knows nothing of its old connections: they end at once.
  void ResetLinksOf(PeerIndex index) {
    for (PeerIndex other = 0; other < peers_.size(); ++other) {
      auto it = peers_[other].links.find(index);
      if (it == peers_[other].links.end()) continue;
      Connection& connection = connections_[it->second];
      connection.broken = true;
      connection.UpAt(other) = false;
      peers_[other].links.erase(it);
      Feed(other, LinkLost{peers_[index].id});
    }
  }

  // --- The network -------------------------------------------------------------------------------
  size_t SideOf(PeerIndex peer) const {
    auto it = side_.find(peer);
    return it == side_.end() ? 0 : it->second;
  }

  bool IsBlocked(PeerIndex a, PeerIndex b) const {
    if (muted_.contains(a) != muted_.contains(b)) return true;
    return SideOf(a) != SideOf(b) || cut_.contains(std::minmax(a, b));
  }

  // Sides are numbered from 1; everybody else is on side 0.
  void Partition(const std::vector<std::vector<PeerIndex>>& sides) {
    side_.clear();
    for (size_t i = 0; i < sides.size(); ++i) {
      for (PeerIndex peer : sides[i]) side_[peer] = i + 1;
    }
    for (PeerIndex a = 0; a < peers_.size(); ++a) {
      std::vector<PeerIndex> others;
      for (auto [b, connection] : peers_[a].links) {
        if (a < b && SideOf(a) != SideOf(b)) others.push_back(b);
      }
      for (PeerIndex b : others) Break(a, b);
    }
  }

  void Mute(const std::vector<PeerIndex>& side) {
    muted_.clear();
    muted_.insert(side.begin(), side.end());
    for (PeerIndex a : side) {
      for (auto [b, connection] : peers_[a].links) {
        if (muted_.contains(b)) continue;
        connections_[connection].one_way = true;
        LoseAfter(options_.crash_notice, a, b, connection);
        LoseAfter(options_.crash_notice, b, a, connection);
      }
    }
  }

  // Fixed for a pair, whatever else happens, but for what makes either slow.
  absl::Duration Latency(PeerIndex a, PeerIndex b) const {
    auto [low, high] = std::minmax(a, b);
    uint64_t mixed = Mix64(seed_ ^ Mix64((uint64_t{low} << 32) | high));
    double unit = static_cast<double>(mixed >> 11) * 0x1.0p-53;
    absl::Duration spread = options_.latency_max - options_.latency_min;
    return options_.latency_min + absl::Nanoseconds(unit * absl::ToDoubleNanoseconds(spread)) +
           peers_[a].slowness.added_latency + peers_[b].slowness.added_latency;
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
    absl::Duration delay = there ? Latency(from, to) : options_.dial_timeout;
    // Before what the acceptor sends at once.
    At(delay, [=, this, id = peers_[to].id] { ReachDialler(from, life, to, id, connection); });
    bool up = there && TakeConnection(to, from, connection, /*outbound=*/false);
    if (!up) connections_[connection].broken = true;
  }

  void ReachDialler(PeerIndex from, uint32_t life, PeerIndex to, const PeerId& id,
                    uint64_t connection) {
    if (!IsSame(from, life)) return;
    peers_[from].dialling.erase(to);
    bool up =
        !connections_[connection].broken && TakeConnection(from, to, connection, /*outbound=*/true);
    if (up) return;
    if (!connections_[connection].broken) CloseAt(from, to, connection, /*report=*/false);
    Feed(from, DialFailed{id});
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
    LinkUp up{ContactOf(other), outbound, peers_[other].capacity, options_.core.search.digests};
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
    At(delay, [=, this, id = peers_[other].id] {
      connections_[connection].broken = true;
      SimPeer& peer = peers_[at];
      if (!std::exchange(connections_[connection].UpAt(at), false)) return;
      peer.links.erase(other);
      Feed(at, LinkLost{id});
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
    if (connections_[connection].one_way && muted_.contains(from)) return;
    absl::Duration delay = Latency(from, at);
    if (options_.tamper) delay += options_.tamper(from, at, send.frame);
    if (Chance(options_.loss) || delay == absl::InfiniteDuration()) return;
    if (options_.reorder_max > absl::ZeroDuration()) delay += random_.Unit() * options_.reorder_max;
    auto frame = std::make_shared<Frame>(std::move(send.frame));
    Deliver(from, at, connection, frame, delay);
    if (Chance(options_.duplication)) Deliver(from, at, connection, frame, 2 * delay);
  }

  // Draws nothing where the fault is switched off.
  bool Chance(double share) { return share > 0 && random_.Unit() < share; }

  void Deliver(PeerIndex from, PeerIndex at, uint64_t connection, std::shared_ptr<Frame> frame,
               absl::Duration delay) {
    At(delay, [=, this, frame = std::move(frame)] {
      if (!connections_[connection].UpAt(at)) return;
      Trace(Mix64(frame->index()) ^ from);
      // The runtime verifies what is signed before the core sees it (core.h, point 2).
      if (!IsSigned(*frame)) {
        ++forged_;
        return;
      }
      // One that comes twice is copied.
      const bool last = frame.use_count() == 1;
      Feed(at, FrameReceived{peers_[from].id, last ? std::move(*frame) : *frame});
    });
  }

  // --- Feeding -----------------------------------------------------------------------------------
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
    if (options_.check_every_event) peer.core->CheckInvariants();
    Trace(absl::ToUnixNanos(now_) ^ (uint64_t{index} << 40) ^ (input.index() << 8) ^
          (uint64_t{outputs.size()} << 20));
    uint32_t life = peer.life;
    feeding_ = true;
    for (Output& output : outputs) {
      if (!IsSame(index, life)) break;  // Left ended it.
      Trace(output.index());
      if (options_.on_output) options_.on_output(index, output);
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

  // How long the catalog takes for what it is asked now; nothing when it is overloaded.
  std::optional<absl::Duration> CatalogTime(PeerIndex index) {
    SimPeer& peer = peers_[index];
    absl::Duration work = std::max(options_.index_time, peer.slowness.index_time);
    if (!peer.slowness.one_at_a_time) return work;
    absl::Time begin = std::max(now_, peer.catalog_free);
    if (begin - now_ > work * (kCatalogQueueMax - 1)) return std::nullopt;
    peer.catalog_free = begin + work;
    return peer.catalog_free - now_;
  }

  void Perform(PeerIndex index, const QueryIndex& query) {
    uint32_t life = peers_[index].life;
    std::optional<absl::Duration> work = CatalogTime(index);
    At(work.value_or(absl::ZeroDuration()), [=, this, overloaded = !work] {
      if (!IsSame(index, life)) return;
      if (overloaded) {
        Feed(index, IndexAnswered{.token = query.token, .failed = true});
        return;
      }
      ++evaluated_;
      if (options_.watch_searches) evaluated_by_[query.query].insert(index);
      Feed(index, peers_[index].catalog->Search(query, now_));
    });
  }

  void Perform(PeerIndex index, const StorePage& store) {
    uint32_t life = peers_[index].life;
    std::optional<absl::Duration> work = CatalogTime(index);
    At(work.value_or(absl::ZeroDuration()), [=, this, overloaded = !work] {
      if (!IsSame(index, life)) return;
      if (overloaded) {
        Feed(index, PageStored{store.token, PageOutcome::kFailed});
        return;
      }
      if (options_.drops_pages && options_.drops_pages(index)) {
        Feed(index, PageStored{store.token, PageOutcome::kKept});
        return;
      }
      PageStored stored{.token = store.token};
      stored.outcome =
          peers_[index].catalog->Store(store.page, store.has_body, now_, &stored.fresh);
      Feed(index, std::move(stored));
    });
  }

  void Perform(PeerIndex index, const MatchStanding& match) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      StandingMatched matched = peers_[index].catalog->Match(match);
      if (!matched.matches.empty()) Feed(index, std::move(matched));
    });
  }

  void Perform(PeerIndex index, const LoadPage& load) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      Feed(index, PageLoaded{load.token, peers_[index].catalog->Load(load.key, now_)});
    });
  }

  void Perform(PeerIndex index, const RefreshOwnPages& refresh) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      OwnPagesSigned renewed;
      for (uint32_t number : refresh.numbers) {
        PagePtr old = peers_[index].catalog->OwnPage(number);
        if (old != nullptr) renewed.pages.push_back(Resign(index, *old));
      }
      if (!renewed.pages.empty()) Feed(index, std::move(renewed));
    });
  }

  // What only on_output is for.
  template <typename T>
  void Perform(PeerIndex, const T&) {}

  void Perform(PeerIndex index, const RememberPeers& remember) {
    std::vector<std::shared_ptr<const PeerContact>>& kept = peers_[index].remembered;
    for (const PeerContact& contact : remember.peers) {
      kept.erase(std::remove_if(kept.begin(), kept.end(),
                                [&](const auto& old) { return old->id == contact.id; }),
                 kept.end());
      kept.insert(kept.begin(), Share(contact));  // Most recently seen first.
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

  void Perform(PeerIndex index, const FrameRefused& refused) {
    ++refused_;
    if (refused.close) Perform(index, CloseLink{refused.from});
  }

  void Perform(PeerIndex index, const BuildDigest& build) {
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] {
      if (!IsSame(index, life)) return;
      DigestBuilt built{.token = build.token};
      built.hashes = peers_[index].catalog->DigestHashes(now_);
      Feed(index, std::move(built));
    });
  }

  // --- Facts -------------------------------------------------------------------------------------
  FactPtr SayFact(PeerIndex index, FactBody body) {
    FactPtr fact = facts_.Say(peers_[index].id, std::move(body), now_);
    peers_[index].facts[fact->id] = fact;
    Feed(index, FactMade{fact});
    return fact;
  }

  void Perform(PeerIndex index, const VerifyFacts& verify) {
    FactsVerified verified{.token = verify.token};
    for (const std::string& bytes : verify.facts) verified.facts.push_back(facts_.Verify(bytes));
    uint32_t life = peers_[index].life;
    At(kFactTime * verify.facts.size(), [=, this] { FeedIfSame(index, life, verified); });
  }

  void Perform(PeerIndex index, const StoreFacts& store) {
    for (const FactPtr& fact : store.facts) peers_[index].facts[fact->id] = fact;
    uint32_t life = peers_[index].life;
    At(options_.index_time, [=, this] { FeedIfSame(index, life, FactsStored{store.token}); });
  }

  void Perform(PeerIndex index, const ForgetFacts& forget) {
    for (const FactPtr& fact : forget.facts) peers_[index].facts.erase(fact->id);
  }

  void Perform(PeerIndex index, const FactsChanged& changed) {
    peers_[index].revocations = changed.revocations;
  }

  // --- Pages and searches ------------------------------------------------------------------------
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
    if (!options_.peer_pages && peer.next_page == kPeerPageNumber + 1) PublishPeerPage(index);
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

  std::shared_ptr<const PeerContact> Share(const PeerContact& contact) {
    std::optional<PeerIndex> index = IndexOf(contact.id);
    if (!index) return std::make_shared<const PeerContact>(contact);
    std::shared_ptr<const PeerContact>& shared = peers_[*index].contact;
    if (shared == nullptr || *shared != contact) {
      shared = std::make_shared<const PeerContact>(contact);
    }
    return shared;
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
    std::string query;
    SearchResult result;
  };

  const SimulationOptions options_;
  const uint64_t seed_;
  Random random_;
  absl::Time now_;
  std::vector<Event> events_;  // A heap.
  std::deque<std::function<void()>> actions_;
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
  absl::btree_map<PeerIndex, size_t> side_;
  absl::btree_set<PeerIndex> muted_;
  RefreshedPages refreshed_;
  SimFacts facts_;
  absl::btree_map<uint64_t, PendingSearch> searches_;
  uint64_t next_request_ = 1;
  absl::btree_map<std::string, absl::btree_set<PeerIndex>> evaluated_by_;
  uint64_t evaluated_ = 0;
  uint64_t refused_ = 0;
  uint64_t forged_ = 0;  // Frames with pages whose signature is wrong.
  std::array<Counter, kFrameKinds> sent_;
};

}  // namespace panal::sim
