#include "tests/sim/program/floods.h"

#include <cstring>
#include <utility>

namespace panal::sim {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(200);
// Over each link in a tick. Guess: several times what a neighbor takes in the long run, and no more
// than a simulation bears.
constexpr int kIdsATick = 20;
constexpr int kWalksATick = 8;
constexpr int kShufflesATick = 2;
// One bubble for everyone from each hostile peer in so many ticks: each of them is cast over all
// links of the mesh, and more would take a simulation hours.
constexpr int kTicksPerEveryone = 5;

}  // namespace

void Flood::Begin(Simulation& sim, std::vector<PeerIndex> hostile) {
  sim_ = &sim;
  hostile_ = std::move(hostile);
  random_ = Random(sim.random().Next());
  Tick();
}

void Flood::Tick() {
  for (PeerIndex from : hostile_) {
    if (!sim_->IsLive(from)) continue;
    for (PeerIndex to : sim_->LinksOf(from)) {
      for (Frame& frame : FramesFor(from, to)) {
        if (sim_->IsLive(to)) sim_->Feed(to, FrameReceived{sim_->IdOf(from), std::move(frame)});
      }
    }
  }
  ++ticks_;
  sim_->At(kTick, [this] { Tick(); });
}

Cast Flood::MakeCast(PeerIndex from, bool everyone) {
  Cast cast;
  const std::string id = random_.Bytes(cast.bubble.bytes.size());
  std::memcpy(cast.bubble.bytes.data(), id.data(), id.size());
  cast.origin = sim_->IdOf(from);
  cast.seed = random_.Next();
  cast.everyone = everyone;
  cast.hops = 1;
  cast.budget_ms = kFloodBudgetMs;
  cast.payload = QueryPayload{"flood", 10};
  return cast;
}

std::vector<PeerContact> Flood::Strangers(size_t count) {
  std::vector<PeerContact> strangers;
  for (size_t i = 0; i < count; ++i) {
    strangers.push_back({*PeerId::FromBytes(random_.Bytes(PeerId::kSize)), {"nobody:7401"}});
  }
  return strangers;
}

std::vector<Frame> Flood::FramesFor(PeerIndex from, PeerIndex to) {
  std::vector<Frame> frames;
  if (variant_ == "flood") {
    const bool everyone = ticks_ % kTicksPerEveryone == 0 && to == sim_->LinksOf(from).front();
    if (everyone) frames.push_back(MakeCast(from, /*everyone=*/true));
    for (int i = 0; i < kIdsATick; ++i) frames.push_back(MakeCast(from, /*everyone=*/false));
  } else if (variant_ == "joins") {
    frames.push_back(Join{});
    for (PeerContact& stranger : Strangers(kWalksATick)) {
      frames.push_back(ForwardJoin{std::move(stranger), kWalkTtlMax});
    }
  } else {
    for (int i = 0; i < kShufflesATick; ++i) {
      frames.push_back(Shuffle{kWalkTtlMax, {sim_->IdOf(from)}, Strangers(kSampleSizeMax)});
      frames.push_back(ShuffleReply{{sim_->IdOf(to)}, Strangers(kSampleSizeMax)});
    }
  }
  return frames;
}

}  // namespace panal::sim
