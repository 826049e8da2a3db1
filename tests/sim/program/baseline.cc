#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <utility>

#include "server/processing/search/sizes.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/graph.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

constexpr int kRecords = 100;
constexpr int kQueries = 100;
constexpr int kWalkers = 32;  // Lv et al., ICS 2002.
constexpr int kTtlMax = 64;
constexpr int kStepsMax = 1 << 20;

struct Cost {
  double miss = 0;
  double messages = 0;
  double hops = 0;
};

// As many copies as Panal makes in a mesh of equal peers of this size.
int CopiesFor(size_t peers) {
  double count = static_cast<double>(peers);
  MeshShape shape{.peers = count, .mass = count, .compensator = kCompensatorUnmeasured};
  return static_cast<int>(PageCopies(shape, SearchOptions().lambda));
}

// Which peers hold a record.
using Holders = std::vector<bool>;

// `copies` distinct peers for each record, chosen at random.
std::vector<Holders> Place(const Graph& graph, int copies, Random& random) {
  std::vector<Holders> records(kRecords, Holders(graph.size(), false));
  size_t wanted = std::min<size_t>(copies, graph.size());
  for (Holders& holders : records) {
    for (size_t count = 0; count < wanted;) {
      size_t peer = random.Below(graph.size());
      if (holders[peer]) continue;
      holders[peer] = true;
      ++count;
    }
  }
  return records;
}

Cost Measure(const Graph& graph, const std::vector<Holders>& records, Random& random,
             const std::function<Walked(uint32_t origin)>& search) {
  Cost cost;
  for (int query = 0; query < kQueries; ++query) {
    Walked walked = search(static_cast<uint32_t>(random.Below(graph.size())));
    cost.messages += static_cast<double>(walked.messages) / kQueries;
    cost.hops += static_cast<double>(walked.hops) / kQueries;
    for (const Holders& holders : records) {
      bool found = std::any_of(walked.visited.begin(), walked.visited.end(),
                               [&](uint32_t peer) { return holders[peer]; });
      cost.miss += found ? 0 : 1.0 / (kRecords * kQueries);
    }
  }
  return cost;
}

Row RowOf(const Parameters& parameters, const std::string& name, int copies, int effort,
          const Cost& cost) {
  Row row;
  row.Add("experiment", "baseline");
  row.Add("variant", name);
  row.Add("seed", static_cast<int64_t>(parameters.seed));
  row.Add("recall", parameters.recalls.front());
  row.Add("copies_per_page", int64_t{copies});
  row.Add("ttl_or_steps", int64_t{effort});
  row.Add("measured_miss", cost.miss);
  row.Add("messages_per_query", cost.messages);
  row.Add("depth", cost.hops);
  return row;
}

// The least effort of each kind that keeps the promise.
void Compare(const Parameters& parameters, const Graph& graph, int copies, Random& random,
             std::vector<Row>& rows) {
  const double allowed = 1 - parameters.recalls.front();
  std::vector<Holders> records = Place(graph, copies, random);
  Cost ring;
  for (int ttl = 1; ttl <= kTtlMax; ++ttl) {
    Cost flood =
        Measure(graph, records, random, [&](uint32_t origin) { return Flood(graph, origin, ttl); });
    ring.messages += flood.messages;  // Each ring begins anew.
    ring.hops += flood.hops;
    ring.miss = flood.miss;
    if (flood.miss > allowed && ttl < kTtlMax) continue;
    rows.push_back(RowOf(parameters, "flooding", copies, ttl, flood));
    rows.push_back(RowOf(parameters, "expanding_ring", copies, ttl, ring));
    break;
  }
  for (int steps = 1; steps <= kStepsMax; steps *= 2) {
    Cost walk = Measure(graph, records, random, [&](uint32_t origin) {
      return Walk(graph, origin, kWalkers, steps, random);
    });
    if (walk.miss > allowed && walk.messages < 100.0 * static_cast<double>(graph.size())) continue;
    rows.push_back(RowOf(parameters, "random_walks_32", copies, steps, walk));
    break;
  }
}

}  // namespace

std::vector<Row> RunBaseline(const Parameters& parameters) {
  std::vector<Row> rows;
  Random random(parameters.seed);
  if (!parameters.graph.empty()) {
    absl::StatusOr<Graph> graph = ReadGraph(parameters.graph);
    if (!graph.ok()) {
      std::fprintf(stderr, "panal-sim: %s\n", std::string(graph.status().message()).c_str());
      return {};
    }
    Compare(parameters, *graph, 1, random, rows);
    Compare(parameters, *graph, CopiesFor(graph->size()), random, rows);
    return rows;
  }
  Mesh mesh(parameters);
  mesh.Grow();
  mesh.Settle();
  mesh.PublishRecords(kRecords);
  Graph graph = GraphOf(mesh.sim());
  int copies = static_cast<int>(std::lround(mesh.CopiesPerPage()));
  Searched searched = mesh.SearchAll(kQueries, parameters.recalls.front());
  rows.push_back(RowOf(parameters, "panal", copies, searched.depth_max,
                       {searched.misses.rate(), searched.casts_per_query, searched.depth_mean}));
  Compare(parameters, graph, 1, random, rows);
  Compare(parameters, graph, copies, random, rows);
  return rows;
}

}  // namespace panal::sim
