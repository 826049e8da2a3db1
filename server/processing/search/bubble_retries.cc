// Parts that are late, silent or refused, and who gets them next (docs/protocol/bubbles.md, 3).

#include <algorithm>
#include <optional>
#include <vector>

#include "server/processing/search/bubble.h"

namespace panal {

std::optional<PeerId> BubbleEngine::NextFor(const Task& task, const Part& part,
                                            absl::Time now) const {
  const bool may = part.tried.size() < static_cast<size_t>(options_.range_tries_max) &&
                   !task.range.everyone && !part.contact &&
                   kHopShare * (task.work->deadline - now) >= kPartTimeMin && CastsLeft(task) > 0;
  if (!may) return std::nullopt;
  size_t preferred = 0;
  std::optional<PeerId> next;
  const std::vector<PeerId> candidates = Candidates(task, now, &preferred);
  for (const PeerId& candidate : candidates) {
    // One that has no room either, or lies, would only be asked for nothing.
    if (Contains(part.tried, candidate) || conduct_.RefusedLately(candidate, now)) continue;
    if (audit_.Distrusts(candidate, now)) continue;
    const bool used = std::any_of(task.parts.begin(), task.parts.end(), [&](const Part& other) {
      return Contains(other.tried, candidate);
    });
    // The first that had no part yet: another was visited already, or is silent itself.
    if (!next) next = candidate;
    if (!used) return candidate;
  }
  return next;
}

void BubbleEngine::Retry(Task& task, Part& part, absl::Time now, Outputs& outputs) {
  const std::optional<PeerId> next = NextFor(task, part, now);
  if (!next) return GiveUp(task, part);
  SendPart(task, part, *next, now, outputs);
}

void BubbleEngine::Hedge(Task& task, Part& part, absl::Time now, Outputs& outputs) {
  part.late_at = absl::InfiniteFuture();
  conduct_.OnLate(part.tried.back(), now);
  // Not worth waiting for; what it says later still counts.
  if (part.contact) return GiveUp(task, part);
  const std::optional<PeerId> next = NextFor(task, part, now);
  if (!next || !pace_.TakeLateCast()) return;
  SendPart(task, part, *next, now, outputs);
}

// Positions of a part that takes as long: contacts are one link more.
uint32_t BubbleEngine::PaceSize(const Task& task, const Part& part) const {
  const bool contacts = task.range.consult > 0 && !part.contact;
  return contacts ? part.size() * static_cast<uint32_t>(options_.split) : part.size();
}

absl::Time BubbleEngine::LateAt(const Task& task, const Part& part) const {
  if (task.range.everyone || !std::holds_alternative<QueryPayload>(*task.work->payload)) {
    return absl::InfiniteFuture();
  }
  return part.cast_at + pace_.LateAfter(PaceSize(task, part), task.work->pace);
}

void BubbleEngine::NotePace(Task& task, const Part& part, absl::Time now) {
  // A contact forwards nothing: it says little of how long a part takes.
  if (part.contact) return;
  pace_.OnAnswered(PaceSize(task, part), now - part.cast_at);
  int parts = 0, done = 0;
  for (const Part& one : task.parts) {
    parts += one.contact ? 0 : 1;
    done += one.resolved && !one.contact ? 1 : 0;
  }
  if (task.work->pace > absl::ZeroDuration() || 2 * done < parts) return;
  task.work->pace = std::max(now - task.work->cast_at, absl::Milliseconds(1));
  for (Part& one : task.parts) {
    if (!one.resolved) one.late_at = LateAt(task, one);
  }
}

void BubbleEngine::GiveUp(Task& task, Part& part) {
  part.resolved = true;
  if (part.contact) return;  // No position of the range; it is not consulted.
  part.missing = task.range.everyone ? 1 : part.size() - std::min(part.size(), part.visited);
  task.unanswered = CappedSum(task.unanswered, part.missing);
}

}  // namespace panal
