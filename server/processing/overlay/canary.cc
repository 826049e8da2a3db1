#include "server/processing/overlay/canary.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace panal {
namespace {

// A peer has one peer record.
constexpr uint32_t kCanaryHits = 4;

}  // namespace

Canary::Canary(const CanaryOptions& options, Random& random) : options_(options), random_(random) {
  PANAL_CHECK(options.Validate().ok());
}

void Canary::OnPeerPage(double peers, Outputs& outputs) {
  if (started_ || options_.interval == absl::InfiniteDuration()) return;
  started_ = true;
  Plan(peers, outputs);
}

void Canary::Plan(double peers, Outputs& outputs) {
  absl::Duration interval =
      options_.interval * std::clamp(peers / kCanariesWanted, 1.0, kCanaryRarestMax);
  outputs.push_back(ScheduleTimer{interval * (0.5 + random_.Unit()), {TimerKind::kCanary, 0}});
}

std::optional<SearchRequested> Canary::OnTimer(const std::vector<PeerContact>& passive,
                                               double peers, bool saturated, Outputs& outputs) {
  Plan(peers, outputs);
  std::optional<PeerId> chosen = next_;
  next_.reset();
  if (saturated || passive.empty()) return std::nullopt;
  next_ = passive[random_.Below(passive.size())].id;
  if (!chosen || pending()) return std::nullopt;
  target_ = chosen;
  request_ = ++last_request_;
  hit_ = false;
  return SearchRequested{.request = request_,
                         .query = absl::StrCat("kind:peer publisher:", chosen->ToText()),
                         .recall = kCanaryRecall,
                         .limit = kCanaryHits,
                         .timeout = kCanaryTimeMax};
}

std::optional<double> Canary::Collect(size_t begin, Outputs& outputs) {
  std::optional<double> counted;
  bool done = false;
  auto is_canary = [&](const Output& output) {
    if (const auto* hits = std::get_if<SearchHits>(&output)) {
      if (hits->request != request_) return false;
      for (const Hit& hit : hits->hits) hit_ = hit_ || hit.publisher.id == *target_;
      return true;
    }
    const auto* end = std::get_if<SearchDone>(&output);
    if (end == nullptr || end->request != request_) return false;
    done = true;
    const SearchSummary& summary = end->summary;
    const bool counts = summary.complete && summary.recall < 1;
    if (counts) counted = hit_ ? kCanaryRecall / std::max(summary.recall, kCanaryRecall) : 0;
    return true;
  };
  auto from = outputs.begin() + static_cast<std::ptrdiff_t>(begin);
  outputs.erase(std::remove_if(from, outputs.end(), is_canary), outputs.end());
  if (done) request_ = 0;
  return counted;
}

void Canary::OnMeasured(double asked, double found) {
  if (stale_) {
    stale_ = false;
    return;
  }
  asked_ += asked;
  found_ += std::min(found, asked);
  if (asked_ < 1) return;
  const double rate = found_ / asked_;
  const double chance = kDoubt * std::sqrt(kCanaryRecall * (1 - kCanaryRecall) / asked_);
  if (rate + chance < kCanaryRecall) {
    // Exponents: 1 was promised.
    const double exponent = -std::log1p(-rate);
    const double step = std::sqrt(1 / std::max(exponent, 1e-6));
    factor_ = std::min(factor_ * std::min(step, kCanaryStepMax), kCanaryFactorMax);
    stale_ = true;
  } else if (asked_ >= kEvidenceEnough) {
    factor_ = 1 + (factor_ - 1) * (1 - kCanaryDecay);
  } else {
    return;
  }
  asked_ = found_ = 0;
}

void Canary::CheckInvariants() const {
  PANAL_CHECK(factor_ >= 1 && factor_ <= kCanaryFactorMax);
  PANAL_CHECK(!pending() || target_.has_value());
}

}  // namespace panal
