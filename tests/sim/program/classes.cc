#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

constexpr char kTenthWord[] = "tenth";
// Share of the peers whose indexes have that word.
constexpr double kTenth = 0.1;

// A class of queries, by what they ask a digest.
struct QueryClass {
  std::string name;
  std::vector<Probe> probes;
};

std::vector<size_t> FirstRecords(int count) {
  std::vector<size_t> records(count);
  for (int i = 0; i < count; ++i) records[i] = i;
  return records;
}

std::vector<QueryClass> ClassesOf(const Parameters& parameters, int records, int tenth) {
  // As many pairs each, as far as a class of few records allows.
  auto queries = [&](int pairs_each) { return std::max(1, parameters.trials / pairs_each); };
  QueryClass rare{"rare", {}};
  for (int i = 0; i < queries(2); ++i) {
    const auto record = static_cast<size_t>(i % records);
    rare.probes.push_back({absl::StrCat("r", record), {record}});
  }
  QueryClass common{"tenth",
                    std::vector<Probe>(queries(2 * tenth), Probe{kTenthWord, FirstRecords(tenth)})};
  QueryClass everywhere{"everywhere",
                        std::vector<Probe>(queries(records), {"common", FirstRecords(records)})};
  QueryClass prefix{"prefix",
                    std::vector<Probe>(queries(records), {"comm*", FirstRecords(records)})};
  return {std::move(rare), std::move(common), std::move(everywhere), std::move(prefix)};
}

// Bytes of digests that each peer sent in a minute of a mesh that stands, growth and spreads
// included.
double DigestBytesPerPeerMinute(const Mesh& mesh, const Simulation& sim, absl::Time begun) {
  Traffic traffic = sim.traffic();
  const auto bytes =
      static_cast<double>(traffic.by_kind["digest"].bytes + traffic.by_kind["digest_delta"].bytes);
  return bytes / mesh.parameters().peers / absl::ToDoubleMinutes(sim.now() - begun);
}

}  // namespace

std::vector<Row> RunClasses(const Parameters& parameters) {
  std::vector<Row> rows;
  Mesh mesh(parameters);
  Simulation& sim = mesh.sim();
  const absl::Time begun = sim.now();
  mesh.Grow();
  const bool settled = mesh.Settle();
  const int records = SideOf(parameters.trials);
  const double kept =
      std::min(0.999, static_cast<double>(sim.CoreOf(0).PageBubbleSize()) / parameters.peers);
  const int tenth =
      std::max(1, static_cast<int>(std::lround(std::log1p(-kTenth) / std::log1p(-kept))));
  mesh.AddWord(kTenthWord, std::min(tenth, records));
  mesh.PublishRecords(records);
  sim.Run(absl::Seconds(30));  // Until the digests have it.
  const double digest_bytes = DigestBytesPerPeerMinute(mesh, sim, begun);
  for (const QueryClass& one : ClassesOf(parameters, records, std::min(tenth, records))) {
    for (double recall : parameters.recalls) {
      Searched searched = mesh.SearchEach(one.probes, recall);
      Row row = BeginRow(parameters);
      row.Add("trials", int64_t{parameters.trials});
      row.Add("when", settled ? "settled" : "unsettled");
      row.Add("digests", parameters.digests ? "on" : "off");
      row.Add("class", one.name);
      row.Add("recall", recall);
      AddSearched(row, searched, sim.random());
      row.Add("copies_per_page", mesh.CopiesPerPage());
      row.Add("digest_bytes_per_peer_minute", digest_bytes);
      EndRow(row, sim);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace panal::sim
