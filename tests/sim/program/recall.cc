#include <string>
#include <utility>

#include "common/base/check.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

// A mesh that stands, with as many records as the trials need.
bool Prepare(Mesh& mesh) {
  mesh.Grow();
  bool settled = mesh.Settle();
  mesh.PublishRecords(SideOf(mesh.parameters().trials));
  return settled;
}

void Measure(Mesh& mesh, const std::string& when, std::vector<Row>& rows) {
  for (double recall : mesh.parameters().recalls) {
    const Parameters& parameters = mesh.parameters();
    Searched searched = parameters.zipf > 0 ? mesh.SearchByRank(parameters.trials, recall)
                                            : mesh.SearchAll(SideOf(parameters.trials), recall);
    Row row = BeginRow(parameters);
    row.Add("trials", int64_t{parameters.trials});
    // What failed is an experiment's alone that makes something fail.
    if (parameters.experiment == "recall") {
      row.Add("zipf", parameters.zipf);
    } else {
      row.Add("fail", parameters.fail);
    }
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

// Leaving takes up to a second (MembershipOptions::leave_timeout).
constexpr absl::Duration kGoneMax = absl::Seconds(5);

template <typename End>
std::vector<Row> RunLoss(const Parameters& parameters, End end) {
  std::vector<Row> rows;
  Mesh mesh(parameters);
  Prepare(mesh);
  const std::vector<PeerIndex> ended = SomeOf(mesh.sim(), parameters.fail);
  const size_t left = mesh.sim().LiveCount() - ended.size();
  for (PeerIndex peer : ended) end(mesh.sim(), peer);
  // Those that leave take a moment, in which nobody should search from them.
  PANAL_CHECK(mesh.sim().RunUntil([&] { return mesh.sim().LiveCount() == left; }, kGoneMax));
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
