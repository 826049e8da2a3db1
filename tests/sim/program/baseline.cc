#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/random.h"
#include "server/processing/search/sizes.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/graph.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

constexpr int kWalkers = 32;  // Lv et al., ICS 2002.
constexpr int kTtlMax = 64;
constexpr int kStepsMax = 1 << 20;

// As many copies as Panal makes in a mesh of equal peers of this size.
int CopiesFor(size_t peers) {
  double count = static_cast<double>(peers);
  MeshShape shape{.peers = count, .mass = count, .compensator = kCompensatorUnmeasured};
  return static_cast<int>(PageCopies(shape, SearchOptions().lambda));
}

// Which peers hold a record; none do when nobody published it.
using Holders = std::vector<bool>;

// A graph on which the same searches are done in several ways.
class Arena {
 public:
  // `name`: of the graph; `mix`: of its peers' capacities.
  Arena(const Parameters& parameters, std::string name, std::string mix, const Graph& graph,
        Random& random)
      : parameters_(parameters),
        name_(std::move(name)),
        mix_(std::move(mix)),
        graph_(graph),
        random_(random) {}

  // The least effort of each kind that keeps the promise when every page has `copies` copies.
  void Compare(int copies, std::vector<Row>& rows);

 private:
  struct Cost {
    Misses misses;
    double messages = 0;
    double hops = 0;
    int hops_max = 0;
  };

  using Way = std::function<Walked(uint32_t origin)>;

  void Place(int copies);
  Cost Measure(const Way& search);
  Row RowOf(const std::string& way, int copies, int effort, const Cost& cost);

  int Side() const { return SideOf(parameters_.trials); }

  const Parameters& parameters_;
  const std::string name_;
  const std::string mix_;
  const Graph& graph_;
  Random& random_;
  std::vector<Holders> records_;
  // Of everything that was sent so far.
  uint64_t messages_ = 0;
  uint64_t trace_ = 0;
};

// `copies` distinct peers for each page, chosen at random.
void Arena::Place(int copies) {
  const Zipf ranks(Side(), parameters_.zipf);
  records_.assign(Side(), Holders(graph_.size(), false));
  size_t wanted = std::min<size_t>(copies, graph_.size());
  for (int page = 0; page < Side(); ++page) {
    Holders holders(graph_.size(), false);
    for (size_t count = 0; count < wanted;) {
      size_t peer = random_.Below(graph_.size());
      if (holders[peer]) continue;
      holders[peer] = true;
      ++count;
    }
    Holders& record = records_[parameters_.zipf > 0 ? ranks.Draw(random_) : page];
    for (size_t peer = 0; peer < holders.size(); ++peer)
      record[peer] = record[peer] || holders[peer];
  }
}

// Each search asks for all records, or for as many drawn by their popularity.
Arena::Cost Arena::Measure(const Way& search) {
  const Zipf ranks(Side(), parameters_.zipf);
  Cost cost;
  cost.misses.records = cost.misses.queries = Side();
  auto drawn = [&] {
    while (true) {
      const Holders& record = records_[ranks.Draw(random_)];
      if (std::find(record.begin(), record.end(), true) != record.end()) return &record;
    }
  };
  for (int query = 0; query < Side(); ++query) {
    Walked walked = search(static_cast<uint32_t>(random_.Below(graph_.size())));
    messages_ += walked.messages;
    for (uint32_t peer : walked.visited) trace_ = Mix64(trace_ ^ peer);
    cost.messages += static_cast<double>(walked.messages) / Side();
    cost.hops += static_cast<double>(walked.hops) / Side();
    cost.hops_max = std::max(cost.hops_max, walked.hops);
    for (int i = 0; i < Side(); ++i) {
      const Holders& holders = parameters_.zipf > 0 ? *drawn() : records_[i];
      bool found = std::any_of(walked.visited.begin(), walked.visited.end(),
                               [&](uint32_t peer) { return holders[peer]; });
      if (!found) cost.misses.missed.push_back({i, query});
    }
  }
  return cost;
}

// The fields of every row, Panal's own included.
Row BeginBaseline(const Parameters& parameters, const std::string& graph, const std::string& way,
                  int copies, int effort) {
  Row row = BeginRow(parameters);
  row.Add("trials", int64_t{parameters.trials});
  row.Add("zipf", parameters.zipf);
  row.Add("graph", graph);
  row.Add("variant", way);
  row.Add("recall", parameters.recalls.front());
  row.Add("copies_per_page", int64_t{copies});
  row.Add("ttl_or_steps", int64_t{effort});
  return row;
}

void AddCost(Row& row, double promised, const Misses& misses, double messages, int hops_max,
             double hops, Random& random) {
  row.Add("promised_miss", promised);
  row.Add("measured_miss", misses.rate());
  row.Add("measured_miss_high", RateHigh(misses, random));
  row.Add("messages_per_query", messages);
  row.Add("depth", int64_t{hops_max});
  row.Add("depth_mean", hops);
}

Row Arena::RowOf(const std::string& way, int copies, int effort, const Cost& cost) {
  Row row = BeginBaseline(parameters_, name_, way, copies, effort);
  row.Set("peers", static_cast<int64_t>(graph_.size()));
  row.Set("mix", mix_);
  AddCost(row, 1 - parameters_.recalls.front(), cost.misses, cost.messages, cost.hops_max,
          cost.hops, random_);
  EndRow(row, messages_, trace_);
  return row;
}

void Arena::Compare(int copies, std::vector<Row>& rows) {
  const double allowed = 1 - parameters_.recalls.front();
  Place(copies);
  Cost ring;
  for (int ttl = 1; ttl <= kTtlMax; ++ttl) {
    Cost flood = Measure([&](uint32_t origin) { return Flood(graph_, origin, ttl); });
    ring.messages += flood.messages;  // Each ring begins anew.
    ring.hops += flood.hops;
    ring.hops_max += flood.hops_max;
    ring.misses = flood.misses;
    if (flood.misses.rate() > allowed && ttl < kTtlMax) continue;
    rows.push_back(RowOf("flooding", copies, ttl, flood));
    rows.push_back(RowOf("expanding_ring", copies, ttl, ring));
    break;
  }
  for (int steps = 1; steps <= kStepsMax; steps *= 2) {
    Cost walk =
        Measure([&](uint32_t origin) { return Walk(graph_, origin, kWalkers, steps, random_); });
    if (walk.misses.rate() > allowed && walk.messages > 0 &&
        walk.messages < 100.0 * static_cast<double>(graph_.size()))
      continue;
    rows.push_back(RowOf("random_walks_32", copies, steps, walk));
    break;
  }
}

// The name of a file as a field may hold it (report.cc).
std::string PlainName(const std::string& path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  for (char& c : name) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
    if (!plain) c = '_';
  }
  return name;
}

// Panal's own links and searches. Returns the copies of a page.
int RunPanal(Mesh& mesh, std::vector<Row>& rows) {
  const Parameters& parameters = mesh.parameters();
  const double recall = parameters.recalls.front();
  mesh.Grow();
  mesh.Settle();
  mesh.PublishRecords(SideOf(parameters.trials));
  const int copies = static_cast<int>(std::lround(mesh.CopiesPerPage()));
  Searched searched = parameters.zipf > 0 ? mesh.SearchByRank(parameters.trials, recall)
                                          : mesh.SearchAll(SideOf(parameters.trials), recall);
  Row row = BeginBaseline(parameters, "panal", "panal", copies, searched.depth_max);
  // All frames that carry the query.
  AddCost(row, searched.promised_miss, searched.misses,
          searched.casts_per_query + searched.contacts_per_query, searched.depth_max,
          searched.depth_mean, mesh.sim().random());
  EndRow(row, mesh.sim());
  rows.push_back(std::move(row));
  return copies;
}

}  // namespace

absl::StatusOr<std::vector<Row>> RunBaseline(const Parameters& parameters) {
  std::vector<Row> rows;
  Random random(parameters.seed);
  auto compare = [&](const std::string& name, const std::string& mix, const Graph& graph,
                     int copies) {
    Arena arena(parameters, name, mix, graph, random);
    arena.Compare(1, rows);
    arena.Compare(copies, rows);
  };
  if (!parameters.graph.empty()) {
    absl::StatusOr<Graph> graph = ReadGraph(parameters.graph);
    if (!graph.ok()) return graph.status();
    compare(PlainName(parameters.graph), "none", *graph, CopiesFor(graph->size()));
    return rows;
  }
  int copies = 0;
  {
    Mesh mesh(parameters);
    copies = RunPanal(mesh, rows);
    compare("panal", NameOf(parameters.mix), GraphOf(mesh.sim()), copies);
  }
  // Links as HyParView's paper makes them, for equal peers, and floods over them.
  Parameters equal = parameters;
  equal.mix = Mix::kHomogeneous;
  SimulationOptions options = LinksOnly(/*hyparview=*/true);
  Mesh mesh(equal, options);
  mesh.Grow();
  mesh.sim().Run(kCyclesBefore * options.core.membership.shuffle_interval);
  compare("hyparview", NameOf(equal.mix), GraphOf(mesh.sim()), copies);
  return rows;
}

}  // namespace panal::sim
