#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

int SideOf(int trials) {
  return std::max(1, static_cast<int>(std::lround(std::sqrt(static_cast<double>(trials)))));
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
  row.Add("depth", int64_t{searched.depth_max});
  row.Add("depth_mean", searched.depth_mean);
  row.Add("latency_ms", searched.latency_ms);
  row.Add("size_error", searched.size_error);
}

// A mesh that stands, with as many records as the trials need.
bool Prepare(Mesh& mesh) {
  mesh.Grow();
  bool settled = mesh.Settle();
  mesh.PublishRecords(SideOf(mesh.parameters().trials));
  return settled;
}

void Measure(Mesh& mesh, const std::string& when, std::vector<Row>& rows) {
  for (double recall : mesh.parameters().recalls) {
    Searched searched = mesh.SearchAll(SideOf(mesh.parameters().trials), recall);
    Row row = BeginRow(mesh.parameters());
    row.Add("when", when);
    row.Add("live", static_cast<int64_t>(mesh.sim().LiveCount()));
    row.Add("recall", recall);
    AddSearched(row, searched, mesh.sim().random());
    row.Add("copies_per_page", mesh.CopiesPerPage());
    row.Add("copies_wanted", mesh.CopiesWanted());
    EndRow(row, mesh.sim());
    rows.push_back(std::move(row));
  }
}

// A random share of the live peers, the same for the same seed.
std::vector<PeerIndex> Chosen(Simulation& sim, double share) {
  std::vector<PeerIndex> peers = sim.Live();
  for (size_t i = peers.size() - 1; i > 0; --i)
    std::swap(peers[i], peers[sim.random().Below(i + 1)]);
  peers.resize(static_cast<size_t>(std::lround(share * static_cast<double>(peers.size()))));
  return peers;
}

template <typename End>
std::vector<Row> RunLoss(const Parameters& parameters, End end) {
  std::vector<Row> rows;
  Mesh mesh(parameters);
  Prepare(mesh);
  for (PeerIndex peer : Chosen(mesh.sim(), parameters.fail)) end(mesh.sim(), peer);
  // What was published by those that are gone counts too: its copies are elsewhere.
  Measure(mesh, "at_once", rows);
  absl::Time broken = mesh.sim().now();
  mesh.Settle();
  double mended_after = absl::ToDoubleSeconds(mesh.sim().now() - broken);
  Measure(mesh, "mended", rows);
  for (Row& row : rows) row.Add("mended_after_s", mended_after);
  return rows;
}

}  // namespace

std::vector<Row> RunRecall(const Parameters& parameters) {
  std::vector<Row> rows;
  Mesh mesh(parameters);
  bool settled = Prepare(mesh);
  Measure(mesh, settled ? "settled" : "unsettled", rows);
  return rows;
}

std::vector<Row> RunCrash(const Parameters& parameters) {
  return RunLoss(parameters, [](Simulation& sim, PeerIndex peer) { sim.Crash(peer); });
}

std::vector<Row> RunLeave(const Parameters& parameters) {
  return RunLoss(parameters, [](Simulation& sim, PeerIndex peer) { sim.Leave(peer); });
}

}  // namespace panal::sim
