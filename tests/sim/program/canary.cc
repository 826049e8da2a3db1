#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

constexpr absl::Duration kIdle = absl::Minutes(10);

double FramesPerPeerMinute(Simulation& sim, absl::Duration duration) {
  auto canaries = [&] {
    Traffic traffic = sim.traffic();
    return traffic.by_kind["cast_query"].frames + traffic.by_kind["answer"].frames;
  };
  uint64_t before = canaries();
  sim.Run(duration);
  return static_cast<double>(canaries() - before) / absl::ToDoubleMinutes(duration) /
         static_cast<double>(sim.LiveCount());
}

void AddFactors(Row& row, const Simulation& sim) {
  double sum = 0;
  double most = 1;
  for (PeerIndex peer : sim.Live()) {
    sum += sim.CoreOf(peer).CanaryFactor();
    most = std::max(most, sim.CoreOf(peer).CanaryFactor());
  }
  row.Add("factor", sum / static_cast<double>(sim.LiveCount()));
  row.Add("factor_max", most);
}

}  // namespace

std::vector<Row> RunCanary(const Parameters& parameters) {
  auto drops = std::make_shared<std::vector<bool>>(parameters.peers, false);
  SimulationOptions options;
  options.peer_pages = true;
  options.core.canary.interval = absl::Minutes(1);
  options.drops_pages = [drops](PeerIndex peer) { return (*drops)[peer]; };
  Mesh mesh(parameters, options);
  Simulation& sim = mesh.sim();
  mesh.Grow();
  for (PeerIndex peer : SomeOf(sim, parameters.fail)) (*drops)[peer] = true;
  mesh.Settle();
  mesh.PublishRecords(SideOf(parameters.trials));
  std::vector<Row> rows;
  double frames = 0;
  const int steps = std::max(1, static_cast<int>(parameters.hours * 6));
  for (int step = 0; step <= steps; ++step) {
    if (step > 0) frames = FramesPerPeerMinute(sim, kIdle);
    Searched searched = mesh.SearchAll(SideOf(parameters.trials), parameters.recalls.front());
    Row row = BeginRow(parameters);
    row.Add("trials", int64_t{parameters.trials});
    row.Add("fail", parameters.fail);
    row.Add("minutes", absl::ToDoubleMinutes(step * kIdle));
    row.Add("recall", parameters.recalls.front());
    AddFactors(row, sim);
    row.Add("canary_frames_per_peer_minute", frames);
    AddSearched(row, searched, sim.random());
    row.Add("copies_per_page", mesh.CopiesPerPage());
    EndRow(row, sim);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace panal::sim
