#include <algorithm>
#include <cmath>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

// Searches of one run: so many that the noise of counting stays well below the unevenness. Guess.
constexpr int kQueriesPerPeer = 20;

// What a peer should bear: its wanted links (docs/protocol/overlay.md).
double ShareOf(double capacity) { return std::clamp(16 * capacity, 16.0, 128.0); }

}  // namespace

std::vector<Row> RunLoad(const Parameters& parameters) {
  Mesh mesh(parameters);
  mesh.Grow();
  mesh.Settle();
  mesh.PublishRecords(1);
  std::vector<double> before;
  for (PeerIndex peer = 0; peer < mesh.sim().size(); ++peer) {
    before.push_back(static_cast<double>(mesh.sim().QueriesEvaluatedAt(peer)));
  }
  mesh.SearchAll(parameters.peers * kQueriesPerPeer, parameters.recalls.front());
  std::vector<double> per_share;
  for (PeerIndex peer = 0; peer < mesh.sim().size(); ++peer) {
    double work = static_cast<double>(mesh.sim().QueriesEvaluatedAt(peer)) - before[peer];
    per_share.push_back(work / ShareOf(mesh.capacities()[peer]));
  }
  double mean = 0;
  for (double work : per_share) mean += work / static_cast<double>(per_share.size());
  Row row = BeginRow(parameters);
  row.Add("recall", parameters.recalls.front());
  row.Add("queries", int64_t{parameters.peers} * kQueriesPerPeer);
  row.Add("jain", JainIndex(per_share));
  row.Add("p99_of_fair_share", Quantile(per_share, 0.99) / mean);
  row.Add("max_of_fair_share", Quantile(per_share, 1) / mean);
  EndRow(row, mesh.sim());
  return {row};
}

}  // namespace panal::sim
