#include "server/processing/search/subscriber.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "server/processing/search/hits.h"

namespace panal {

Subscriber::Subscriber(const SearchOptions& options, Tokens& tokens, Random& random,
                       Searcher& searcher, StandingVisits& visits)
    : options_(options), tokens_(tokens), random_(random), searcher_(searcher), visits_(visits) {}

void Subscriber::OnRequested(const SubscribeRequested& request, absl::Time now, Outputs& outputs) {
  if (subscriptions_.size() >= static_cast<size_t>(options_.subscriptions_max)) {
    outputs.push_back(SubscriptionEnded{request.request, SubscriptionEnd::kOverloaded});
    return;
  }
  const uint64_t token = tokens_.Take();
  Subscription& subscription = subscriptions_[token];
  subscription.request = request.request;
  const std::string bytes = random_.Bytes(subscription.id.bytes.size());
  std::memcpy(subscription.id.bytes.data(), bytes.data(), bytes.size());
  by_id_[subscription.id] = token;
  subscription.query = request.query;
  subscription.recall = request.recall;
  subscription.requested = now;
  subscription.until = now + request.timeout;
  searcher_.BeginRound(token, {request.query, kSearchLimitMax},
                       std::max(request.recall, kKnownRecall), kSubscriptionRoundTime, now,
                       outputs);
}

void Subscriber::OnCancelled(uint64_t request) {
  auto it = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                         [&](const auto& entry) { return entry.second.request == request; });
  if (it != subscriptions_.end()) End(it);
}

void Subscriber::End(Subscriptions::iterator it) {
  searcher_.CancelRound(it->first);
  visits_.Forget(it->second.id);
  by_id_.erase(it->second.id);
  subscriptions_.erase(it);
}

void Subscriber::EndBecause(Subscriptions::iterator it, SubscriptionEnd why, Outputs& outputs) {
  outputs.push_back(SubscriptionEnded{it->second.request, why});
  End(it);
}

void Subscriber::OnTimer(uint64_t token, absl::Time now, Outputs& outputs) {
  auto it = subscriptions_.find(token);
  if (it == subscriptions_.end()) return;
  if (now >= it->second.until) return EndBecause(it, SubscriptionEnd::kTimeout, outputs);
  BeginRound(token, it->second, now, outputs);
}

void Subscriber::BeginRound(uint64_t token, Subscription& subscription, absl::Time now,
                            Outputs& outputs) {
  const absl::Duration lease = kLeasePeriods * options_.standing_round;
  StandingTerms terms{.subscription = subscription.id};
  terms.lease_ms = static_cast<uint32_t>(absl::ToInt64Milliseconds(lease));
  terms.since_ms = static_cast<uint32_t>(absl::ToInt64Milliseconds(Since(subscription, now)));
  subscription.rounds_began.insert(subscription.rounds_began.begin(), now);
  if (subscription.rounds_began.size() > 2) subscription.rounds_began.pop_back();
  ++subscription.rounds;
  subscription.mesh_grew = false;
  const absl::Duration time = std::min(kSubscriptionRoundTime, options_.standing_round / 2);
  searcher_.BeginRound(token, {subscription.query, kSearchLimitMax, terms}, subscription.recall,
                       time, now, outputs);
}

absl::Duration Subscriber::Since(const Subscription& subscription, absl::Time now) const {
  const bool deep = subscription.mesh_grew || subscription.rounds % kDeepRoundEvery == 0 ||
                    subscription.rounds_began.size() < 2;
  const absl::Time since = deep ? subscription.requested : subscription.rounds_began.back();
  return std::min(now - since + kSinceSlack, kPageLifetime);
}

void Subscriber::OnRound(const RoundReport& report, absl::Time now, Outputs& outputs) {
  auto it = subscriptions_.find(report.owner);
  if (it == subscriptions_.end()) return;
  Subscription& subscription = it->second;
  if (!subscription.begun) {
    Know(subscription, report.hits);
  } else if (!Tell(it, report.hits, outputs)) {
    return;
  }
  if (!report.done.has_value()) return;
  if (subscription.begun) return FinishRound(it, *report.done, now, outputs);
  if (report.done->cut_short == CutShort::kOverloaded) {
    return EndBecause(it, SubscriptionEnd::kOverloaded, outputs);
  }
  subscription.begun = true;
  subscription.known_truncated = subscription.known_truncated || report.done->truncated;
  outputs.push_back(SubscriptionBegun{subscription.request, subscription.known_truncated});
  BeginRound(it->first, subscription, now, outputs);
}

void Subscriber::FinishRound(Subscriptions::iterator it, const SearchSummary& summary,
                             absl::Time now, Outputs& outputs) {
  Subscription& subscription = it->second;
  const double before = static_cast<double>(subscription.mesh_size_before);
  subscription.mesh_grew =
      before > 0 && static_cast<double>(summary.mesh_size) > kMeshGrownFactor * before;
  subscription.mesh_size_before = summary.mesh_size;
  outputs.push_back(SubscriptionRound{subscription.request, summary});
  const bool soon = !summary.complete || subscription.mesh_grew;
  const absl::Duration period = (soon ? kShortRoundShare : 1.0) * options_.standing_round;
  const absl::Time next = std::min(subscription.rounds_began.front() + period, subscription.until);
  outputs.push_back(ScheduleTimer{TimerDelay(next - now), Timer{TimerKind::kStanding, it->first}});
}

void Subscriber::Know(Subscription& subscription, const std::vector<Hit>& hits) const {
  // Half of the room is for what comes.
  const auto known_max = static_cast<size_t>(options_.subscription_records_max) / 2;
  for (const Hit& hit : hits) {
    const Sha256Digest key = RecordKeyOf(hit);
    if (subscription.known.size() >= known_max && !subscription.known.contains(key)) {
      subscription.known_truncated = true;
      continue;
    }
    uint64_t& version = subscription.known[key];
    version = std::max(version, hit.record.version);
  }
}

void Subscriber::OnHits(const StandingHits& hits, Outputs& outputs) {
  auto it = by_id_.find(hits.subscription);
  if (it == by_id_.end()) return;
  auto subscription = subscriptions_.find(it->second);
  if (subscription->second.begun) Tell(subscription, hits.hits, outputs);
}

bool Subscriber::Tell(Subscriptions::iterator it, const std::vector<Hit>& hits, Outputs& outputs) {
  Subscription& subscription = it->second;
  SubscriptionHits told{.request = subscription.request};
  bool full = false;
  for (const Hit& hit : hits) {
    const Sha256Digest key = RecordKeyOf(hit);
    auto known = subscription.known.find(key);
    if (known != subscription.known.end()) {
      if (hit.record.version <= known->second) continue;
      known->second = hit.record.version;
    } else {
      full = subscription.known.size() >= static_cast<size_t>(options_.subscription_records_max);
      if (full) break;
      subscription.known[key] = hit.record.version;
    }
    told.hits.push_back(hit);
  }
  if (!told.hits.empty()) outputs.push_back(std::move(told));
  if (!full) return true;
  EndBecause(it, SubscriptionEnd::kRecordsFull, outputs);
  return false;
}

void Subscriber::CheckInvariants() const {
  PANAL_CHECK(subscriptions_.size() <= static_cast<size_t>(options_.subscriptions_max));
  PANAL_CHECK(by_id_.size() == subscriptions_.size());
  for (const auto& [token, subscription] : subscriptions_) {
    PANAL_CHECK(subscription.known.size() <=
                static_cast<size_t>(options_.subscription_records_max));
    PANAL_CHECK(subscription.rounds_began.size() <= 2);
  }
}

}  // namespace panal
