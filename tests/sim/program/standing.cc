#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"
#include "tests/sim/program/statistics.h"
#include "tests/sim/subscriptions.h"

namespace panal::sim {
namespace {

// Subscriptions of one run, each at another peer.
constexpr int kSubscribers = 20;
// Between two records. Guess: so that a minute of a round sees many.
constexpr absl::Duration kSpacing = absl::Milliseconds(500);
// What was not told by then counts as not told at once: the spread, the way back, and some.
constexpr absl::Duration kAtOnce = absl::Seconds(10);
// From the last record to the count: three rounds.
constexpr absl::Duration kAfterwards = absl::Minutes(3);
constexpr absl::Duration kQuiet = absl::Minutes(3);

struct Later {
  std::string name;
  absl::Time published;
};

// What one subscription costs while nothing is published, and while records come.
struct Cost {
  double casts = 0;  // Frames a peer and minute.
  double answers = 0;
  double bytes = 0;
};

Cost CostOf(Mesh& mesh, absl::Duration time) {
  Simulation& sim = mesh.sim();
  const Traffic before = sim.traffic();
  sim.Run(time);
  const Traffic after = sim.traffic();
  const double share =
      kSubscribers * static_cast<double>(sim.LiveCount()) * absl::ToDoubleMinutes(time);
  Cost cost;
  for (const char* kind : {"cast_query", "answer", "standing_hits"}) {
    auto count = [&](const Traffic& traffic) {
      auto it = traffic.by_kind.find(kind);
      return it == traffic.by_kind.end() ? Traffic::Count() : it->second;
    };
    const auto frames = static_cast<double>(count(after).frames - count(before).frames) / share;
    (std::string(kind) == "cast_query" ? cost.casts : cost.answers) += frames;
    cost.bytes += static_cast<double>(count(after).bytes - count(before).bytes) / share;
  }
  return cost;
}

std::vector<Later> PublishLater(Mesh& mesh, int count) {
  std::vector<Later> records;
  for (int i = 0; i < count; ++i) {
    records.push_back({absl::StrCat("later", i, " common"), mesh.sim().now()});
    mesh.sim().Publish(mesh.sim().RandomLive(), {FileRecord(records.back().name)});
    mesh.sim().Run(kSpacing);
  }
  mesh.sim().Run(kAfterwards);
  return records;
}

void AddTold(Row& row, const Subscriptions& subscriptions, const std::vector<Later>& records) {
  double at_once = 0;
  double never = 0;
  double promised = 0;
  double rounds = 0;
  int64_t twice = 0;
  std::vector<double> latencies;
  for (const auto& [request, subscribed] : subscriptions.all()) {
    for (const Later& record : records) {
      auto told = subscribed.told.find(record.name);
      if (told == subscribed.told.end()) {
        ++never;
        ++at_once;
        continue;
      }
      const absl::Duration latency = told->second - record.published;
      if (latency > kAtOnce) ++at_once;
      latencies.push_back(absl::ToDoubleMilliseconds(latency));
      if (subscribed.told_times.at(record.name) > 1) ++twice;
    }
    for (const SearchSummary& round : subscribed.rounds) {
      promised += 1 - round.recall;
      ++rounds;
    }
  }
  const double pairs = static_cast<double>(records.size()) * kSubscribers;
  row.Add("pairs", static_cast<int64_t>(pairs));
  row.Add("promised_miss", promised / rounds);
  row.Add("missed_at_once", at_once / pairs);
  row.Add("missed_at_last", never / pairs);
  row.Add("told_twice", twice);
  row.Add("latency_ms", Quantile(latencies, 0.5));
  row.Add("latency_p99_ms", Quantile(latencies, 0.99));
}

}  // namespace

std::vector<Row> RunStanding(const Parameters& parameters) {
  std::vector<Row> rows;
  for (double recall : parameters.recalls) {
    Subscriptions subscriptions;
    Mesh mesh(parameters, subscriptions.Watch({}));
    mesh.Grow();
    mesh.Settle();
    std::vector<PeerIndex> peers = SomeOf(mesh.sim(), 1);
    for (int i = 0; i < kSubscribers; ++i) {
      subscriptions.Begin(mesh.sim(), peers[i % peers.size()], "common", recall);
    }
    subscriptions.Settle(mesh.sim());
    const Cost cost = CostOf(mesh, kQuiet);
    const std::vector<Later> records =
        PublishLater(mesh, std::max(1, parameters.trials / kSubscribers));
    Row row = BeginRow(parameters);
    row.Add("trials", int64_t{parameters.trials});
    row.Add("recall", recall);
    AddTold(row, subscriptions, records);
    row.Add("casts_per_peer_minute", cost.casts);
    row.Add("answers_per_peer_minute", cost.answers);
    row.Add("bytes_per_peer_minute", cost.bytes);
    EndRow(row, mesh.sim());
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace panal::sim
