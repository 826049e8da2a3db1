// The bubbles that a peer remembers, and who brought them (docs/protocol/bubbles.md, 8).

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "server/processing/search/bubble.h"

namespace panal {
namespace {

// Bubbles looked at, oldest first, when one must go to make room.
constexpr int kEvictionLooksMax = 8;

uint32_t LimitOf(const CastPayload& payload) {
  const auto* query = std::get_if<QueryPayload>(&payload);
  return query == nullptr ? 0 : query->limit;
}

}  // namespace

BubbleEngine::Bubble* BubbleEngine::FindBubble(const BubbleId& id) {
  auto it = bubbles_.find(id);
  return it == bubbles_.end() ? nullptr : &it->second;
}

BubbleEngine::Task& BubbleEngine::AddTask(const BubbleId& id, Bubble& bubble, CastPayload payload,
                                          const CastRange& range, absl::Time deadline) {
  KeepUntil(id, bubble, deadline);
  bubble.tasks.push_back(std::make_unique<Task>(next_sequence_++, id, LimitOf(payload)));
  Task& task = *bubble.tasks.back();
  task.work->payload = std::make_shared<const CastPayload>(std::move(payload));
  task.range = range;
  task.work->reach = range.end;
  task.work->deadline = deadline;
  active_[task.sequence] = &task;
  ++bubble.active;
  return task;
}

void BubbleEngine::KeepUntil(const BubbleId& id, Bubble& bubble, absl::Time deadline) {
  bubble.holder->bubbles.erase({bubble.forget_at, id});
  bubble.deadline = std::max(bubble.deadline, deadline);
  bubble.forget_at = bubble.deadline + options_.bubble_memory;
  bubble.holder->bubbles.insert({bubble.forget_at, id});
}

void BubbleEngine::Erase(const BubbleId& id) {
  auto it = bubbles_.find(id);
  PANAL_CHECK(it != bubbles_.end() && !it->second.owned);
  for (const std::unique_ptr<Task>& task : it->second.tasks) {
    EndCasts(*task);
    EndVisit(*task);
    active_.erase(task->sequence);
  }
  TakeOrphans(it->second);
  Holder& holder = *it->second.holder;
  holder.bubbles.erase({it->second.forget_at, id});
  bubbles_.erase(it);
  DropIfIdle(holder);
}

void BubbleEngine::ForgetOld(absl::Time now) {
  if (now < forgot_at_ + kForgetInterval) return;
  forgot_at_ = now;
  std::vector<BubbleId> old;
  for (const auto& [peer, holder] : holders_) {
    for (const auto& [forget_at, id] : holder->bubbles) {
      if (forget_at >= now) break;
      old.push_back(id);
    }
  }
  for (const BubbleId& id : old) {
    Bubble& bubble = bubbles_.find(id)->second;
    if (bubble.owned || bubble.active > 0) {
      KeepUntil(id, bubble, now);
    } else {
      Erase(id);
    }
  }
}

// --- Who brought them ----------------------------------------------------------------------------

BubbleEngine::Holder& BubbleEngine::HolderOf(const PeerId& peer) {
  std::unique_ptr<Holder>& holder = holders_[peer];
  if (holder == nullptr) holder = std::make_unique<Holder>(peer);
  return *holder;
}

size_t BubbleEngine::Held(const Holder& holder) const {
  return holder.bubbles.size() - (holder.peer == self_ ? owned_bubbles_ : 0);
}

// As many as are free for the others (Choudhury and Hahne, "Dynamic queue length thresholds for
// shared-memory packet switches", 1998): nobody alone needs to share, and nobody fills the table.
bool BubbleEngine::HasRoom(const Holder& holder) const {
  return Held(holder) + Remembered() < static_cast<size_t>(options_.bubbles_max);
}

size_t BubbleEngine::LateRoom(const Holder& holder) const {
  const auto most = static_cast<size_t>(options_.late_hits_max);
  const size_t taken = holder.late_hits + late_hits_;
  // Every one more takes one of those that are free, too.
  return taken < most ? (most - taken + 1) / 2 : 0;
}

TokenBucket& BubbleEngine::EveryoneOf(Holder& holder) const {
  if (holder.everyone == nullptr) holder.everyone = std::make_unique<Everyone>();
  return sizes_.EveryonePlausible() ? holder.everyone->small : holder.everyone->large;
}

bool BubbleEngine::MayReachEveryone(const PeerId& from, const Cast& cast, absl::Time now) {
  return !cast.everyone || EveryoneOf(HolderOf(from)).Has(now);
}

// What it brought for everyone is remembered for longer than its bucket takes to fill, so that a
// neighbor gains nothing by coming back.
void BubbleEngine::DropIfIdle(const Holder& holder) {
  if (holder.bubbles.empty() && !neighbors_.Has(holder.peer)) holders_.erase(PeerId(holder.peer));
}

bool BubbleEngine::MakeRoom(const PeerId& from, absl::Time now) {
  ForgetOld(now);
  const Holder& holder = HolderOf(from);
  if (HasRoom(holder)) return true;
  const size_t held = Held(holder);
  if (EvictOf(holder, now)) return true;
  const auto largest = std::max_element(
      holders_.begin(), holders_.end(),
      [&](const auto& a, const auto& b) { return Held(*a.second) < Held(*b.second); });
  return Held(*largest->second) > held && EvictOf(*largest->second, now);
}

bool BubbleEngine::EvictOf(const Holder& holder, absl::Time now) {
  // Never one whose budget runs: it would be visited, and counted, again.
  int looks = 0;
  for (const auto& [forget_at, id] : holder.bubbles) {
    if (++looks > kEvictionLooksMax) break;
    const Bubble& bubble = bubbles_.find(id)->second;
    if (bubble.owned || bubble.active > 0 || bubble.deadline > now) continue;
    Erase(BubbleId(id));
    return true;
  }
  return false;
}

void BubbleEngine::CheckHolders() const {
  const auto most = static_cast<size_t>(options_.bubbles_max);
  PANAL_CHECK(Remembered() <= most);
  size_t bubbles = 0;
  for (const auto& [peer, holder] : holders_) {
    PANAL_CHECK(!holder->bubbles.empty() || neighbors_.Has(peer));
    PANAL_CHECK(Held(*holder) <= (most + 1) / 2);
    bubbles += holder->bubbles.size();
  }
  PANAL_CHECK(bubbles == bubbles_.size());
  CheckLateHits();
}

void BubbleEngine::CheckLateHits() const {
  absl::btree_map<PeerId, size_t> kept;
  for (const auto& [id, bubble] : bubbles_) {
    if (bubble.orphans != nullptr) kept[bubble.holder->peer] += bubble.orphans->hits.size();
  }
  const auto most = static_cast<size_t>(options_.late_hits_max);
  size_t hits = 0;
  for (const auto& [peer, holder] : holders_) {
    PANAL_CHECK(holder->late_hits == kept[peer]);
    PANAL_CHECK(holder->late_hits <= (most + 1) / 2);
    hits += holder->late_hits;
  }
  PANAL_CHECK(hits == late_hits_ && hits <= most);
}

}  // namespace panal
