// Holds the answers to the parts of a range against each other (docs/protocol/bubbles.md, 3.9).

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "server/processing/search/bubble.h"

namespace panal {

bool BubbleEngine::Audits(const Task& task) const {
  const auto* query = std::get_if<QueryPayload>(task.work->payload.get());
  // Who keeps a standing query leaves out what it told already.
  return query != nullptr && !query->standing.has_value() && !task.range.everyone &&
         sizes_.measured() && options_.rules.audit;
}

void BubbleEngine::NoteFinds(Task& task, const PeerId& finder, const std::vector<Hit>& hits) {
  if (!task.finished() && Audits(task)) task.work->finds.Note(finder, hits);
}

void BubbleEngine::Compare(const Task& task, const Part& part, absl::Time now) {
  // With a second holder nobody knows who visited whom; what was cut says nothing of the rest.
  if (part.tried.size() != 1 || part.truncated) return;
  const PeerId& holder = part.tried.front();
  if (!neighbors_.Has(holder)) return;  // Gone meanwhile.
  Coverage claimed{static_cast<double>(part.visited), static_cast<double>(part.consulted)};
  if (part.contact) claimed = {static_cast<double>(part.consulted), 0};
  audit_.OnCompared(holder, sizes_.Recall(claimed), task.work->finds.Compare(holder), now);
}

bool BubbleEngine::AuditParts(Task& task, absl::Time now, Outputs& outputs) {
  if (!Audits(task)) return false;
  std::vector<size_t> fresh;
  for (size_t i = 0; i < task.parts.size(); ++i) {
    if (std::exchange(task.parts[i].audited, true)) continue;
    Compare(task, task.parts[i], now);
    fresh.push_back(i);
  }
  bool again = false;
  for (size_t i : fresh) {
    Part& part = task.parts[i];
    if (!audit_.Distrusts(part.tried.back(), now)) continue;
    const std::optional<PeerId> next = NextFor(task, part, now);
    if (!next) continue;
    task.unanswered -= std::min(task.unanswered, part.missing);
    part.missing = 0;
    part.resolved = part.audited = false;
    SendPart(task, part, *next, now, outputs);
    again = true;
  }
  return again;
}

}  // namespace panal
