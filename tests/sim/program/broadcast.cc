#include <algorithm>
#include <cmath>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/graph.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

// As HyParView section 5: so many broadcasts follow the failure.
constexpr int kBroadcasts = 1000;
// The paper's broadcasts come one after the other with no cycle in between; here time passes, since
// failures are noticed and mended in time. Guess.
constexpr absl::Duration kBroadcastSpacing = absl::Milliseconds(20);
// The processes are killed, their machines answer: a connection is refused within a round trip.
constexpr absl::Duration kRefusalTime = absl::Milliseconds(80);
constexpr int kHealingProbes = 10;
constexpr absl::Duration kHealingMax = absl::Minutes(20);

SimulationOptions OptionsOf(const Parameters& parameters) {
  SimulationOptions options = LinksOnly(parameters.variant == "hyparview");
  options.crash_notice = kRefusalTime;
  options.dial_timeout = kRefusalTime;
  return options;
}

double ReachOf(Simulation& sim, int broadcasts) {
  Graph graph = GraphOf(sim);
  double reached = 0;
  for (int i = 0; i < broadcasts; ++i) {
    auto origin = static_cast<uint32_t>(sim.random().Below(graph.size()));
    reached +=
        static_cast<double>(Flood(graph, origin, static_cast<int>(graph.size())).visited.size());
  }
  return reached / broadcasts / static_cast<double>(graph.size());
}

struct AfterFailure {
  double first = 0;
  double mean = 0;
};

AfterFailure ReachAfter(Simulation& sim) {
  AfterFailure result;
  for (int i = 0; i < kBroadcasts; ++i) {
    double reach = ReachOf(sim, 1);
    if (i == 0) result.first = reach;
    result.mean += reach / kBroadcasts;
    sim.Run(kBroadcastSpacing);
  }
  return result;
}

// Links and their clustering as HyParView Table 1 has them.
double Clustering(const Graph& graph) {
  double sum = 0;
  for (const std::vector<uint32_t>& others : graph.neighbors) {
    if (others.size() < 2) continue;
    int closed = 0;
    for (size_t i = 0; i < others.size(); ++i) {
      const std::vector<uint32_t>& far = graph.neighbors[others[i]];
      for (size_t j = i + 1; j < others.size(); ++j) {
        closed += std::binary_search(far.begin(), far.end(), others[j]) ? 1 : 0;
      }
    }
    sum += 2.0 * closed / static_cast<double>(others.size() * (others.size() - 1));
  }
  return sum / static_cast<double>(graph.size());
}

// Links between two peers, mean and most, from kPathOrigins of them to all others (Table 1).
void AddPaths(Row& row, const Graph& graph) {
  constexpr uint32_t kPathOrigins = 20;
  double sum = 0;
  uint64_t pairs = 0;
  int most = 0;
  for (uint32_t i = 0; i < kPathOrigins && i < graph.size(); ++i) {
    auto origin = static_cast<uint32_t>(graph.size() / kPathOrigins * i);
    // What one more hop reaches is that far away.
    size_t before = 1;
    for (int ttl = 1; before < graph.size(); ++ttl) {
      size_t reached = Flood(graph, origin, ttl).visited.size();
      if (reached == before) break;
      sum += static_cast<double>(ttl) * static_cast<double>(reached - before);
      pairs += reached - before;
      before = reached;
      most = std::max(most, ttl);
    }
  }
  row.Add("path_mean", sum / static_cast<double>(std::max<uint64_t>(pairs, 1)));
  row.Add("path_max", int64_t{most});
}

void AddStanding(Row& row, Simulation& sim) {
  Graph graph = GraphOf(sim);
  Walked flood = Flood(graph, 0, static_cast<int>(graph.size()));
  size_t links = 0;
  for (const auto& others : graph.neighbors) links += others.size();
  row.Add("degree", static_cast<double>(links) / static_cast<double>(graph.size()));
  row.Add("clustering", Clustering(graph));
  AddPaths(row, graph);
  row.Add("flood_messages", static_cast<int64_t>(flood.messages));
  row.Add("flood_hops", int64_t{flood.hops});
}

// What it costs to ask everyone once, as Panal does: the frames that carry the query, and those that
// carry the answers back, beside Plumtree's Table 1 (section 4.3: payload, control, total).
void AddBubble(Row& row, Simulation& sim) {
  Traffic before = sim.traffic();
  SearchResult result =
      sim.Search(sim.RandomLive(), "everyone", {.recall = 1, .timeout = absl::Minutes(1)});
  Traffic after = sim.traffic();
  auto frames = [&](const char* kind) {
    return static_cast<int64_t>(after.by_kind[kind].frames - before.by_kind[kind].frames);
  };
  const auto others = static_cast<double>(std::max<size_t>(sim.LiveCount(), 2) - 1);
  row.Add("bubble_reached", static_cast<int64_t>(result.summary.peers_reached));
  row.Add("bubble_payload", frames("cast_query"));
  row.Add("bubble_control", frames("answer"));
  row.Add("bubble_redundancy", static_cast<double>(frames("cast_query")) / others - 1);
  row.Add("bubble_ms", absl::ToDoubleMilliseconds(result.elapsed));
}

}  // namespace

std::vector<Row> RunBroadcast(const Parameters& parameters) {
  SimulationOptions options = OptionsOf(parameters);
  Mesh mesh(parameters, options);
  Simulation& sim = mesh.sim();
  mesh.Grow();
  sim.Run(kCyclesBefore * options.core.membership.shuffle_interval);
  Row row = BeginRow(parameters);
  row.Add("variant", parameters.variant.empty() ? "panal" : parameters.variant);
  row.Add("fail", parameters.fail);
  AddStanding(row, sim);
  AddBubble(row, sim);
  double before = ReachOf(sim, kHealingProbes);
  for (PeerIndex peer : SomeOf(sim, parameters.fail)) sim.Crash(peer);
  absl::Time failed = sim.now();
  AfterFailure after = ReachAfter(sim);
  while (ReachOf(sim, kHealingProbes) < before && sim.now() - failed < kHealingMax)
    sim.Run(absl::Seconds(1));
  double healing = absl::ToDoubleSeconds(sim.now() - failed);
  row.Add("reliability_before", before);
  row.Add("reliability_first", after.first);
  row.Add("reliability", after.mean);
  row.Add("reliability_healed", ReachOf(sim, kHealingProbes));
  row.Add("healing_s", healing);
  row.Add("healing_cycles",
          static_cast<int64_t>(std::ceil(
              healing / absl::ToDoubleSeconds(options.core.membership.shuffle_interval))));
  EndRow(row, sim);
  return {row};
}

}  // namespace panal::sim
