#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/floods.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

constexpr absl::Duration kNoDelay = absl::ZeroDuration();
// A late answer comes after most of a search's time. Guess.
constexpr absl::Duration kLate = absl::Seconds(6);
// How much a peer that lies about sizes exaggerates, and one that amplifies enlarges.
constexpr double kExaggeration = 10;
constexpr uint32_t kAmplification = 1000;
// How much more capacity than it has a peer claims: from one share to the largest.
constexpr double kCapacityFactor = 8;
// Between publishing and searching, under a flood: until every table is full. A simulation bears no more.
constexpr absl::Duration kFloodTime = absl::Seconds(10);
// When a frame is sent again: while what it belongs to is still known, and when it is over. Guess.
constexpr absl::Duration kReplays[] = {absl::Seconds(1), absl::Seconds(30)};

// The hostile peers of one run, and what they do to the frames they send.
class Hostile {
 public:
  explicit Hostile(const Parameters& parameters)
      : variant_(parameters.variant.empty() ? "drop" : parameters.variant),
        share_(parameters.fail),
        is_(parameters.peers, false),
        flood_(variant_) {}

  // Which they are.
  void Choose(Random& random) {
    for (size_t peer = 0; peer < is_.size(); ++peer) is_[peer] = random.Unit() < share_;
  }

  bool Is(PeerIndex peer) const { return is_[peer]; }

  // What others give it to keep.
  bool KeepsNothing(PeerIndex peer) const {
    return variant_ == "drop" && sim_ != nullptr && is_[peer];
  }

  const std::string& variant() const { return variant_; }

  double Share() const {
    return static_cast<double>(std::count(is_.begin(), is_.end(), true)) /
           static_cast<double>(is_.size());
  }

  // They behave until this is called; from then on what they send is changed. `sim` stays.
  void Begin(Simulation& sim);

  // What one frame becomes, and how much later it is sent.
  absl::Duration Tamper(PeerIndex from, PeerIndex to, Frame& frame);

 private:
  bool Drops(PeerIndex from, const Frame& frame) const;
  void Note(const PagePtr& page);
  void Replay(PeerIndex from, PeerIndex to, const Frame& frame);
  void MakeStale(Frame& frame);
  PagePtr StaleOf(const PagePtr& page);

  const std::string variant_;
  const double share_;
  std::vector<bool> is_;
  Flood flood_;
  Simulation* sim_ = nullptr;
  // What was seen first, and last before they began, of each page; `stale` only.
  std::map<PageKey, std::pair<PagePtr, PagePtr>> seen_;
  std::map<std::string, Record> records_;
  int staled_ = 0;
};

void Hostile::Begin(Simulation& sim) {
  sim_ = &sim;
  if (!Flood::IsFlood(variant_)) return;
  std::vector<PeerIndex> hostile;
  for (PeerIndex peer = 0; peer < is_.size(); ++peer) {
    if (is_[peer]) hostile.push_back(peer);
  }
  flood_.Begin(sim, std::move(hostile));
}

// Claims to have asked everybody it was to ask, and found nothing.
void LieAboutCounts(Frame& frame) {
  if (auto* answer = std::get_if<Answer>(&frame)) {
    answer->visited += answer->unanswered;
    answer->unanswered = 0;
    answer->hits.clear();
  }
}

void LieAboutSize(Frame& frame) {
  if (auto* share = std::get_if<Measure>(&frame)) {
    share->count *= kExaggeration;
    share->last_count *= kExaggeration;
  }
}

// Asks for far larger bubbles than it was asked for.
void Amplify(Frame& frame) {
  if (auto* cast = std::get_if<Cast>(&frame)) {
    cast->end = std::min(kBubbleSizeMax, cast->begin + (cast->end - cast->begin) * kAmplification);
  }
}

PagePtr* PageIn(Frame& frame) {
  if (auto* body = std::get_if<PageBodyFrame>(&frame)) return &body->page;
  auto* cast = std::get_if<Cast>(&frame);
  auto* payload = cast == nullptr ? nullptr : std::get_if<PagePayload>(&cast->payload);
  return payload == nullptr || !payload->has_body ? nullptr : &payload->page;
}

absl::Duration Hostile::Tamper(PeerIndex from, PeerIndex to, Frame& frame) {
  if (variant_ == "stale" && sim_ == nullptr) {
    if (PagePtr* page = PageIn(frame)) Note(*page);
  }
  if (sim_ == nullptr || !is_[from]) return kNoDelay;
  const bool answers = std::holds_alternative<Answer>(frame);
  if (variant_ == "drop" && Drops(from, frame)) return absl::InfiniteDuration();
  if (variant_ == "late" && answers) return kLate;
  if (variant_ == "counts") LieAboutCounts(frame);
  if (variant_ == "size") LieAboutSize(frame);
  if (variant_ == "amplify") Amplify(frame);
  if (variant_ == "stale") MakeStale(frame);
  if (variant_ == "replay") Replay(from, to, frame);
  return kNoDelay;
}

// Takes from the mesh and gives nothing: answers nothing, and passes nothing on for others.
bool Hostile::Drops(PeerIndex from, const Frame& frame) const {
  if (std::holds_alternative<Answer>(frame)) return true;
  const auto* cast = std::get_if<Cast>(&frame);
  return cast != nullptr && cast->origin != sim_->IdOf(from);
}

// Sends it over the same link again, if that is still there, as often as kReplays says.
void Hostile::Replay(PeerIndex from, PeerIndex to, const Frame& frame) {
  const PeerId sender = sim_->IdOf(from);
  auto copy = std::make_shared<const Frame>(frame);
  for (absl::Duration later : kReplays) {
    sim_->At(later, [sim = sim_, from, to, sender, copy] {
      if (!sim->IsLive(to)) return;
      const std::vector<PeerIndex> links = sim->LinksOf(to);
      if (!std::binary_search(links.begin(), links.end(), from)) return;
      sim->Feed(to, FrameReceived{sender, *copy});
    });
  }
}

void Hostile::Note(const PagePtr& page) {
  auto& [first, last] = seen_[page->header.key];
  if (first == nullptr) first = page;
  last = page;
  for (const Record& record : page->records) records_[record.name] = record;
}

// In turn an expired page, an older one that has not expired, and a forged one.
PagePtr Hostile::StaleOf(const PagePtr& page) {
  auto it = seen_.find(page->header.key);
  const int kind = it == seen_.end() ? 2 : staled_ % 3;
  ++staled_;
  if (kind == 0) return it->second.first;
  if (kind == 1) return it->second.second;
  auto forged = std::make_shared<Page>(*page);
  ++forged->header.version;
  forged->header.signature[0] ^= 1;
  return forged;
}

void Hostile::MakeStale(Frame& frame) {
  if (PagePtr* page = PageIn(frame)) *page = StaleOf(*page);
  auto* answer = std::get_if<Answer>(&frame);
  if (answer == nullptr) return;
  for (Hit& hit : answer->hits) {
    auto it = records_.find(hit.record.name);
    if (it != records_.end()) hit.record = it->second;
  }
}

SimulationOptions OptionsOf(const std::shared_ptr<Hostile>& hostile) {
  SimulationOptions options;
  options.tamper = [hostile](PeerIndex from, PeerIndex to, Frame& frame) {
    return hostile->Tamper(from, to, frame);
  };
  options.drops_pages = [hostile](PeerIndex peer) { return hostile->KeepsNothing(peer); };
  if (hostile->variant() == "flood") options.core.search.bubbles_max = kFloodedBubblesMax;
  return options;
}

// How much of the mesh goes through the hostile peers: of all ends of links, and of all queries
// evaluated since `before`.
void AddVisibility(Row& row, const Hostile& hostile, const Simulation& sim,
                   const std::vector<uint64_t>& before) {
  double links = 0, theirs = 0, queries = 0, evaluated = 0;
  for (PeerIndex peer : sim.Live()) {
    const auto degree = static_cast<double>(sim.LinksOf(peer).size());
    const auto work = static_cast<double>(sim.QueriesEvaluatedAt(peer) - before[peer]);
    links += degree;
    queries += work;
    if (!hostile.Is(peer)) continue;
    theirs += degree;
    evaluated += work;
  }
  row.Add("hostile_links", theirs / std::max(links, 1.0));
  row.Add("hostile_queries", evaluated / std::max(queries, 1.0));
}

}  // namespace

std::vector<Row> RunHostile(const Parameters& parameters) {
  auto hostile = std::make_shared<Hostile>(parameters);
  Mesh mesh(parameters, OptionsOf(hostile));
  Simulation& sim = mesh.sim();
  const bool claims = hostile->variant() == "capacity";
  if (claims) {
    hostile->Choose(sim.random());
    mesh.set_capacity_factor(
        [hostile](PeerIndex peer) { return hostile->Is(peer) ? kCapacityFactor : 1; });
  }
  if (Flood::IsFlood(hostile->variant())) {
    // Neighbors refuse whoever floods them, its searches too.
    mesh.set_may_search([hostile](PeerIndex peer) { return !hostile->Is(peer); });
  }
  mesh.Grow();
  mesh.Settle();
  if (!claims) hostile->Choose(sim.random());
  const int side = SideOf(parameters.trials);
  if (hostile->variant() == "stale") {
    // So that there is something older, which has expired by the end: refreshes renew what is kept.
    mesh.PublishRecords(side);
    sim.Run(kPageLifetime);
    hostile->Begin(sim);
    mesh.RepublishRecords();
  } else {
    hostile->Begin(sim);
    mesh.PublishRecords(side);
  }
  sim.Run(Flood::IsFlood(hostile->variant()) ? kFloodTime : absl::Minutes(2));
  mesh.Use(absl::Minutes(parameters.use_minutes), parameters.recalls.front());
  std::vector<uint64_t> before;
  for (PeerIndex peer = 0; peer < sim.size(); ++peer)
    before.push_back(sim.QueriesEvaluatedAt(peer));
  Searched searched = mesh.SearchAll(side, parameters.recalls.front());
  Row row = BeginRow(parameters);
  row.Add("trials", int64_t{parameters.trials});
  row.Add("fail", parameters.fail);
  row.Add("variant", hostile->variant());
  row.Add("hostile", hostile->Share());
  row.Add("use_minutes", parameters.use_minutes);
  row.Add("recall", parameters.recalls.front());
  AddSearched(row, searched, sim.random());
  row.Add("stale", searched.stale);
  row.Add("copies_per_page", mesh.CopiesPerPage());
  AddVisibility(row, *hostile, sim, before);
  EndRow(row, sim);
  return {row};
}

}  // namespace panal::sim
