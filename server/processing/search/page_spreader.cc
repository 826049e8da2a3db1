#include "server/processing/search/page_spreader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "server/processing/search/searcher.h"

namespace panal {
namespace {

PagePtr WithoutBody(const PageHeader& header) {
  auto page = std::make_shared<Page>();
  page->header = header;
  return page;
}

}  // namespace

PageSpreader::PageSpreader(PeerId self, const SearchOptions& options, const Neighbors& neighbors,
                           const BubbleSizes& sizes, Tokens& tokens, Random& random,
                           BubbleEngine& engine)
    : self_(self),
      options_(options),
      neighbors_(neighbors),
      sizes_(sizes),
      tokens_(tokens),
      random_(random),
      engine_(engine) {}

void PageSpreader::OnOwnPagesSigned(const OwnPagesSigned& signed_pages, absl::Time now,
                                    Outputs& outputs) {
  for (const PagePtr& page : signed_pages.pages) {
    PANAL_CHECK(page != nullptr && page->header.key.publisher == self_);
    PANAL_CHECK(page->header.key.number <= kPageNumberMax);
    auto known = pages_.find(page->header.key.number);
    // Signed by two workers at once, they come in any order.
    if (known != pages_.end() && page->header.version < known->second.header.version) continue;
    if (page->header.key.number == kPeerPageNumber) peer_page_ = page;
    Note(page, signed_pages.spread_now, now);
  }
  if (hold_until_ == absl::InfiniteFuture()) hold_until_ = now + kMeasureWait;
  StartNext(now, outputs);
  if (!pages_.empty()) ArmTick(now, outputs);
}

void PageSpreader::Note(const PagePtr& page, bool spread_now, absl::Time now) {
  const uint32_t number = page->header.key.number;
  auto [it, is_new] = pages_.try_emplace(number);
  OwnPage& own = it->second;
  const bool changed = is_new || own.header.body_hash != page->header.body_hash;
  own.header = page->header;
  own.refresh_at = now + Jittered();
  own.is_due = spread_now;
  if (spread_now) {
    Enqueue(number, own, changed);
    return;
  }
  // Signed before: due by its own age, but not all at once after a start.
  const absl::Time signed_at =
      absl::FromUnixMillis(static_cast<int64_t>(page->header.expires_ms)) - kPageLifetime;
  const absl::Time soon = now + random_.Unit() * kRefreshJitter * options_.page_refresh_interval;
  own.refresh_at =
      std::clamp(signed_at + Jittered(), std::min(soon, own.refresh_at), own.refresh_at);
  own.size_before = sizes_.PageSize();
}

absl::Duration PageSpreader::Jittered() {
  return (1 - kRefreshJitter * random_.Unit()) * options_.page_refresh_interval;
}

uint64_t PageSpreader::SeedOf(uint32_t number, int round) const {
  uint64_t seed = 0;
  for (uint8_t byte : self_.bytes) seed = Mix64(seed ^ byte);
  return Mix64(Mix64(seed ^ number) ^ static_cast<uint64_t>(round));
}

void PageSpreader::Enqueue(uint32_t number, OwnPage& page, bool with_body) {
  page.with_body = page.with_body || with_body;
  page.respread_at = absl::InfiniteFuture();
  if (page.queued) return;
  page.queued = true;
  queue_.push_back(number);
}

void PageSpreader::StartNext(absl::Time now, Outputs& outputs) {
  if (Holds(now)) return;
  while (!queue_.empty() && spreads_.size() < static_cast<size_t>(options_.spreads_max)) {
    const uint32_t number = queue_.front();
    queue_.erase(queue_.begin());
    OwnPage& own = pages_.find(number)->second;
    own.queued = false;
    auto it = spreads_.emplace(tokens_.Take(), Spread{}).first;
    Spread& spread = it->second;
    spread.number = number;
    spread.version = own.header.version;
    if (std::exchange(own.with_body, false)) {
      Load(it, outputs);
    } else {
      spread.page = WithoutBody(own.header);
      Launch(it, now, outputs);
    }
  }
}

void PageSpreader::Load(Spreads::iterator it, Outputs& outputs) {
  const uint64_t token = tokens_.Take();
  loads_[token] = it->first;
  it->second.page = nullptr;
  outputs.push_back(LoadPage{token, PageKey{self_, it->second.number}, self_});
}

void PageSpreader::OnPageLoaded(const PageLoaded& loaded, absl::Time now, Outputs& outputs) {
  auto load = loads_.find(loaded.token);
  if (load == loads_.end()) return;
  auto it = spreads_.find(load->second);
  loads_.erase(load);
  PANAL_CHECK(it != spreads_.end());
  if (loaded.page == nullptr || loaded.page->header.version < it->second.version) {
    Finish(it, now, outputs);
  } else {
    it->second.page = loaded.page;
    it->second.version = loaded.page->header.version;
    it->second.has_body = true;
    Launch(it, now, outputs);
  }
  StartNext(now, outputs);
}

void PageSpreader::Launch(Spreads::iterator it, absl::Time now, Outputs& outputs) {
  Spread& spread = it->second;
  PagePayload payload{spread.page, spread.has_body, nullptr};
  if (spread.number != kPeerPageNumber) payload.peer_page = peer_page_;
  const absl::Time deadline = now + kSpreadRoundTime;
  const uint64_t seed = SeedOf(spread.number, spread.rounds);
  ++spread.rounds;
  if (spread.begun && !spread.everyone) {
    const uint32_t begin = spread.next_position;
    spread.next_position = begin + spread.extra;
    engine_.Extend(spread.bubble, std::move(payload), {seed, begin, spread.next_position, false},
                   deadline, now, outputs);
    return;
  }
  if (spread.begun) engine_.LetGo(spread.bubble);
  spread.begun = true;
  spread.everyone = sizes_.PagesToEveryone();
  spread.kept_before = std::max(spread.kept_before, std::exchange(spread.kept, 1));
  spread.visited = 1;
  OwnPage& own = pages_.find(spread.number)->second;
  const uint32_t size = sizes_.PageSize();
  // A mesh that shrank gets fewer copies only from the second refresh on: until then queries that
  // are sized for fewer would meet too few.
  const uint32_t wanted = std::max(size, std::min(own.size_before, sizes_.MeshSize()));
  if (wanted > own.layout || wanted < kLayoutShareMin * own.layout) own.layout = wanted;
  // One that is spread again in between keeps its size for the refresh.
  own.size_before = std::exchange(own.is_due, false) ? size : std::max(size, own.size_before);
  spread.target = wanted;
  spread.next_position = own.layout;
  const CastRange range{seed, 0, spread.everyone ? 1 : own.layout, spread.everyone};
  spread.bubble = engine_.Begin(it->first, std::move(payload), range, /*visit_self=*/false,
                                deadline, now, outputs);
}

bool PageSpreader::OnReport(const BubbleReport& report, absl::Time now, Outputs& outputs) {
  auto it = spreads_.find(report.owner);
  if (it == spreads_.end()) return false;
  Spread& spread = it->second;
  spread.visited += report.tally.visited;
  spread.kept += report.tally.kept;
  if (report.round_finished) Continue(it, report.unanswered, now, outputs);
  StartNext(now, outputs);
  return true;
}

void PageSpreader::Continue(Spreads::iterator it, uint32_t unanswered, absl::Time now,
                            Outputs& outputs) {
  Spread& spread = it->second;
  // Everybody was asked: that is all there are, whatever the estimate says.
  if (spread.everyone && unanswered == 0) {
    spread.target = static_cast<uint32_t>(spread.visited);
    return Finish(it, now, outputs);
  }
  const bool met_all = spread.visited >= sizes_.MeshSize();
  const bool may = spread.rounds < kSpreadRoundsMax && !neighbors_.ids().empty();
  if (spread.kept >= spread.target || met_all || !may) return Finish(it, now, outputs);
  if (!spread.everyone) {
    spread.extra = PositionsFor(spread.target - spread.kept, spread.visited, sizes_.shape().peers);
    if (spread.next_position + spread.extra > kBubbleSizeMax) return Finish(it, now, outputs);
  }
  // Peers that the first round did not meet have no reason to have the body.
  if (spread.has_body) {
    Launch(it, now, outputs);
  } else {
    Load(it, outputs);
  }
}

void PageSpreader::Finish(Spreads::iterator it, absl::Time now, Outputs& outputs) {
  Spread& spread = it->second;
  const auto copies = static_cast<uint32_t>(std::max(spread.kept, spread.kept_before));
  const uint32_t target = std::max(spread.begun ? spread.target : sizes_.PageSize(), 1u);
  outputs.push_back(PageSpread{spread.number, spread.version, copies, target});
  OwnPage& own = pages_.find(spread.number)->second;
  if (2 * copies < target) own.respread_at = std::min(own.respread_at, now + kRespreadDelay);
  if (spread.begun) engine_.LetGo(spread.bubble);
  spreads_.erase(it);
}

void PageSpreader::ArmTick(absl::Time now, Outputs& outputs) {
  if (ticking_) return;
  ticking_ = true;
  const absl::Duration tick =
      Holds(now) ? kMeasureTick : std::min(kRefreshTick, options_.page_refresh_interval / 8);
  outputs.push_back(ScheduleTimer{TimerDelay(tick), Timer{TimerKind::kRefresh, 0}});
}

void PageSpreader::OnTimer(absl::Time now, Outputs& outputs) {
  ticking_ = false;
  RefreshOwnPages refresh;
  const double size = sizes_.PageSize();
  for (auto& [number, page] : pages_) {
    if (page.refresh_at <= now) {
      if (refresh.numbers.size() >= kRefreshBatchMax) continue;
      refresh.numbers.push_back(number);
      // Asked for again when nobody signs it.
      page.refresh_at = now + kRefreshJitter * options_.page_refresh_interval;
    } else if (page.respread_at <= now ||
               (sizes_.measured() && size > kRespreadGrowth * page.size_before)) {
      if (!neighbors_.ids().empty() && !page.queued) Enqueue(number, page, false);
    }
  }
  if (!refresh.numbers.empty()) outputs.push_back(std::move(refresh));
  StartNext(now, outputs);
  if (!pages_.empty()) ArmTick(now, outputs);
}

void PageSpreader::CheckInvariants() const {
  PANAL_CHECK(pages_.size() <= size_t{kPageNumberMax} + 1);
  PANAL_CHECK(queue_.size() <= pages_.size());
  PANAL_CHECK(spreads_.size() <= static_cast<size_t>(options_.spreads_max));
  PANAL_CHECK(loads_.size() <= spreads_.size());
}

}  // namespace panal
