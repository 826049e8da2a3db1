#include "tests/sim/simulator.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "tests/sim/sim_catalog.h"
#include "tests/sim/simulator_impl.h"

namespace panal::sim {
namespace {

constexpr absl::Duration kCheckInterval = absl::Milliseconds(100);

}  // namespace

Record FileRecord(absl::string_view name, uint64_t size_bytes) {
  Record record;
  record.kind = RecordKind::kFile;
  record.name = std::string(name);
  record.id = Sha256(name);
  record.size_bytes = size_bytes;
  record.version = 1;
  return record;
}

Simulation::Simulation(SimulationOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

Simulation::~Simulation() = default;

PeerIndex Simulation::AddPeer(const AddOptions& options) { return impl_->AddPeer(options); }

std::vector<PeerIndex> Simulation::AddPeers(int count, absl::Duration spacing) {
  std::vector<PeerIndex> added;
  for (int i = 0; i < count; ++i) {
    added.push_back(AddPeer());
    Run(spacing);
  }
  return added;
}

void Simulation::Crash(PeerIndex peer) { impl_->EndPeer(peer, impl_->options_.crash_notice); }

void Simulation::Leave(PeerIndex peer) { impl_->LeavePeer(peer); }

void Simulation::Restart(PeerIndex peer, bool moved) { impl_->RestartPeer(peer, moved); }

void Simulation::RestartEmpty(PeerIndex peer, bool new_key, std::optional<PeerIndex> contact) {
  impl_->RestartEmptyPeer(peer, new_key, contact);
}

void Simulation::Cut(PeerIndex a, PeerIndex b) {
  impl_->cut_.insert(std::minmax(a, b));
  impl_->Break(a, b);
}

void Simulation::Mend(PeerIndex a, PeerIndex b) { impl_->cut_.erase(std::minmax(a, b)); }

void Simulation::Partition(const std::vector<PeerIndex>& side) { impl_->Partition({side}); }

void Simulation::PartitionInto(const std::vector<std::vector<PeerIndex>>& sides) {
  impl_->Partition(sides);
}

void Simulation::Mute(const std::vector<PeerIndex>& side) { impl_->Mute(side); }

void Simulation::Heal() {
  impl_->side_.clear();
  impl_->muted_.clear();
}

void Simulation::SlowDown(PeerIndex peer, const Slowness& slowness) {
  impl_->peers_[peer].slowness = slowness;
}

void Simulation::BreakLink(PeerIndex a, PeerIndex b) { impl_->Break(a, b); }

std::vector<uint32_t> Simulation::Publish(PeerIndex peer, std::vector<Record> records) {
  return impl_->Publish(peer, std::move(records));
}

void Simulation::Republish(PeerIndex peer, uint32_t number, std::vector<Record> records) {
  uint64_t version = ToMilliseconds(impl_->now_);
  PagePtr old = impl_->peers_[peer].catalog->Load({IdOf(peer), number}, impl_->now_);
  if (old != nullptr) version = std::max(version, old->header.version + 1);
  impl_->StoreAndSpread(peer, {MakePage(IdOf(peer), number, version, impl_->now_ + kPageLifetime,
                                        std::move(records))});
}

SearchResult Simulation::Search(PeerIndex peer, absl::string_view query,
                                const SearchArguments& arguments) {
  uint64_t request = StartSearch(peer, query, arguments);
  RunUntil([&] { return ResultOf(request).done; }, arguments.timeout + absl::Seconds(5));
  return ResultOf(request);
}

uint64_t Simulation::StartSearch(PeerIndex peer, absl::string_view query,
                                 const SearchArguments& arguments) {
  uint64_t request = impl_->next_request_++;
  impl_->searches_[request].started = impl_->now_;
  impl_->searches_[request].query = std::string(query);
  impl_->Feed(peer, SearchRequested{.request = request,
                                    .query = std::string(query),
                                    .recall = arguments.recall,
                                    .limit = arguments.limit,
                                    .timeout = arguments.timeout,
                                    .enough = arguments.enough});
  return request;
}

void Simulation::CancelSearch(PeerIndex peer, uint64_t request) {
  impl_->Feed(peer, SearchCancelled{request});
}

const SearchResult& Simulation::ResultOf(uint64_t request) const {
  auto it = impl_->searches_.find(request);
  PANAL_CHECK(it != impl_->searches_.end());
  return it->second.result;
}

void Simulation::ForgetSearch(uint64_t request) {
  PANAL_CHECK(ResultOf(request).done);
  impl_->searches_.erase(request);
}

std::optional<PageSpread> Simulation::SpreadOf(PeerIndex peer, uint32_t number) const {
  const auto& spreads = impl_->peers_[peer].spreads;
  auto it = spreads.find(number);
  if (it == spreads.end()) return std::nullopt;
  return it->second;
}

std::vector<PeerIndex> Simulation::HoldersOf(const PageKey& key) const {
  std::vector<PeerIndex> holders;
  for (PeerIndex peer : Live()) {
    if (Holds(peer, key)) holders.push_back(peer);
  }
  return holders;
}

bool Simulation::Holds(PeerIndex peer, const PageKey& key, uint64_t version) const {
  PagePtr page = impl_->peers_[peer].catalog->Load(key, impl_->now_);
  return page != nullptr && page->header.version >= version;
}

bool Simulation::KeepsMatch(PeerIndex peer, const Query& query) const {
  return impl_->peers_[peer].catalog->HasMatch(query, impl_->now_);
}

uint64_t Simulation::QueriesEvaluated() const { return impl_->evaluated_; }

uint64_t Simulation::QueriesEvaluatedAt(PeerIndex peer) const {
  return impl_->peers_[peer].catalog->evaluated();
}

FactPtr Simulation::SayFact(PeerIndex peer, FactBody body) {
  return impl_->SayFact(peer, std::move(body));
}

const Revocations& Simulation::RevocationsOf(PeerIndex peer) const {
  return *impl_->peers_[peer].revocations;
}

std::vector<FactPtr> Simulation::FactsOf(PeerIndex peer) const {
  std::vector<FactPtr> facts;
  for (const auto& [id, fact] : impl_->peers_[peer].facts) facts.push_back(fact);
  return facts;
}

void Simulation::Run(absl::Duration duration) { impl_->RunTo(impl_->now_ + duration); }

bool Simulation::RunUntil(const std::function<bool()>& done, absl::Duration limit) {
  absl::Time end = impl_->now_ + limit;
  while (!done()) {
    if (impl_->now_ >= end) return false;
    Run(kCheckInterval);
  }
  return true;
}

void Simulation::At(absl::Duration delay, std::function<void()> action) {
  impl_->At(delay, std::move(action));
}

absl::Time Simulation::now() const { return impl_->now_; }

uint64_t Simulation::seed() const { return impl_->seed_; }

uint64_t Simulation::TraceHash() const { return impl_->trace_; }

size_t Simulation::size() const { return impl_->peers_.size(); }

std::vector<PeerIndex> Simulation::Live() const { return impl_->Live(); }

size_t Simulation::LiveCount() const { return impl_->live_count_; }

absl::Time Simulation::StartedAt(PeerIndex peer) const { return impl_->peers_[peer].started; }

std::vector<PeerIndex> Simulation::LinksOf(PeerIndex peer) const {
  std::vector<PeerIndex> others;
  for (auto [other, connection] : impl_->peers_[peer].links) {
    if (impl_->peers_[other].live && !impl_->connections_[connection].broken)
      others.push_back(other);
  }
  return others;
}

bool Simulation::IsLive(PeerIndex peer) const { return impl_->peers_[peer].live; }

PeerIndex Simulation::RandomLive() {
  std::vector<PeerIndex> live = Live();
  PANAL_CHECK(!live.empty());
  return live[impl_->random_.Below(live.size())];
}

Random& Simulation::random() { return impl_->random_; }

const PeerId& Simulation::IdOf(PeerIndex peer) const { return impl_->peers_[peer].id; }

std::optional<PeerIndex> Simulation::IndexOf(const PeerId& id) const { return impl_->IndexOf(id); }

const Core& Simulation::CoreOf(PeerIndex peer) const {
  PANAL_CHECK(impl_->peers_[peer].live);
  return *impl_->peers_[peer].core;
}

void Simulation::Feed(PeerIndex peer, Input input) { impl_->Feed(peer, std::move(input)); }

Traffic Simulation::traffic() const {
  Traffic traffic;
  for (size_t kind = 0; kind < kFrameKinds; ++kind) {
    const Impl::Counter& counter = impl_->sent_[kind];
    if (counter.frames == 0) continue;
    traffic.frames += counter.frames;
    traffic.bytes += counter.bytes;
    traffic.by_kind[std::string(FrameKindName(kind))] = {counter.frames, counter.bytes};
  }
  return traffic;
}

uint64_t Simulation::ForgedFrames() const { return impl_->forged_; }

std::string Simulation::CheckPages() const {
  std::string wrong;
  const uint64_t now_ms = ToMilliseconds(impl_->now_);
  for (PeerIndex keeper : Live()) {
    for (const auto& [page, arrived] : impl_->peers_[keeper].catalog->pages()) {
      const PageKey& key = page->header.key;
      std::optional<PeerIndex> publisher = IndexOf(key.publisher);
      if (!IsSigned(page->header))
        absl::StrAppend(&wrong, "peer ", keeper, " keeps a forged page; ");
      if (!publisher || page->header.expires_ms <= now_ms) continue;
      // Without its disk a publisher has forgotten what it published.
      PagePtr own = impl_->peers_[*publisher].catalog->Load(key, impl_->now_);
      if (own != nullptr && own->header.version < page->header.version) {
        absl::StrAppend(&wrong, "peer ", keeper, " keeps a page newer than its publisher's; ");
      }
    }
  }
  return wrong;
}

std::string Simulation::CheckAccount(uint64_t request, bool nothing_lost) const {
  auto it = impl_->searches_.find(request);
  PANAL_CHECK(it != impl_->searches_.end() && impl_->options_.watch_searches);
  auto seen = impl_->evaluated_by_.find(it->second.query);
  const uint64_t evaluated = seen == impl_->evaluated_by_.end() ? 0 : seen->second.size();
  const uint64_t claimed = it->second.result.summary.peers_reached;
  if (nothing_lost ? claimed == evaluated : claimed <= evaluated) return "";
  return absl::StrCat("search ", request, " claims ", claimed, " peers, ", evaluated,
                      " evaluated it; ");
}

uint64_t Simulation::events() const { return impl_->event_count_; }

}  // namespace panal::sim
