#include "server/processing/transfer/fetch.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace panal {
namespace {

// Blocks passed over in one step because all their holders are busy. Bounds the work of a step.
constexpr size_t kPassedOverMax = 1024;

// A want that was sent and not answered yet.
struct Want {
  absl::Time sent;
};

struct Source {
  enum class State : uint8_t { kSpare, kOpening, kReady };
  State state = State::kSpare;
  std::vector<bool> held;
  std::map<uint32_t, Want> wants;
  int silences = 0;                             // In a row.
  absl::Time last_sign = absl::InfinitePast();  // Of life: a block, or what it holds.
  std::optional<absl::Duration> block_time;     // What its blocks took, smoothed.
  bool refreshing = false;                      // Asked anew what it holds.
  absl::Time asked_held = absl::InfinitePast();

  bool HoldsPart() const { return std::find(held.begin(), held.end(), false) != held.end(); }

  bool Holds(uint32_t index) const { return held.empty() || held[index]; }
};

class FetchImpl final : public Fetch {
 public:
  FetchImpl(std::vector<bool> held, uint32_t block_size_bytes, const FetchOptions& options,
            Random& random)
      : options_(options),
        block_size_bytes_(block_size_bytes),
        random_(random),
        held_(std::move(held)),
        asked_(held_.size(), 0) {
    missing_ = static_cast<size_t>(std::count(held_.begin(), held_.end(), false));
    rank_.resize(held_.size());
    for (uint64_t& rank : rank_) rank = random_.Next();
  }

  void Handle(const FetchInput& input, absl::Time now, std::vector<FetchOutput>& outputs) override {
    if (done_) return;
    std::visit([&](const auto& event) { On(event, now, outputs); }, input);
    if (missing_ == 0) {
      Complete(outputs);
      return;
    }
    OpenSpares(outputs);
    AskBlocks(now, outputs);
    ReplaceUseless(outputs);
    ReportExhaustion(outputs);
  }

  bool complete() const override { return missing_ == 0; }

  int sources_used() const override { return static_cast<int>(contributors_.size()); }

  int sources_open() const override {
    return static_cast<int>(std::count_if(sources_.begin(), sources_.end(), [](const auto& entry) {
      return entry.second.state != Source::State::kSpare;
    }));
  }

  void CheckInvariants() const override {
    std::vector<int> asked(held_.size(), 0);
    size_t wants = 0;
    for (const auto& [id, source] : sources_) {
      PANAL_CHECK(source.state == Source::State::kReady || source.wants.empty());
      PANAL_CHECK(static_cast<int>(source.wants.size()) <= options_.wants_per_source_max);
      PANAL_CHECK(!dropped_.contains(id));
      for (const auto& [index, want] : source.wants) ++asked[index];
      wants += source.wants.size();
    }
    PANAL_CHECK(asked == asked_);
    PANAL_CHECK(static_cast<int>(wants) <= options_.wants_max);
    PANAL_CHECK(static_cast<int>(sources_.size()) <= options_.known_sources_max);
    PANAL_CHECK(sources_open() <= options_.sources_max);
  }

 private:
  void On(const SourceAdded& event, absl::Time, std::vector<FetchOutput>&) {
    if (dropped_.contains(event.source)) return;
    if (static_cast<int>(sources_.size()) >= options_.known_sources_max) return;
    if (sources_.try_emplace(event.source).second) reported_exhausted_ = false;
  }

  void On(const SourceReady& event, absl::Time now, std::vector<FetchOutput>& outputs) {
    auto it = sources_.find(event.source);
    if (it == sources_.end()) return;
    if (it->second.state != Source::State::kOpening && !it->second.refreshing) return;
    if (!event.held.empty() && event.held.size() != held_.size()) {
      Drop(it, "its bitmap has another number of blocks", outputs);
      return;
    }
    it->second.state = Source::State::kReady;
    it->second.held = event.held;
    it->second.refreshing = false;
    it->second.asked_held = now;
    it->second.last_sign = now;
    order_.clear();  // What is rare has changed.
  }

  void On(const SourceFailed& event, absl::Time, std::vector<FetchOutput>&) {
    auto it = sources_.find(event.source);
    if (it == sources_.end()) return;
    last_failure_ = event.why;
    ForgetWants(it->second);
    sources_.erase(it);
  }

  void On(const BlockStored& event, absl::Time now, std::vector<FetchOutput>&) {
    if (event.index >= held_.size()) return;
    auto it = sources_.find(event.source);
    if (it != sources_.end()) {
      NotePace(it->second, event.index, now);
      TakeWant(it->second, event.index);
    }
    contributors_[event.source] = true;
    if (held_[event.index]) return;
    held_[event.index] = true;
    --missing_;
  }

  void On(const BlockFailed& event, absl::Time, std::vector<FetchOutput>& outputs) {
    auto it = sources_.find(event.source);
    if (it == sources_.end() || event.index >= held_.size()) return;
    TakeWant(it->second, event.index);
    switch (event.failure) {
      case BlockFailure::kCorrupt:
        dropped_[event.source] = true;
        Drop(it, absl::StrCat("block ", event.index, " was corrupt"), outputs);
        return;
      case BlockFailure::kRefused:
        // It said that it has the block and refuses it: believe the refusal.
        if (it->second.held.empty()) it->second.held.assign(held_.size(), true);
        it->second.held[event.index] = false;
        if (!HoldsAnyMissing(it->second)) Drop(it, "it has nothing that is missing", outputs);
        return;
      case BlockFailure::kLocal:
        return;
    }
  }

  void On(const FetchTick&, absl::Time now, std::vector<FetchOutput>& outputs) {
    for (auto it = sources_.begin(); it != sources_.end();) {
      auto current = it++;
      Source& source = current->second;
      if (source.state != Source::State::kReady) continue;
      const absl::Duration wait = BlockWait(source);
      if (TakeLateWants(source, wait, now)) ++source.silences;
      const bool mute = source.refreshing && now - source.asked_held >= wait;
      if (mute || source.silences >= kSilencesMax) {
        Drop(current, "it does not answer in time", outputs);
        continue;
      }
      if (!source.refreshing && source.HoldsPart() &&
          now - source.asked_held >= options_.refresh_interval) {
        source.refreshing = true;
        source.asked_held = now;
        outputs.push_back(RefreshSource{current->first});
      }
    }
  }

  // Takes back the wants of a source that is silent, and those that it passes over while it answers
  // others. Whether it is silent.
  bool TakeLateWants(Source& source, absl::Duration wait, absl::Time now) {
    bool silent = false;
    for (auto want = source.wants.begin(); want != source.wants.end();) {
      const bool unanswered = now - std::max(want->second.sent, source.last_sign) >= wait;
      const bool passed_over = now - want->second.sent >= options_.wants_per_source_max * wait;
      if (!unanswered && !passed_over) {
        ++want;
        continue;
      }
      silent = silent || unanswered;
      --asked_[want->first];
      want = source.wants.erase(want);
    }
    if (silent) source.last_sign = now;  // The next silence begins here.
    return silent;
  }

  // How long the source may take for its next block.
  absl::Duration BlockWait(const Source& source) const {
    const absl::Duration expected =
        source.block_time ? *source.block_time * options_.block_wait_factor : FirstBlockTime();
    return std::clamp(expected, options_.block_wait_min, options_.block_wait_max);
  }

  // What a block is expected to take of a source that has sent none.
  absl::Duration FirstBlockTime() const {
    return absl::Seconds(static_cast<double>(block_size_bytes_) /
                         static_cast<double>(options_.first_rate_bytes));
  }

  // A block came: one after the other they take the time since the last sign of life.
  static void NotePace(Source& source, uint32_t index, absl::Time now) {
    auto want = source.wants.find(index);
    if (want != source.wants.end()) {
      const absl::Duration took = now - std::max(want->second.sent, source.last_sign);
      source.block_time = source.block_time ? (*source.block_time + took) / 2 : took;
    }
    source.silences = 0;
    source.last_sign = now;
  }

  void Complete(std::vector<FetchOutput>& outputs) {
    done_ = true;
    for (auto& [id, source] : sources_) {
      if (source.state != Source::State::kSpare) outputs.push_back(CloseSource{id, "complete"});
    }
    outputs.push_back(FetchComplete{});
  }

  using SourceMap = std::map<PeerId, Source>;

  void Drop(SourceMap::iterator it, const std::string& why, std::vector<FetchOutput>& outputs) {
    last_failure_ = absl::StrCat(it->first.ToShortText(), ": ", why);
    outputs.push_back(CloseSource{it->first, why});
    ForgetWants(it->second);
    sources_.erase(it);
  }

  void ForgetWants(Source& source) {
    for (const auto& [index, want] : source.wants) --asked_[index];
    source.wants.clear();
  }

  void TakeWant(Source& source, uint32_t index) {
    auto want = source.wants.find(index);
    if (want == source.wants.end()) return;
    --asked_[index];
    source.wants.erase(want);
  }

  bool HoldsAnyMissing(const Source& source) const {
    for (uint32_t index = 0; index < held_.size(); ++index) {
      if (!held_[index] && source.Holds(index)) return true;
    }
    return false;
  }

  void OpenSpares(std::vector<FetchOutput>& outputs) {
    int open = sources_open();
    for (auto& [id, source] : sources_) {
      if (open >= options_.sources_max) return;
      if (source.state != Source::State::kSpare) continue;
      source.state = Source::State::kOpening;
      outputs.push_back(OpenSource{id});
      ++open;
    }
  }

  // Gives the place of sources that hold nothing that is missing to spares that may.
  void ReplaceUseless(std::vector<FetchOutput>& outputs) {
    if (sources_open() == static_cast<int>(sources_.size())) return;  // No spare waits.
    for (auto it = sources_.begin(); it != sources_.end();) {
      auto current = it++;
      const Source& source = current->second;
      if (source.state != Source::State::kReady || !source.wants.empty()) continue;
      if (!HoldsAnyMissing(source)) Drop(current, "it has nothing that is missing", outputs);
    }
    OpenSpares(outputs);
  }

  // Wants of all sources, the sum of asked_.
  int WantsUnderWay() const {
    int wants = 0;
    for (const auto& [id, source] : sources_) wants += static_cast<int>(source.wants.size());
    return wants;
  }

  // The ready source with room and the fewest wants that holds `index` and was not asked for it.
  Source* LeastLoaded(uint32_t index, PeerId* id) {
    Source* best = nullptr;
    for (auto& [source_id, source] : sources_) {
      if (source.state != Source::State::kReady || !source.Holds(index)) continue;
      if (static_cast<int>(source.wants.size()) >= options_.wants_per_source_max) continue;
      if (source.wants.contains(index)) continue;
      if (best != nullptr && best->wants.size() <= source.wants.size()) continue;
      best = &source;
      *id = source_id;
    }
    return best;
  }

  // Missing blocks in the order they should be asked for; computed when the last order is used up.
  void RefillOrder() {
    order_.clear();
    std::vector<std::pair<int, uint32_t>> by_rarity;
    for (uint32_t index = 0; index < held_.size(); ++index) {
      if (held_[index] || asked_[index] > 0) continue;
      by_rarity.emplace_back(Holders(index), index);
    }
    std::sort(by_rarity.begin(), by_rarity.end(), [&](const auto& a, const auto& b) {
      return std::make_pair(a.first, rank_[a.second]) > std::make_pair(b.first, rank_[b.second]);
    });
    for (const auto& [holders, index] : by_rarity) {
      if (holders > 0) order_.push_back(index);  // The rarest last: taken from the back.
    }
  }

  int Holders(uint32_t index) const {
    int holders = 0;
    for (const auto& [id, source] : sources_) {
      if (source.state == Source::State::kReady && source.Holds(index)) ++holders;
    }
    return holders;
  }

  bool AnyRoom() const {
    for (const auto& [id, source] : sources_) {
      if (source.state == Source::State::kReady &&
          static_cast<int>(source.wants.size()) < options_.wants_per_source_max) {
        return true;
      }
    }
    return false;
  }

  void AskBlocks(absl::Time now, std::vector<FetchOutput>& outputs) {
    int under_way = WantsUnderWay();
    std::vector<uint32_t> kept;  // Blocks whose holders are full just now.
    bool refilled = false;
    while (under_way < options_.wants_max && kept.size() < kPassedOverMax && AnyRoom()) {
      if (order_.empty()) {
        if (refilled) break;
        refilled = true;
        RefillOrder();
        if (order_.empty()) break;
      }
      uint32_t index = order_.back();
      order_.pop_back();
      if (held_[index] || asked_[index] > 0) continue;
      PeerId id;
      Source* source = LeastLoaded(index, &id);
      if (source == nullptr) {
        kept.push_back(index);
        continue;
      }
      Ask(id, *source, index, now, outputs);
      ++under_way;
    }
    order_.insert(order_.end(), kept.rbegin(), kept.rend());
    if (order_.empty()) AskLateAgain(under_way, now, outputs);
  }

  void Ask(const PeerId& id, Source& source, uint32_t index, absl::Time now,
           std::vector<FetchOutput>& outputs) {
    source.wants[index] = Want{now};
    ++asked_[index];
    outputs.push_back(WantBlock{id, index});
  }

  // The end game.
  void AskLateAgain(int under_way, absl::Time now, std::vector<FetchOutput>& outputs) {
    for (auto& [id, idle] : sources_) {
      if (under_way >= options_.wants_max) return;
      if (idle.state != Source::State::kReady || !idle.wants.empty()) continue;
      const std::optional<uint32_t> late = LateBlockFor(idle, now);
      if (!late) continue;
      Ask(id, idle, *late, now, outputs);
      ++under_way;
    }
  }

  // The block that has been waited for longest of those that `idle` would deliver much sooner.
  std::optional<uint32_t> LateBlockFor(const Source& idle, absl::Time now) const {
    const absl::Duration gain = options_.end_game_gain * idle.block_time.value_or(FirstBlockTime());
    std::optional<uint32_t> late;
    absl::Time sent = now - options_.end_game_wait;
    for (const auto& [id, source] : sources_) {
      const absl::Duration left =
          source.block_time.value_or(absl::ZeroDuration()) * source.wants.size();
      for (const auto& [index, want] : source.wants) {
        if (want.sent > sent || asked_[index] > 1 || held_[index] || !idle.Holds(index)) continue;
        const absl::Duration silent = now - std::max(want.sent, source.last_sign);
        if (std::max(left, silent) < gain) continue;
        late = index;
        sent = want.sent;
      }
    }
    return late;
  }

  void ReportExhaustion(std::vector<FetchOutput>& outputs) {
    bool any_useful = false;
    for (const auto& [id, source] : sources_) {
      if (source.state != Source::State::kReady || !source.wants.empty()) {
        any_useful = true;
      } else if (HoldsAnyMissing(source)) {
        any_useful = true;
      }
    }
    if (any_useful) {
      reported_exhausted_ = false;
      return;
    }
    if (reported_exhausted_) return;
    reported_exhausted_ = true;
    outputs.push_back(SourcesExhausted{last_failure_});
  }

  const FetchOptions options_;
  const uint32_t block_size_bytes_;
  Random& random_;
  std::vector<bool> held_;
  std::vector<int> asked_;  // Wants under way a block.
  std::vector<uint64_t>
      rank_;  // Breaks ties between equally rare blocks, differently on every peer.
  std::vector<uint32_t> order_;  // Next block to ask at the back.
  size_t missing_ = 0;
  SourceMap sources_;
  std::map<PeerId, bool> contributors_;  // At most one entry a known source.
  std::map<PeerId, bool> dropped_;       // Sent a corrupt block: not used again in this fetch.
  std::string last_failure_;
  bool reported_exhausted_ = false;
  bool done_ = false;
};

}  // namespace

absl::Status FetchOptions::Validate() const {
  if (wants_per_source_max < 1 || wants_max < 1 || sources_max < 1 || known_sources_max < 1) {
    return Error(ErrorReason::kConfigInvalid, "fetch limits must be at least 1");
  }
  if (block_wait_min <= absl::ZeroDuration() || block_wait_max < block_wait_min ||
      refresh_interval <= absl::ZeroDuration() || end_game_wait <= absl::ZeroDuration()) {
    return Error(ErrorReason::kConfigInvalid,
                 "waits of a fetch must be above 0, block_wait_max at least block_wait_min");
  }
  if (first_rate_bytes < 1 || block_wait_factor < 1 || end_game_gain < 1) {
    return Error(ErrorReason::kConfigInvalid,
                 "first_rate_bytes, block_wait_factor and end_game_gain must be 1 or more");
  }
  return absl::OkStatus();
}

std::unique_ptr<Fetch> Fetch::Create(std::vector<bool> held, uint32_t block_size_bytes,
                                     const FetchOptions& options, Random& random) {
  PANAL_CHECK(options.Validate().ok());
  return std::make_unique<FetchImpl>(std::move(held), block_size_bytes, options, random);
}

}  // namespace panal
