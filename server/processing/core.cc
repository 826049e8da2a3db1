#include "server/processing/core.h"

#include <cmath>
#include <optional>
#include <utility>

#include "absl/container/btree_set.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "server/processing/admission/fact_spreader.h"
#include "server/processing/overlay/canary.h"
#include "server/processing/overlay/measure.h"
#include "server/processing/overlay/membership.h"
#include "server/processing/search/search_core.h"

namespace panal {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Highest capacity a peer may claim (frames.proto, Hello).
constexpr double kCapacityMax = 1024;

absl::Status OptionError(absl::string_view message) {
  return Error(ErrorReason::kConfigInvalid, message);
}

bool IsPositive(absl::Duration duration) {
  return duration > absl::ZeroDuration() && duration < absl::InfiniteDuration();
}

// Composes the machines and carries what one brings about to the others.
class CoreImpl final : public Core {
 public:
  CoreImpl(PeerId self, const CoreOptions& options, Random& random)
      : leave_timeout_(options.membership.leave_timeout),
        membership_(self, options.membership, options.capacity, random),
        measurement_(self, options.measure, random),
        canary_(options.canary, random),
        search_(SearchCore::Create(self, options.search, random)) {
    if (options.admission.facts) facts_.emplace();
  }

  void Handle(const Input& input, absl::Time now, Outputs& outputs) override {
    now_ = now;
    const size_t begin = outputs.size();
    std::visit([&](const auto& event) { On(event, outputs); }, input);
    if (canary_.pending()) {
      if (auto found = canary_.Collect(begin, outputs)) measurement_.CountCanary(*found);
    }
    if (leaving_ && !left_ && !membership_.HasLinks()) EndLeave(outputs);
    TellEstimate();
  }

  std::vector<PeerId> ActiveView() const override { return membership_.active(); }

  std::vector<PeerContact> PassiveView() const override { return membership_.Passive(); }

  MeshEstimate Estimate() const override { return measurement_.Estimate(); }

  double CanaryFactor() const override { return canary_.factor(); }

  uint32_t PageBubbleSize() const override { return search_->PageBubbleSize(); }

  uint32_t QueryBubbleSize(double recall) const override {
    return search_->QueryBubbleSize(recall);
  }

  FactDigest Facts() const override {
    return facts_.has_value() ? facts_->facts().Digest() : FactDigest();
  }

  void CheckInvariants() const override {
    membership_.CheckInvariants();
    PANAL_CHECK(take_digests_.size() <= kLinksTrackedMax);
    measurement_.CheckInvariants();
    canary_.CheckInvariants();
    search_->CheckInvariants();
    if (facts_.has_value()) facts_->CheckInvariants();
  }

 private:
  // --- The overlay: every call may change the active view ----------------------------------------
  void On(const Start& start, Outputs& outputs) {
    search_->SetSelf(start.self);
    search_->OnStart(now_, outputs);
    measurement_.OnStart(now_, outputs);
    if (facts_.has_value()) facts_->OnStart(outputs);
    Overlay(outputs, [&](Outputs& out) { membership_.OnStart(start, now_, out); });
  }

  void On(const PeerLearned& learned, Outputs& outputs) {
    Overlay(outputs, [&](Outputs& out) { membership_.OnPeerLearned(learned, now_, out); });
  }

  void On(const LinkUp& link, Outputs& outputs) {
    if (facts_.has_value()) facts_->OnLinkUp(link.peer.id, outputs);
    if (link.digests) take_digests_.insert(link.peer.id);
    Overlay(outputs, [&](Outputs& out) { membership_.OnLinkUp(link, now_, out); });
  }

  void On(const LinkLost& lost, Outputs& outputs) {
    if (facts_.has_value()) facts_->OnLinkLost(lost.peer, outputs);
    take_digests_.erase(lost.peer);
    mesh_changed_ = true;
    departed_ = lost.peer;
    Overlay(outputs, [&](Outputs& out) { membership_.OnLinkLost(lost.peer, now_, out); });
  }

  void On(const DialFailed& failed, Outputs& outputs) {
    Overlay(outputs, [&](Outputs& out) { membership_.OnDialFailed(failed.peer, now_, out); });
  }

  void On(const SelfChanged& change, Outputs& outputs) {
    membership_.OnSelfChanged(change);
    search_->SetSelf(change.self);
  }

  void On(const Leave&, Outputs& outputs) {
    measurement_.OnLeave(now_, outputs);  // Its last share goes before the goodbyes.
    Overlay(outputs, [&](Outputs& out) { membership_.OnLeave(now_, out); });
    if (std::exchange(leaving_, true)) return;
    outputs.push_back(ScheduleTimer{leave_timeout_, {TimerKind::kLeave, 0}});
  }

  void SendCanary(Outputs& outputs) {
    if (leaving_) return;
    std::optional<SearchRequested> search = canary_.OnTimer(
        membership_.Passive(), measurement_.Estimate().peers, search_->Saturated(), outputs);
    if (search) search_->OnSearchRequested(*search, now_, outputs);
  }

  void EndLeave(Outputs& outputs) {
    left_ = true;
    outputs.push_back(Left{});
  }

  void On(const TimerExpired& expired, Outputs& outputs) {
    const Timer& timer = expired.timer;
    switch (timer.kind) {
      case TimerKind::kRepair:
      case TimerKind::kShuffle:
      case TimerKind::kNeighborTimeout:
        Overlay(outputs, [&](Outputs& out) { membership_.OnTimer(timer, now_, out); });
        return;
      case TimerKind::kMeasurePass:
        measurement_.OnTimer(timer, now_, outputs);
        return;
      case TimerKind::kBubble:
      case TimerKind::kSearch:
      case TimerKind::kRefresh:
      case TimerKind::kStanding:
      case TimerKind::kDigest:
        search_->OnTimer(timer, now_, outputs);
        return;
      case TimerKind::kFacts:
        if (facts_.has_value()) facts_->OnTimer(timer.token, now_, outputs);
        return;
      case TimerKind::kCanary:
        SendCanary(outputs);
        return;
      case TimerKind::kLeave:
        if (left_) return;
        membership_.OnLeaveTimeout(outputs);
        EndLeave(outputs);
        return;
    }
  }

  void On(const FrameReceived& received, Outputs& outputs) {
    const PeerId& from = received.from;
    // Frames of bubbles and of the measurement are between neighbors; what crossed a Disconnect is
    // late.
    bool neighbor = membership_.IsActive(from);
    std::visit(Overloaded{
                   [&](const Cast& f) {
                     if (neighbor) search_->OnCast(from, f, now_, outputs);
                   },
                   [&](const Answer& f) {
                     if (neighbor) search_->OnAnswer(from, f, now_, outputs);
                   },
                   [&](const PageWant& f) {
                     if (neighbor) search_->OnPageWant(from, f, now_, outputs);
                   },
                   [&](const PageBodyFrame& f) {
                     if (neighbor) search_->OnPageBody(from, f, now_, outputs);
                   },
                   [&](const StandingHits& f) {
                     if (neighbor) search_->OnStandingHits(from, f, now_, outputs);
                   },
                   [&](const DigestFrame& f) {
                     if (neighbor) search_->OnDigest(from, f, now_, outputs);
                   },
                   [&](const DigestDelta& f) {
                     if (neighbor) search_->OnDigestDelta(from, f, now_, outputs);
                   },
                   [&](const Measure& f) {
                     if (neighbor) measurement_.OnMeasure(from, f, now_, outputs);
                   },
                   [&](const MeasureAck& f) {
                     if (neighbor) measurement_.OnMeasureAck(from, f);
                   },
                   // Over any link, also before the other end is a neighbor.
                   [&](const FactDigest& f) { OnFactFrame(from, f, outputs); },
                   [&](const FactWant& f) { OnFactFrame(from, f, outputs); },
                   [&](const FactNames& f) { OnFactFrame(from, f, outputs); },
                   [&](const FactBodies& f) { OnFactFrame(from, f, outputs); },
                   [&](const auto& f) {
                     Overlay(outputs, [&](Outputs& out) { OnMembershipFrame(from, f, out); });
                   },
               },
               received.frame);
  }

  template <typename F>
  void OnFactFrame(const PeerId& from, const F& frame, Outputs& outputs) {
    if (facts_.has_value()) facts_->OnFrame(from, frame, now_, outputs);
  }

  void OnMembershipFrame(const PeerId& from, const Join&, Outputs& outputs) {
    mesh_changed_ = true;
    membership_.OnJoin(from, now_, outputs);
  }

  void OnMembershipFrame(const PeerId& from, const ForwardJoin& frame, Outputs& outputs) {
    membership_.OnForwardJoin(from, frame, now_, outputs);
  }

  void OnMembershipFrame(const PeerId& from, const NeighborAsk& frame, Outputs& outputs) {
    membership_.OnNeighborAsk(from, frame, now_, outputs);
  }

  void OnMembershipFrame(const PeerId& from, const NeighborReply& frame, Outputs& outputs) {
    membership_.OnNeighborReply(from, frame, now_, outputs);
  }

  void OnMembershipFrame(const PeerId& from, const Disconnect& frame, Outputs& outputs) {
    mesh_changed_ = frame.leaving;
    if (frame.leaving) departed_ = from;
    membership_.OnDisconnect(from, frame, now_, outputs);
  }

  void OnMembershipFrame(const PeerId& from, const Shuffle& frame, Outputs& outputs) {
    membership_.OnShuffle(from, frame, now_, outputs);
  }

  void OnMembershipFrame(const PeerId& from, const ShuffleReply& frame, Outputs& outputs) {
    membership_.OnShuffleReply(from, frame, now_, outputs);
  }

  // Hello and OpenStream are the runtime's.
  template <typename F>
  void OnMembershipFrame(const PeerId& from, const F&, Outputs& outputs) {}

  // Runs `step`, then tells the other machines which neighbors came and went, in order.
  template <typename Step>
  void Overlay(Outputs& outputs, Step step) {
    size_t begin = outputs.size();
    step(outputs);
    size_t end = outputs.size();
    bool told = false;
    for (size_t i = begin; i < end; ++i) {
      if (const auto* send = std::get_if<SendFrame>(&outputs[i])) {
        bool goodbye = std::holds_alternative<Disconnect>(send->frame);
        if (goodbye) measurement_.OnDropped(send->to);
      }
      const auto* up = std::get_if<NeighborUp>(&outputs[i]);
      const auto* down = std::get_if<NeighborDown>(&outputs[i]);
      if (up == nullptr && down == nullptr) continue;
      // The calls append to `outputs`, which may move what `up` and `down` point to.
      PeerId peer = up != nullptr ? up->peer.id : down->peer;
      bool came = up != nullptr;
      if (!told) search_->SetNeighbors(membership_.active());
      told = true;
      NeighborChanged(peer, came, outputs);
    }
    mesh_changed_ = false;
    departed_.reset();
  }

  void NeighborChanged(const PeerId& peer, bool came, Outputs& outputs) {
    const std::vector<PeerId>& active = membership_.active();
    if (came) {
      measurement_.OnNeighborUp(active, mesh_changed_, now_, outputs);
    } else {
      measurement_.OnNeighborDown(peer, active, mesh_changed_, now_, outputs);
    }
    TellEstimate();
    if (!came) {
      search_->OnNeighborDown(peer, departed_ == peer, now_, outputs);
    } else if (membership_.IsActive(peer)) {
      search_->OnNeighborUp(peer, take_digests_.contains(peer), now_, outputs);
    }
  }

  // --- Search and publishing ---------------------------------------------------------------------
  void On(const SearchRequested& event, Outputs& outputs) {
    search_->OnSearchRequested(event, now_, outputs);
  }

  void On(const SearchCancelled& event, Outputs& outputs) {
    search_->OnSearchCancelled(event, now_, outputs);
  }

  void On(const SubscribeRequested& event, Outputs& outputs) {
    search_->OnSubscribeRequested(event, now_, outputs);
  }

  void On(const SubscribeCancelled& event, Outputs& outputs) {
    search_->OnSubscribeCancelled(event, now_, outputs);
  }

  void On(const StandingMatched& event, Outputs& outputs) {
    search_->OnStandingMatched(event, now_, outputs);
  }

  void On(const IndexAnswered& event, Outputs& outputs) {
    search_->OnIndexAnswered(event, now_, outputs);
  }

  void On(const PageStored& event, Outputs& outputs) {
    search_->OnPageStored(event, now_, outputs);
  }

  void On(const PageLoaded& event, Outputs& outputs) {
    search_->OnPageLoaded(event, now_, outputs);
  }

  void On(const OwnPagesSigned& event, Outputs& outputs) {
    for (const PagePtr& page : event.pages) {
      if (page->header.key.number != kPeerPageNumber) continue;
      canary_.OnPeerPage(measurement_.Estimate().peers, outputs);
    }
    search_->OnOwnPagesSigned(event, now_, outputs);
  }

  void On(const DigestBuilt& event, Outputs& outputs) {
    search_->OnDigestBuilt(event, now_, outputs);
  }

  // --- Facts -------------------------------------------------------------------------------------
  void On(const FactsLoaded& event, Outputs& outputs) {
    if (facts_.has_value()) facts_->OnLoaded(event, now_, outputs);
  }

  void On(const FactMade& event, Outputs& outputs) {
    if (facts_.has_value()) facts_->OnMade(event, now_, outputs);
  }

  void On(const FactsVerified& event, Outputs& outputs) {
    if (facts_.has_value()) facts_->OnVerified(event, now_, outputs);
  }

  void On(const FactsStored& event, Outputs& outputs) {
    if (facts_.has_value()) facts_->OnStored(event, outputs);
  }

  void TellEstimate() {
    if (measurement_.results() != results_told_) {
      results_told_ = measurement_.results();
      canary_.OnMeasured(measurement_.canaries_asked(), measurement_.canaries_found());
      search_->SetScale(canary_.factor());
    }
    MeshEstimate estimate = measurement_.Estimate();
    bool same = estimate.peers == told_.peers && estimate.degree_sum == told_.degree_sum &&
                estimate.degree_square_sum == told_.degree_square_sum &&
                estimate.measured == told_.measured;
    if (same) return;
    told_ = estimate;
    search_->SetEstimate(estimate);
  }

  absl::Time now_;
  bool mesh_changed_ = false;       // By the event that is handled: measure.h, E7.
  std::optional<PeerId> departed_;  // Likewise: crashed, or leaving.
  bool leaving_ = false;
  bool left_ = false;
  const absl::Duration leave_timeout_;
  Membership membership_;
  Measurement measurement_;
  Canary canary_;
  uint64_t results_told_ = 0;
  std::unique_ptr<SearchCore> search_;
  std::optional<FactSpreader> facts_;     // Nothing in an open mesh.
  absl::btree_set<PeerId> take_digests_;  // Of the peers with a link.
  MeshEstimate told_;
};

}  // namespace

absl::Status MembershipOptions::Validate() const {
  if (active_view_size < 1 || active_view_size > kActiveViewMax) {
    return OptionError("active_view_size must be 1 to 128");
  }
  if (active_view_slack < 0 || active_view_slack > kActiveViewMax) {
    return OptionError("active_view_slack must be 0 to 128");
  }
  if (passive_view_size < 1) return OptionError("passive_view_size must be 1 or more");
  if (forward_join_ttl < 0 || forward_join_ttl > kWalkTtlMax || passive_join_ttl < 0 ||
      passive_join_ttl > forward_join_ttl) {
    return OptionError("walks must have 0 to 16 steps, passive_join_ttl at most forward_join_ttl");
  }
  if (shuffle_ttl < 1 || shuffle_ttl > kWalkTtlMax) {
    return OptionError("shuffle_ttl must be 1 to 16");
  }
  bool sample_fits = shuffle_active >= 0 && shuffle_passive >= 0 &&
                     shuffle_active + shuffle_passive < static_cast<int>(kSampleSizeMax);
  if (!sample_fits) return OptionError("a shuffle carries at most 16 peers, this one included");
  if (dials_max < 1 || resting_max < 1 || remembered_max < 1) {
    return OptionError("limits of the membership must be 1 or more");
  }
  bool times = IsPositive(shuffle_interval) && IsPositive(repair_interval) &&
               IsPositive(retry_backoff) && IsPositive(neighbor_timeout) &&
               IsPositive(dial_timeout) && IsPositive(feeler_interval) && IsPositive(leave_timeout);
  if (!times) return OptionError("intervals of the membership must be above 0 and finite");
  return absl::OkStatus();
}

absl::Status MeasureOptions::Validate() const {
  if (shares_max < 1) return OptionError("shares_max must be 1 or more");
  if (!(tolerance > 0 && tolerance < 1)) return OptionError("tolerance must be between 0 and 1");
  bool times = IsPositive(share_interval) && IsPositive(change_delay) && IsPositive(round_gap) &&
               IsPositive(idle_interval);
  if (!times) return OptionError("intervals of the measurement must be above 0 and finite");
  return absl::OkStatus();
}

absl::Status CanaryOptions::Validate() const {
  if (interval <= absl::ZeroDuration()) return OptionError("canary interval must be above 0");
  return absl::OkStatus();
}

absl::Status SearchOptions::Validate() const {
  if (!(lambda > 0 && lambda <= 100)) return OptionError("lambda must be above 0, at most 100");
  if (!(saturated_factor >= 0 && std::isfinite(saturated_factor))) {
    return OptionError("saturated_factor must be 0 or more");
  }
  if (split < 1) return OptionError("split must be 1 or more");
  if (bubbles_max < 1 || visits_max < 1 || searches_max < 1 || range_tries_max < 1 ||
      spreads_max < 1 || subscriptions_max < 1 || subscription_records_max < 2 ||
      standing_kept_max < 1 || standing_kept_per_neighbor_max < 1 || further_parents_max < 1 ||
      orphan_hits_max < 1 || late_hits_max < 1 || pulls_max < 1 || pull_waiters_max < 1) {
    return OptionError("limits of the search must be 1 or more");
  }
  if (!(flush_share > 0 && flush_share <= 1)) {
    return OptionError("flush_share must be above 0, at most 1");
  }
  if (!(late_factor >= 0 && std::isfinite(late_factor))) {
    return OptionError("late_factor must be 0 or more");
  }
  // A lease, one and a half of it, must fit a frame.
  if (!IsPositive(standing_round) || standing_round > absl::Milliseconds(kLeaseMsMax / 2)) {
    return OptionError("standing_round must be above 0, at most 30 minutes");
  }
  if (!IsPositive(bubble_memory) || !IsPositive(page_refresh_interval)) {
    return OptionError("intervals of the search must be above 0 and finite");
  }
  return absl::OkStatus();
}

absl::Status CoreOptions::Validate() const {
  if (!(capacity > 0 && capacity <= kCapacityMax)) {
    return OptionError("capacity must be above 0, at most 1024");
  }
  PANAL_RETURN_IF_ERROR(membership.Validate());
  PANAL_RETURN_IF_ERROR(measure.Validate());
  PANAL_RETURN_IF_ERROR(canary.Validate());
  return search.Validate();
}

std::unique_ptr<Core> Core::Create(PeerId self, const CoreOptions& options, Random& random) {
  PANAL_CHECK(options.Validate().ok());
  return std::make_unique<CoreImpl>(self, options, random);
}

}  // namespace panal
