#include "server/processing/search/standing_visits.h"

#include <algorithm>
#include <memory>

#include "common/base/check.h"
#include "server/processing/search/hits.h"

namespace panal {

StandingVisits::StandingVisits(PeerId self, const SearchOptions& options,
                               const Neighbors& neighbors)
    : self_(self), options_(options), neighbors_(neighbors) {}

bool StandingVisits::HasRoom(const PeerId& from, bool renewal) {
  if (from == self_) return true;  // Bounded by the subscriptions.
  const size_t own = brought_.count(self_) > 0 ? static_cast<size_t>(brought_[self_]) : 0;
  const size_t others = kept_.size() - own;
  if (!renewal && others >= static_cast<size_t>(options_.standing_kept_max)) return false;
  auto count = brought_.find(from);
  return count == brought_.end() || count->second < options_.standing_kept_per_neighbor_max;
}

bool StandingVisits::Keep(const PeerId& from, const QueryPayload& query, absl::Time now) {
  PANAL_CHECK(query.standing.has_value());
  const SubscriptionId& id = query.standing->subscription;
  const absl::Time until = now + absl::Milliseconds(query.standing->lease_ms);
  Expire(now);
  auto it = kept_.find(id);
  const bool renewal = it != kept_.end();
  // Whoever was visited knows the id: what this peer subscribed to comes to it and to nobody else.
  if (renewal && from != self_ && it->second.vias.front() == self_) return false;
  const bool same_via = renewal && it->second.vias.front() == from;
  if (!same_via && !HasRoom(from, renewal)) return false;
  if (!renewal || it->second.query.text() != query.query) {
    absl::StatusOr<Query> parsed = Query::Parse(query.query);
    if (!parsed.ok()) return false;
    if (renewal) Erase(it);
    it = kept_.emplace(id, Kept(*std::move(parsed))).first;
    queries_ = nullptr;
  }
  Kept& kept = it->second;
  kept.until = std::max(kept.until, until);
  next_expiry_ = std::min(next_expiry_, kept.until);
  if (!kept.vias.empty() && kept.vias.front() == from) return true;
  if (!kept.vias.empty() && --brought_[kept.vias.front()] == 0) brought_.erase(kept.vias.front());
  kept.vias.erase(std::remove(kept.vias.begin(), kept.vias.end(), from), kept.vias.end());
  kept.vias.insert(kept.vias.begin(), from);
  if (kept.vias.size() > kViasMax) kept.vias.pop_back();
  ++brought_[from];
  return true;
}

void StandingVisits::Erase(AllKept::iterator it) {
  const PeerId via = it->second.vias.front();
  if (--brought_[via] == 0) brought_.erase(via);
  kept_.erase(it);
  queries_ = nullptr;
}

void StandingVisits::Forget(const SubscriptionId& subscription) {
  auto it = kept_.find(subscription);
  if (it != kept_.end()) Erase(it);
}

void StandingVisits::Expire(absl::Time now) {
  if (now < next_expiry_) return;
  next_expiry_ = absl::InfiniteFuture();
  for (auto it = kept_.begin(); it != kept_.end();) {
    auto next = std::next(it);
    if (it->second.until > now) {
      next_expiry_ = std::min(next_expiry_, it->second.until);
      it = next;
      continue;
    }
    const SubscriptionId id = it->first;
    Erase(it);
    it = kept_.upper_bound(id);
  }
}

void StandingVisits::OnStored(const Page& page, const std::vector<uint32_t>& fresh,
                              const PeerId& from, absl::Time now, Outputs& outputs) {
  if (kept_.empty() || fresh.empty()) return;
  std::vector<Hit> records;
  records.reserve(fresh.size());
  for (uint32_t place : fresh) {
    PANAL_CHECK(place < page.records.size());
    records.push_back({page.records[place], {page.header.key.publisher, {}}});
  }
  Match(std::move(records), from, now, outputs);
}

void StandingVisits::OnOwnPages(const std::vector<PagePtr>& pages, absl::Time now,
                                Outputs& outputs) {
  std::vector<Hit> records;
  for (const PagePtr& page : pages) {
    auto [entry, added] = own_versions_.try_emplace(page->header.key.number, 0);
    const uint64_t before = std::exchange(entry->second, page->header.version);
    if (kept_.empty() || page->header.version == before) continue;
    for (const Record& record : page->records) {
      if (added || record.version > before) records.push_back({record, {self_, {}}});
    }
  }
  if (!records.empty()) Match(std::move(records), self_, now, outputs);
}

void StandingVisits::Match(std::vector<Hit> records, const PeerId& from, absl::Time now,
                           Outputs& outputs) {
  Expire(now);
  if (kept_.empty()) return;
  if (queries_ == nullptr) {
    auto all = std::make_shared<std::vector<StandingQuery>>();
    all->reserve(kept_.size());
    for (const auto& [id, kept] : kept_) all->push_back({id, kept.query});
    queries_ = std::move(all);
  }
  outputs.push_back(MatchStanding{queries_, std::move(records), from});
}

void StandingVisits::OnMatched(const StandingMatched& matched, Outputs& outputs) {
  for (const StandingMatch& match : matched.matches) {
    auto it = kept_.find(match.subscription);
    if (it != kept_.end()) PassOn(it->first, it->second, match.hits, outputs);
  }
}

void StandingVisits::OnHits(const PeerId& from, const StandingHits& hits, Outputs& outputs) {
  auto it = kept_.find(hits.subscription);
  // Nothing comes down the tree.
  if (it == kept_.end() || it->second.vias.front() == from) return;
  PassOn(it->first, it->second, hits.hits, outputs);
}

bool StandingVisits::IsNew(Kept& kept, const Hit& hit) {
  auto [entry, added] = kept.passed.try_emplace(RecordKeyOf(hit), hit.record.version);
  if (!added) {
    if (hit.record.version <= entry->second) return false;
    entry->second = hit.record.version;
    return true;
  }
  kept.passed_order.push_back(entry->first);
  if (kept.passed_order.size() > kPassedRecordsMax) {
    kept.passed.erase(kept.passed_order.front());
    kept.passed_order.pop_front();
  }
  return true;
}

void StandingVisits::PassOn(const SubscriptionId& subscription, Kept& kept, std::vector<Hit> hits,
                            Outputs& outputs) {
  const bool own = kept.vias.front() == self_;
  auto via = std::find_if(kept.vias.begin(), kept.vias.end(),
                          [&](const PeerId& peer) { return neighbors_.Has(peer); });
  if (!own && via == kept.vias.end()) return;
  std::vector<Hit> fresh;
  for (Hit& hit : hits) {
    if (IsNew(kept, hit)) fresh.push_back(std::move(hit));
  }
  if (fresh.empty()) return;
  if (own) {
    own_.push_back({subscription, std::move(fresh)});
    return;
  }
  for (std::vector<Hit>& part : SplitIntoAnswers(std::move(fresh))) {
    outputs.push_back(SendFrame{*via, StandingHits{subscription, std::move(part)}});
  }
}

void StandingVisits::CheckInvariants() const {
  int brought = 0;
  for (const auto& [peer, count] : brought_) {
    PANAL_CHECK(count > 0);
    PANAL_CHECK(peer == self_ || count <= options_.standing_kept_per_neighbor_max);
    brought += count;
  }
  PANAL_CHECK(static_cast<size_t>(brought) == kept_.size());
  auto own = brought_.find(self_);
  const int others = brought - (own == brought_.end() ? 0 : own->second);
  PANAL_CHECK(others <= options_.standing_kept_max);
  for (const auto& [id, kept] : kept_) {
    PANAL_CHECK(!kept.vias.empty() && kept.vias.size() <= kViasMax);
    PANAL_CHECK(kept.passed.size() == kept.passed_order.size());
    PANAL_CHECK(kept.passed.size() <= kPassedRecordsMax);
    PANAL_CHECK(next_expiry_ <= kept.until);
  }
}

}  // namespace panal
