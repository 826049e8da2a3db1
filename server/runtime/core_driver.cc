#include "server/runtime/core_driver.h"

#include <utility>
#include <variant>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/model/query.h"

namespace panal {
namespace {

// Caller name of this peer's own work, for fairness beside that of others.
constexpr absl::string_view kOwnWork = "self";

// Before facts are handed to the disk again that no worker would take. Guess.
constexpr absl::Duration kFactsRetry = absl::Seconds(1);

// Pages that a frame brings, each to be verified before the frame enters.
std::vector<PagePtr> PagesOf(const Frame& frame) {
  std::vector<PagePtr> pages;
  if (const auto* cast = std::get_if<Cast>(&frame)) {
    if (const auto* payload = std::get_if<PagePayload>(&cast->payload)) {
      pages.push_back(payload->page);
      if (payload->peer_page != nullptr) pages.push_back(payload->peer_page);
    }
  } else if (const auto* body = std::get_if<PageBodyFrame>(&frame)) {
    pages.push_back(body->page);
  }
  return pages;
}

PageOutcome OutcomeOf(StorePageResult result) {
  switch (result) {
    case StorePageResult::kStored:
    case StorePageResult::kRefreshed:
      return PageOutcome::kKept;
    case StorePageResult::kStale:
      return PageOutcome::kStale;
    case StorePageResult::kFull:
      return PageOutcome::kFull;
    case StorePageResult::kBodyMissing:
      return PageOutcome::kBodyMissing;
  }
  return PageOutcome::kFailed;
}

// Why a link ended or never came up, where people must know: one of the two was thrown out.
void LogRevoked(const PeerId& peer, const absl::Status& why) {
  if (ReasonOf(why) != ErrorReason::kCredentialRevoked) return;
  LogLimited(LogLevel::kWarning, "link_refused",
             {{"peer", peer.ToShortText()}, {"why", std::string(why.message())}});
}

}  // namespace

CoreDriver::CoreDriver(const PeerId& self, const CoreOptions& options, uint64_t seed,
                       NodeLoop& loop, Dispatcher& dispatcher, Catalog& catalog, PageSigner& signer,
                       Metrics& metrics)
    : self_(self),
      loop_(loop),
      dispatcher_(dispatcher),
      catalog_(catalog),
      signer_(signer),
      metrics_(metrics),
      random_(seed),
      core_(Core::Create(self, options, random_)) {}

CoreDriver::~CoreDriver() = default;

LinkEvents CoreDriver::MakeLinkEvents() {
  LinkEvents events;
  events.on_up = [this](PeerContact peer, bool outbound, Hello hello) {
    {
      MutexLock lock(&mutex_);
      versions_[peer.id] = hello.version;
    }
    const PeerId id = peer.id;
    LinkUp link{std::move(peer), outbound, hello.capacity};
    link.digests = absl::c_linear_search(hello.features, kDigestFeature);
    order_.PassAlways(id, [this, up = std::move(link)]() mutable { Post(std::move(up)); });
  };
  events.on_lost = [this](PeerId peer, absl::Status why) {
    Log(LogLevel::kDebug, "link_lost",
        {{"peer", peer.ToShortText()}, {"why", std::string(why.message())}});
    LogRevoked(peer, why);
    {
      MutexLock lock(&mutex_);
      versions_.erase(peer);
    }
    order_.PassAlways(peer, [this, peer] { Post(LinkLost{peer}); });
  };
  events.on_dial_failed = [this](PeerId peer, absl::Status why) {
    metrics_.Count(Counter::kDialsFailed);
    Log(LogLevel::kDebug, "dial_failed",
        {{"peer", peer.ToShortText()}, {"why", std::string(why.message())}});
    LogRevoked(peer, why);
    Post(DialFailed{peer});
  };
  events.on_frame = [this](PeerId from, Frame frame) { OnFrame(from, std::move(frame)); };
  events.on_fault = [this](PeerId, FrameFault fault) {
    metrics_.Count(fault == FrameFault::kUnknown ? Counter::kFramesUnknown
                                                 : Counter::kFramesUndecodable);
  };
  return events;
}

std::string CoreDriver::CallerName(const PeerId& from) const {
  return from == self_ ? std::string(kOwnWork) : from.ToShortText();
}

void CoreDriver::TryPost(FrameReceived input) {
  auto task = [this, input = Input(std::move(input))] { Handle(input); };
  if (!loop_.TryPost(std::move(task))) metrics_.Count(Counter::kMailboxRefused);
}

void CoreDriver::OnFrame(const PeerId& from, Frame frame) {
  metrics_.Count(Counter::kFramesReceived);
  std::vector<PagePtr> pages = PagesOf(frame);
  if (!pages.empty()) {
    VerifyThenPost(from, std::move(frame), std::move(pages));
    return;
  }
  FrameReceived input{from, std::move(frame)};
  bool passed =
      order_.Pass(from, [this, input = std::move(input)]() mutable { TryPost(std::move(input)); });
  if (!passed) metrics_.Count(Counter::kFramesShed);
}

bool CoreDriver::VerifyAll(const PeerId& from, const std::vector<PagePtr>& pages) {
  for (const PagePtr& page : pages) {
    if (signer_.Verify(*page, absl::Now())) {
      metrics_.Count(Counter::kPagesVerified);
      continue;
    }
    metrics_.Count(Counter::kPagesRefused);
    LogLimited(LogLevel::kWarning, "page_refused",
               {{"from", from.ToShortText()},
                {"publisher", page->header.key.publisher.ToShortText()},
                {"number", absl::StrCat(page->header.key.number)}});
    return false;
  }
  return true;
}

// A frame that is dropped here is answered by nobody: the sender's range goes elsewhere.
void CoreDriver::VerifyThenPost(const PeerId& from, Frame frame, std::vector<PagePtr> pages) {
  const FrameOrder::Place place = order_.Keep(from);
  if (place == 0) return metrics_.Count(Counter::kFramesShed);
  auto task = [this, from, place, frame = std::move(frame), pages = std::move(pages)]() mutable {
    if (!VerifyAll(from, pages)) return order_.Settle(from, place, nullptr);
    FrameReceived input{from, std::move(frame)};
    order_.Settle(from, place,
                  [this, input = std::move(input)]() mutable { TryPost(std::move(input)); });
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kControl, CallerName(from), std::move(task));
  if (queued.ok()) return;
  metrics_.Count(Counter::kFramesShed);
  order_.Settle(from, place, nullptr);
}

void CoreDriver::Post(Input input) {
  loop_.Post([this, input = std::move(input)] { Handle(input); });
}

void CoreDriver::Handle(const Input& input) {
  Outputs outputs;
  core_->Handle(input, loop_.Now(), outputs);
  for (Output& output : outputs) {
    std::visit([this](auto& one) { Perform(one); }, output);
  }
  MeshEstimate estimate = core_->Estimate();
  metrics_.Set(Gauge::kMeshSize, estimate.peers);
  MutexLock lock(&mutex_);
  estimate_ = estimate;
}

void CoreDriver::Perform(Dial& output) { links_->Dial(output.peer); }

void CoreDriver::Perform(CloseLink& output) { links_->Close(output.peer); }

void CoreDriver::Perform(SendFrame& output) { links_->Send(output.to, output.frame); }

void CoreDriver::Perform(ScheduleTimer& output) {
  loop_.PostAfter(output.delay,
                  [this, input = Input(TimerExpired{output.timer})] { Handle(input); });
}

void CoreDriver::Perform(QueryIndex& output) {
  uint64_t token = output.token;
  std::string caller = CallerName(output.from);
  auto task = [this, query = std::move(output)] {
    IndexAnswered answer{.token = query.token};
    absl::StatusOr<Query> parsed = Query::Parse(query.query);
    if (parsed.ok()) {
      const auto limit = static_cast<int>(query.limit);
      const absl::Duration within = query.arrived_within;
      auto found =
          within == absl::InfiniteDuration()
              ? catalog_.Search(*parsed, limit, query.time_max, absl::Now())
              : catalog_.SearchArrivals(*parsed, limit, query.time_max, absl::Now(), within);
      if (found.ok()) {
        answer.hits = std::move(found->hits);
        answer.truncated = found->truncated;
        answer.failed = found->out_of_time;
      } else {
        answer.failed = true;
        LogLimited(LogLevel::kError, "index_failed",
                   {{"why", std::string(found.status().message())}});
      }
    } else {
      answer.failed = true;
    }
    Post(std::move(answer));
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kSearch, caller, std::move(task));
  if (!queued.ok()) Post(IndexAnswered{.token = token, .failed = true});
}

void CoreDriver::Perform(StorePage& output) {
  uint64_t token = output.token;
  std::string caller = CallerName(output.from);
  auto task = [this, store = std::move(output)] {
    auto stored = catalog_.KeepPage(*store.page, store.has_body, absl::Now());
    if (!stored.ok()) {
      LogLimited(LogLevel::kError, "page_not_kept",
                 {{"why", std::string(stored.status().message())}});
      return Post(PageStored{store.token, PageOutcome::kFailed});
    }
    Post(PageStored{store.token, OutcomeOf(stored->result), std::move(stored->fresh)});
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kControl, caller, std::move(task));
  if (!queued.ok()) Post(PageStored{token, PageOutcome::kFailed});
}

void CoreDriver::Perform(LoadPage& output) {
  auto task = [this, load = output] {
    auto page = catalog_.FindPage(load.key);
    Post(PageLoaded{load.token, page.ok() ? *page : nullptr});
  };
  absl::Status queued =
      dispatcher_.Submit(WorkClass::kControl, CallerName(output.from), std::move(task));
  if (!queued.ok()) Post(PageLoaded{output.token, nullptr});
}

void CoreDriver::Perform(RefreshOwnPages& output) {
  auto task = [this, numbers = std::move(output.numbers)] {
    auto pages = signer_.Refresh(numbers, absl::Now());
    if (!pages.ok()) {
      LogLimited(LogLevel::kError, "refresh_failed",
                 {{"why", std::string(pages.status().message())}});
      return;
    }
    Post(OwnPagesSigned{std::move(*pages), /*spread_now=*/true});
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kControl, kOwnWork, std::move(task));
  if (!queued.ok()) LogLimited(LogLevel::kWarning, "refresh_refused");
}

void CoreDriver::Perform(NeighborUp& output) {
  if (sink_) sink_(output.peer, /*version=*/0);
  Log(LogLevel::kInfo, "neighbor_up",
      {{"peer", output.peer.id.ToShortText()},
       {"address", output.peer.addresses.empty() ? "" : output.peer.addresses[0]}});
  MutexLock lock(&mutex_);
  PeerId id = output.peer.id;
  auto version = versions_.find(id);  // The link may be lost again already.
  neighbors_[id] = Neighbor{std::move(output.peer), output.outbound, loop_.Now(),
                            version == versions_.end() ? "" : version->second};
  metrics_.Set(Gauge::kNeighbors, static_cast<double>(neighbors_.size()));
}

void CoreDriver::Perform(NeighborDown& output) {
  Log(LogLevel::kInfo, "neighbor_down", {{"peer", output.peer.ToShortText()}});
  MutexLock lock(&mutex_);
  neighbors_.erase(output.peer);
  metrics_.Set(Gauge::kNeighbors, static_cast<double>(neighbors_.size()));
}

void CoreDriver::Perform(RememberPeers& output) {
  auto task = [this, peers = std::move(output.peers)] {
    absl::Status kept = catalog_.RememberPeers(peers, absl::Now());
    if (!kept.ok())
      LogLimited(LogLevel::kWarning, "peers_not_kept", {{"why", std::string(kept.message())}});
  };
  // Losing one batch is harmless: the next shuffle brings another.
  (void)dispatcher_.Submit(WorkClass::kControl, kOwnWork, std::move(task));
}

bool CoreDriver::IsNeighbor(const PeerId& peer) const {
  MutexLock lock(&mutex_);
  return neighbors_.contains(peer);
}

void CoreDriver::LearnContacts(const std::vector<Hit>& hits) {
  if (!sink_) return;
  for (const Hit& hit : hits) {
    // A neighbor itself said where it is, when the link came up.
    if (!IsNeighbor(hit.publisher.id)) sink_(hit.publisher, hit.publisher_version);
  }
}

void CoreDriver::Perform(SearchHits& output) {
  LearnContacts(output.hits);
  auto it = searches_.find(output.request);
  if (it == searches_.end()) return;
  metrics_.Count(Counter::kSearchHits, static_cast<double>(output.hits.size()));
  it->second.handlers.on_hits(std::move(output.hits));
}

void CoreDriver::Perform(SearchDone& output) {
  auto it = searches_.find(output.request);
  if (it == searches_.end()) return;
  Search search = std::move(it->second);
  searches_.erase(it);
  metrics_.ObserveSearch(loop_.Now() - search.begun, output.summary.recall);
  if (!output.summary.complete) metrics_.Count(Counter::kSearchesIncomplete);
  search.handlers.on_done(output.summary);
}

void CoreDriver::Perform(MatchStanding& output) {
  std::string caller = CallerName(output.from);
  auto task = [this, match = std::move(output)] {
    StandingMatched matched;
    for (const StandingQuery& standing : *match.queries) {
      StandingMatch one{.subscription = standing.subscription};
      for (const Hit& record : match.records) {
        if (Matches(standing.query, record.record, record.publisher.id)) one.hits.push_back(record);
      }
      if (one.hits.empty()) continue;
      // Without addresses a hit is still one.
      absl::Status filled = catalog_.AddAddresses(one.hits);
      if (!filled.ok()) {
        LogLimited(LogLevel::kError, "index_failed", {{"why", std::string(filled.message())}});
      }
      matched.matches.push_back(std::move(one));
    }
    if (!matched.matches.empty()) Post(std::move(matched));
  };
  // What is shed here is found by the next round, which looks back.
  absl::Status queued = dispatcher_.Submit(WorkClass::kSearch, caller, std::move(task));
  if (!queued.ok()) LogLimited(LogLevel::kWarning, "standing_match_shed");
}

void CoreDriver::Perform(SubscriptionBegun& output) {
  auto it = subscriptions_.find(output.request);
  if (it != subscriptions_.end()) it->second.on_begun(output.known_truncated);
}

void CoreDriver::Perform(SubscriptionHits& output) {
  LearnContacts(output.hits);
  auto it = subscriptions_.find(output.request);
  if (it != subscriptions_.end()) it->second.on_hits(std::move(output.hits));
}

void CoreDriver::Perform(SubscriptionRound& output) {
  auto it = subscriptions_.find(output.request);
  if (it != subscriptions_.end()) it->second.on_round(output.summary);
}

void CoreDriver::Perform(SubscriptionEnded& output) {
  auto it = subscriptions_.find(output.request);
  if (it == subscriptions_.end()) return;
  SubscriptionHandlers handlers = std::move(it->second);
  subscriptions_.erase(it);
  handlers.on_ended(output.why);
}

void CoreDriver::Perform(PageSpread& output) {
  if (output.target > 0) {
    metrics_.Set(Gauge::kPageCopiesRatio,
                 static_cast<double>(output.copies) / static_cast<double>(output.target));
  }
  Log(LogLevel::kDebug, "page_spread",
      {{"number", absl::StrCat(output.number)},
       {"copies", absl::StrCat(output.copies)},
       {"target", absl::StrCat(output.target)}});
}

void CoreDriver::Perform(Left&) {
  if (on_left_) std::exchange(on_left_, nullptr)();
}

void CoreDriver::Perform(FrameRefused& output) {
  metrics_.Count(Counter::kFramesRefused);
  LogLimited(LogLevel::kDebug, "frame_refused",
             {{"from", output.from.ToShortText()}, {"why", output.why}});
  if (output.close) links_->Close(output.from);
}

void CoreDriver::Perform(BuildDigest& output) {
  const uint64_t token = output.token;
  auto task = [this, token] {
    DigestBuilt built{.token = token};
    auto hashes = catalog_.DigestHashes(kDigestTermsMax);
    if (hashes.ok()) {
      built.hashes = *std::move(hashes);
    } else {
      built.failed = true;
      LogLimited(LogLevel::kError, "digest_failed",
                 {{"why", std::string(hashes.status().message())}});
    }
    Post(std::move(built));
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kBulk, kOwnWork, std::move(task));
  if (!queued.ok()) Post(DigestBuilt{.token = token, .failed = true});
}

// --- Facts ---------------------------------------------------------------------------------------

void CoreDriver::Perform(VerifyFacts& output) {
  const uint64_t token = output.token;
  const int cost = static_cast<int>(output.facts.size());
  const std::string caller = CallerName(output.from);
  auto task = [this, token, facts = std::move(output.facts)] {
    Post(FactsVerified{token, facts_->Verify(facts, absl::Now())});
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kControl, caller, std::move(task), cost);
  if (!queued.ok()) Post(FactsVerified{.token = token, .failed = true});
}

void CoreDriver::Perform(StoreFacts& output) { KeepThenPost(std::move(output)); }

// What the disk refuses is in effect all the same, and found again by digests after a restart.
void CoreDriver::KeepThenPost(StoreFacts store) {
  auto task = [this, store] {
    const absl::Status kept = facts_->Keep(store.facts);
    if (!kept.ok()) {
      LogLimited(LogLevel::kError, "facts_not_kept", {{"why", std::string(kept.message())}});
    }
    Post(FactsStored{store.token});
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kControl, kOwnWork, std::move(task));
  if (queued.ok()) return;
  loop_.PostAfter(kFactsRetry, [this, store = std::move(store)] { KeepThenPost(store); });
}

void CoreDriver::Perform(ForgetFacts& output) {
  auto task = [this, facts = std::move(output.facts)] {
    const absl::Status forgotten = facts_->Forget(facts);
    if (!forgotten.ok()) {
      LogLimited(LogLevel::kError, "facts_not_forgotten",
                 {{"why", std::string(forgotten.message())}});
    }
  };
  // What stays is left out when facts are loaded.
  dispatcher_.Submit(WorkClass::kControl, kOwnWork, std::move(task)).IgnoreError();
}

void CoreDriver::Perform(FactsChanged& output) { on_facts_changed_(std::move(output.revocations)); }

void CoreDriver::TellFact(FactPtr fact, std::function<void(FactOutcome)> done) {
  loop_.Post([this, fact = std::move(fact), done = std::move(done)]() mutable {
    telling_[next_fact_] = std::move(done);
    Handle(FactMade{std::move(fact), next_fact_++});
  });
}

void CoreDriver::Perform(FactAnswered& output) {
  const auto it = telling_.find(output.token);
  PANAL_CHECK(it != telling_.end());
  auto done = std::move(it->second);
  telling_.erase(it);
  done(output.outcome);
}

// -------------------------------------------------------------------------------------------------

uint64_t CoreDriver::StartSearch(absl::string_view query, double recall, uint32_t limit,
                                 uint32_t enough, absl::Duration timeout, SearchHandlers handlers) {
  uint64_t id = next_search_.fetch_add(1);
  metrics_.Count(Counter::kSearches);
  SearchRequested request{id, std::string(query), recall, limit, timeout, enough};
  auto task = [this, id, request = std::move(request), handlers = std::move(handlers)]() mutable {
    searches_[id] = Search{std::move(handlers), loop_.Now()};
    Handle(request);
  };
  if (loop_.TryPost(std::move(task))) return id;
  metrics_.Count(Counter::kSearchesRefused);
  return 0;
}

void CoreDriver::CancelSearch(uint64_t search) {
  loop_.Post([this, search] {
    if (searches_.erase(search) > 0) Handle(SearchCancelled{search});
  });
}

uint64_t CoreDriver::StartSubscription(absl::string_view query, double recall,
                                       absl::Duration timeout, SubscriptionHandlers handlers) {
  uint64_t id = next_search_.fetch_add(1);
  SubscribeRequested request{id, std::string(query), recall, timeout};
  auto task = [this, id, request = std::move(request), handlers = std::move(handlers)]() mutable {
    subscriptions_[id] = std::move(handlers);
    Handle(request);
  };
  return loop_.TryPost(std::move(task)) ? id : 0;
}

void CoreDriver::CancelSubscription(uint64_t subscription) {
  loop_.Post([this, subscription] {
    if (subscriptions_.erase(subscription) > 0) Handle(SubscribeCancelled{subscription});
  });
}

void CoreDriver::SignAndSpread() {
  if (signing_.fetch_add(1) > 0) return;  // The run under way begins anew when it ends.
  absl::Status queued = dispatcher_.Submit(WorkClass::kControl, kOwnWork, [this] { RunSigning(); });
  if (queued.ok()) return;
  signing_.store(0);
  // The dirty marks are on disk: the next change, or the next start, signs them.
  loop_.PostAfter(absl::Seconds(1), [this] { SignAndSpread(); });
}

void CoreDriver::RunSigning() {
  int asked = signing_.load();
  while (SignAllNow()) {
    int more = signing_.fetch_sub(asked) - asked;
    if (more == 0) return;
    asked = more;
  }
  signing_.store(0);
}

bool CoreDriver::SignAllNow() {
  while (true) {
    auto pages = signer_.SignDirty(absl::Now());
    if (!pages.ok()) {
      LogLimited(LogLevel::kError, "signing_failed",
                 {{"why", std::string(pages.status().message())}});
      loop_.PostAfter(absl::Seconds(1), [this] { SignAndSpread(); });
      return false;
    }
    if (pages->empty()) return true;
    Post(OwnPagesSigned{std::move(*pages), /*spread_now=*/true});
  }
}

void CoreDriver::SignAndSpreadNow() { (void)SignAllNow(); }

void CoreDriver::LeaveMesh(std::function<void()> left) {
  loop_.Post([this, left = std::move(left)]() mutable {
    on_left_ = std::move(left);
    Handle(Leave{});
  });
}

std::vector<NeighborInfo> CoreDriver::Neighbors() const {
  MutexLock lock(&mutex_);
  std::vector<NeighborInfo> infos;
  absl::Time now = loop_.Now();
  for (const auto& [id, neighbor] : neighbors_) {
    infos.push_back({neighbor.contact, neighbor.outbound, now - neighbor.since, neighbor.version});
  }
  return infos;
}

MeshEstimate CoreDriver::Estimate() const {
  MutexLock lock(&mutex_);
  return estimate_;
}

}  // namespace panal
