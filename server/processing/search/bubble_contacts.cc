// Contacts: a peer that a query visits asks those of its neighbors whose digests do not rule the
// query out (docs/protocol/bubbles.md, 12).

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "common/model/digest.h"
#include "common/model/query.h"
#include "server/processing/search/bubble.h"

namespace panal {

void BubbleEngine::Consult(Bubble& bubble, Task& task, absl::Time now, Outputs& outputs) {
  if (task.range.consult == 0 || task.finished() || bubble.consulted) return;
  bubble.consulted = true;
  if (task.work->hops >= kCastHopsMax || kHopShare * (task.work->deadline - now) < kPartTimeMin)
    return;
  const absl::StatusOr<Query> query =
      Query::Parse(std::get<QueryPayload>(*task.work->payload).query);
  if (!query.ok()) return;
  const DigestQuery asked(*query);
  if (!asked.digestible()) return;

  const size_t parts = task.parts.size();
  auto has_part = [&](const PeerId& neighbor) {
    return std::any_of(task.parts.begin(), task.parts.begin() + parts, [&](const Part& part) {
      return !part.tried.empty() && part.tried.back() == neighbor;
    });
  };
  // By the order of the range, which knows nothing of what they keep.
  std::vector<std::pair<uint64_t, PeerId>> ranked;
  for (const PeerId& neighbor : neighbors_.ids()) {
    ranked.push_back({RankOf(task.range.seed, task.range.begin, neighbor), neighbor});
  }
  std::sort(ranked.begin(), ranked.end());
  for (const auto& [rank, neighbor] : ranked) {
    if (task.work->links == task.range.consult) break;
    // Those are visited, or told to: what they keep is counted with them.
    if (neighbor == task.work->origin || (!task.root && neighbor == task.parent)) continue;
    if (has_part(neighbor) || audit_.Distrusts(neighbor, now)) continue;
    const std::optional<bool> may = digests_.MayMatch(neighbor, asked);
    if (!may) continue;
    ++task.work->links;
    if (!*may) continue;
    ++task.work->contacts;
    if (conduct_.HasCredit(neighbor) && !conduct_.IsSuspect(neighbor, now) &&
        !conduct_.RefusedLately(neighbor, now)) {
      task.parts.push_back({.begin = 0, .end = 1, .tried = {neighbor}, .contact = true});
    }
  }
  for (size_t i = parts; i < task.parts.size(); ++i) {
    const PeerId to = task.parts[i].tried.back();
    task.parts[i].tried.clear();
    SendPart(task, task.parts[i], to, now, outputs);
  }
  if (task.parts.size() > parts) Arm(task, now, outputs);
}

void BubbleEngine::CountContact(const Answer& answer, Part& part, Tally& tally) {
  tally.contacted = std::min(answer.visited, 1 - std::min(part.visited, 1u));
  part.visited += tally.contacted;
  // Evaluated for this contact or before: it was asked, and said what it has.
  if (answer.final && answer.unanswered == 0) part.consulted = 1;
}

uint32_t BubbleEngine::Consulted(const Task& task) {
  if (task.work->contacts == 0) return task.work->links;
  uint64_t answered = 0;
  for (const Part& part : task.parts) answered += part.contact ? part.consulted : 0;
  return static_cast<uint32_t>(task.work->links * answered / task.work->contacts);
}

void BubbleEngine::CountConsulted(const Answer& answer, uint32_t consult, Part& part,
                                  Tally& tally) const {
  const uint32_t most = part.size() * std::min(consult, sizes_.ConsultedPerPeerMax());
  tally.consulted = std::min(answer.consulted, most - std::min(most, part.consulted));
  tally.contacted = std::min(answer.contacted, most - std::min(most, part.contacted));
  part.consulted += tally.consulted;
  part.contacted += tally.contacted;
}

}  // namespace panal
