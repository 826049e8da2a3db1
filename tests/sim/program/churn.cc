#include <cmath>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

// Sessions of Stutzbach and Rejaie's Debian swarm (IMC 2006): Weibull, in minutes, and the share of
// them that end without a word.
constexpr double kShape = 0.38;
constexpr double kScaleMinutes = 42.4;
constexpr double kCrashShare = 0.7;
// Of those that come, this share was there before and has its disk; the others are new. Guess.
constexpr double kReturnShare = 0.5;
// A record counts once its publisher has been there for this long: spreading takes a few seconds.
constexpr absl::Duration kSpreadTime = absl::Seconds(30);
constexpr absl::Duration kProbeInterval = absl::Minutes(10);
constexpr int kProbeQueries = 20;

class Churn {
 public:
  explicit Churn(Mesh& mesh) : mesh_(mesh), sim_(mesh.sim()) {}

  void Begin(PeerIndex peer) {
    double minutes = kScaleMinutes * std::pow(-std::log(1 - sim_.random().Unit()), 1 / kShape);
    sim_.At(absl::Minutes(minutes), [this, peer] { End(peer); });
  }

 private:
  // One goes, one comes: the mesh keeps its size.
  void End(PeerIndex peer) {
    if (sim_.random().Unit() < kCrashShare) {
      sim_.Crash(peer);
    } else {
      sim_.Leave(peer);
    }
    gone_.push_back(peer);
    sim_.At(absl::Seconds(10), [this] { Come(); });
  }

  void Come() {
    if (sim_.random().Unit() < kReturnShare) {
      size_t at = sim_.random().Below(gone_.size());
      PeerIndex peer = gone_[at];
      gone_.erase(gone_.begin() + static_cast<std::ptrdiff_t>(at));
      if (!sim_.IsLive(peer)) {
        sim_.Restart(peer);
        Begin(peer);
        return;
      }
    }
    PeerIndex peer = mesh_.AddPublisher();
    Begin(peer);
  }

  Mesh& mesh_;
  Simulation& sim_;
  std::vector<PeerIndex> gone_;
};

}  // namespace

std::vector<Row> RunChurn(const Parameters& parameters) {
  Mesh mesh(parameters);
  Simulation& sim = mesh.sim();
  mesh.Grow();
  mesh.Settle();
  Churn churn(mesh);
  for (PeerIndex peer : sim.Live()) {
    mesh.PublishOne(peer);
    churn.Begin(peer);
  }
  std::vector<Row> rows;
  absl::Time end = sim.now() + absl::Hours(parameters.hours);
  while (sim.now() < end) {
    sim.Run(kProbeInterval);
    mesh.CountRecordsOfTheLive(kSpreadTime);
    Searched searched = mesh.SearchAll(kProbeQueries, parameters.recalls.front());
    Row row = BeginRow(parameters);
    row.Add("minutes", absl::ToDoubleMinutes(sim.now() - end) + 60 * parameters.hours);
    row.Add("live", static_cast<int64_t>(sim.LiveCount()));
    row.Add("recall", parameters.recalls.front());
    AddSearched(row, searched, sim.random());
    EndRow(row, sim);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace panal::sim
