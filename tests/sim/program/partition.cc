#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

constexpr absl::Duration kCut = absl::Minutes(10);
constexpr absl::Duration kHealingMax = absl::Minutes(60);
constexpr absl::Duration kStep = absl::Seconds(1);

// Seconds until `done` holds, from now; -1 where it never does.
template <typename Done>
double SecondsUntil(Simulation& sim, Done done) {
  absl::Time begin = sim.now();
  while (!done()) {
    if (sim.now() - begin >= kHealingMax) return -1;
    sim.Run(kStep);
  }
  return absl::ToDoubleSeconds(sim.now() - begin);
}

// Share of the links that cross the cut.
double ShareAcross(const Simulation& sim, const std::vector<bool>& cut_off) {
  size_t across = 0;
  size_t all = 0;
  for (PeerIndex peer : sim.Live()) {
    for (PeerIndex other : sim.LinksOf(peer)) {
      ++all;
      if (cut_off[peer] != cut_off[other]) ++across;
    }
  }
  return static_cast<double>(across) / static_cast<double>(std::max<size_t>(all, 1));
}

}  // namespace

std::vector<Row> RunPartition(const Parameters& parameters) {
  Mesh mesh(parameters);
  Simulation& sim = mesh.sim();
  mesh.Grow();
  mesh.Settle();
  sim.Run(absl::Minutes(2));
  std::vector<PeerIndex> side = SomeOf(sim, parameters.fail);
  std::vector<bool> cut_off(sim.size());
  for (PeerIndex peer : side) cut_off[peer] = true;
  // In a well mixed mesh a link crosses with this share; healed is half of it.
  double share = static_cast<double>(side.size()) / static_cast<double>(sim.size());
  double expected = 2 * share * (1 - share);
  sim.Partition(side);
  sim.Run(kCut);
  uint64_t events = sim.events();
  uint64_t frames = sim.traffic().frames;
  sim.Heal();
  absl::Time healed = sim.now();
  double connected = SecondsUntil(sim, [&] { return sim.CheckConnected().empty(); });
  mesh.Settle(kHealingMax);
  double measured = absl::ToDoubleSeconds(sim.now() - healed);
  double across_measured = ShareAcross(sim, cut_off);
  double mixed =
      measured + SecondsUntil(sim, [&] { return ShareAcross(sim, cut_off) >= expected / 2; });
  Row row = BeginRow(parameters);
  row.Add("fail", parameters.fail);
  row.Add("cut_off", static_cast<int64_t>(side.size()));
  row.Add("cut_minutes", absl::ToDoubleMinutes(kCut));
  row.Add("connected_s", connected);
  row.Add("measured_s", measured);
  row.Add("across_measured", across_measured);
  row.Add("across_expected", expected);
  row.Add("half_mixed_s", mixed);
  row.Add("frames_per_peer_second", static_cast<double>(sim.traffic().frames - frames) /
                                        static_cast<double>(sim.size()) /
                                        std::max(1.0, absl::ToDoubleSeconds(sim.now() - healed)));
  row.Add("events_since", static_cast<int64_t>(sim.events() - events));
  EndRow(row, sim);
  return {row};
}

}  // namespace panal::sim
