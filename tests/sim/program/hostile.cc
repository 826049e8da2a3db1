#include <algorithm>
#include <memory>

#include "tests/sim/program/experiments.h"
#include "tests/sim/program/mesh.h"

namespace panal::sim {
namespace {

constexpr absl::Duration kNoDelay = absl::ZeroDuration();
// A late answer comes after most of a search's time. Guess.
constexpr absl::Duration kLate = absl::Seconds(6);
// How much a peer that lies about sizes exaggerates, and one that amplifies enlarges.
constexpr double kExaggeration = 10;
constexpr uint32_t kAmplification = 1000;

// What one frame of a hostile peer becomes.
using Behavior = absl::Duration (*)(Frame&);

// Takes part in everything but never answers: its range is lost unless it is sent elsewhere.
absl::Duration Drop(Frame& frame) {
  return std::holds_alternative<Answer>(frame) ? absl::InfiniteDuration() : kNoDelay;
}

absl::Duration Delay(Frame& frame) {
  return std::holds_alternative<Answer>(frame) ? kLate : kNoDelay;
}

// Claims to have asked everybody it was to ask, and found nothing.
absl::Duration LieAboutCounts(Frame& frame) {
  if (auto* answer = std::get_if<Answer>(&frame)) {
    answer->visited += answer->unanswered;
    answer->unanswered = 0;
    answer->hits.clear();
  }
  return kNoDelay;
}

absl::Duration LieAboutSize(Frame& frame) {
  if (auto* share = std::get_if<Measure>(&frame)) {
    share->count *= kExaggeration;
    share->last_count *= kExaggeration;
  }
  return kNoDelay;
}

// Asks for far larger bubbles than it was asked for.
absl::Duration Amplify(Frame& frame) {
  if (auto* cast = std::get_if<Cast>(&frame)) {
    cast->end = std::min(kBubbleSizeMax, cast->begin + (cast->end - cast->begin) * kAmplification);
  }
  return kNoDelay;
}

Behavior BehaviorOf(const std::string& variant) {
  if (variant == "late") return Delay;
  if (variant == "counts") return LieAboutCounts;
  if (variant == "size") return LieAboutSize;
  if (variant == "amplify") return Amplify;
  return Drop;
}

}  // namespace

std::vector<Row> RunHostile(const Parameters& parameters) {
  auto hostile = std::make_shared<std::vector<bool>>(parameters.peers, false);
  SimulationOptions options;
  options.tamper = [hostile, behavior = BehaviorOf(parameters.variant)](PeerIndex from, PeerIndex,
                                                                        Frame& frame) {
    return (*hostile)[from] ? behavior(frame) : kNoDelay;
  };
  Mesh mesh(parameters, options);
  Simulation& sim = mesh.sim();
  mesh.Grow();
  mesh.Settle();
  for (PeerIndex peer : sim.Live()) (*hostile)[peer] = sim.random().Unit() < parameters.fail;
  mesh.PublishRecords(SideOf(parameters.trials));
  sim.Run(absl::Minutes(2));
  Searched searched = mesh.SearchAll(SideOf(parameters.trials), parameters.recalls.front());
  sim.CheckInvariants();
  Row row = BeginRow(parameters);
  row.Add("variant", parameters.variant.empty() ? "drop" : parameters.variant);
  row.Add("hostile", static_cast<double>(std::count(hostile->begin(), hostile->end(), true)) /
                         static_cast<double>(parameters.peers));
  row.Add("recall", parameters.recalls.front());
  AddSearched(row, searched, sim.random());
  EndRow(row, sim);
  return {row};
}

}  // namespace panal::sim
