#include "server/processing/overlay/measure.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "server/processing/overlay/canary.h"
#include "server/processing/overlay/membership.h"

namespace panal {
namespace {

// Share of the degree that must have changed to begin a round. Guess: sizes of bubbles follow by
// less.
constexpr double kDegreeChange = 0.25;
static_assert(kPeerDegreeMax > kActiveViewMax);

// A lottery number that no two peers share in a round, but for an accident of 64 bits.
uint64_t FishId(const PeerId& peer, uint64_t round) {
  uint64_t words[4];
  static_assert(sizeof(words) == PeerId::kSize);
  std::memcpy(words, peer.bytes.data(), sizeof(words));
  uint64_t id = Mix64(round);
  for (uint64_t word : words) id = Mix64(id ^ word);
  return id;
}

bool Within(double value, double most) {
  return std::isfinite(value) && value >= 0 && value <= most;
}

bool Differs(double a, double b, double tolerance) {
  return std::abs(a - b) > tolerance * std::max(std::abs(a), std::abs(b));
}

// Whether `count` says too much else than `known` to be believed at once (measure.h, E9).
bool IsJump(double count, double known) {
  const auto [low, high] = std::minmax(count, known);
  return low > 0 && high > kUnconfirmedMax && high > kJump * low;
}

}  // namespace

Measurement::Measurement(PeerId self, const MeasureOptions& options, Random& random)
    : id_(self), options_(options), random_(random) {
  PANAL_CHECK(options.Validate().ok());
}

void Measurement::OnStart(absl::Time now, Outputs& outputs) {
  started_ = true;
  if (timer_ == 0) PlanNextRound(now, outputs);
}

void Measurement::OnNeighborUp(const std::vector<PeerId>& active, bool mesh_changed, absl::Time now,
                               Outputs& outputs) {
  NoteChange(active, mesh_changed, now, outputs);
}

void Measurement::OnDropped(const PeerId& peer) { neighbors_.erase(peer); }

void Measurement::OnNeighborDown(const PeerId& peer, const std::vector<PeerId>& active,
                                 bool mesh_changed, absl::Time now, Outputs& outputs) {
  auto it = neighbors_.find(peer);
  if (it != neighbors_.end()) {
    for (const Unacked& unacked : it->second.unacked) Merge(unacked.mass);
    neighbors_.erase(it);
  }
  if (mesh_changed) NoteLoss(now);
  NoteChange(active, mesh_changed, now, outputs);
}

void Measurement::NoteLoss(absl::Time now) {
  if (now - recent_since_ > kLossTime) {
    recent_since_ = now;
    recent_losses_ = 0;
    recent_degree_ = active_.size();
  }
  ++recent_losses_;
  ++losses_;
  if (static_cast<double>(recent_losses_) < kLossShare * static_cast<double>(recent_degree_))
    return;
  if (!std::exchange(urgent_, true)) change_planned_ = false;  // Plan it anew.
}

void Measurement::NoteChange(const std::vector<PeerId>& active, bool mesh_changed, absl::Time now,
                             Outputs& outputs) {
  active_ = active;
  double difference = std::abs(static_cast<double>(active_.size()) - degree_put_);
  if (mesh_changed || difference > degree_put_ * kDegreeChange) changed_ = true;
  if (changed_ && !running_ && !change_planned_) PlanNextRound(now, outputs);
}

void Measurement::OnMeasure(const PeerId& from, const Measure& share, absl::Time now,
                            Outputs& outputs) {
  if (leaving_) return;
  if (!IsPlausible(share)) {
    outputs.push_back(FrameRefused{from, "measure: value out of range", /*close=*/true});
    return;
  }
  outputs.push_back(SendFrame{from, MeasureAck{.sequence = share.sequence}});
  if (!IsFirst(share.sequence, neighbors_[from])) return;
  if (result_.count == 0) TakeResult(share);
  const bool later = IsLater(share.round, round_);
  if (!later && share.round != round_) {
    bool has_mass = share.count > 0;
    if (has_mass && result_.count > 0) TellResult(from, share.round, outputs);
    return;
  }
  if (later) {
    if (running_ && share.last_count >= 1 && IsBelievable(share.last_count, &from))
      TakeResult(share);
    EnterRound(share.round, now, outputs);
  }
  // What this peer was not sure of, a neighbor says too.
  const bool agrees =
      unconfirmed_ > 0 && share.last_count >= 1 && !IsJump(share.last_count, unconfirmed_);
  if (agrees && IsBelievable(share.last_count, &from)) TakeResult(share);
  OnShareOfRound(from, share, now, outputs);
}

void Measurement::OnShareOfRound(const PeerId& from, const Measure& share, absl::Time now,
                                 Outputs& outputs) {
  silent_shares_ = 0;
  double before = Ratio();
  uint64_t fish_before = mass_.fish_id;
  Merge(Bounded(from, share));
  bool stable = mass_.fish_id == fish_before && !Differs(Ratio(), before, options_.tolerance);
  if (running_) {
    NoteReceipt(stable);
    if (stable_receipts_ >= static_cast<int>(active_.size()) + kStableReceipts) {
      EndRound(now, outputs);
    }
    return;
  }
  bool knows_less = share.fish_id != mass_.fish_id || share.fish <= 0 ||
                    Differs(share.count / share.fish, Ratio(), options_.tolerance);
  if (!stable && shares_sent_ < SharesMax()) {
    running_ = true;
    NoteReceipt(stable);
    WakeAt(now + ShareInterval(), now, outputs);
  } else if (share.count > 0 && knows_less) {
    SendShare(from, 0.5, outputs);
  }
}

bool Measurement::IsFirst(uint64_t sequence, Neighbor& neighbor) {
  if (sequence > neighbor.highest_sequence) {
    const uint64_t ahead = sequence - neighbor.highest_sequence;
    neighbor.sequences_seen = ahead < kSequenceWindow ? neighbor.sequences_seen << ahead : 0;
    neighbor.highest_sequence = sequence;
  }
  const uint64_t behind = neighbor.highest_sequence - sequence;
  if (behind >= kSequenceWindow || (neighbor.sequences_seen >> behind & 1) != 0) return false;
  neighbor.sequences_seen |= uint64_t{1} << behind;
  return true;
}

void Measurement::NoteReceipt(bool stable) {
  stable_receipts_ = stable ? stable_receipts_ + 1 : 0;
  if (Differs(Ratio(), band_, kSettledBand)) {
    band_ = Ratio();
    band_receipts_ = 0;
  }
  ++band_receipts_;
}

void Measurement::OnMeasureAck(const PeerId& from, const MeasureAck& ack) {
  auto it = neighbors_.find(from);
  if (it == neighbors_.end()) return;
  std::vector<Unacked>& unacked = it->second.unacked;
  auto open = std::find_if(unacked.begin(), unacked.end(),
                           [&](const Unacked& one) { return one.sequence > ack.sequence; });
  unacked.erase(unacked.begin(), open);
  if (unacked.empty()) unacked.shrink_to_fit();
}

void Measurement::OnTimer(const Timer& timer, absl::Time now, Outputs& outputs) {
  if (timer.kind != TimerKind::kMeasurePass || timer.token != timer_ || leaving_) return;
  if (!running_) {
    EnterRound(std::max<uint64_t>(round_ + 1, 1), now, outputs);
    return;
  }
  bool silent = silent_shares_ >= kSilentShares * Pace();
  if (active_.empty() || silent || shares_sent_ >= SharesMax()) {
    EndRound(now, outputs);
    return;
  }
  if (!Stalls()) SendNextShare(now, outputs);
  WakeAt(now + ShareInterval(), now, outputs);
}

bool Measurement::Stalls() {
  const auto owing = static_cast<size_t>(
      std::count_if(neighbors_.begin(), neighbors_.end(),
                    [](const auto& entry) { return !entry.second.unacked.empty(); }));
  return owing > std::max(kOwingMin, active_.size() / 2) && ++stalls_ % kStallsPerShare != 0;
}

void Measurement::OnLeave(absl::Time now, Outputs& outputs) {
  if (leaving_) return;
  leaving_ = true;
  if (running_ && !active_.empty()) {
    SendShare(active_[random_.Below(active_.size())], 1.0, outputs);
  }
}

void Measurement::CountCanary(double found) {
  if (own_canaries_.asked + 1 > kCanariesPerRoundMax) return;
  own_canaries_.asked += 1;
  own_canaries_.found += std::clamp(found, 0.0, 1.0);
}

MeshEstimate Measurement::Estimate() const {
  double degree = static_cast<double>(active_.size());
  double least = 1 + degree;
  if (result_.count <= 0) {
    return {.peers = least,
            .degree_sum = least * degree,
            .degree_square_sum = least * degree * degree,
            .measured = false};
  }
  double scale = std::max(1.0, least / result_.count);
  return {.peers = std::max(result_.count, least),
          .degree_sum = result_.degree * scale,
          .degree_square_sum = result_.degree_squared * scale,
          // What the views prove to be far off says nothing of the mesh.
          .measured = least <= kJump * result_.count};
}

bool Measurement::IsLater(uint64_t round, uint64_t than) {
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  return than == 0 ? round > 0 : round != than && round - than < kHalf;
}

void Measurement::EnterRound(uint64_t round, absl::Time now, Outputs& outputs) {
  PANAL_CHECK(IsLater(round, round_));
  round_ = round;
  for (auto& [peer, neighbor] : neighbors_) {
    neighbor.unacked.clear();
    neighbor.unacked.shrink_to_fit();
    neighbor.mass_net = 0;
  }
  double degree = static_cast<double>(active_.size());
  mass_ = {.fish_id = FishId(id_, round),
           .fish = 1,
           .count = 1,
           .degree = degree,
           .degree_squared = degree * degree,
           .asked = own_canaries_.asked,
           .found = own_canaries_.found};
  own_canaries_ = {};
  degree_put_ = degree;
  running_ = true;
  changed_ = false;
  urgent_ = false;
  stable_receipts_ = 0;
  band_receipts_ = 0;
  shares_sent_ = 0;
  silent_shares_ = 0;
  stalls_ = 0;
  if (active_.empty()) {
    EndRound(now, outputs);
  } else {
    WakeAt(now + ShareInterval() * random_.Unit(), now, outputs);
  }
}

void Measurement::EndRound(absl::Time now, Outputs& outputs) {
  running_ = false;
  ended_ = now;
  if (active_.empty()) {
    result_ = {.count = 1};  // Whoever else there is cannot be reached.
  } else if (mass_.fish <= 0 || !Settled()) {
    // Two meshes that have just met mix badly. Not for ever: a liar may keep rounds from settling.
    unsettled_rounds_ = std::min(unsettled_rounds_ + 1, kUnsettledRoundsMax + 1);
    if (unsettled_rounds_ <= kUnsettledRoundsMax) changed_ = urgent_ = true;
  } else if (IsBelievable(Ratio(), nullptr)) {
    unsettled_rounds_ = 0;
    double count = std::clamp(Ratio(), 1.0, kMeshSizeMax);
    if (result_.count > 0 && Differs(count, result_.count, kRestlessChange)) {
      changed_ = urgent_ = true;
    }
    losses_ = 0;
    ++results_;
    canaries_ = {mass_.asked / mass_.fish, mass_.found / mass_.fish};
    result_ = {.count = count,
               .degree = mass_.degree / mass_.fish,
               .degree_squared = mass_.degree_squared / mass_.fish};
    BoundDegrees(result_.count, result_.degree, result_.degree_squared);
  }
  PlanNextRound(now, outputs);
}

void Measurement::PlanNextRound(absl::Time now, Outputs& outputs) {
  if (leaving_) return;
  change_planned_ = changed_;
  if (changed_) {
    WakeAt(std::max(now + options_.change_delay, ended_ + Gap()), now, outputs);
  } else {
    // Spread, so that one peer begins and the others only follow.
    absl::Duration idle = std::max(options_.idle_interval, Gap());
    WakeAt(now + idle * (1 + random_.Unit() / 2), now, outputs);
  }
}

absl::Duration Measurement::Gap() const {
  const double most = urgent_ ? kUrgentGapsMax : kGapsMax;
  return options_.round_gap * std::clamp(result_.count / kPeersPerGap, 1.0, most);
}

void Measurement::WakeAt(absl::Time when, absl::Time now, Outputs& outputs) {
  if (running_) change_planned_ = false;
  ++timer_;
  absl::Duration delay = std::max(when - now, absl::ZeroDuration());
  outputs.push_back(ScheduleTimer{delay, {TimerKind::kMeasurePass, timer_}});
}

void Measurement::BoundDegrees(double count, double& degree, double& degree_squared) {
  if (count <= 0) {
    degree = degree_squared = 0;
    return;
  }
  degree = std::clamp(degree, count, kPeerDegreeMax * count);
  degree_squared =
      std::max(std::min(degree_squared, kPeerDegreeMax * degree), degree * degree / count);
}

Measurement::Mass Measurement::Bounded(const PeerId& from, const Measure& share) {
  Neighbor& neighbor = neighbors_[from];
  const double allowed = std::max(0.0, kNeighborMassMax - neighbor.mass_net);
  const double part = share.count > allowed ? allowed / share.count : 1;
  neighbor.mass_net += part * share.count;
  // Nobody puts in more canaries a peer than that, and so no share has more.
  const double asked = std::min(share.canaries_asked, kCanariesPerRoundMax * share.count);
  const double found = std::min(share.canaries_found, asked);
  double degree = share.degree;
  double degree_squared = share.degree_squared;
  BoundDegrees(share.count, degree, degree_squared);
  return {share.fish_id,         part * share.fish, part * share.count, part * degree,
          part * degree_squared, part * asked,      part * found};
}

bool Measurement::IsBelievable(double count, const PeerId* told_by) {
  const bool seen =
      static_cast<double>(losses_) >= kLossShare * static_cast<double>(losses_ + active_.size());
  const bool shrunk = count < result_.count;
  // Two sources: two rounds, two neighbors, or a round and a neighbor.
  const bool another = told_by == nullptr || !told_by_ || *told_by != *told_by_;
  const bool confirmed = unconfirmed_ > 0 && another && !IsJump(count, unconfirmed_);
  if (!IsJump(count, result_.count) || (shrunk && seen && told_by == nullptr) || confirmed) {
    unconfirmed_ = 0;
    return true;
  }
  unconfirmed_ = count;
  told_by_ = told_by == nullptr ? std::nullopt : std::optional(*told_by);
  changed_ = urgent_ = true;
  return false;
}

void Measurement::Merge(const Mass& mass) {
  mass_.count += mass.count;
  mass_.degree += mass.degree;
  mass_.degree_squared += mass.degree_squared;
  mass_.asked += mass.asked;
  mass_.found += mass.found;
  if (mass.fish <= 0 || mass.fish_id < mass_.fish_id) return;
  mass_.fish = mass.fish_id == mass_.fish_id ? mass_.fish + mass.fish : mass.fish;
  mass_.fish_id = mass.fish_id;
}

void Measurement::TakeResult(const Measure& share) {
  if (share.last_count < 1) return;
  result_ = {.count = share.last_count,
             .degree = share.last_degree,
             .degree_squared = share.last_degree_squared};
  BoundDegrees(result_.count, result_.degree, result_.degree_squared);
}

void Measurement::SendNextShare(absl::Time now, Outputs& outputs) {
  ++shares_sent_;
  ++silent_shares_;
  for (size_t tries = 0; tries <= active_.size(); ++tries) {
    if (order_.empty()) {
      order_ = active_;
      random_.Shuffle(order_);
    }
    PeerId to = order_.back();
    order_.pop_back();
    if (!std::binary_search(active_.begin(), active_.end(), to)) continue;
    if (neighbors_[to].unacked.size() >= kUnackedMax) continue;
    SendShare(to, 0.5, outputs);
    return;
  }
}

void Measurement::SendShare(const PeerId& to, double part, Outputs& outputs) {
  Neighbor& neighbor = neighbors_[to];
  if (neighbor.unacked.size() >= kUnackedMax) return;
  Mass sent{mass_.fish_id,       mass_.fish * part,           mass_.count * part,
            mass_.degree * part, mass_.degree_squared * part, mass_.asked * part,
            mass_.found * part};
  mass_.fish -= sent.fish;
  mass_.count -= sent.count;
  mass_.degree -= sent.degree;
  mass_.degree_squared -= sent.degree_squared;
  mass_.asked -= sent.asked;
  mass_.found -= sent.found;
  Measure share{.sequence = neighbor.next_sequence++,
                .round = round_,
                .fish_id = sent.fish_id,
                .fish = sent.fish,
                .count = sent.count,
                .degree = sent.degree,
                .degree_squared = sent.degree_squared,
                .canaries_asked = sent.asked,
                .canaries_found = sent.found,
                .last_count = result_.count,
                .last_degree = result_.degree,
                .last_degree_squared = result_.degree_squared};
  neighbor.mass_net -= sent.count;
  neighbor.unacked.push_back({share.sequence, sent});
  outputs.push_back(SendFrame{to, share});
}

void Measurement::TellResult(const PeerId& to, uint64_t round, Outputs& outputs) {
  Neighbor& neighbor = neighbors_[to];
  if (neighbor.unacked.size() >= kUnackedMax) return;
  Measure share{.sequence = neighbor.next_sequence++,
                .round = round,
                .last_count = result_.count,
                .last_degree = result_.degree,
                .last_degree_squared = result_.degree_squared};
  neighbor.unacked.push_back({share.sequence, Mass{}});
  outputs.push_back(SendFrame{to, share});
}

double Measurement::Pace() const {
  return std::max(1.0, static_cast<double>(active_.size()) / kPassLinks);
}

absl::Duration Measurement::ShareInterval() const { return options_.share_interval / Pace(); }

int Measurement::SharesMax() const { return static_cast<int>(options_.shares_max * Pace()); }

// A round that ran out of shares on starved machines may end before the masses have mixed; its
// ratio can be wrong by any factor.
bool Measurement::Settled() const {
  const auto degree = static_cast<int>(active_.size());
  return 2 * stable_receipts_ >= degree || band_receipts_ >= degree + kStableReceipts;
}

double Measurement::Ratio() const { return mass_.fish > 0 ? mass_.count / mass_.fish : 0; }

bool Measurement::IsPlausible(const Measure& share) {
  // Halves add up to a little more than one in floating point.
  constexpr double kFishMax = 1.001;
  return share.round > 0 && Within(share.fish, kFishMax) && Within(share.count, kMeshSizeMax) &&
         Within(share.degree, kMeshSizeMax * kPeerDegreeMax) &&
         Within(share.degree_squared, kMeshSizeMax * kPeerDegreeMax * kPeerDegreeMax) &&
         Within(share.canaries_asked, kMeshSizeMax * kCanariesPerRoundMax) &&
         Within(share.canaries_found, kMeshSizeMax * kCanariesPerRoundMax) &&
         Within(share.last_count, kMeshSizeMax) &&
         Within(share.last_degree, kMeshSizeMax * kPeerDegreeMax) &&
         Within(share.last_degree_squared, kMeshSizeMax * kPeerDegreeMax * kPeerDegreeMax);
}

void Measurement::CheckInvariants() const {
  PANAL_CHECK(mass_.count >= 0 && mass_.fish >= 0);
  // Some of those whose turn is to come may be gone.
  PANAL_CHECK(order_.size() <= 2 * size_t{kActiveViewMax});
  // Cauchy-Schwarz, but for rounding (E6).
  PANAL_CHECK(result_.degree * result_.degree <= 1.001 * result_.count * result_.degree_squared);
  for (const auto& [peer, neighbor] : neighbors_) {
    PANAL_CHECK(neighbor.unacked.size() <= kUnackedMax);
    PANAL_CHECK(std::binary_search(active_.begin(), active_.end(), peer));
  }
  PANAL_CHECK(!running_ || round_ > 0);
  PANAL_CHECK(Estimate().peers >= 1 + static_cast<double>(active_.size()));
}

}  // namespace panal
