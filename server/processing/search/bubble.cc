#include "server/processing/search/bubble.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace panal {

void Tally::Add(Tally other) {
  visited = CappedSum(visited, other.visited);
  kept = CappedSum(kept, other.kept);
  full = CappedSum(full, other.full);
  consulted = std::min(consulted + other.consulted, kConsultedMax);
  contacted = std::min(contacted + other.contacted, kConsultedMax);
  truncated = truncated || other.truncated;
  for (Hit& hit : other.hits) hits.push_back(std::move(hit));
}

BubbleEngine::BubbleEngine(PeerId self, const SearchOptions& options, const Neighbors& neighbors,
                           const NeighborDigests& digests, const BubbleSizes& sizes, Random& random)
    : self_(self),
      options_(options),
      neighbors_(neighbors),
      digests_(digests),
      sizes_(sizes),
      random_(random),
      pace_(options.late_factor) {}

// --- Origin --------------------------------------------------------------------------------------

BubbleId BubbleEngine::Begin(uint64_t owner, CastPayload payload, const CastRange& range,
                             bool visit_self, absl::Time deadline, absl::Time now,
                             Outputs& outputs) {
  PANAL_CHECK(range.begin == 0 && range.end > 0);
  ForgetOld(now);
  BubbleId id;
  const std::string bytes = random_.Bytes(id.bytes.size());
  std::memcpy(id.bytes.data(), bytes.data(), id.bytes.size());
  Bubble& bubble = bubbles_[id];
  bubble.holder = &HolderOf(self_);
  bubble.owned = true;
  bubble.owner = owner;
  bubble.visited = true;
  ++owned_bubbles_;
  Task& task = AddTask(id, bubble, std::move(payload), range, deadline);
  task.root = true;
  task.work->origin = self_;
  if (visit_self) BeginVisit(bubble, task, self_);
  Forward(task, now, outputs);
  Consult(bubble, task, now, outputs);
  FinishIfDone(task, now, outputs);
  return id;
}

void BubbleEngine::Extend(const BubbleId& id, CastPayload payload, const CastRange& range,
                          absl::Time deadline, absl::Time now, Outputs& outputs) {
  Bubble* bubble = FindBubble(id);
  PANAL_CHECK(bubble != nullptr && bubble->owned);
  Task& task = AddTask(id, *bubble, std::move(payload), range, deadline);
  task.root = true;
  task.work->origin = self_;
  Forward(task, now, outputs);
  FinishIfDone(task, now, outputs);
}

void BubbleEngine::LetGo(const BubbleId& id) {
  Bubble* bubble = FindBubble(id);
  if (bubble == nullptr || !bubble->owned) return;
  const bool room = HasRoom(*bubble->holder);
  bubble->owned = false;
  --owned_bubbles_;
  for (const std::unique_ptr<Task>& task : bubble->tasks) {
    if (!task->root || task->finished()) continue;
    EndCasts(*task);
    EndVisit(*task);
    task->work = nullptr;
    active_.erase(task->sequence);
    --bubble->active;
  }
  // Nobody misses it: casts of it are answered at once then.
  if (!room) Erase(id);
}

// --- Casts ---------------------------------------------------------------------------------------

void BubbleEngine::Refuse(const PeerId& from, const Cast& cast, Outputs& outputs) {
  Answer answer{.bubble = cast.bubble, .begin = cast.begin, .final = true};
  answer.unanswered = cast.everyone ? 1 : cast.end - cast.begin;
  outputs.push_back(SendFrame{from, std::move(answer)});
}

void BubbleEngine::OnCast(const PeerId& from, const Cast& cast, absl::Time now, Outputs& outputs) {
  // Only the origin is at the origin.
  const int hops = std::max(cast.hops, from == cast.origin ? 1 : 2);
  Bubble* bubble = FindBubble(cast.bubble);
  if (bubble == nullptr) {
    if (cast.origin == self_) {
      // A search of ours that is over: nobody waits for the rest of the range.
      Answer answer{.bubble = cast.bubble, .begin = cast.begin, .final = true};
      outputs.push_back(SendFrame{from, std::move(answer)});
      return;
    }
    const bool plausible = ReachOf(nullptr, cast, hops) > cast.begin;
    const bool may = plausible && !Overloaded(now) && MayReachEveryone(from, cast, now);
    if (!may || !MakeRoom(from, now)) return Refuse(from, cast, outputs);
    bubble = &bubbles_[cast.bubble];
    bubble->holder = &HolderOf(from);
  }
  const CastRange range{cast.seed, cast.begin, cast.end, cast.everyone, cast.consult, cast.contact};
  for (const std::unique_ptr<Task>& task : bubble->tasks) {
    // A bubble goes to everyone once, and a peer is contacted once, whatever the seed.
    const bool same = range.everyone  ? task->range.everyone
                      : range.contact ? task->range.contact
                                      : task->range == range;
    if (same) return Rejoin(*bubble, *task, from, now, outputs);
  }
  if (bubble->tasks.size() >= kRangesPerBubbleMax) return Refuse(from, cast, outputs);
  const uint32_t reach = ReachOf(bubble, cast, hops);
  const bool nothing = reach == cast.begin || (bubble->visited && reach == cast.begin + 1);
  if (nothing && reach < cast.end) return Refuse(from, cast, outputs);
  if (cast.everyone && !EveryoneOf(HolderOf(from)).Take(now)) return Refuse(from, cast, outputs);

  Task& task =
      AddTask(cast.bubble, *bubble, cast.payload, range, now + absl::Milliseconds(cast.budget_ms));
  task.work->origin = cast.origin;
  task.work->reach = reach;
  task.unanswered = cast.end - reach;
  task.parent = from;
  task.work->hops = hops;
  task.work->flush_at = now + options_.flush_share * (task.work->deadline - now);
  if (!bubble->visited || !options_.rules.visit_once) BeginVisit(*bubble, task, from);
  if (bubble->orphans != nullptr) AddTally(*bubble, task, TakeOrphans(*bubble), now, outputs);
  Forward(task, now, outputs);
  Consult(*bubble, task, now, outputs);
  FinishIfDone(task, now, outputs);
}

uint32_t BubbleEngine::ReachOf(const Bubble* bubble, const Cast& cast, int hops) const {
  const bool query = std::holds_alternative<QueryPayload>(cast.payload);
  if (cast.everyone) {
    return query || sizes_.EveryonePlausible() ? cast.end : cast.begin;
  }
  if (cast.contact) return cast.end;
  const uint64_t longest = !query             ? sizes_.PageRangeMax()
                           : cast.consult > 0 ? sizes_.ConsultingRangeMax()
                                              : sizes_.QueryRangeMax();
  uint64_t most = longest;
  const bool known = longest < kBubbleSizeMax;
  for (int hop = 1; known && hop < hops && most > 1; ++hop) {
    most = std::max(most / kHopShrink, uint64_t{1});
  }
  if (bubble != nullptr) {
    const uint64_t left = longest - std::min(longest, bubble->forwarded);
    most = std::min(most, 1 + (bubble->casts < kCastsPerBubbleMax ? left : 0));
  }
  return static_cast<uint32_t>(std::min<uint64_t>(cast.end, cast.begin + most));
}

void BubbleEngine::Rejoin(Bubble& bubble, Task& task, const PeerId& from, absl::Time now,
                          Outputs& outputs) {
  const bool has_parent = task.root || neighbors_.Has(task.parent);
  if (!task.finished() && !has_parent) {
    task.parent = from;
    return;
  }
  if (!task.finished() && !task.range.everyone && !task.range.contact) {
    if (task.parent == from || Contains(task.work->further_parents, from)) return;
    if (!task.root &&
        task.work->further_parents.size() < static_cast<size_t>(options_.further_parents_max)) {
      task.work->further_parents.push_back(from);
      return;
    }
  }
  // The range is done, or being done for somebody else: what is left to say is what nobody heard
  // yet.
  const bool done = task.finished() && !task.range.everyone;
  SendAnswer(from, task, TakeOrphans(bubble), true, done ? task.unanswered : 0, outputs);
}

void BubbleEngine::Forward(Task& task, absl::Time now, Outputs& outputs) {
  const bool extended = task.root && task.range.begin > 0;
  const uint32_t begin = extended ? task.range.begin : task.range.begin + 1;
  const bool may =
      task.work->hops < kCastHopsMax && kHopShare * (task.work->deadline - now) >= kPartTimeMin;
  if (task.range.everyone) {
    if (may) {
      ForwardToEveryone(task, now, outputs);
    } else {
      task.unanswered = 1;
    }
  } else if (begin < task.work->reach) {
    const uint32_t casts = CastsLeft(task);
    if (may && casts > 0 && !neighbors_.ids().empty()) {
      ForwardRange(task, begin, casts, now, outputs);
    } else {
      task.unanswered = task.range.end - begin;
    }
  }
  if (!task.finished()) Arm(task, now, outputs);
}

void BubbleEngine::ForwardToEveryone(Task& task, absl::Time now, Outputs& outputs) {
  // All parts first: SendPart takes a reference into the vector.
  for (const PeerId& neighbor : neighbors_.ids()) {
    if (task.root || neighbor != task.parent) {
      task.parts.push_back({.begin = 0, .end = 1, .tried = {neighbor}});
    }
  }
  for (Part& part : task.parts) {
    const PeerId to = part.tried.back();
    part.tried.clear();
    SendPart(task, part, to, now, outputs);
  }
}

uint32_t BubbleEngine::CastsLeft(const Task& task) const {
  if (task.root) return kCastsPerBubbleMax;  // Its rounds are bounded.
  const uint32_t sent = bubbles_.find(task.bubble)->second.casts;
  return kCastsPerBubbleMax - std::min(kCastsPerBubbleMax, sent);
}

void BubbleEngine::ForwardRange(Task& task, uint32_t begin, uint32_t casts, absl::Time now,
                                Outputs& outputs) {
  size_t preferred = 0;
  const std::vector<PeerId> candidates = Candidates(task, now, &preferred);
  if (candidates.empty()) {
    // A whole slice is shed, and said to be.
    task.unanswered = task.range.end - begin;
    return;
  }
  const uint32_t length = task.work->reach - begin;
  if (!task.root) FindBubble(task.bubble)->forwarded += length;
  const uint32_t count = std::min({static_cast<uint32_t>(options_.split), length, casts,
                                   static_cast<uint32_t>(std::max<size_t>(preferred, 1))});
  uint32_t from = begin;
  task.parts.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t size = length / count + (i < length % count ? 1 : 0);
    task.parts.push_back({.begin = from, .end = from + size});
    from += size;
  }
  for (uint32_t i = 0; i < count; ++i) {
    pace_.OnCast();
    SendPart(task, task.parts[i], candidates[i], now, outputs);
  }
}

uint64_t BubbleEngine::RankOf(uint64_t seed, uint32_t begin, const PeerId& neighbor) {
  uint64_t rank = Mix64(seed ^ begin);
  for (size_t i = 0; i < PeerId::kSize; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    for (size_t byte = 0; byte < sizeof(uint64_t); ++byte) {
      word = word << 8 | neighbor.bytes[i + byte];
    }
    rank = Mix64(rank ^ word);
  }
  return rank;
}

std::vector<PeerId> BubbleEngine::Candidates(const Task& task, absl::Time now,
                                             size_t* preferred) const {
  std::vector<std::pair<std::pair<int, uint64_t>, PeerId>> ranked;
  ranked.reserve(neighbors_.ids().size());
  *preferred = 0;
  for (const PeerId& neighbor : neighbors_.ids()) {
    if (!task.range.everyone && !conduct_.HasCredit(neighbor)) continue;
    // The origin and the sender have been visited already; a suspect may be dead, or lie.
    int resort = 0;
    if (neighbor == task.work->origin) resort = 1;
    if (!task.root && neighbor == task.parent) resort = 2;
    if (conduct_.IsSuspect(neighbor, now) || audit_.Distrusts(neighbor, now)) resort = 3;
    if (conduct_.RefusedLately(neighbor, now)) resort = 4;
    if (resort == 0) ++*preferred;
    ranked.push_back({{resort, RankOf(task.range.seed, task.range.begin, neighbor)}, neighbor});
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<PeerId> candidates;
  candidates.reserve(ranked.size());
  for (const auto& entry : ranked) candidates.push_back(entry.second);
  return candidates;
}

void BubbleEngine::SendPart(Task& task, Part& part, const PeerId& to, absl::Time now,
                            Outputs& outputs) {
  const absl::Duration remaining = task.work->deadline - now;
  if (!task.root && !task.range.everyone && !part.contact) ++FindBubble(task.bubble)->casts;
  part.tried.push_back(to);
  part.open.push_back(to);
  conduct_.OnCast(to);
  part.cast_at = now;
  if (part.tried.size() == 1) task.work->cast_at = now;
  part.late_at = LateAt(task, part);
  part.silent_at = task.range.everyone ? absl::InfiniteFuture() : now + SilenceAfter(remaining);
  Cast cast;
  cast.bubble = task.bubble;
  cast.origin = task.work->origin;
  cast.seed = task.range.seed;
  cast.begin = part.begin;
  cast.end = part.end;
  cast.everyone = task.range.everyone;
  cast.contact = part.contact;
  cast.consult = part.contact ? 0 : task.range.consult;
  cast.hops = task.work->hops + 1;
  const int64_t budget = absl::ToInt64Milliseconds(kHopShare * remaining);
  cast.budget_ms = static_cast<uint32_t>(std::clamp<int64_t>(budget, 1, kBudgetMsMax));
  cast.payload = *task.work->payload;
  outputs.push_back(SendFrame{to, std::move(cast)});
}

void BubbleEngine::EndCasts(Task& task) {
  for (Part& part : task.parts) {
    for (const PeerId& peer : part.open) conduct_.OnGivenUp(peer);
    part.open = std::vector<PeerId>();
  }
}

bool BubbleEngine::Overloaded(absl::Time now) const {
  return visiting_ >= static_cast<size_t>(options_.visits_max) || now < overloaded_until_;
}

void BubbleEngine::BeginVisit(Bubble& bubble, Task& task, const PeerId& from) {
  bubble.visited = true;
  bubble.visit_task = task.sequence;
  task.work->visiting = true;
  ++visiting_;
  visits_.push_back({task.bubble, from, task.work->payload, task.work->deadline});
}

void BubbleEngine::EndVisit(Task& task) {
  if (!task.finished() && std::exchange(task.work->visiting, false)) --visiting_;
}

// --- Answers -------------------------------------------------------------------------------------

BubbleEngine::Part* BubbleEngine::FindPart(Bubble& bubble, const PeerId& from, uint32_t begin,
                                           Task** task) {
  Part* late = nullptr;
  for (const std::unique_ptr<Task>& candidate : bubble.tasks) {
    for (Part& part : candidate->parts) {
      if (part.begin != begin || !Contains(part.tried, from)) continue;
      if (!part.resolved && part.tried.back() == from) {
        *task = candidate.get();
        return &part;
      }
      if (late == nullptr || !part.resolved) {
        late = &part;
        *task = candidate.get();
      }
    }
  }
  return late;
}

void BubbleEngine::OnAnswer(const PeerId& from, const Answer& answer, absl::Time now,
                            Outputs& outputs) {
  conduct_.OnAnswer(from);
  Bubble* bubble = FindBubble(answer.bubble);
  if (bubble == nullptr) return;
  Task* task = nullptr;
  Part* part = FindPart(*bubble, from, answer.begin, &task);
  if (part == nullptr) return;  // Never asked: not counted.

  // A range of so many positions cannot have visited more peers.
  const uint32_t most = task->range.everyone ? kBubbleSizeMax : part->size();
  Tally tally;
  if (part->contact) {
    CountContact(answer, *part, tally);
  } else {
    tally.visited = std::min(answer.visited, most - std::min(most, part->visited));
    CountConsulted(answer, task->range.consult, *part, tally);
  }
  tally.kept = std::min(answer.kept, most - std::min(most, part->kept));
  tally.full = std::min(answer.full, most - std::min(most, part->full));
  tally.truncated = answer.truncated;
  tally.hits = answer.hits;
  part->visited = CappedSum(part->visited, tally.visited);
  part->kept = CappedSum(part->kept, tally.kept);
  part->full = CappedSum(part->full, tally.full);
  part->truncated = part->truncated || tally.truncated;
  NoteFinds(*task, from, tally.hits);
  if (!tally.Empty()) AddTally(*bubble, *task, std::move(tally), now, outputs);

  const bool refused = answer.final && answer.unanswered >= most && part->visited == 0;
  auto open = std::find(part->open.begin(), part->open.end(), from);
  if (answer.final && open != part->open.end()) {
    part->open.erase(open);
    if (refused) {
      conduct_.OnRefused(from, now);
    } else {
      conduct_.OnDone(from);
    }
  }
  if (part->resolved || task->finished()) return;
  const bool holder = part->tried.back() == from;
  if (holder) part->silent_at = now + SilenceAfter(task->work->deadline - now);
  if (!answer.final) return;
  if (task->range.everyone) {
    part->resolved = true;
    task->unanswered = CappedSum(task->unanswered, answer.unanswered);
  } else if (holder && refused) {
    // Nothing of it was done: the neighbor has no room, or no time.
    Retry(*task, *part, now, outputs);
  } else if (holder || answer.unanswered == 0) {
    part->resolved = true;
    part->missing = part->contact ? 0 : std::min(answer.unanswered, part->size());
    task->unanswered = CappedSum(task->unanswered, part->missing);
    if (holder) {
      if (part->tried.size() == 1) conduct_.OnInTime(from);
      NotePace(*task, *part, now);
    }
  }
  FinishIfDone(*task, now, outputs);
  if (!task->finished()) Arm(*task, now, outputs);
}

void BubbleEngine::OnVisited(const BubbleId& id, Tally tally, bool failed, absl::Time now,
                             Outputs& outputs) {
  if (failed) overloaded_until_ = now + kOverloadTime;
  Bubble* bubble = FindBubble(id);
  if (bubble == nullptr) return;
  for (const std::unique_ptr<Task>& owned : bubble->tasks) {
    Task& task = *owned;
    if (task.sequence != bubble->visit_task) continue;
    NoteFinds(task, self_, tally.hits);
    if (!tally.Empty()) AddTally(*bubble, task, std::move(tally), now, outputs);
    if (failed && !task.finished() && task.work->visiting) {
      task.unanswered = CappedSum(task.unanswered, 1);
    }
    EndVisit(task);
    FinishIfDone(task, now, outputs);
    return;
  }
}

void BubbleEngine::AddTally(Bubble& bubble, Task& task, Tally tally, absl::Time now,
                            Outputs& outputs) {
  if (task.root) {
    if (bubble.owned) reports_.push_back({bubble.owner, std::move(tally)});
    return;
  }
  if (!task.finished()) {
    task.work->merger.Add(std::exchange(tally.hits, {}));
    task.work->pending.Add(std::move(tally));
    if (task.work->merger.HasFresh()) {
      task.work->flush_at = std::min(task.work->flush_at, now + kHitDelay);
      Arm(task, now, outputs);
    }
    return;
  }
  // Too late for the final answer, but the parent, or an ancestor, may still wait.
  if (neighbors_.Has(task.parent)) {
    SendAnswer(task.parent, task, std::move(tally), false, 0, outputs);
  } else {
    KeepOrphans(bubble, std::move(tally), now, outputs);
  }
}

void BubbleEngine::KeepOrphans(Bubble& bubble, Tally tally, absl::Time now, Outputs& outputs) {
  if (bubble.owned) {
    reports_.push_back({bubble.owner, std::move(tally)});
    return;
  }
  for (const std::unique_ptr<Task>& task : bubble.tasks) {
    if (task->finished() || !neighbors_.Has(task->parent)) continue;
    AddTally(bubble, *task, std::move(tally), now, outputs);
    return;
  }
  if (bubble.orphans == nullptr) bubble.orphans = std::make_unique<Tally>();
  Tally& orphans = *bubble.orphans;
  const size_t left = static_cast<size_t>(options_.orphan_hits_max) - orphans.hits.size();
  const size_t room = std::min(left, LateRoom(*bubble.holder));
  if (tally.hits.size() > room) {
    tally.hits.resize(room);
    tally.truncated = true;
  }
  bubble.holder->late_hits += tally.hits.size();
  late_hits_ += tally.hits.size();
  orphans.Add(std::move(tally));
}

Tally BubbleEngine::TakeOrphans(Bubble& bubble) {
  const std::unique_ptr<Tally> orphans = std::exchange(bubble.orphans, nullptr);
  if (orphans == nullptr) return {};
  bubble.holder->late_hits -= orphans->hits.size();
  late_hits_ -= orphans->hits.size();
  return std::move(*orphans);
}

Tally BubbleEngine::TakePending(Work& work) {
  Tally tally = std::exchange(work.pending, Tally{});
  tally.hits = work.merger.Take();
  tally.truncated = tally.truncated || work.merger.truncated();
  return tally;
}

void BubbleEngine::SendAnswer(const PeerId& to, const Task& task, Tally tally, bool final,
                              uint32_t unanswered, Outputs& outputs) {
  std::vector<std::vector<Hit>> parts = SplitIntoAnswers(std::move(tally.hits));
  for (size_t i = 0; i < parts.size(); ++i) {
    Answer answer{.bubble = task.bubble, .begin = task.range.everyone ? 0 : task.range.begin};
    answer.hits = std::move(parts[i]);
    if (i + 1 == parts.size()) {
      answer.final = final;
      answer.visited = tally.visited;
      answer.kept = tally.kept;
      answer.full = tally.full;
      answer.consulted = tally.consulted;
      answer.contacted = tally.contacted;
      answer.truncated = tally.truncated;
      answer.unanswered = unanswered;
    }
    outputs.push_back(SendFrame{to, std::move(answer)});
  }
}

// --- Time and loss -------------------------------------------------------------------------------

void BubbleEngine::OnTimer(uint64_t token, absl::Time now, Outputs& outputs) {
  auto it = active_.find(token);
  if (it == active_.end()) return;
  Task& task = *it->second;
  if (now < task.work->armed_at)
    return;  // A later timer was replaced by an earlier one, or the reverse.
  task.work->armed_at = absl::InfiniteFuture();
  Process(task, now, outputs);
}

void BubbleEngine::Process(Task& task, absl::Time now, Outputs& outputs) {
  if (now >= task.work->deadline) {
    for (Part& part : task.parts) {
      if (!part.resolved) GiveUp(task, part);
    }
    if (task.work->visiting) task.unanswered = CappedSum(task.unanswered, 1);
    return Finish(bubbles_.find(task.bubble)->second, task, now, outputs);
  }
  for (Part& part : task.parts) {
    if (part.resolved || now < part.silent_at) continue;
    conduct_.OnSilent(part.tried.back(), now);
    Retry(task, part, now, outputs);
  }
  for (Part& part : task.parts) {
    if (!part.resolved && now >= part.late_at) Hedge(task, part, now, outputs);
  }
  FinishIfDone(task, now, outputs);
  if (task.finished()) return;
  if (now >= task.work->flush_at) {
    if (!task.root && neighbors_.Has(task.parent)) {
      SendAnswer(task.parent, task, TakePending(*task.work), false, 0, outputs);
    }
    const absl::Duration remaining = task.work->deadline - now;
    task.work->flush_at =
        remaining < kFlushTimeMin ? absl::InfiniteFuture() : now + options_.flush_share * remaining;
  }
  Arm(task, now, outputs);
}

void BubbleEngine::OnNeighborDown(const PeerId& peer, absl::Time now, Outputs& outputs) {
  conduct_.Forget(peer);
  audit_.Forget(peer);
  auto holder = holders_.find(peer);
  if (holder != holders_.end()) DropIfIdle(*holder->second);
  std::vector<uint64_t> sequences;
  for (const auto& [sequence, task] : active_) {
    sequences.push_back(sequence);
    for (Part& part : task->parts) {
      part.open.erase(std::remove(part.open.begin(), part.open.end(), peer), part.open.end());
    }
  }
  for (uint64_t sequence : sequences) {
    auto it = active_.find(sequence);
    if (it == active_.end()) continue;
    Task& task = *it->second;
    if (!task.root && task.parent == peer && !task.work->further_parents.empty()) {
      task.parent = task.work->further_parents.front();
      task.work->further_parents.erase(task.work->further_parents.begin());
    }
    for (Part& part : task.parts) {
      if (!part.resolved && part.tried.back() == peer) Retry(task, part, now, outputs);
    }
    FinishIfDone(task, now, outputs);
    if (!task.finished()) Arm(task, now, outputs);
  }
}

bool BubbleEngine::HasUnresolved(const Task& task) {
  return std::any_of(task.parts.begin(), task.parts.end(),
                     [](const Part& part) { return !part.resolved; });
}

void BubbleEngine::FinishIfDone(Task& task, absl::Time now, Outputs& outputs) {
  if (task.finished() || task.work->visiting || HasUnresolved(task)) return;
  if (AuditParts(task, now, outputs)) return Arm(task, now, outputs);
  Finish(bubbles_.find(task.bubble)->second, task, now, outputs);
}

void BubbleEngine::Finish(Bubble& bubble, Task& task, absl::Time now, Outputs& outputs) {
  PANAL_CHECK(!task.finished());
  if (task.work->links > 0) AddTally(bubble, task, {.consulted = Consulted(task)}, now, outputs);
  EndCasts(task);
  EndVisit(task);
  Tally tally = TakePending(*task.work);
  const std::unique_ptr<Work> work = std::exchange(task.work, nullptr);
  active_.erase(task.sequence);
  --bubble.active;
  if (task.root) {
    if (bubble.owned) {
      reports_.push_back(
          {.owner = bubble.owner, .round_finished = true, .unanswered = task.unanswered});
    }
    return;
  }
  if (neighbors_.Has(task.parent)) {
    SendAnswer(task.parent, task, std::move(tally), true, task.unanswered, outputs);
  } else if (!tally.Empty()) {
    KeepOrphans(bubble, std::move(tally), now, outputs);
  }
  for (const PeerId& parent : work->further_parents) {
    if (neighbors_.Has(parent)) SendAnswer(parent, task, Tally{}, true, task.unanswered, outputs);
  }
}

void BubbleEngine::Arm(Task& task, absl::Time now, Outputs& outputs) const {
  absl::Time next = task.work->deadline;
  if (!task.root) next = std::min(next, task.work->flush_at);
  for (const Part& part : task.parts) {
    if (!part.resolved) next = std::min({next, part.silent_at, part.late_at});
  }
  if (next >= task.work->armed_at) return;
  task.work->armed_at = next;
  outputs.push_back(
      ScheduleTimer{TimerDelay(next - now), Timer{TimerKind::kBubble, task.sequence}});
}

absl::Duration BubbleEngine::SilenceAfter(absl::Duration remaining) const {
  return std::max((options_.flush_share + kSilenceSlack) * remaining, absl::Milliseconds(1));
}

void BubbleEngine::CheckBounds(const Task& task) const {
  // By positions, or to everyone; and a contact for every link.
  PANAL_CHECK(task.parts.size() <= static_cast<size_t>(options_.split) + 2 * kLinksPerPeerMax);
  for (const Part& part : task.parts) {
    PANAL_CHECK(part.tried.size() <= static_cast<size_t>(options_.range_tries_max));
    PANAL_CHECK(part.open.size() <= part.tried.size());
  }
  if (task.finished()) return;
  PANAL_CHECK(task.work->merger.passed() <= kSearchHitsMax);
  PANAL_CHECK(task.work->further_parents.size() <=
              static_cast<size_t>(options_.further_parents_max));
}

void BubbleEngine::CheckInvariants() const {
  PANAL_CHECK(visits_.empty() && reports_.empty());
  PANAL_CHECK(conduct_.size() <= neighbors_.ids().size());
  PANAL_CHECK(audit_.size() <= neighbors_.ids().size());
  size_t open = 0;
  size_t visiting = 0;
  CheckHolders();
  PANAL_CHECK(owned_bubbles_ <= static_cast<size_t>(options_.searches_max) +
                                    static_cast<size_t>(options_.spreads_max));
  size_t active = 0;
  for (const auto& [id, bubble] : bubbles_) {
    PANAL_CHECK(bubble.tasks.size() <= kRangesPerBubbleMax + kRootRangesMax);
    PANAL_CHECK(bubble.orphans == nullptr ||
                bubble.orphans->hits.size() <= static_cast<size_t>(options_.orphan_hits_max));
    PANAL_CHECK(bubble.casts <= kCastsPerBubbleMax);
    PANAL_CHECK(bubble.forget_at >= bubble.deadline);
    for (const std::unique_ptr<Task>& task : bubble.tasks) CheckBounds(*task);
    for (const std::unique_ptr<Task>& task : bubble.tasks) {
      PANAL_CHECK(task->finished() == (active_.find(task->sequence) == active_.end()));
      const bool visits = !task->finished() && task->work->visiting;
      PANAL_CHECK(task->finished() || visits || HasUnresolved(*task));
      active += task->finished() ? 0 : 1;
      visiting += visits ? 1 : 0;
      for (const Part& part : task->parts) open += part.open.size();
    }
  }
  PANAL_CHECK(open == conduct_.in_flight());
  PANAL_CHECK(visiting == visiting_);
  PANAL_CHECK(active == active_.size());
}

}  // namespace panal
