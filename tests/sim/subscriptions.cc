#include "tests/sim/subscriptions.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace panal::sim {

SimulationOptions Subscriptions::Watch(SimulationOptions options) {
  options.on_output = [this](PeerIndex, const Output& output) { OnOutput(output); };
  return options;
}

uint64_t Subscriptions::Begin(Simulation& sim, PeerIndex peer, absl::string_view query,
                              double recall) {
  sim_ = &sim;
  const uint64_t request = next_++;
  all_[request].peer = peer;
  sim.Feed(peer, SubscribeRequested{request, std::string(query), recall});
  return request;
}

void Subscriptions::Cancel(Simulation& sim, uint64_t request) {
  sim.Feed(all_.at(request).peer, SubscribeCancelled{request});
}

bool Subscriptions::Settle(Simulation& sim, absl::Duration limit) const {
  return sim.RunUntil(
      [this] {
        return std::all_of(all_.begin(), all_.end(),
                           [](const auto& entry) { return !entry.second.rounds.empty(); });
      },
      limit);
}

void Subscriptions::OnOutput(const Output& output) {
  if (const auto* begun = std::get_if<SubscriptionBegun>(&output)) {
    all_[begun->request].begun = true;
    all_[begun->request].known_truncated = begun->known_truncated;
  } else if (const auto* round = std::get_if<SubscriptionRound>(&output)) {
    all_[round->request].rounds.push_back(round->summary);
  } else if (const auto* ended = std::get_if<SubscriptionEnded>(&output)) {
    all_[ended->request].ended = true;
  } else if (const auto* hits = std::get_if<SubscriptionHits>(&output)) {
    Subscribed& one = all_[hits->request];
    for (const Hit& hit : hits->hits) {
      one.told.try_emplace(hit.record.name, sim_->now());
      ++one.told_times[hit.record.name];
      one.hits.push_back(hit);
    }
  }
}

}  // namespace panal::sim
