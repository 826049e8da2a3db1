#include "server/processing/overlay/membership.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/check.h"

namespace panal {
namespace {

// Neighbors that a dropped neighbor is told besides its replacement, as spares. Guess.
constexpr size_t kSparesTold = 3;
// While there is no neighbor at all nobody rests longer than this many retry_backoffs. Guess.
constexpr int kIsolatedRestMax = 4;
// Bootstrap peers whose link is awaited.
constexpr size_t kJoinThroughMax = 64;

size_t WantedLinks(const MembershipOptions& options, double capacity) {
  double links = std::floor(options.active_view_size * capacity / 2) * 2;
  double least = std::min(options.active_view_size, kActiveViewMax);
  return static_cast<size_t>(std::clamp(links, least, static_cast<double>(kActiveViewMax)));
}

bool Holds(const std::vector<PeerId>& ids, const PeerId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

Membership::Membership(PeerId self, const MembershipOptions& options, double capacity,
                       Random& random)
    : id_(self),
      options_(options),
      random_(random),
      wanted_(WantedLinks(options, capacity)),
      early_shuffle_gap_(options.repair_interval) {
  PANAL_CHECK(options.Validate().ok());
  PANAL_CHECK(capacity > 0);
  self_.id = self;
}

// --- Events of the driver ------------------------------------------------------------------------

void Membership::OnStart(const Start& start, absl::Time now, Outputs& outputs) {
  self_ = start.self;
  self_.id = id_;
  started_ = true;
  for (const PeerContact& peer : start.known) {
    if (peer.id == id_ || known_.size() >= static_cast<size_t>(options_.remembered_max)) continue;
    known_.push_back(peer);
    AddPassive(peer, now, nullptr);
    if (remembered_.size() < static_cast<size_t>(options_.remembered_max)) {
      remembered_.try_emplace(peer, Remembered{.reported = true});
    }
  }
  outputs.push_back(ScheduleTimer{options_.repair_interval, {TimerKind::kRepair, 0}});
  // Spread out, or all peers that started together would shuffle together.
  outputs.push_back(
      ScheduleTimer{options_.shuffle_interval * (0.5 + random_.Unit()), {TimerKind::kShuffle, 0}});
  next_feeler_ = now + options_.feeler_interval * (0.5 + random_.Unit());
  next_early_shuffle_ = now + options_.repair_interval;
  TopUp(now, outputs);
}

void Membership::OnPeerLearned(const PeerLearned& learned, absl::Time now, Outputs& outputs) {
  if (learned.peer.id == id_ || leaving_) return;
  Link* link = FindLink(learned.peer.id);
  if (!learned.join) {
    AddPassive(learned.peer, now, nullptr);
    TopUp(now, outputs);
    return;
  }
  if (link != nullptr && link->state == LinkState::kNeighbor) {
    if (IsShort()) outputs.push_back(SendFrame{learned.peer.id, Join{}});
    return;
  }
  if (link != nullptr && (link->state == LinkState::kIdle || link->state == LinkState::kDialing)) {
    link->purpose = Purpose::kJoin;
    if (link->state == LinkState::kIdle) Ask(learned.peer.id, *link, now, outputs);
    return;
  }
  // The runtime is opening this link, or has failed to: where it comes up, OnLinkUp joins.
  AddPassive(learned.peer, now, nullptr);
  if (!Holds(join_through_, learned.peer.id) && join_through_.size() < kJoinThroughMax) {
    join_through_.push_back(learned.peer.id);
  }
}

void Membership::OnLinkUp(const LinkUp& up, absl::Time now, Outputs& outputs) {
  const PeerId& peer = up.peer.id;
  Link* known = FindLink(peer);
  // A link that took another one's place: the frames sent on that one may be lost.
  if (known != nullptr && known->state != LinkState::kDialing) DropLink(peer, now, outputs);
  bool room = links_.size() < kLinksTrackedMax || links_.contains(peer);
  if (peer == id_ || leaving_ || !room) {
    if (leaving_) links_.erase(peer);  // A dial that came up: nobody waits for its end.
    outputs.push_back(CloseLink{peer});
    return;
  }
  Link& link = links_[peer];
  link.contact = up.peer;
  link.state = LinkState::kIdle;
  link.outbound = up.outbound;
  link.deadline = now + options_.neighbor_timeout;
  auto join = std::find(join_through_.begin(), join_through_.end(), peer);
  if (join != join_through_.end()) {
    join_through_.erase(join);
    link.purpose = Purpose::kJoin;
  }
  if (link.purpose == Purpose::kJoin) {
    Ask(peer, link, now, outputs);
  } else if (up.outbound) {
    bool enough = link.purpose == Purpose::kNone && active_.size() >= wanted_;
    if (enough) {
      CloseQuietly(peer, link, outputs);
    } else {
      Ask(peer, link, now, outputs);
    }
  }
}

void Membership::OnLinkLost(const PeerId& peer, absl::Time now, Outputs& outputs) {
  DropLink(peer, now, outputs);
  TopUp(now, outputs);
}

void Membership::DropLink(const PeerId& peer, absl::Time now, Outputs& outputs) {
  auto it = links_.find(peer);
  if (it == links_.end() || it->second.state == LinkState::kDialing) return;
  Link link = std::move(it->second);
  links_.erase(it);
  if (link.state == LinkState::kNeighbor) {
    active_.erase(std::lower_bound(active_.begin(), active_.end(), peer));
    outputs.push_back(NeighborDown{peer});
    early_shuffle_gap_ = options_.repair_interval;
    // It may only have been the link that broke. Never at the price of another spare.
    if (passive_.size() < static_cast<size_t>(options_.passive_view_size)) {
      AddPassive(link.contact, now, nullptr);
    }
    LetRest(peer, now);
  } else if (link.state == LinkState::kAsked) {
    LetRest(peer, now);
  }
}

void Membership::OnDialFailed(const PeerId& peer, absl::Time now, Outputs& outputs) {
  join_through_.erase(std::remove(join_through_.begin(), join_through_.end(), peer),
                      join_through_.end());
  Link* link = FindLink(peer);
  if (link != nullptr && link->state != LinkState::kDialing) return;  // The other dial won.
  links_.erase(peer);
  passive_.erase(peer);
  LetRest(peer, now, /*barred=*/true);
  TopUp(now, outputs);
}

void Membership::OnSelfChanged(const SelfChanged& change) {
  self_ = change.self;
  self_.id = id_;
  wanted_ = WantedLinks(options_, change.capacity);
}

void Membership::OnTimer(const Timer& timer, absl::Time now, Outputs& outputs) {
  if (leaving_) return;
  if (timer.kind == TimerKind::kShuffle) {
    outputs.push_back(ScheduleTimer{options_.shuffle_interval, timer});
    StartShuffle(now, outputs);
    return;
  }
  if (timer.kind != TimerKind::kRepair) return;
  outputs.push_back(ScheduleTimer{options_.repair_interval, timer});
  ExpireLinks(now, outputs);
  TopUp(now, outputs);
  SendFeeler(now, outputs);
  ReportRemembered(outputs);
}

void Membership::OnLeave(absl::Time now, Outputs& outputs) {
  if (leaving_) return;
  leaving_ = true;
  ReportRemembered(outputs);  // What the last second brought: a restart begins from there.
  std::vector<PeerId> order = active_;
  random_.Shuffle(order);
  for (size_t i = 0; i < order.size(); ++i) {
    Disconnect goodbye{.leaving = true};
    // The partner comes first; with an odd count the last one has the first one's partner's role.
    for (size_t j = 0; j < order.size() && goodbye.replacements.size() < kSampleSizeMax; ++j) {
      size_t k = j == 0 ? (i ^ 1) : (j == (i ^ 1) ? 0 : j);
      if (k == i || k >= order.size()) continue;
      const PeerContact& contact = links_[order[k]].contact;
      if (!contact.addresses.empty()) goodbye.replacements.push_back(contact);
    }
    outputs.push_back(SendFrame{order[i], std::move(goodbye)});
  }
  for (auto& [peer, link] : links_) {
    if (link.state == LinkState::kNeighbor) {
      RemoveNeighbor(peer, outputs);
      link.state = LinkState::kClosing;  // The neighbor closes: M10.
    } else if (link.state == LinkState::kIdle || link.state == LinkState::kAsked) {
      CloseQuietly(peer, link, outputs);
    }
  }
}

void Membership::OnLeaveTimeout(Outputs& outputs) {
  for (const auto& [peer, link] : links_) {
    if (link.state != LinkState::kDialing) outputs.push_back(CloseLink{peer});
  }
}

bool Membership::HasLinks() const {
  return std::any_of(links_.begin(), links_.end(),
                     [](const auto& entry) { return entry.second.state != LinkState::kDialing; });
}

// --- Frames: becoming neighbors ------------------------------------------------------------------

void Membership::OnJoin(const PeerId& from, absl::Time now, Outputs& outputs) {
  Link* link = FindLink(from);
  if (link == nullptr || link->state == LinkState::kDialing || link->state == LinkState::kClosing) {
    return;
  }
  if (link->state == LinkState::kNeighbor) {
    outputs.push_back(SendFrame{from, NeighborReply{.accepted = true}});
    SendWalks(from, *link, now, outputs);
    return;
  }
  // Splice the newcomer in: this peer keeps its degree.
  link->purpose = Purpose::kSplice;
  link->joined = now;
  Accept(from, *link, now, outputs);
  SendWalks(from, *link, now, outputs);
}

void Membership::OnNeighborAsk(const PeerId& from, const NeighborAsk& ask, absl::Time now,
                               Outputs& outputs) {
  Link* link = FindLink(from);
  if (link == nullptr) return;
  switch (link->state) {
    case LinkState::kDialing:
    case LinkState::kClosing:
      return;
    case LinkState::kNeighbor:
      outputs.push_back(SendFrame{from, NeighborReply{.accepted = true}});
      return;
    case LinkState::kAsked:  // Both asked: both want it.
      Accept(from, *link, now, outputs);
      return;
    case LinkState::kIdle:
      break;
  }
  size_t most = wanted_ + static_cast<size_t>(options_.active_view_slack);
  if (ask.high_priority) link->spared_until = now + options_.neighbor_timeout;
  if (ask.high_priority || active_.size() < most) {
    Accept(from, *link, now, outputs);
  } else {
    Decline(from, *link, now, outputs);
  }
}

void Membership::OnNeighborReply(const PeerId& from, const NeighborReply& reply, absl::Time now,
                                 Outputs& outputs) {
  Link* link = FindLink(from);
  if (link == nullptr || link->state != LinkState::kAsked) return;
  if (reply.accepted) {
    BecomeNeighbors(from, *link, now, outputs);
    return;
  }
  LetRest(from, now);
  CloseQuietly(from, *link, outputs);
  TopUp(now, outputs);
}

void Membership::OnDisconnect(const PeerId& from, const Disconnect& disconnect, absl::Time now,
                              Outputs& outputs) {
  Link* link = FindLink(from);
  if (link == nullptr || link->state == LinkState::kDialing || link->state == LinkState::kClosing) {
    // Both leave: each waits for the other to close.
    if (link != nullptr && leaving_) outputs.push_back(CloseLink{from});
    return;
  }
  PeerContact contact = link->contact;
  if (link->state == LinkState::kNeighbor) RemoveNeighbor(from, outputs);
  CloseQuietly(from, *link, outputs);
  if (disconnect.leaving) {
    Forget(from, now);
  } else {
    AddPassive(contact, now, nullptr);
    LetRest(from, now);
  }
  for (const PeerContact& peer : disconnect.replacements) AddPassive(peer, now, nullptr);
  if (disconnect.replacements.empty() || active_.size() + Pending() >= wanted_) return;
  // Of a pair that a leaving peer brings together the lower id dials; the repair timer makes up for
  // it where that peer does not know.
  const PeerContact& replacement = disconnect.replacements.front();
  if (disconnect.leaving && replacement.id < id_) return;
  if (MayAsk(replacement, now)) DialPeer(replacement, Purpose::kNone, now, outputs);
  TopUp(now, outputs);
}

void Membership::Ask(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs) {
  bool alone = active_.empty() && CountLinks(LinkState::kAsked) == 0;
  bool join = link.purpose == Purpose::kJoin || alone;
  link.state = LinkState::kAsked;
  link.deadline = now + options_.neighbor_timeout;
  if (join) {
    outputs.push_back(SendFrame{peer, Join{}});
  } else {
    outputs.push_back(SendFrame{peer, NeighborAsk{.high_priority = IsShort()}});
  }
}

void Membership::Accept(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs) {
  outputs.push_back(SendFrame{peer, NeighborReply{.accepted = true}});
  BecomeNeighbors(peer, link, now, outputs);
}

void Membership::Decline(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs) {
  outputs.push_back(SendFrame{peer, NeighborReply{.accepted = false}});
  link.deadline = now + options_.neighbor_timeout;  // The asking peer closes.
  AddPassive(link.contact, now, nullptr);
}

void Membership::BecomeNeighbors(const PeerId& peer, Link& link, absl::Time now, Outputs& outputs) {
  bool splice = link.purpose == Purpose::kSplice;
  link.state = LinkState::kNeighbor;
  link.purpose = Purpose::kNone;
  link.deadline = absl::InfiniteFuture();
  const Rate shuffles = {kShufflesBurst, options_.shuffle_interval / kShufflesPerInterval};
  link.shuffles = link.replies = TokenBucket(shuffles);
  active_.insert(std::lower_bound(active_.begin(), active_.end(), peer), peer);
  passive_.erase(peer);
  resting_.erase(peer);
  known_.clear();
  Remember(link.contact, now);
  outputs.push_back(NeighborUp{link.contact, link.outbound});
  size_t most = wanted_ + static_cast<size_t>(options_.active_view_slack);
  if (active_.size() > (splice ? wanted_ : most)) MakeRoom(link.contact, now, outputs);
}

void Membership::RemoveNeighbor(const PeerId& peer, Outputs& outputs) {
  auto it = std::lower_bound(active_.begin(), active_.end(), peer);
  PANAL_CHECK(it != active_.end() && *it == peer);
  active_.erase(it);
  outputs.push_back(NeighborDown{peer});
  early_shuffle_gap_ = options_.repair_interval;
}

void Membership::CloseQuietly(const PeerId& peer, Link& link, Outputs& outputs) {
  link.state = LinkState::kClosing;
  link.purpose = Purpose::kNone;
  link.deadline = absl::InfiniteFuture();
  outputs.push_back(CloseLink{peer});
}

void Membership::MakeRoom(const PeerContact& newcomer, absl::Time now, Outputs& outputs) {
  std::optional<PeerId> victim = ChooseVictim(newcomer.id, now);
  if (!victim) return;
  Link& link = links_[*victim];
  Disconnect disconnect;
  if (!newcomer.addresses.empty()) disconnect.replacements.push_back(newcomer);
  SampleActive(kSparesTold, *victim, disconnect.replacements);
  outputs.push_back(SendFrame{*victim, std::move(disconnect)});
  RemoveNeighbor(*victim, outputs);
  AddPassive(link.contact, now, nullptr);
  LetRest(*victim, now);
  CloseQuietly(*victim, link, outputs);
}

std::optional<PeerId> Membership::ChooseVictim(const PeerId& newcomer, absl::Time now) {
  std::vector<PeerId> joined;
  std::vector<PeerId> spared;
  std::vector<PeerId> others;
  for (const PeerId& peer : active_) {
    if (peer == newcomer) continue;
    const Link& link = links_[peer];
    if (now < link.joined + options_.neighbor_timeout) {
      joined.push_back(peer);
    } else {
      (link.spared_until > now ? spared : others).push_back(peer);
    }
  }
  const std::vector<PeerId>& pool = !joined.empty() ? joined : others.empty() ? spared : others;
  if (pool.empty()) return std::nullopt;
  return pool[random_.Below(pool.size())];
}

// --- Frames: walks -------------------------------------------------------------------------------

void Membership::SendWalks(const PeerId& newcomer, Link& link, absl::Time now, Outputs& outputs) {
  if (link.contact.addresses.empty()) return;  // Nobody could dial it.
  if (now < link.walks_sent + options_.retry_backoff) return;
  link.walks_sent = now;
  std::vector<PeerId> targets = active_;
  targets.erase(std::remove(targets.begin(), targets.end(), newcomer), targets.end());
  // In a mesh no larger than a view all neighbors take the newcomer. Elsewhere each walk gives it
  // two links: the peer where it ends, and the neighbor that this peer drops.
  int ttl = 0;
  if (targets.size() + 1 >= wanted_) {
    ttl = options_.forward_join_ttl;
    random_.Shuffle(targets);
    targets.resize(std::min(targets.size(), wanted_ / 2));
  }
  for (const PeerId& target : targets) {
    outputs.push_back(SendFrame{target, ForwardJoin{.newcomer = link.contact, .ttl = ttl}});
  }
}

void Membership::OnForwardJoin(const PeerId& from, const ForwardJoin& walk, absl::Time now,
                               Outputs& outputs) {
  const PeerContact& newcomer = walk.newcomer;
  if (!IsActive(from) || newcomer.id == id_ || leaving_) return;
  if (!Allow(links_[from].walks, from, now, outputs)) return;
  int ttl = std::min(walk.ttl, options_.forward_join_ttl);
  if (ttl == options_.passive_join_ttl) AddPassive(newcomer, now, nullptr);
  bool linked = links_.contains(newcomer.id);
  std::optional<PeerId> next = RandomActive({from, newcomer.id});
  if (!linked && (ttl == 0 || !next)) {
    EndWalk(newcomer, now, outputs);
  } else if (ttl > 0 && next) {
    outputs.push_back(SendFrame{*next, ForwardJoin{.newcomer = newcomer, .ttl = ttl - 1}});
  }
}

bool Membership::Allow(TokenBucket& bucket, const PeerId& from, absl::Time now, Outputs& outputs) {
  if (bucket.Take(now)) return true;
  outputs.push_back(FrameRefused{from, "more walks or shuffles than a neighbor may send"});
  return false;
}

void Membership::EndWalk(const PeerContact& newcomer, absl::Time now, Outputs& outputs) {
  size_t splices = 0;
  for (const auto& [peer, link] : links_) {
    if (link.purpose == Purpose::kSplice) ++splices;
  }
  // A rest is about candidates this peer chose; a newcomer is new, whatever it was before.
  resting_.erase(newcomer.id);
  if (splices >= kSplicesMax || !DialPeer(newcomer, Purpose::kSplice, now, outputs)) {
    AddPassive(newcomer, now, nullptr);
  }
}

// --- Repair --------------------------------------------------------------------------------------

bool Membership::IsShort() const { return active_.size() < wanted_ / 2; }

size_t Membership::Pending() const {
  size_t pending = 0;
  for (const auto& [peer, link] : links_) {
    bool under_way = link.state == LinkState::kDialing || link.state == LinkState::kAsked;
    if (under_way) ++pending;
  }
  return pending;
}

void Membership::TopUp(absl::Time now, Outputs& outputs) {
  if (!started_ || leaving_ || active_.size() >= wanted_) return;
  size_t dials_max = static_cast<size_t>(options_.dials_max);
  size_t allowed = std::min(wanted_ - active_.size(), dials_max);
  size_t pending = Pending();
  while (pending < allowed) {
    std::optional<PeerContact> candidate = NextCandidate(now);
    if (!candidate) break;
    if (DialPeer(*candidate, Purpose::kNone, now, outputs)) ++pending;
  }
  if (pending > 0 || active_.empty() || now < next_early_shuffle_) return;
  StartShuffle(now, outputs);
  next_early_shuffle_ = now + early_shuffle_gap_;
  early_shuffle_gap_ = std::min(2 * early_shuffle_gap_, options_.shuffle_interval);
}

std::optional<PeerContact> Membership::NextCandidate(absl::Time now) {
  while (active_.empty() && !known_.empty()) {
    PeerContact first = known_.front();
    known_.erase(known_.begin());
    if (MayAsk(first, now)) return first;
  }
  std::vector<const PeerContact*> candidates;
  for (const PeerContact& contact : passive_) {
    if (MayAsk(contact, now)) candidates.push_back(&contact);
  }
  if (candidates.empty() && active_.empty()) {
    for (const auto& [contact, remembered] : remembered_) {
      if (MayAsk(contact, now)) candidates.push_back(&contact);
    }
  }
  if (candidates.empty()) return std::nullopt;
  return *candidates[random_.Below(candidates.size())];
}

bool Membership::DialPeer(const PeerContact& peer, Purpose purpose, absl::Time now,
                          Outputs& outputs) {
  if (peer.id == id_ || peer.addresses.empty() || links_.contains(peer.id)) return false;
  if (links_.size() >= kLinksTrackedMax) return false;
  links_[peer.id] = Link{.contact = peer,
                         .state = LinkState::kDialing,
                         .purpose = purpose,
                         .outbound = true,
                         .deadline = now + options_.dial_timeout};
  outputs.push_back(Dial{peer});
  return true;
}

void Membership::ExpireLinks(absl::Time now, Outputs& outputs) {
  std::vector<PeerId> forgotten;
  for (auto& [peer, link] : links_) {
    if (now < link.deadline) continue;
    if (link.state == LinkState::kDialing) {
      forgotten.push_back(peer);
      continue;
    }
    if (link.state == LinkState::kAsked) LetRest(peer, now);
    CloseQuietly(peer, link, outputs);
  }
  for (const PeerId& peer : forgotten) {
    links_.erase(peer);
    passive_.erase(peer);
    LetRest(peer, now, /*barred=*/true);
  }
}

void Membership::SendFeeler(absl::Time now, Outputs& outputs) {
  if (now < next_feeler_) return;
  next_feeler_ = now + options_.feeler_interval * (0.5 + random_.Unit());
  std::vector<const PeerContact*> candidates;
  for (const auto& [contact, remembered] : remembered_) {
    bool outside = !IsActive(contact.id) && !passive_.contains(contact.id);
    if (outside && MayAsk(contact, now)) candidates.push_back(&contact);
  }
  if (candidates.empty()) {
    for (const PeerContact& contact : passive_) {
      if (MayAsk(contact, now)) candidates.push_back(&contact);
    }
  }
  if (candidates.empty()) return;
  PeerContact chosen = *candidates[random_.Below(candidates.size())];
  DialPeer(chosen, Purpose::kSplice, now, outputs);
}

void Membership::ReportRemembered(Outputs& outputs) {
  if (!std::exchange(unreported_, false)) return;
  RememberPeers report;
  for (auto& [contact, remembered] : remembered_) {
    if (remembered.reported) continue;
    remembered.reported = true;
    if (!contact.addresses.empty()) report.peers.push_back(contact);
  }
  if (!report.peers.empty()) outputs.push_back(std::move(report));
}

// --- Views ---------------------------------------------------------------------------------------

Membership::Link* Membership::FindLink(const PeerId& peer) {
  auto it = links_.find(peer);
  return it == links_.end() ? nullptr : &it->second;
}

size_t Membership::CountLinks(LinkState state) const {
  size_t count = 0;
  for (const auto& [peer, link] : links_) {
    if (link.state == state) ++count;
  }
  return count;
}

bool Membership::IsActive(const PeerId& peer) const {
  return std::binary_search(active_.begin(), active_.end(), peer);
}

std::vector<PeerContact> Membership::Passive() const { return {passive_.begin(), passive_.end()}; }

bool Membership::MayAsk(const PeerContact& peer, absl::Time now) const {
  return peer.id != id_ && !peer.addresses.empty() && !links_.contains(peer.id) &&
         !IsResting(peer.id, now);
}

bool Membership::IsResting(const PeerId& peer, absl::Time now) const {
  auto it = resting_.find(peer);
  if (it == resting_.end()) return false;
  absl::Time until = it->second.until;
  if (active_.empty() && it->second.failures > 0) {
    // The whole rest is retry_backoff * 2^(failures - 1).
    int doublings = std::min(it->second.failures - 1, kBackoffDoublingsMax);
    absl::Duration rest = options_.retry_backoff * (1 << doublings);
    absl::Duration most = options_.retry_backoff * kIsolatedRestMax;
    if (rest > most) until -= rest - most;
  }
  return now < until;
}

void Membership::LetRest(const PeerId& peer, absl::Time now, bool barred) {
  if (!resting_.contains(peer) && resting_.size() >= static_cast<size_t>(options_.resting_max)) {
    auto first = std::min_element(resting_.begin(), resting_.end(),
                                  [](auto& a, auto& b) { return a.second.until < b.second.until; });
    resting_.erase(first);
  }
  Rest& rest = resting_[peer];
  int doublings = std::min(rest.failures, kBackoffDoublingsMax);
  rest.failures = std::min(rest.failures + 1, kBackoffDoublingsMax + 1);
  rest.until = now + options_.retry_backoff * (1 << doublings);
  rest.barred = barred;
}

void Membership::AddPassive(const PeerContact& peer, absl::Time now,
                            std::vector<PeerId>* expendable) {
  if (peer.id == id_ || peer.addresses.empty()) return;
  if (IsActive(peer.id) || passive_.contains(peer.id)) return;
  auto rest = resting_.find(peer.id);
  if (rest != resting_.end() && rest->second.barred && now < rest->second.until) return;
  if (passive_.size() >= static_cast<size_t>(options_.passive_view_size)) {
    TakePassiveAway(expendable);
  }
  passive_.insert(peer);
}

// First what the other side was just sent and so keeps (HyParView 4.4), then anyone.
void Membership::TakePassiveAway(std::vector<PeerId>* expendable) {
  while (expendable != nullptr && !expendable->empty()) {
    PeerId sent = expendable->back();
    expendable->pop_back();
    if (passive_.erase(sent) > 0) return;
  }
  auto it = passive_.begin();
  std::advance(it, random_.Below(passive_.size()));
  passive_.erase(it);
}

void Membership::Remember(const PeerContact& peer, absl::Time now) {
  remembered_.erase(peer.id);
  if (remembered_.size() >= static_cast<size_t>(options_.remembered_max)) {
    auto oldest = remembered_.end();
    for (auto it = remembered_.begin(); it != remembered_.end(); ++it) {
      if (IsActive(it->first.id)) continue;
      if (oldest == remembered_.end() || it->second.last_link < oldest->second.last_link) {
        oldest = it;
      }
    }
    if (oldest == remembered_.end()) return;
    remembered_.erase(oldest);
  }
  remembered_.emplace(peer, Remembered{.last_link = now, .reported = false});
  unreported_ = true;
}

void Membership::Forget(const PeerId& peer, absl::Time now) {
  passive_.erase(peer);
  remembered_.erase(peer);
  LetRest(peer, now, /*barred=*/true);
  resting_[peer].until = now + options_.shuffle_interval;
}

std::optional<PeerId> Membership::RandomActive(const std::vector<PeerId>& except) {
  std::vector<PeerId> pool;
  for (const PeerId& peer : active_) {
    if (!Holds(except, peer)) pool.push_back(peer);
  }
  if (pool.empty()) return std::nullopt;
  return pool[random_.Below(pool.size())];
}

void Membership::SampleActive(size_t count, const PeerId& except,
                              std::vector<PeerContact>& sample) {
  std::vector<PeerId> pool = active_;
  random_.Shuffle(pool);
  for (const PeerId& peer : pool) {
    if (count == 0) return;
    const PeerContact& contact = links_[peer].contact;
    bool taken = std::any_of(sample.begin(), sample.end(),
                             [&](const PeerContact& other) { return other.id == peer; });
    if (peer == except || taken || contact.addresses.empty()) continue;
    sample.push_back(contact);
    --count;
  }
}

void Membership::SamplePassive(size_t count, const PeerId& except,
                               std::vector<PeerContact>& sample) {
  std::vector<PeerContact> pool = Passive();
  random_.Shuffle(pool);
  for (PeerContact& contact : pool) {
    if (count == 0) return;
    if (contact.id == except) continue;
    sample.push_back(std::move(contact));
    --count;
  }
}

// --- Shuffles ------------------------------------------------------------------------------------

void Membership::StartShuffle(absl::Time now, Outputs& outputs) {
  std::optional<PeerId> first = RandomActive({});
  if (!first) return;
  Shuffle shuffle{.ttl = options_.shuffle_ttl, .path = {id_}};
  if (!self_.addresses.empty()) shuffle.peers.push_back(self_);
  SampleActive(options_.shuffle_active, *first, shuffle.peers);
  size_t spares = shuffle.peers.size();
  SamplePassive(options_.shuffle_passive, *first, shuffle.peers);
  shuffle_sent_.clear();
  for (size_t i = spares; i < shuffle.peers.size(); ++i) {
    shuffle_sent_.push_back(shuffle.peers[i].id);
  }
  shuffle_awaited_ = true;
  outputs.push_back(SendFrame{*first, std::move(shuffle)});
}

void Membership::OnShuffle(const PeerId& from, const Shuffle& shuffle, absl::Time now,
                           Outputs& outputs) {
  if (!IsActive(from) || shuffle.path.empty() || shuffle.path.back() != from) return;
  if (Holds(shuffle.path, id_) || !Allow(links_[from].shuffles, from, now, outputs)) return;
  int ttl = std::min(shuffle.ttl, options_.shuffle_ttl);
  bool long_enough = shuffle.path.size() >= static_cast<size_t>(kWalkTtlMax);
  std::optional<PeerId> next = RandomActive(shuffle.path);
  if (ttl <= 1 || long_enough || !next) {
    AnswerShuffle(from, shuffle, now, outputs);
    return;
  }
  Shuffle onward = shuffle;
  onward.ttl = ttl - 1;
  onward.path.push_back(id_);
  outputs.push_back(SendFrame{*next, std::move(onward)});
}

void Membership::AnswerShuffle(const PeerId& from, const Shuffle& shuffle, absl::Time now,
                               Outputs& outputs) {
  const PeerId& origin = shuffle.path.front();
  ShuffleReply reply{.path = shuffle.path};
  // In a small mesh the neighbors are all there is to tell; the more the sooner everybody is
  // linked.
  size_t count = std::clamp<size_t>(shuffle.peers.size(), 1, kSampleSizeMax);
  SamplePassive(count, origin, reply.peers);
  std::vector<PeerId> sent;
  for (const PeerContact& peer : reply.peers) sent.push_back(peer.id);
  if (reply.peers.size() < count) {
    SampleActive(kSampleSizeMax - reply.peers.size(), origin, reply.peers);
  }
  outputs.push_back(SendFrame{from, std::move(reply)});
  Integrate(shuffle.peers, std::move(sent), now);
  TopUp(now, outputs);
}

void Membership::OnShuffleReply(const PeerId& from, const ShuffleReply& reply, absl::Time now,
                                Outputs& outputs) {
  if (!IsActive(from) || reply.path.empty() || reply.path.back() != id_) return;
  if (!Allow(links_[from].replies, from, now, outputs)) return;
  if (reply.path.size() > 1) {
    ShuffleReply onward = reply;
    onward.path.pop_back();
    PeerId next = onward.path.back();
    if (IsActive(next)) outputs.push_back(SendFrame{next, std::move(onward)});
    return;
  }
  if (!shuffle_awaited_) return;
  shuffle_awaited_ = false;
  size_t spares = passive_.size();
  Integrate(reply.peers, std::move(shuffle_sent_), now);
  shuffle_sent_.clear();
  if (passive_.size() > spares) early_shuffle_gap_ = options_.repair_interval;
  TopUp(now, outputs);
}

void Membership::Integrate(const std::vector<PeerContact>& peers, std::vector<PeerId> expendable,
                           absl::Time now) {
  for (const PeerContact& peer : peers) AddPassive(peer, now, &expendable);
}

void Membership::CheckInvariants() const {
  size_t most = wanted_ + static_cast<size_t>(options_.active_view_slack);
  PANAL_CHECK(active_.size() <= most);
  PANAL_CHECK(passive_.size() <= static_cast<size_t>(options_.passive_view_size));
  PANAL_CHECK(std::is_sorted(active_.begin(), active_.end()));
  PANAL_CHECK(std::adjacent_find(active_.begin(), active_.end()) == active_.end());
  PANAL_CHECK(CountLinks(LinkState::kNeighbor) == active_.size());
  for (const PeerId& peer : active_) {
    auto link = links_.find(peer);
    PANAL_CHECK(link != links_.end() && link->second.state == LinkState::kNeighbor);
    PANAL_CHECK(peer != id_ && !passive_.contains(peer));
  }
  PANAL_CHECK(!passive_.contains(id_) && !links_.contains(id_) && !remembered_.contains(id_));
  PANAL_CHECK(links_.size() <= kLinksTrackedMax);
  PANAL_CHECK(resting_.size() <= static_cast<size_t>(options_.resting_max));
  PANAL_CHECK(remembered_.size() <= static_cast<size_t>(options_.remembered_max));
  PANAL_CHECK(known_.size() <= static_cast<size_t>(options_.remembered_max));
  PANAL_CHECK(join_through_.size() <= kJoinThroughMax);
  PANAL_CHECK(shuffle_sent_.size() <= static_cast<size_t>(options_.shuffle_passive));
}

}  // namespace panal
