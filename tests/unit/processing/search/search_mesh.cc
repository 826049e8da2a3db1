#include "tests/unit/processing/search/search_mesh.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/model/hit_limit.h"

namespace panal {

PeerId PeerIdOf(uint64_t index) {
  return *PeerId::FromBytes(Sha256(absl::StrCat("peer ", index)).view());
}

PagePtr MakePage(const PeerId& publisher, uint32_t number, uint64_t version,
                 const std::vector<std::string>& names) {
  auto page = std::make_shared<Page>();
  page->header.key = {publisher, number};
  page->header.version = version;
  for (const std::string& name : names) {
    Record record;
    record.name = name;
    record.id = Sha256(name);
    record.version = version;
    absl::StrAppend(&page->body, name, "\n");
    page->records.push_back(std::move(record));
  }
  page->header.body_hash = Sha256(page->body);
  return page;
}

SearchMesh::SearchMesh(uint64_t seed, const SearchOptions& options)
    : seed_(seed), options_(options), random_(seed) {}

void SearchMesh::AddPeers(int count) {
  for (int i = 0; i < count; ++i) {
    Peer peer;
    peer.id = PeerIdOf(peers_.size());
    peer.random = std::make_unique<Random>(random_.Next());
    peer.core = SearchCore::Create(peer.id, options_, *peer.random);
    index_[peer.id] = size();
    peers_.push_back(std::move(peer));
  }
}

void SearchMesh::Link(int a, int b) {
  if (a == b) return;
  peers_[a].links.insert(b);
  peers_[b].links.insert(a);
}

void SearchMesh::LinkRings(int degree) {
  for (int ring = 0; ring < degree / 2; ++ring) {
    std::vector<int> order(peers_.size());
    for (int i = 0; i < size(); ++i) order[i] = i;
    random_.Shuffle(order);
    for (size_t i = 0; i < order.size(); ++i) Link(order[i], order[(i + 1) % order.size()]);
  }
}

void SearchMesh::LinkRandomly(int extra) {
  for (int i = 1; i < size(); ++i) Link(i, static_cast<int>(random_.Below(i)));
  for (int i = 0; i < extra; ++i) {
    Link(static_cast<int>(random_.Below(size())), static_cast<int>(random_.Below(size())));
  }
}

MeshEstimate SearchMesh::TrueEstimate() const {
  MeshEstimate estimate{.peers = 0, .measured = true};
  for (const Peer& peer : peers_) {
    if (!peer.alive) continue;
    const auto degree = static_cast<double>(peer.links.size());
    estimate.peers += 1;
    estimate.degree_sum += degree;
    estimate.degree_square_sum += degree * degree;
  }
  return estimate;
}

void SearchMesh::Start() {
  for (int i = 0; i < size(); ++i) TellLinks(i);
  TellEstimate(TrueEstimate());
}

void SearchMesh::TellEstimate(const MeshEstimate& estimate) {
  for (Peer& peer : peers_) {
    if (peer.alive) peer.core->SetEstimate(estimate);
  }
}

void SearchMesh::Join(int degree) {
  AddPeers(1);
  const int newcomer = size() - 1;
  Call(newcomer, [&](SearchCore& core, Outputs& outputs) { core.OnStart(now_, outputs); });
  while (std::ssize(peers_[newcomer].links) < degree) {
    const auto other = static_cast<int>(random_.Below(newcomer));
    if (!peers_[other].alive || peers_[newcomer].links.contains(other)) continue;
    Link(newcomer, other);
    for (const auto& [at, up] : {std::pair(newcomer, other), std::pair(other, newcomer)}) {
      TellLinks(at);
      Call(at, [&, id = peers_[up].id](SearchCore& core, Outputs& outputs) {
        core.OnNeighborUp(id, /*takes_digests=*/false, now_, outputs);
      });
    }
  }
}

void SearchMesh::TellLinks(int peer) {
  std::vector<PeerId> ids;
  for (int link : peers_[peer].links) ids.push_back(peers_[link].id);
  std::sort(ids.begin(), ids.end());
  peers_[peer].core->SetNeighbors(ids);
}

void SearchMesh::Unlink(int at, int lost) {
  if (!peers_[at].alive || peers_[at].links.erase(lost) == 0) return;
  TellLinks(at);
  Call(at, [&](SearchCore& core, Outputs& outputs) {
    core.OnNeighborDown(peers_[lost].id, /*departed=*/true, now_, outputs);
  });
}

void SearchMesh::Crash(int peer, absl::Duration notice) {
  peers_[peer].alive = false;
  const std::set<int> links = peers_[peer].links;
  At(notice, [this, peer, links] {
    for (int link : links) Unlink(link, peer);
  });
}

void SearchMesh::BreakLink(int a, int b) {
  Unlink(a, b);
  Unlink(b, a);
}

uint64_t SearchMesh::Search(int peer, const std::string& query, double recall,
                            absl::Duration timeout, uint32_t limit) {
  const uint64_t request = next_request_++;
  results_[request];
  Call(peer, [&](SearchCore& core, Outputs& outputs) {
    core.OnSearchRequested({request, query, recall, limit, timeout}, now_, outputs);
  });
  return request;
}

void SearchMesh::Cancel(int peer, uint64_t request) {
  Call(peer, [&](SearchCore& core, Outputs& outputs) {
    core.OnSearchCancelled({request}, now_, outputs);
  });
}

void SearchMesh::Publish(int peer, const PagePtr& page, bool spread_now) {
  auto timed = std::make_shared<Page>(*page);
  timed->header.expires_ms = static_cast<uint64_t>(absl::ToUnixMillis(now_ + kPageLifetime));
  Put(peer, timed);
  Call(peer, [&](SearchCore& core, Outputs& outputs) {
    core.OnOwnPagesSigned({{timed}, spread_now}, now_, outputs);
  });
}

void SearchMesh::Put(int peer, const PagePtr& page) {
  peers_[peer].catalog[page->header.key] = page;
}

void SearchMesh::At(absl::Duration delay, std::function<void()> run) {
  events_.push({now_ + delay, ++sequence_, std::move(run)});
}

void SearchMesh::Run(absl::Duration duration) {
  const absl::Time end = now_ + duration;
  while (!events_.empty() && events_.top().at <= end) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    event.run();
  }
  now_ = end;
}

void SearchMesh::RunUntilQuiet(absl::Duration limit) {
  const absl::Time end = now_ + limit;
  while (!events_.empty() && events_.top().at <= end) Run(events_.top().at - now_);
}

void SearchMesh::Call(int peer, const std::function<void(SearchCore&, Outputs&)>& call) {
  if (!peers_[peer].alive || peers_[peer].mute) return;
  Outputs outputs;
  call(*peers_[peer].core, outputs);
  Perform(peer, outputs);
}

absl::Duration SearchMesh::LatencyOf(int a, int b) const {
  const auto low = static_cast<uint64_t>(std::min(a, b));
  const auto high = static_cast<uint64_t>(std::max(a, b));
  return absl::Microseconds(1000 + Mix64(seed_ ^ (low << 32 | high)) % 20'000);
}

void SearchMesh::Perform(int peer, Outputs& outputs) {
  for (Output& output : outputs) {
    if (auto* send = std::get_if<SendFrame>(&output)) {
      const int to = index_.at(send->to);
      PANAL_CHECK(peers_[peer].links.contains(to));
      At(LatencyOf(peer, to), [this, peer, to, frame = send->frame] { Deliver(peer, to, frame); });
    } else if (auto* timer = std::get_if<ScheduleTimer>(&output)) {
      At(timer->delay, [this, peer, timer = timer->timer] {
        Call(peer, [&](SearchCore& core, Outputs& out) { core.OnTimer(timer, now_, out); });
      });
    } else if (auto* query = std::get_if<QueryIndex>(&output)) {
      At(absl::Milliseconds(1), [this, peer, query = *query] { Evaluate(peer, query); });
    } else if (auto* store = std::get_if<StorePage>(&output)) {
      At(absl::Milliseconds(1), [this, peer, store = *store] {
        const PageOutcome outcome = Store(peer, store);
        Call(peer, [&](SearchCore& core, Outputs& out) {
          core.OnPageStored({store.token, outcome}, now_, out);
        });
      });
    } else if (auto* load = std::get_if<LoadPage>(&output)) {
      At(absl::Milliseconds(1), [this, peer, load = *load] {
        auto it = peers_[peer].catalog.find(load.key);
        const PagePtr page = it == peers_[peer].catalog.end() ? nullptr : it->second;
        Call(peer, [&](SearchCore& core, Outputs& out) {
          core.OnPageLoaded({load.token, page}, now_, out);
        });
      });
    } else if (auto* refresh = std::get_if<RefreshOwnPages>(&output)) {
      for (uint32_t number : refresh->numbers) {
        peers_[peer].refreshes.push_back(number);
        const PagePtr page = peers_[peer].catalog.at({peers_[peer].id, number});
        At(absl::Milliseconds(1), [this, peer, page] { Publish(peer, page); });
      }
    } else if (auto* hits = std::get_if<SearchHits>(&output)) {
      Result& result = results_[hits->request];
      PANAL_CHECK(!result.done);
      for (Hit& hit : hits->hits) result.hits.push_back(std::move(hit));
    } else if (auto* done = std::get_if<SearchDone>(&output)) {
      Result& result = results_[done->request];
      result.done = true;
      ++result.times_done;
      result.summary = done->summary;
      result.finished = now_;
    } else if (auto* spread = std::get_if<PageSpread>(&output)) {
      peers_[peer].spreads.push_back(*spread);
    }
  }
}

void SearchMesh::Deliver(int from, int to, const Frame& frame) {
  if (!peers_[to].alive || peers_[to].mute || !peers_[to].links.contains(from)) return;
  if (on_frame) on_frame(from, to, frame);
  const PeerId& id = peers_[from].id;
  Call(to, [&](SearchCore& core, Outputs& outputs) {
    if (auto* cast = std::get_if<Cast>(&frame)) {
      ++frames_["cast"];
      PANAL_CHECK(cast->begin < cast->end && cast->hops <= kCastHopsMax);
      core.OnCast(id, *cast, now_, outputs);
    } else if (auto* answer = std::get_if<Answer>(&frame)) {
      ++frames_["answer"];
      core.OnAnswer(id, *answer, now_, outputs);
    } else if (auto* want = std::get_if<PageWant>(&frame)) {
      ++frames_["want"];
      core.OnPageWant(id, *want, now_, outputs);
    } else if (auto* body = std::get_if<PageBodyFrame>(&frame)) {
      ++frames_["body"];
      core.OnPageBody(id, *body, now_, outputs);
    }
  });
}

void SearchMesh::Evaluate(int peer, const QueryIndex& query) {
  if (!peers_[peer].alive || peers_[peer].mute) return;
  IndexAnswered answer{.token = query.token};
  answer.failed = peers_[peer].failing;
  if (!answer.failed) {
    evaluated_[query.query].insert(peer);
    ++evaluations_[query.query];
    HitLimit limit(query.limit);
    for (const auto& [key, page] : peers_[peer].catalog) {
      for (const Record& record : page->records) {
        if (query.query != "*" && record.name != query.query) continue;
        Hit hit{record, {key.publisher, {}}};
        const HitLimit::Verdict verdict = limit.Take(hit);
        if (verdict == HitLimit::Verdict::kTaken) answer.hits.push_back(std::move(hit));
        if (verdict == HitLimit::Verdict::kFull) answer.truncated = true;
      }
    }
  }
  Call(peer,
       [&](SearchCore& core, Outputs& outputs) { core.OnIndexAnswered(answer, now_, outputs); });
}

PageOutcome SearchMesh::Store(int peer, const StorePage& store) {
  if (peers_[peer].failing) return PageOutcome::kFailed;
  auto& catalog = peers_[peer].catalog;
  auto it = catalog.find(store.page->header.key);
  if (it != catalog.end()) {
    if (it->second->header.version > store.page->header.version) return PageOutcome::kStale;
    if (it->second->header.body_hash == store.page->header.body_hash) return PageOutcome::kKept;
  }
  if (peers_[peer].full) return PageOutcome::kFull;
  if (!store.has_body) return PageOutcome::kBodyMissing;
  catalog[store.page->header.key] = store.page;
  return PageOutcome::kKept;
}

std::set<int> SearchMesh::Holders(const PageKey& key) const {
  std::set<int> holders;
  for (int i = 0; i < size(); ++i) {
    if (peers_[i].alive && peers_[i].catalog.contains(key)) holders.insert(i);
  }
  return holders;
}

void SearchMesh::CheckInvariants() const {
  for (const Peer& peer : peers_) peer.core->CheckInvariants();
}

}  // namespace panal
