#include "server/processing/search/search_core.h"

#include <utility>

#include "server/processing/search/bubble.h"
#include "server/processing/search/departures.h"
#include "server/processing/search/digests.h"
#include "server/processing/search/neighbors.h"
#include "server/processing/search/page_spreader.h"
#include "server/processing/search/searcher.h"
#include "server/processing/search/sizes.h"
#include "server/processing/search/standing_visits.h"
#include "server/processing/search/subscriber.h"
#include "server/processing/search/visitor.h"

namespace panal {
namespace {

// Wires the machines: what one hands out is given to the next until nothing is left.
class SearchCoreImpl final : public SearchCore {
 public:
  SearchCoreImpl(PeerId self, const SearchOptions& options, Random& random)
      : options_(options),
        departures_(options_.page_refresh_interval),
        sizes_(options_),
        digests_(neighbors_),
        own_digest_(options_, neighbors_, sizes_, tokens_),
        engine_(self, options_, neighbors_, digests_, sizes_, random),
        standing_(self, options_, neighbors_),
        visitor_(options_, neighbors_, tokens_, standing_),
        searcher_(options_, neighbors_, digests_, sizes_, tokens_, random, engine_),
        subscriber_(options_, tokens_, random, searcher_, standing_),
        spreader_(self, options_, neighbors_, sizes_, tokens_, random, engine_) {}

  void SetNeighbors(const std::vector<PeerId>& neighbors) override { neighbors_.Set(neighbors); }

  void SetEstimate(const MeshEstimate& estimate) override { sizes_.SetEstimate(estimate); }

  void SetScale(double scale) override { sizes_.SetScale(scale); }

  bool Saturated() const override { return sizes_.Saturated(); }

  // The peer's own contact travels in its peer page.
  void SetSelf(const PeerContact&) override {}

  void OnStart(absl::Time now, Outputs& outputs) override { own_digest_.OnStart(now, outputs); }

  void OnNeighborUp(const PeerId& peer, bool takes_digests, absl::Time now,
                    Outputs& outputs) override {
    CountNeighbors(/*departed=*/false, now);
    own_digest_.OnNeighborUp(peer, takes_digests, outputs);
    Pump(now, outputs);
  }

  void OnNeighborDown(const PeerId& peer, bool departed, absl::Time now,
                      Outputs& outputs) override {
    sizes_.Advance(now);
    CountNeighbors(departed, now);
    engine_.OnNeighborDown(peer, now, outputs);
    visitor_.OnNeighborDown(peer);
    digests_.OnNeighborDown(peer);
    own_digest_.OnNeighborDown(peer);
    Pump(now, outputs);
  }

  void OnCast(const PeerId& from, const Cast& cast, absl::Time now, Outputs& outputs) override {
    sizes_.Advance(now);
    engine_.OnCast(from, cast, now, outputs);
    Pump(now, outputs);
  }

  void OnAnswer(const PeerId& from, const Answer& answer, absl::Time now,
                Outputs& outputs) override {
    sizes_.Advance(now);
    engine_.OnAnswer(from, answer, now, outputs);
    Pump(now, outputs);
  }

  void OnPageWant(const PeerId& from, const PageWant& want, absl::Time, Outputs& outputs) override {
    visitor_.OnPageWant(from, want, outputs);
  }

  void OnPageBody(const PeerId& from, const PageBodyFrame& body, absl::Time,
                  Outputs& outputs) override {
    visitor_.OnPageBody(from, body, outputs);
  }

  void OnDigest(const PeerId& from, const DigestFrame& digest, absl::Time now,
                Outputs& outputs) override {
    digests_.OnDigest(from, digest, now, outputs);
  }

  void OnDigestDelta(const PeerId& from, const DigestDelta& delta, absl::Time now,
                     Outputs& outputs) override {
    digests_.OnDelta(from, delta, now, outputs);
  }

  void OnTimer(const Timer& timer, absl::Time now, Outputs& outputs) override {
    sizes_.Advance(now);
    if (timer.kind == TimerKind::kBubble) engine_.OnTimer(timer.token, now, outputs);
    if (timer.kind == TimerKind::kSearch) searcher_.OnTimer(timer.token, outputs);
    if (timer.kind == TimerKind::kRefresh) {
      SetOversize(now);
      spreader_.OnTimer(now, outputs);
    }
    if (timer.kind == TimerKind::kStanding) subscriber_.OnTimer(timer.token, now, outputs);
    if (timer.kind == TimerKind::kDigest) own_digest_.OnTimer(now, outputs);
    Pump(now, outputs);
  }

  void OnSearchRequested(const SearchRequested& request, absl::Time now,
                         Outputs& outputs) override {
    sizes_.Advance(now);
    searcher_.OnRequested(request, now, outputs);
    Pump(now, outputs);
  }

  void OnSearchCancelled(const SearchCancelled& cancel, absl::Time, Outputs&) override {
    searcher_.OnCancelled(cancel.request);
  }

  void OnSubscribeRequested(const SubscribeRequested& request, absl::Time now,
                            Outputs& outputs) override {
    sizes_.Advance(now);
    subscriber_.OnRequested(request, now, outputs);
    Pump(now, outputs);
  }

  void OnSubscribeCancelled(const SubscribeCancelled& cancel, absl::Time, Outputs&) override {
    subscriber_.OnCancelled(cancel.request);
  }

  void OnStandingHits(const PeerId& from, const StandingHits& hits, absl::Time now,
                      Outputs& outputs) override {
    standing_.OnHits(from, hits, outputs);
    Pump(now, outputs);
  }

  void OnStandingMatched(const StandingMatched& matched, absl::Time now,
                         Outputs& outputs) override {
    standing_.OnMatched(matched, outputs);
    Pump(now, outputs);
  }

  void OnIndexAnswered(const IndexAnswered& answer, absl::Time now, Outputs& outputs) override {
    sizes_.Advance(now);
    visitor_.OnIndexAnswered(answer);
    Pump(now, outputs);
  }

  void OnPageStored(const PageStored& stored, absl::Time now, Outputs& outputs) override {
    sizes_.Advance(now);
    visitor_.OnPageStored(stored, now, outputs);
    Pump(now, outputs);
  }

  void OnPageLoaded(const PageLoaded& loaded, absl::Time now, Outputs& outputs) override {
    sizes_.Advance(now);
    visitor_.OnPageLoaded(loaded, outputs);
    spreader_.OnPageLoaded(loaded, now, outputs);
    Pump(now, outputs);
  }

  void OnOwnPagesSigned(const OwnPagesSigned& signed_pages, absl::Time now,
                        Outputs& outputs) override {
    sizes_.Advance(now);
    standing_.OnOwnPages(signed_pages.pages, now, outputs);
    for (const PagePtr& page : signed_pages.pages) own_digest_.OnPageKept(*page, now, outputs);
    spreader_.OnOwnPagesSigned(signed_pages, now, outputs);
    Pump(now, outputs);
  }

  void OnDigestBuilt(const DigestBuilt& built, absl::Time now, Outputs& outputs) override {
    own_digest_.OnBuilt(built, now, outputs);
  }

  uint32_t PageBubbleSize() const override { return sizes_.PageSize(); }

  uint32_t QueryBubbleSize(double recall) const override { return sizes_.QuerySize(recall); }

  void CheckInvariants() const override {
    engine_.CheckInvariants();
    visitor_.CheckInvariants();
    standing_.CheckInvariants();
    searcher_.CheckInvariants();
    subscriber_.CheckInvariants();
    spreader_.CheckInvariants();
    digests_.CheckInvariants();
    own_digest_.CheckInvariants();
  }

 private:
  void CountNeighbors(bool departed, absl::Time now) {
    if (departed) departures_.OnDeparture(now);
    departures_.SetNeighbors(neighbors_.ids().size(), now);
    SetOversize(now);
  }

  void SetOversize(absl::Time now) {
    if (options_.rules.oversize) sizes_.SetOversize(departures_.Oversize(now));
  }

  void Pump(absl::Time now, Outputs& outputs) {
    while (true) {
      for (const PagePtr& page : visitor_.TakeKept()) own_digest_.OnPageKept(*page, now, outputs);
      const std::vector<Visit> visits = engine_.TakeVisits();
      std::vector<Visitor::Done> done = visitor_.TakeDone();
      const std::vector<BubbleReport> reports = engine_.TakeReports();
      const std::vector<RoundReport> rounds = searcher_.TakeRounds();
      const std::vector<StandingHits> hits = standing_.TakeOwn();
      const bool nothing = visits.empty() && done.empty() && reports.empty() && rounds.empty();
      if (nothing && hits.empty()) return;
      for (const Visit& visit : visits) visitor_.Begin(visit, now, outputs);
      for (Visitor::Done& one : done) {
        engine_.OnVisited(one.bubble, std::move(one.tally), one.failed, now, outputs);
      }
      for (const BubbleReport& report : reports) {
        if (!searcher_.OnReport(report, now, outputs)) spreader_.OnReport(report, now, outputs);
      }
      for (const RoundReport& round : rounds) subscriber_.OnRound(round, now, outputs);
      for (const StandingHits& one : hits) subscriber_.OnHits(one, outputs);
    }
  }

  const SearchOptions options_;  // The machines below refer to it.
  Neighbors neighbors_;
  Tokens tokens_;
  Departures departures_;
  BubbleSizes sizes_;
  NeighborDigests digests_;
  OwnDigest own_digest_;
  BubbleEngine engine_;
  StandingVisits standing_;
  Visitor visitor_;
  Searcher searcher_;
  Subscriber subscriber_;
  PageSpreader spreader_;
};

}  // namespace

std::unique_ptr<SearchCore> SearchCore::Create(PeerId self, const SearchOptions& options,
                                               Random& random) {
  return std::make_unique<SearchCoreImpl>(self, options, random);
}

}  // namespace panal
