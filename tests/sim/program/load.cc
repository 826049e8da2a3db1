#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

// Pages that each peer publishes, for the same reason. Guess.
constexpr int kPagesPerPeer = 2;
// Searches of one run: so many that the noise of counting stays well below the unevenness. Guess.
constexpr int kQueriesPerPeer = 20;

// So that no record is asked for by all: each search asks for one of them, drawn at random. Guess.
constexpr int kPeersPerRecord = 4;

constexpr absl::Duration kPublishSpacing = absl::Milliseconds(2);
constexpr absl::Duration kSpreadTime = absl::Seconds(30);

// What a peer should bear: its wanted links (docs/protocol/overlay.md).
double ShareOf(double capacity) { return std::clamp(16 * capacity, 16.0, 128.0); }

// How evenly `work` falls on the peers, by their shares.
void AddFairness(Row& row, const std::string& prefix, const Mesh& mesh, std::vector<double> work) {
  double mean = 0;
  for (size_t peer = 0; peer < work.size(); ++peer) {
    work[peer] /= ShareOf(mesh.capacities()[peer]);
    mean += work[peer] / static_cast<double>(work.size());
  }
  row.Add(prefix + "jain", JainIndex(work));
  row.Add(prefix + "p99_of_fair_share", Quantile(work, 0.99) / mean);
  row.Add(prefix + "max_of_fair_share", Quantile(work, 1) / mean);
}

// Pages of others that each peer keeps, once every peer has published some.
std::vector<double> PagesKept(Simulation& sim) {
  std::vector<PageKey> keys;
  for (int round = 0; round < kPagesPerPeer; ++round) {
    for (PeerIndex peer = 0; peer < sim.size(); ++peer) {
      const std::string name = absl::StrCat("page ", round, " of ", peer);
      keys.push_back({sim.IdOf(peer), sim.Publish(peer, {FileRecord(name)}).front()});
      sim.Run(kPublishSpacing);
    }
  }
  sim.Run(kSpreadTime);
  std::vector<double> kept(sim.size(), 0);
  for (const PageKey& key : keys) {
    for (PeerIndex holder : sim.HoldersOf(key)) {
      if (sim.IdOf(holder) != key.publisher) ++kept[holder];
    }
  }
  return kept;
}

}  // namespace

std::vector<Row> RunLoad(const Parameters& parameters) {
  Mesh mesh(parameters);
  mesh.Grow();
  mesh.Settle();
  const int records = std::max(1, parameters.peers / kPeersPerRecord);
  mesh.PublishRecords(records);
  std::vector<double> before;
  for (PeerIndex peer = 0; peer < mesh.sim().size(); ++peer) {
    before.push_back(static_cast<double>(mesh.sim().QueriesEvaluatedAt(peer)));
  }
  const Searched searched =
      mesh.SearchOne(parameters.peers * kQueriesPerPeer, parameters.recalls.front());
  std::vector<double> queries;
  for (PeerIndex peer = 0; peer < mesh.sim().size(); ++peer) {
    queries.push_back(static_cast<double>(mesh.sim().QueriesEvaluatedAt(peer)) - before[peer]);
  }
  Row row = BeginRow(parameters);
  row.Add("digests", std::string(parameters.digests ? "on" : "off"));
  row.Add("recall", parameters.recalls.front());
  row.Add("records", int64_t{records});
  row.Add("queries", int64_t{parameters.peers} * kQueriesPerPeer);
  AddSearched(row, searched, mesh.sim().random());
  AddFairness(row, "", mesh, std::move(queries));
  row.Add("pages", int64_t{parameters.peers} * kPagesPerPeer);
  AddFairness(row, "pages_", mesh, PagesKept(mesh.sim()));
  EndRow(row, mesh.sim());
  return {row};
}

}  // namespace panal::sim
