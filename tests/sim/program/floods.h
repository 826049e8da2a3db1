// Frames that hostile peers make up and send over all their links, more often than a neighbor takes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "tests/sim/simulator.h"

namespace panal::sim {

// What the peers around a flood remember of bubbles, so that little fills it. The share that one neighbor
// may have is the same whatever the size.
inline constexpr int kFloodedBubblesMax = 2048;
// Of a bubble that fills a table: longer than any experiment.
inline constexpr uint32_t kFloodBudgetMs = 300'000;

class Flood {
 public:
  static bool IsFlood(const std::string& variant) {
    return variant == "flood" || variant == "joins" || variant == "shuffles";
  }

  // `flood`: fresh bubble ids, and now and then one for everyone; `joins`: walks of newcomers that are not
  // there, and joins; `shuffles`: shuffles, and replies, of peers that are not there.
  explicit Flood(std::string variant) : variant_(std::move(variant)) {}

  // From now on, without end, from each of `hostile`. `sim` and this stay.
  void Begin(Simulation& sim, std::vector<PeerIndex> hostile);

 private:
  void Tick();
  // What goes over one link in one tick.
  std::vector<Frame> FramesFor(PeerIndex from, PeerIndex to);
  Cast MakeCast(PeerIndex from, bool everyone);
  std::vector<PeerContact> Strangers(size_t count);

  const std::string variant_;
  Simulation* sim_ = nullptr;
  std::vector<PeerIndex> hostile_;
  Random random_{1};
  int ticks_ = 0;
};

}  // namespace panal::sim
