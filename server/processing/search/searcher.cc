#include "server/processing/search/searcher.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/model/digest.h"
#include "common/model/query.h"

namespace panal {
namespace {

// Recall is compared with what was asked for up to this much: it went through exponentials.
constexpr double kRecallRounding = 1e-9;

}  // namespace

uint32_t PositionsFor(uint64_t missing, uint64_t reached, double peers) {
  const double fresh = std::max(1 - static_cast<double>(reached) / std::max(peers, 1.0),
                                kRoundMargin / kRoundOversizeMax);
  const double positions = std::ceil(kRoundMargin * static_cast<double>(missing) / fresh);
  return static_cast<uint32_t>(std::clamp(positions, 1.0, static_cast<double>(kBubbleSizeMax)));
}

Searcher::Searcher(const SearchOptions& options, const Neighbors& neighbors,
                   const NeighborDigests& digests, const BubbleSizes& sizes, Tokens& tokens,
                   Random& random, BubbleEngine& engine)
    : options_(options),
      neighbors_(neighbors),
      digests_(digests),
      sizes_(sizes),
      tokens_(tokens),
      random_(random),
      engine_(engine) {}

void Searcher::OnRequested(const SearchRequested& request, absl::Time now, Outputs& outputs) {
  const uint32_t limit = std::clamp<uint32_t>(request.limit, 1, kSearchLimitMax);
  Search search(limit);
  search.request = request.request;
  search.query = {request.query, limit};
  search.recall = request.recall;
  search.enough = std::min(request.enough, limit);
  Start(std::move(search), request.timeout, now, outputs);
}

void Searcher::BeginRound(uint64_t owner, QueryPayload query, double recall, absl::Duration timeout,
                          absl::Time now, Outputs& outputs) {
  Search search(query.limit);
  search.request = owner;
  search.is_round = true;
  search.query = std::move(query);
  search.recall = recall;
  Start(std::move(search), timeout, now, outputs);
}

void Searcher::Start(Search started, absl::Duration timeout, absl::Time now, Outputs& outputs) {
  if (Full()) {
    SearchSummary summary;
    summary.mesh_size = sizes_.MeshSize();
    summary.cut_short = CutShort::kOverloaded;
    return TellDone(started, summary, outputs);
  }
  const uint64_t token = tokens_.Take();
  Search& search = searches_.emplace(token, std::move(started)).first->second;
  timeout = std::clamp(timeout, absl::Milliseconds(1), kSearchTimeMax);
  search.deadline = now + timeout;
  outputs.push_back(ScheduleTimer{TimerDelay(timeout), Timer{TimerKind::kSearch, token}});
  BeginBubble(token, search, now, outputs);
}

void Searcher::BeginBubble(uint64_t token, Search& search, absl::Time now, Outputs& outputs) {
  search.everyone = sizes_.Saturated() || search.recall >= 1;
  const uint32_t size = Plan(search);
  search.size = size;
  search.reached_before = std::max(search.reached_before, std::exchange(search.reached, 0));
  const bool sliced = search.enough > 0 && !search.everyone;
  search.next_position = sliced ? SliceEnd(search.slices++, size) : size;
  if (!sliced) search.slices = kSliceShares.size() + 1;
  ++search.rounds;
  const uint32_t end = search.everyone ? 1 : search.next_position;
  const CastRange range{random_.Next(), 0, end, search.everyone, search.consult};
  search.bubble = engine_.Begin(token, search.query, range, /*visit_self=*/true,
                                RoundDeadline(search, now), now, outputs);
}

std::optional<double> Searcher::MatchShare(const QueryPayload& query) const {
  if (!options_.digests || digests_.Share() < kDigestShareMin) return std::nullopt;
  // Who is visited keeps the query for what comes; what comes elsewhere no digest knows yet.
  if (query.standing.has_value()) return std::nullopt;
  const absl::StatusOr<Query> parsed = Query::Parse(query.query);
  if (!parsed.ok()) return std::nullopt;
  const DigestQuery asked(*parsed);
  if (!asked.digestible()) return std::nullopt;
  int matching = 0, told = 0;
  for (const PeerId& neighbor : neighbors_.ids()) {
    const std::optional<bool> may = digests_.MayMatch(neighbor, asked);
    if (!may) continue;
    ++told;
    matching += *may ? 1 : 0;
  }
  return static_cast<double>(matching) / std::max(told, 1);
}

Coverage Searcher::CoverageOf(const Search& search) {
  return {static_cast<double>(search.reached), static_cast<double>(search.settled)};
}

uint32_t Searcher::Plan(Search& search) const {
  search.consult = 0;
  const uint32_t plain = sizes_.QuerySize(search.recall);
  if (search.everyone) return plain;
  const std::optional<double> share = MatchShare(search.query);
  if (!share) return plain;
  const double available = digests_.Share() * sizes_.LinksConsulted();
  const double size = kConsultMargin * sizes_.ConsultingQuerySize(search.recall, available);
  const auto positions = static_cast<uint32_t>(std::ceil(size));
  double links = kConsultMargin * sizes_.LinksWanted(search.recall, positions);
  // Peers with fewer links make up for less than those with more would.
  if (links > available / kConsultMargin) links = kLinksPerPeerMax;
  const double casts = positions * (1 + *share * std::min(links, available));
  if (casts >= plain) return plain;
  search.consult = std::max(1u, static_cast<uint32_t>(std::ceil(links)));
  return positions;
}

bool Searcher::HasReachedEnough(const Search& search) const {
  if (search.everyone) return false;
  if (search.reached >= sizes_.QuerySize(search.recall)) return true;
  return sizes_.Recall(CoverageOf(search)) + kRecallRounding >= search.recall;
}

absl::Time Searcher::RoundDeadline(const Search& search, absl::Time now) const {
  return now + kRoundShare * (search.deadline - now);
}

void Searcher::OnCancelled(uint64_t request) { Cancel(request, /*is_round=*/false); }

void Searcher::CancelRound(uint64_t owner) { Cancel(owner, /*is_round=*/true); }

void Searcher::TellHits(const Search& search, std::vector<Hit> hits, Outputs& outputs) {
  if (search.is_round) {
    rounds_.push_back({.owner = search.request, .hits = std::move(hits)});
  } else {
    outputs.push_back(SearchHits{search.request, std::move(hits)});
  }
}

void Searcher::TellDone(const Search& search, const SearchSummary& summary, Outputs& outputs) {
  if (search.is_round) {
    rounds_.push_back({.owner = search.request, .done = summary});
  } else {
    outputs.push_back(SearchDone{search.request, summary});
  }
}

void Searcher::Cancel(uint64_t request, bool is_round) {
  for (auto it = searches_.begin(); it != searches_.end(); ++it) {
    if (it->second.request != request || it->second.is_round != is_round) continue;
    engine_.LetGo(it->second.bubble);
    searches_.erase(it);
    return;
  }
}

void Searcher::OnTimer(uint64_t token, Outputs& outputs) {
  auto it = searches_.find(token);
  if (it == searches_.end()) return;
  Finish(it, CutShort::kTimeout, outputs);
}

bool Searcher::OnReport(const BubbleReport& report, absl::Time now, Outputs& outputs) {
  auto it = searches_.find(report.owner);
  if (it == searches_.end()) return false;
  Search& search = it->second;
  search.reached += report.tally.visited;
  search.contacted += report.tally.contacted;
  search.consulted += report.tally.consulted;
  // Only then: peers that contact others, which may have hits, answer later than those that do not.
  if (report.round_finished) search.settled = search.consulted;
  search.truncated = search.truncated || report.tally.truncated;
  search.merger.Add(report.tally.hits);
  if (search.merger.HasFresh()) {
    TellHits(search, search.merger.Take(), outputs);
  }
  if (HasReachedEnough(search)) {
    Finish(it, CutShort::kNothing, outputs);
  } else if (search.enough > 0 && search.merger.ids() >= search.enough) {
    Finish(it, CutShort::kEnough, outputs);
  } else if (report.round_finished) {
    Continue(it, report.unanswered, now, outputs);
  }
  return true;
}

void Searcher::Continue(Searches::iterator it, uint32_t unanswered, absl::Time now,
                        Outputs& outputs) {
  Search& search = it->second;
  if (search.everyone && unanswered == 0) {
    // Every answer came. That is everybody, unless this part of the mesh was cut off from the rest.
    const bool alone = neighbors_.ids().empty() && sizes_.MeshSize() > 1;
    search.exact = !alone && 2 * search.reached >= sizes_.MeshSize();
    return Finish(it, CutShort::kPeersLost, outputs);
  }
  const int rounds_max = search.everyone ? kEveryoneRoundsMax : kSearchRoundsMax;
  const bool may = search.rounds < rounds_max && !neighbors_.ids().empty() &&
                   search.deadline - now >= kRoundTimeMin;
  if (!may) {
    const bool late = search.deadline - now < kRoundTimeMin;
    return Finish(it, late ? CutShort::kTimeout : CutShort::kPeersLost, outputs);
  }
  if (search.everyone) {
    // Anew: answers that were lost on the way are with peers that would not be visited again.
    engine_.LetGo(search.bubble);
    return BeginBubble(it->first, search, now, outputs);
  }
  if (NextSlice(it, now, outputs)) return;
  const uint32_t positions =
      PositionsFor(std::max(Missing(search), 1u), search.reached, sizes_.shape().peers);
  const uint32_t begin = search.next_position;
  if (begin + positions > kBubbleSizeMax) return Finish(it, CutShort::kPeersLost, outputs);
  search.next_position = begin + positions;
  ++search.rounds;
  engine_.Extend(search.bubble, search.query,
                 {random_.Next(), begin, begin + positions, false, search.consult},
                 RoundDeadline(search, now), now, outputs);
}

uint32_t Searcher::SliceEnd(size_t slices, uint32_t size) {
  if (slices >= kSliceShares.size()) return size;
  // At least one position besides the origin's own.
  const double end = std::ceil(kSliceShares[slices] * size);
  return std::clamp<uint32_t>(static_cast<uint32_t>(end), std::min(size, 2u), size);
}

bool Searcher::NextSlice(Searches::iterator it, absl::Time now, Outputs& outputs) {
  Search& search = it->second;
  const uint32_t size = search.size;
  while (search.slices <= kSliceShares.size()) {
    const uint32_t begin = search.next_position;
    const uint32_t end = SliceEnd(search.slices++, size);
    if (end <= begin) continue;
    search.next_position = end;
    engine_.Extend(search.bubble, search.query, {random_.Next(), begin, end, false, search.consult},
                   RoundDeadline(search, now), now, outputs);
    return true;
  }
  return false;
}

uint32_t Searcher::Missing(Search& search) const {
  if (search.consult > 0) {
    // By what was consulted and not by what was hoped for.
    const auto reached = static_cast<double>(std::max<uint64_t>(1, search.reached));
    const double links = static_cast<double>(search.settled) / reached;
    const uint32_t missing = sizes_.ConsultingQuerySize(search.recall, links, CoverageOf(search));
    if (2 * missing <= sizes_.ConsultingRangeMax()) return missing;
    // Too few have digests: by positions alone from here on.
    search.consult = 0;
  }
  if (search.settled > 0) return sizes_.ConsultingQuerySize(search.recall, 0, CoverageOf(search));
  return sizes_.QuerySize(search.recall) - static_cast<uint32_t>(search.reached);
}

void Searcher::Finish(Searches::iterator it, CutShort why, Outputs& outputs) {
  Search& search = it->second;
  SearchSummary summary;
  summary.peers_reached = std::max(search.reached + search.contacted, search.reached_before);
  summary.digests_consulted = search.consulted;
  summary.mesh_size = search.exact ? summary.peers_reached
                                   : std::max<uint64_t>(sizes_.MeshSize(), summary.peers_reached);
  // Peers that were contacted are counted with the links consulted.
  Coverage coverage = CoverageOf(search);
  coverage.peers = std::max(coverage.peers, static_cast<double>(search.reached_before));
  summary.recall = search.exact ? 1.0 : sizes_.ExpectedRecall(coverage);
  summary.complete = summary.recall + kRecallRounding >= search.recall;
  summary.truncated = search.truncated || search.merger.truncated();
  summary.cut_short = summary.complete ? CutShort::kNothing : why;
  TellDone(search, summary, outputs);
  engine_.LetGo(search.bubble);
  searches_.erase(it);
}

void Searcher::CheckInvariants() const {
  PANAL_CHECK(searches_.size() <= static_cast<size_t>(options_.searches_max));
  for (const auto& [token, search] : searches_) PANAL_CHECK(search.rounds <= kSearchRoundsMax);
}

}  // namespace panal
