// Subscriptions of simulated peers, and what was told to them.
//
//   Subscriptions subscriptions;
//   Simulation sim(subscriptions.Watch({.seed = 7}));
//   uint64_t request = subscriptions.Begin(sim, peers[3], "report");
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/model/record.h"
#include "server/processing/core.h"
#include "tests/sim/simulator.h"

namespace panal::sim {

struct Subscribed {
  PeerIndex peer = 0;
  bool begun = false;
  bool known_truncated = false;
  bool ended = false;
  std::vector<Hit> hits;                   // In the order they were told.
  std::map<std::string, absl::Time> told;  // By the record's name: when first.
  std::map<std::string, int> told_times;   // By the record's name: how often.
  std::vector<SearchSummary> rounds;
};

class Subscriptions {
 public:
  // `options`, with what a Subscriptions needs. This object must outlive the simulation.
  SimulationOptions Watch(SimulationOptions options);

  // Subscribes `peer` to `query`. REQUIRES: `sim` was made with what Watch returned.
  uint64_t Begin(Simulation& sim, PeerIndex peer, absl::string_view query, double recall = 0.99);
  void Cancel(Simulation& sim, uint64_t request);
  // Runs until every subscription has begun and its first round is over.
  bool Settle(Simulation& sim, absl::Duration limit = absl::Minutes(1)) const;

  const Subscribed& Of(uint64_t request) const { return all_.at(request); }

  const std::map<uint64_t, Subscribed>& all() const { return all_; }

 private:
  void OnOutput(const Output& output);

  uint64_t next_ = 1;
  Simulation* sim_ = nullptr;
  std::map<uint64_t, Subscribed> all_;
};

}  // namespace panal::sim
