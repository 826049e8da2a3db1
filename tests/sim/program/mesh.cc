#include "tests/sim/program/mesh.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace panal::sim {
namespace {

constexpr char kCommonWord[] = "common";
// While it grows a mesh gains this share of its size in every step.
constexpr double kGrowth = 0.01;
constexpr absl::Duration kGrowthStep = absl::Milliseconds(100);
// Addresses that a newcomer is given while others come and go: one alone may be gone, or have no
// neighbors yet itself. Guess: what people put into a configuration.
constexpr int kJoinAddresses = 4;
// Batches of searches. Guess: some 0.2 s each, so that a class is done in a minute.
constexpr int kBatchesMax = 200;
// The other peers search.
constexpr double kPublisherShare = 0.5;
// Searches begin this far apart, so that many are under way at once without all in one instant.
constexpr absl::Duration kSearchSpacing = absl::Milliseconds(20);
// Pages are spread within seconds unless somebody is silent.
constexpr absl::Duration kSpreadMax = absl::Minutes(2);

SimulationOptions WithParameters(SimulationOptions options, const Parameters& parameters) {
  options.seed = parameters.seed;
  options.core.search.digests = parameters.digests;
  options.loss = parameters.loss;
  options.duplication = parameters.duplication;
  options.reorder_max = absl::Milliseconds(parameters.reorder_ms);
  if (parameters.canary_minutes > 0) {
    options.peer_pages = true;
    options.core.canary.interval = absl::Minutes(parameters.canary_minutes);
  }
  return options;
}

}  // namespace

const char* NameOf(Mix mix) {
  switch (mix) {
    case Mix::kHomogeneous:
      return "homogeneous";
    case Mix::kBubbleStorm:
      return "bubblestorm";
    case Mix::kGia:
      return "gia";
  }
  return "";
}

Mesh::Mesh(const Parameters& parameters, SimulationOptions options)
    : parameters_(parameters), sim_([&] {
        options = WithParameters(std::move(options), parameters);
        options.on_frame = [this](PeerIndex, PeerIndex to, const Frame& frame) {
          OnFrame(to, frame);
        };
        return options;
      }()) {}

// BubbleStorm's mix is that of its simulator; Gia's that of its Table 1, divided by ten so that the
// capacity of most peers is 1. The degree is clamped (docs/protocol/overlay.md).
double Mesh::NextCapacity() {
  double draw = sim_.random().Unit();
  auto pick = [draw](std::initializer_list<std::pair<double, double>> cumulative) {
    for (auto [share, capacity] : cumulative) {
      if (draw < share) return capacity;
    }
    return 1.0;
  };
  switch (parameters_.mix) {
    case Mix::kHomogeneous:
      return 1.0;
    case Mix::kBubbleStorm:
      return pick({{0.5, 1}, {0.7, 1.5}, {0.85, 2}, {0.95, 4}, {1.01, 8}});
    case Mix::kGia:
      return pick({{0.2, 0.1}, {0.65, 1}, {0.95, 10}, {0.999, 100}, {1.01, 1000}});
  }
  return 1.0;
}

void Mesh::Grow() {
  while (sim_.size() < static_cast<size_t>(parameters_.peers)) {
    auto step = static_cast<size_t>(kGrowth * static_cast<double>(sim_.size())) + 1;
    size_t end = std::min<size_t>(sim_.size() + step, parameters_.peers);
    for (size_t known = sim_.size(); sim_.size() < end;) {
      AddOptions add{.capacity = NextCapacity()};
      capacities_.push_back(add.capacity);
      if (capacity_factor_) add.capacity *= capacity_factor_(static_cast<PeerIndex>(sim_.size()));
      if (known > 0) add.contact = static_cast<PeerIndex>(sim_.random().Below(known));
      sim_.AddPeer(add);
    }
    sim_.Run(kGrowthStep);
  }
}

bool Mesh::Settle(absl::Duration limit) {
  absl::Time end = sim_.now() + limit;
  while (sim_.now() < end) {
    sim_.Run(absl::Seconds(2));
    std::vector<PeerIndex> live = sim_.Live();
    auto size = static_cast<double>(live.size());
    bool settled = std::all_of(live.begin(), live.end(), [&](PeerIndex peer) {
      MeshEstimate estimate = sim_.CoreOf(peer).Estimate();
      return estimate.measured && std::abs(estimate.peers / size - 1) <= 0.05;
    });
    if (settled || live.size() == 1) return true;
  }
  return false;
}

void Mesh::PublishOne(PeerIndex peer) { PublishAs(peer, published_.size()); }

void Mesh::PublishAs(PeerIndex peer, size_t rank) {
  std::string name = absl::StrCat(kCommonWord, " r", rank);
  if (word_left_ > 0) {
    --word_left_;
    absl::StrAppend(&name, " ", word_);
  }
  const Record record = FileRecord(name);
  uint32_t page = sim_.Publish(peer, {record}).front();
  counted_.push_back(published_.size());
  published_.push_back({std::move(name), rank, peer, page, record.version});
}

PeerIndex Mesh::AddPublisher() {
  AddOptions add{.capacity = NextCapacity()};
  if (sim_.LiveCount() > 0) {
    add.contact = sim_.RandomLive();
    for (int i = 1; i < kJoinAddresses; ++i) add.known.push_back(sim_.RandomLive());
  }
  capacities_.push_back(add.capacity);
  PeerIndex peer = sim_.AddPeer(add);
  PublishOne(peer);
  return peer;
}

void Mesh::AddWord(std::string word, int count) {
  word_ = std::move(word);
  word_left_ = count;
}

void Mesh::PublishRecords(int count) {
  // Others search.
  std::vector<PeerIndex> publishers = SomeOf(sim_, kPublisherShare);
  if (publishers.empty()) publishers = sim_.Live();
  const Zipf ranks(count, parameters_.zipf);
  for (int i = 0; i < count; ++i) {
    const PeerIndex peer = publishers[sim_.random().Below(publishers.size())];
    PublishAs(peer, parameters_.zipf > 0 ? ranks.Draw(sim_.random()) : published_.size());
    sim_.Run(kSearchSpacing);
  }
  AwaitSpread();
}

void Mesh::RepublishRecords() {
  for (size_t at : counted_) {
    Published& one = published_[at];
    Record record = FileRecord(one.name);
    record.version = ++one.version;
    sim_.Republish(one.publisher, one.page, {std::move(record)});
    sim_.Run(kSearchSpacing);
  }
  AwaitSpread();
}

void Mesh::AwaitSpread() {
  auto spread = [this] {
    return std::all_of(published_.begin(), published_.end(), [this](const Published& one) {
      return sim_.SpreadOf(one.publisher, one.page).has_value();
    });
  };
  sim_.RunUntil(spread, kSpreadMax);
}

size_t Mesh::CountRecordsOfTheLive(absl::Duration age) {
  counted_.clear();
  for (size_t i = 0; i < published_.size(); ++i) {
    PeerIndex publisher = published_[i].publisher;
    if (sim_.IsLive(publisher) && sim_.now() - sim_.StartedAt(publisher) >= age)
      counted_.push_back(i);
  }
  return counted_.size();
}

double Mesh::MeanOfSpreads(uint32_t PageSpread::*number) const {
  double sum = 0;
  int pages = 0;
  for (size_t at : counted_) {
    const auto spread = sim_.SpreadOf(published_[at].publisher, published_[at].page);
    if (!spread) continue;
    sum += (*spread).*number;
    ++pages;
  }
  return pages == 0 ? 0 : sum / pages;
}

double Mesh::CopiesPerPage() const { return MeanOfSpreads(&PageSpread::copies); }

double Mesh::CopiesWanted() const { return MeanOfSpreads(&PageSpread::target); }

void Mesh::OnFrame(PeerIndex to, const Frame& frame) {
  const auto* cast = std::get_if<Cast>(&frame);
  if (cast == nullptr || !std::holds_alternative<QueryPayload>(cast->payload)) return;
  hops_max_ = std::max(hops_max_, cast->hops);
  if (!cast->contact) return;
  const std::string& text = std::get<QueryPayload>(cast->payload).query;
  auto it = queries_.find(text);
  if (it == queries_.end()) it = queries_.emplace(text, *Query::Parse(text)).first;
  if (!sim_.KeepsMatch(to, it->second)) ++false_contacts_;
}

Searched Mesh::SearchAll(int queries, double recall) {
  return SearchEach(std::vector<Probe>(queries, Probe{kCommonWord, counted_}), recall);
}

Searched Mesh::SearchOne(int queries, double recall) {
  std::vector<Probe> probes;
  for (int i = 0; i < queries; ++i) {
    const size_t at = counted_[sim_.random().Below(counted_.size())];
    probes.push_back({absl::StrCat("r", published_[at].rank), {at}});
  }
  return SearchEach(probes, recall);
}

Searched Mesh::SearchByRank(int queries, double recall) {
  std::map<size_t, size_t> first;  // Of each rank that was published, where.
  for (size_t at : counted_) first.emplace(published_[at].rank, at);
  const Zipf ranks(static_cast<int>(counted_.size()), parameters_.zipf);
  std::vector<Probe> probes;
  while (std::ssize(probes) < queries) {
    const auto it = first.find(ranks.Draw(sim_.random()));
    if (it != first.end()) probes.push_back({absl::StrCat("r", it->first), {it->second}});
  }
  return SearchEach(probes, recall);
}

Searched Mesh::SearchEach(const std::vector<Probe>& probes, double recall) {
  const int queries = static_cast<int>(probes.size());
  Searched searched;
  searched.misses.records = static_cast<int>(probes.front().records.size());
  false_contacts_ = 0;
  const std::vector<PeerIndex> origins = Origins();
  // Where peers come and go some have ended meanwhile.
  auto origin_of = [&](int query) {
    for (size_t i = 0; i < origins.size(); ++i) {
      const PeerIndex origin = origins[(query + i) % origins.size()];
      if (sim_.IsLive(origin)) return origin;
    }
    return sim_.RandomLive();
  };
  Traffic before = sim_.traffic();
  std::vector<double> latencies;
  // So many at once that all are over before pages are refreshed, which leaves further copies.
  const int batch = (queries + kBatchesMax - 1) / kBatchesMax;
  for (int first = 0; first < queries && sim_.LiveCount() > 0; first += batch) {
    const int end = std::min(first + batch, queries);
    hops_max_ = 0;
    std::vector<Asked> asked;
    for (int query = first; query < end; ++query) {
      asked.push_back(Ask(origin_of(query), probes[query], recall));
    }
    auto over = [&] {
      return std::all_of(asked.begin(), asked.end(), [&](const Asked& one) { return IsOver(one); });
    };
    PANAL_CHECK(sim_.RunUntil(over, absl::Seconds(25)));
    for (const Asked& one : asked) {
      const SearchResult& result = sim_.ResultOf(one.request);
      if (!result.done) continue;  // Its origin is gone.
      searched.misses.origins.push_back(static_cast<int>(one.origin));
      Judge(*one.probe, result, searched);
      latencies.push_back(absl::ToDoubleMilliseconds(result.elapsed));
      sim_.ForgetSearch(one.request);
    }
  }
  PANAL_CHECK(searched.misses.queries > 0);
  Traffic after = sim_.traffic();
  const double count = searched.misses.queries;
  auto frames = [&](const std::string& kind) {
    return static_cast<double>(after.by_kind[kind].frames - before.by_kind[kind].frames) / count;
  };
  searched.casts_per_query = frames("cast_query");
  searched.answers_per_query = frames("answer");
  searched.contacts_per_query = frames("cast_contact");
  searched.false_contacts_per_query = static_cast<double>(false_contacts_) / count;
  for (const char* kind : {"cast_query", "answer", "cast_contact"}) {
    searched.bytes_per_query +=
        static_cast<double>(after.by_kind[kind].bytes - before.by_kind[kind].bytes) / count;
  }
  for (double* sum : {&searched.promised_miss, &searched.peers_reached, &searched.depth_mean,
                      &searched.complete, &searched.size_error, &searched.digests_consulted}) {
    *sum /= count;
  }
  searched.stale /= static_cast<double>(searched.misses.pairs());
  searched.latency_ms = Quantile(std::move(latencies), 0.5);
  return searched;
}

void Mesh::Use(absl::Duration duration, double recall) {
  const Probe everything{kCommonWord, {}};
  const absl::Time end = sim_.now() + duration;
  std::deque<Asked> asked;
  while (sim_.now() < end && sim_.LiveCount() > 0) {
    const Published& one = published_[sim_.random().Below(published_.size())];
    const Probe single{one.name, {}};
    const bool all = sim_.random().Unit() < 0.5;
    asked.push_back(Ask(sim_.RandomLive(), all ? everything : single, recall));
    sim_.Run(kSearchInterval / static_cast<double>(sim_.LiveCount()));
    for (; !asked.empty() && IsOver(asked.front()); asked.pop_front()) {
      sim_.ForgetSearch(asked.front().request);
    }
  }
  for (const Asked& one : asked) sim_.ForgetSearch(one.request);
}

std::vector<PeerIndex> Mesh::Origins() {
  std::vector<PeerIndex> shuffled = SomeOf(sim_, 1);
  if (may_search_) {
    auto barred = [this](PeerIndex peer) { return !may_search_(peer); };
    shuffled.erase(std::remove_if(shuffled.begin(), shuffled.end(), barred), shuffled.end());
  }
  std::set<PeerIndex> publishers;
  for (size_t at : counted_) publishers.insert(published_[at].publisher);
  std::vector<PeerIndex> others;
  for (PeerIndex peer : shuffled) {
    if (!publishers.contains(peer)) others.push_back(peer);
  }
  return others.empty() ? shuffled : others;
}

Mesh::Asked Mesh::Ask(PeerIndex origin, const Probe& probe, double recall) {
  const uint64_t request = sim_.StartSearch(origin, probe.query,
                                            {.recall = recall,
                                             .timeout = absl::Seconds(20),
                                             .enough = static_cast<uint32_t>(parameters_.enough)});
  return {request, origin, sim_.now(), &probe};
}

bool Mesh::IsOver(const Asked& asked) const {
  const bool gone = !sim_.IsLive(asked.origin) || sim_.StartedAt(asked.origin) > asked.at;
  return gone || sim_.ResultOf(asked.request).done;
}

void Mesh::Judge(const Probe& probe, const SearchResult& result, Searched& searched) const {
  const int query = searched.misses.queries++;
  searched.depth_mean += hops_max_;
  searched.depth_max = std::max(searched.depth_max, hops_max_);
  std::map<std::string, uint64_t> found;  // The newest version of each.
  for (const Hit& hit : result.hits) {
    uint64_t& version = found[hit.record.name];
    version = std::max(version, hit.record.version);
  }
  for (size_t record = 0; record < probe.records.size(); ++record) {
    const Published& one = published_[probe.records[record]];
    const auto it = found.find(one.name);
    if (it == found.end()) {
      searched.misses.missed.push_back({static_cast<int>(record), query});
    } else if (it->second < one.version) {
      searched.stale += 1;
    }
  }
  auto size = static_cast<double>(sim_.LiveCount());
  searched.promised_miss += 1 - result.summary.recall;
  searched.peers_reached += static_cast<double>(result.summary.peers_reached);
  searched.digests_consulted += static_cast<double>(result.summary.digests_consulted);
  searched.complete += result.summary.complete ? 1 : 0;
  searched.size_error += std::abs(static_cast<double>(result.summary.mesh_size) / size - 1);
}

int SideOf(int trials) {
  return std::max(1, static_cast<int>(std::lround(std::sqrt(static_cast<double>(trials)))));
}

SimulationOptions LinksOnly(bool hyparview) {
  SimulationOptions options;
  options.core.measure.idle_interval = absl::Hours(10);
  options.core.measure.round_gap = absl::Hours(1);
  if (!hyparview) return options;
  MembershipOptions& membership = options.core.membership;
  membership.active_view_size = 5;
  membership.active_view_slack = 0;
  membership.passive_view_size = 30;
  return options;
}

std::vector<PeerIndex> SomeOf(Simulation& sim, double share) {
  std::vector<PeerIndex> peers = sim.Live();
  for (size_t i = peers.size(); i > 1; --i) std::swap(peers[i - 1], peers[sim.random().Below(i)]);
  auto count = static_cast<size_t>(std::lround(share * static_cast<double>(peers.size())));
  if (share < 1 && count == peers.size() && count > 0) --count;
  peers.resize(count);
  return peers;
}

namespace {

// Most memory that the program had so far.
double PeakMib() {
  rusage usage{};
  PANAL_CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace

Row BeginRow(const Parameters& parameters) {
  Row row;
  row.Add("experiment", parameters.experiment);
  row.Add("peers", int64_t{parameters.peers});
  row.Add("seed", parameters.seed);
  row.Add("mix", NameOf(parameters.mix));
  row.Add("command", parameters.command);
  return row;
}

void AddSearched(Row& row, const Searched& searched, Random& random) {
  row.Add("pairs", searched.misses.pairs());
  row.Add("promised_miss", searched.promised_miss);
  row.Add("measured_miss", searched.misses.rate());
  row.Add("measured_miss_high", RateHigh(searched.misses, random));
  row.Add("complete", searched.complete);
  row.Add("peers_reached", searched.peers_reached);
  row.Add("messages_per_query", searched.casts_per_query);
  row.Add("answers_per_query", searched.answers_per_query);
  row.Add("contacts_per_query", searched.contacts_per_query);
  row.Add("false_contacts_per_query", searched.false_contacts_per_query);
  row.Add("digests_consulted", searched.digests_consulted);
  row.Add("bytes_per_query", searched.bytes_per_query);
  row.Add("depth", int64_t{searched.depth_max});
  row.Add("depth_mean", searched.depth_mean);
  row.Add("latency_ms", searched.latency_ms);
  row.Add("size_error", searched.size_error);
}

void EndRow(Row& row, const Simulation& sim) {
  sim.CheckInvariants();
  const std::string broken = sim.CheckPages();
  PANAL_CHECK(broken.empty());
  EndRow(row, sim.events(), sim.TraceHash());
}

void EndRow(Row& row, uint64_t events, uint64_t trace_hash) {
  const double seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  row.Add("events", events);
  row.Add("seconds", seconds);
  row.Add("events_per_second", static_cast<double>(events) / std::max(seconds, 1e-3));
  row.Add("peak_mib", PeakMib());
  row.Add("trace_hash", absl::StrCat(absl::Hex(trace_hash, absl::kZeroPad16)));
}

}  // namespace panal::sim
