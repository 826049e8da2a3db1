#include <cmath>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

// `weibull`: the sessions of Stutzbach and Rejaie's Debian swarm (IMC 2006) in minutes, and the
// share of them that end without a word. When one goes another comes.
constexpr double kShape = 0.38;
constexpr double kScaleMinutes = 42.4;
constexpr double kCrashShare = 0.7;
// Of those that come, this share was there before and has its disk; the others are new. Guess.
constexpr double kReturnShare = 0.5;
// `exponential`: as the peers of BubbleStorm's simulator (SIGCOMM 2007) are online and offline in
// turn, and the share of sessions that end without a word.
constexpr double kOnlineMinutes = 60;
constexpr double kOfflineMinutes = 19 * 60;
constexpr double kOnlineCrashShare = 0.1;
// A record counts once its publisher has been there for this long: spreading takes a few seconds.
constexpr absl::Duration kSpreadTime = absl::Seconds(30);
constexpr absl::Duration kProbeInterval = absl::Minutes(10);
constexpr int kProbeQueries = 20;

class Churn {
 public:
  explicit Churn(Mesh& mesh)
      : mesh_(mesh), sim_(mesh.sim()), exponential_(mesh.parameters().sessions == "exponential") {}

  // Everybody who is there begins a session, and whoever is not may come.
  void BeginAll() {
    const std::vector<PeerIndex> live = sim_.Live();
    for (PeerIndex peer : live) {
      mesh_.PublishOne(peer);
      Begin(peer);
    }
    if (!exponential_) return;
    const double offline = kOfflineMinutes / kOnlineMinutes * static_cast<double>(live.size());
    for (int i = 0; i < offline; ++i) {
      sim_.At(absl::Minutes(Exponential(kOfflineMinutes)), [this] { Begin(mesh_.AddPublisher()); });
    }
  }

 private:
  double Exponential(double mean) { return WeibullOf(1, mean, sim_.random().Unit()); }

  void Begin(PeerIndex peer) {
    const double minutes = exponential_ ? Exponential(kOnlineMinutes)
                                        : WeibullOf(kShape, kScaleMinutes, sim_.random().Unit());
    sim_.At(absl::Minutes(minutes), [this, peer] { End(peer); });
  }

  void End(PeerIndex peer) {
    if (sim_.random().Unit() < (exponential_ ? kOnlineCrashShare : kCrashShare)) {
      sim_.Crash(peer);
    } else {
      sim_.Leave(peer);
    }
    if (exponential_) {
      sim_.At(absl::Minutes(Exponential(kOfflineMinutes)), [this, peer] { Return(peer); });
      return;
    }
    gone_.push_back(peer);
    sim_.At(absl::Seconds(10), [this] { Come(); });
  }

  void Return(PeerIndex peer) {
    // Unless it is still leaving.
    if (!sim_.IsLive(peer)) sim_.Restart(peer);
    Begin(peer);
  }

  // One goes, one comes: the mesh keeps its size.
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
  const bool exponential_;
  std::vector<PeerIndex> gone_;
};

}  // namespace

std::vector<Row> RunChurn(const Parameters& parameters) {
  Mesh mesh(parameters);
  Simulation& sim = mesh.sim();
  mesh.Grow();
  mesh.Settle();
  Churn churn(mesh);
  churn.BeginAll();
  std::vector<Row> rows;
  absl::Time end = sim.now() + absl::Hours(parameters.hours);
  while (sim.now() < end) {
    sim.Run(kProbeInterval);
    if (mesh.CountRecordsOfTheLive(kSpreadTime) == 0) continue;
    Searched searched = mesh.SearchAll(kProbeQueries, parameters.recalls.front());
    Row row = BeginRow(parameters);
    row.Add("sessions", parameters.sessions);
    row.Add("hours", parameters.hours);
    row.Add("minutes", absl::ToDoubleMinutes(sim.now() - end) + 60 * parameters.hours);
    row.Add("live", static_cast<int64_t>(sim.LiveCount()));
    row.Add("recall", parameters.recalls.front());
    AddSearched(row, searched, sim.random());
    row.Add("copies_per_page", mesh.CopiesPerPage());
    EndRow(row, sim);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace panal::sim
