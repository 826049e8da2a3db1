#include "server/processing/search/visitor.h"

#include <algorithm>
#include <variant>

#include "common/base/check.h"

namespace panal {

Visitor::Visitor(const SearchOptions& options, const Neighbors& neighbors, Tokens& tokens,
                 StandingVisits& standing)
    : options_(options), neighbors_(neighbors), tokens_(tokens), standing_(standing) {}

void Visitor::Begin(const Visit& visit, absl::Time now, Outputs& outputs) {
  if (evaluations_.size() + stores_.size() >= VisitsMax()) {
    // The catalog does not keep up.
    done_.push_back({visit.bubble, Tally{}, true});
    return;
  }
  if (const auto* page = std::get_if<PagePayload>(visit.payload.get())) {
    return BeginPage(visit, *page, outputs);
  }
  BeginQuery(visit, std::get<QueryPayload>(*visit.payload), now, outputs);
}

void Visitor::BeginQuery(const Visit& visit, const QueryPayload& query, absl::Time now,
                         Outputs& outputs) {
  // Kept first: what comes while the index is asked is told either way.
  if (query.standing.has_value() && !standing_.Keep(visit.from, query, now)) {
    // Not a failure: the catalog has room for other casts.
    done_.push_back({visit.bubble, Tally{}});
    return;
  }
  const uint64_t token = tokens_.Take();
  evaluations_[token] = visit.bubble;
  QueryIndex index{token, query.query, query.limit,
                   std::max(visit.until - now, absl::ZeroDuration()), visit.from};
  if (query.standing.has_value()) {
    index.arrived_within = absl::Milliseconds(query.standing->since_ms);
  }
  outputs.push_back(std::move(index));
}

void Visitor::BeginPage(const Visit& visit, const PagePayload& payload, Outputs& outputs) {
  if (payload.page == nullptr) {
    done_.push_back({visit.bubble, Tally{.visited = 1}});
    return;
  }
  // First, so that whoever finds a record of the page finds its publisher too.
  if (payload.peer_page != nullptr) {
    const uint64_t token = tokens_.Take();
    stores_[token] = {{}, payload.peer_page, visit.from, visit.until, true};
    outputs.push_back(StorePage{token, payload.peer_page, true, visit.from});
  }
  const uint64_t token = tokens_.Take();
  stores_[token] = {{visit.bubble}, payload.page, visit.from, visit.until, payload.has_body};
  outputs.push_back(StorePage{token, payload.page, payload.has_body, visit.from});
}

void Visitor::OnIndexAnswered(const IndexAnswered& answer) {
  auto it = evaluations_.find(answer.token);
  if (it == evaluations_.end()) return;
  if (answer.failed) {
    done_.push_back({it->second, Tally{}, true});
  } else {
    done_.push_back(
        {it->second, Tally{.visited = 1, .truncated = answer.truncated, .hits = answer.hits}});
  }
  evaluations_.erase(it);
}

void Visitor::OnPageStored(const PageStored& stored, absl::Time now, Outputs& outputs) {
  auto it = stores_.find(stored.token);
  if (it == stores_.end()) return;
  const Store store = std::move(it->second);
  stores_.erase(it);
  // Not of the peer page that came with another.
  if (!store.bubbles.empty()) {
    standing_.OnStored(*store.page, stored.fresh, store.from, now, outputs);
  }
  if (stored.outcome == PageOutcome::kKept && store.has_body) kept_.push_back(store.page);
  if (stored.outcome == PageOutcome::kBodyMissing && !store.has_body) {
    AskBody(store, now, outputs);
  } else {
    Finish(store.bubbles, stored.outcome);
  }
}

void Visitor::Finish(const std::vector<BubbleId>& bubbles, PageOutcome outcome) {
  for (const BubbleId& bubble : bubbles) {
    Tally tally{.visited = 1};
    tally.kept = outcome == PageOutcome::kKept ? 1 : 0;
    tally.full = outcome == PageOutcome::kFull ? 1 : 0;
    done_.push_back({bubble, std::move(tally)});
  }
}

void Visitor::AskBody(const Store& store, absl::Time now, Outputs& outputs) {
  const PageHeader& header = store.page->header;
  auto it = pulls_.find(header.key);
  if (it != pulls_.end()) {
    Pull& pull = it->second;
    const bool alive = pull.until > now && neighbors_.Has(pull.asked);
    if (alive && pull.version >= header.version) {
      if (pull.bubbles.size() >= PullWaitersMax()) {
        return Finish(store.bubbles, PageOutcome::kBodyMissing);
      }
      pull.bubbles.insert(pull.bubbles.end(), store.bubbles.begin(), store.bubbles.end());
      return;
    }
    Finish(pull.bubbles, PageOutcome::kBodyMissing);
    pulls_.erase(it);
  }
  if (!MayPull(store.from, now) || !neighbors_.Has(store.from)) {
    return Finish(store.bubbles, PageOutcome::kBodyMissing);
  }
  pulls_[header.key] = {header.version, store.from, store.until, store.bubbles, {}};
  outputs.push_back(SendFrame{store.from, PageWant{header.key, header.version}});
}

bool Visitor::MayPull(const PeerId& from, absl::Time now) {
  auto has_room = [&] {
    const auto of_one = std::count_if(pulls_.begin(), pulls_.end(), [&](const auto& entry) {
      return entry.second.asked == from;
    });
    return pulls_.size() < PullsMax() && static_cast<size_t>(of_one) < PullsOfOneMax();
  };
  if (has_room()) return true;
  absl::erase_if(pulls_, [&](const auto& entry) { return entry.second.until <= now; });
  return has_room();
}

bool Visitor::Wait(const PeerId& to, const PageWant& want) {
  auto it = pulls_.find(want.key);
  if (it == pulls_.end() || it->second.version < want.version) return false;
  std::vector<PeerId>& waiting = it->second.waiting;
  const bool known = std::find(waiting.begin(), waiting.end(), to) != waiting.end();
  if (!known && waiting.size() < PullWaitersMax()) waiting.push_back(to);
  return true;
}

void Visitor::OnPageWant(const PeerId& from, const PageWant& want, Outputs& outputs) {
  if (Wait(from, want) || serves_.size() >= kServesMax) return;
  const auto of_one = std::count_if(serves_.begin(), serves_.end(),
                                    [&](const auto& entry) { return entry.second.to == from; });
  if (static_cast<size_t>(of_one) >= kServesMax / kVisitorShares) return;
  const uint64_t token = tokens_.Take();
  serves_[token] = {from, want};
  outputs.push_back(LoadPage{token, want.key, from});
}

void Visitor::OnPageLoaded(const PageLoaded& loaded, Outputs& outputs) {
  auto it = serves_.find(loaded.token);
  if (it == serves_.end()) return;
  const Serve serve = it->second;
  serves_.erase(it);
  if (loaded.page != nullptr && loaded.page->header.version >= serve.want.version) {
    if (neighbors_.Has(serve.to))
      outputs.push_back(SendFrame{serve.to, PageBodyFrame{loaded.page}});
  } else {
    // The body may be on its way here: the header came a moment before the question.
    Wait(serve.to, serve.want);
  }
}

void Visitor::OnPageBody(const PeerId& from, const PageBodyFrame& body, Outputs& outputs) {
  if (body.page == nullptr) return;
  auto it = pulls_.find(body.page->header.key);
  if (it == pulls_.end() || it->second.asked != from ||
      body.page->header.version < it->second.version) {
    outputs.push_back(FrameRefused{from, "a page body that was not asked for", false});
    return;
  }
  const Pull pull = std::move(it->second);
  pulls_.erase(it);
  for (const PeerId& peer : pull.waiting) {
    if (neighbors_.Has(peer)) outputs.push_back(SendFrame{peer, body});
  }
  const uint64_t token = tokens_.Take();
  stores_[token] = {pull.bubbles, body.page, from, pull.until, true};
  outputs.push_back(StorePage{token, body.page, true, from});
}

void Visitor::OnNeighborDown(const PeerId& peer) {
  for (auto it = pulls_.begin(); it != pulls_.end();) {
    if (it->second.asked == peer) {
      Finish(it->second.bubbles, PageOutcome::kBodyMissing);
      it = pulls_.erase(it);
    } else {
      ++it;
    }
  }
}

void Visitor::CheckInvariants() const {
  // A pulled body, and the peer page of the last visit, are stored on top of the visits.
  PANAL_CHECK(evaluations_.size() + stores_.size() <= VisitsMax() + PullsMax() + 1);
  PANAL_CHECK(pulls_.size() <= PullsMax());
  PANAL_CHECK(serves_.size() <= kServesMax);
  PANAL_CHECK(done_.empty() && kept_.empty());
  absl::btree_map<PeerId, size_t> asked, served;
  for (const auto& [key, pull] : pulls_) PANAL_CHECK(++asked[pull.asked] <= PullsOfOneMax());
  for (const auto& [token, serve] : serves_) {
    PANAL_CHECK(++served[serve.to] <= kServesMax / kVisitorShares);
  }
  for (const auto& [key, pull] : pulls_) {
    PANAL_CHECK(pull.bubbles.size() <= 2 * PullWaitersMax());
    PANAL_CHECK(pull.waiting.size() <= PullWaitersMax());
  }
}

}  // namespace panal
