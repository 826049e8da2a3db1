#include "server/application/search_servant.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/model/query.h"
#include "common/wire/status_codec.h"
#include "server/application/search_hit.h"
#include "server/application/timeout_field.h"

namespace panal {
namespace {

// A request with its defaults filled in.
struct SearchArguments {
  double recall = kRecallDefault;
  uint32_t limit = kSearchLimitDefault;
  uint32_t enough = 0;
  absl::Duration timeout = kSearchTimeoutDefault;
};

absl::Status CheckQuery(const std::string& query) {
  if (query.size() > kQuerySizeMax) {
    return Error(ErrorReason::kQueryInvalid,
                 absl::StrCat("a query of ", query.size(), " bytes exceeds ", kQuerySizeMax));
  }
  return Query::Parse(query).status();
}

double RecallOf(double asked, std::vector<FieldViolation>& violations) {
  if (asked == 0) return kRecallDefault;
  // Written so that NaN is refused.
  if (!(asked > 0 && asked <= 1)) {
    violations.push_back({"recall", absl::StrCat(asked, " is not above 0 and at most 1")});
  }
  return asked;
}

absl::StatusOr<SearchArguments> ArgumentsOf(const v1::SearchRequest& request) {
  PANAL_RETURN_IF_ERROR(CheckQuery(request.query()));
  SearchArguments arguments;
  std::vector<FieldViolation> violations;
  arguments.recall = RecallOf(request.recall(), violations);
  if (request.limit() != 0) arguments.limit = static_cast<uint32_t>(request.limit());
  if (request.limit() < 0 || arguments.limit > kSearchLimitMax) {
    violations.push_back(
        {"limit", absl::StrCat(request.limit(), " is not within 0 to ", kSearchLimitMax)});
  }
  arguments.enough = static_cast<uint32_t>(std::max(request.enough(), 0));
  if (request.enough() < 0 || arguments.enough > arguments.limit) {
    violations.push_back(
        {"enough",
         absl::StrCat(request.enough(), " is not within 0 to the limit of ", arguments.limit)});
  }
  arguments.timeout =
      ParseTimeout(request.timeout(), kSearchTimeoutDefault, kSearchTimeoutMax, violations);
  if (!violations.empty()) return BadRequestError(violations);
  return arguments;
}

// When this peer cannot begin a search. Guess: most searches end within a second.
constexpr absl::Duration kOverloadRetry = absl::Seconds(1);

absl::Status TooManySearches() {
  return OverloadedError("this peer has too many searches under way", kOverloadRetry);
}

// One search of one program: every id once, with the number of peers that publish it.
class SearchAnswer {
 public:
  SearchAnswer(StreamWriter<v1::SearchResponse> writer, uint32_t limit, absl::Time began)
      : writer_(std::move(writer)), limit_(limit), began_(began) {}

  void OnHits(const std::vector<Hit>& hits) {
    std::vector<v1::SearchResponse> fresh = Merge(hits);
    for (const v1::SearchResponse& response : fresh) {
      if (writer_.Write(response)) continue;
      MutexLock lock(&mutex_);
      dropped_ = true;
      sources_.erase(response.hit().id());
    }
  }

  void OnDone(const SearchSummary& summary) {
    if (summary.cut_short == CutShort::kOverloaded) return writer_.Finish(TooManySearches());
    v1::SearchResponse response;
    v1::SearchSummary* out = response.mutable_summary();
    out->set_peers_reached(static_cast<int64_t>(summary.peers_reached));
    out->set_mesh_size(static_cast<int64_t>(summary.mesh_size));
    out->set_recall(summary.recall);
    out->set_digests_consulted(static_cast<int64_t>(summary.digests_consulted));
    out->set_elapsed_ms(absl::ToInt64Milliseconds(absl::Now() - began_));
    {
      MutexLock lock(&mutex_);
      absl::string_view cut_short = CutShortName(summary.cut_short);
      if (cut_short.empty() && dropped_) cut_short = "overloaded";
      if (cut_short.empty() && (limited_ || summary.truncated)) cut_short = "limit";
      out->set_cut_short(std::string(cut_short));
      out->set_complete(summary.complete && !dropped_);  // A limit is the caller's wish.
      out->set_hits(static_cast<int64_t>(sources_.size()));
      for (const auto& [id, sources] : sources_) {
        const auto count = static_cast<int32_t>(sources.publishers.size());
        if (count > sources.told) (*out->mutable_sources())[id] = count;
      }
    }
    writer_.WriteLast(response);
  }

 private:
  struct Sources {
    std::set<PeerId> publishers;
    int32_t told = 0;  // What the hit said.
  };

  // The hits of ids that are new, with the sources that came along.
  std::vector<v1::SearchResponse> Merge(const std::vector<Hit>& hits) {
    MutexLock lock(&mutex_);
    std::vector<v1::SearchResponse> fresh;
    for (const Hit& hit : hits) {
      const std::string id = HitIdOf(hit);
      auto found = sources_.find(id);
      if (found == sources_.end()) {
        if (sources_.size() >= limit_) {
          limited_ = true;
          continue;
        }
        found = sources_.emplace(id, Sources{}).first;
        FillHit(hit, id, fresh.emplace_back().mutable_hit());
      }
      found->second.publishers.insert(hit.publisher.id);
    }
    for (v1::SearchResponse& response : fresh) {
      Sources& sources = sources_[response.hit().id()];
      sources.told = static_cast<int32_t>(sources.publishers.size());
      response.mutable_hit()->set_sources(sources.told);
    }
    return fresh;
  }

  const StreamWriter<v1::SearchResponse> writer_;
  const uint32_t limit_;
  const absl::Time began_;
  Mutex mutex_;
  // At most limit_ ids; publishers as the mesh reported them, bounded by its own limit.
  std::map<std::string, Sources> sources_ ABSL_GUARDED_BY(mutex_);
  bool limited_ ABSL_GUARDED_BY(mutex_) = false;
  bool dropped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

SearchServant::SearchServant(Dispatcher& dispatcher, Mesh& mesh)
    : Servant("panal.v1.SearchObject", dispatcher),
      mesh_(mesh),
      subscriptions_(std::make_shared<Subscriptions>(mesh, RandomSeedFromSystem(), absl::Now)) {
  PushStream("Search", WorkClass::kSearch, &SearchServant::Search);
  // They last, and take of the few that a peer has.
  ForProgramsOnly();
  PushStream("Subscribe", WorkClass::kSearch, &SearchServant::Subscribe);
  Unary("Unsubscribe", WorkClass::kSearch, &SearchServant::Unsubscribe);
}

void SearchServant::Search(const CallHead& head, const v1::SearchRequest& request,
                           StreamWriter<v1::SearchResponse> writer) {
  const absl::Time began = absl::Now();
  absl::StatusOr<SearchArguments> arguments = ArgumentsOf(request);
  if (!arguments.ok()) return writer.Finish(arguments.status());
  auto answer = std::make_shared<SearchAnswer>(writer, arguments->limit, began);
  const uint64_t search = mesh_.StartSearch(
      request.query(), arguments->recall, arguments->limit, arguments->enough, arguments->timeout,
      {.on_hits = [answer](std::vector<Hit> hits) { answer->OnHits(hits); },
       .on_done = [answer](const SearchSummary& summary) { answer->OnDone(summary); }});
  if (search == 0) return writer.Finish(TooManySearches());
  writer.OnCancel([&mesh = mesh_, search] { mesh.CancelSearch(search); });
}

void SearchServant::Subscribe(const CallHead& head, const v1::SubscribeRequest& request,
                              StreamWriter<v1::SubscribeResponse> writer) {
  std::vector<FieldViolation> violations;
  if (!request.subscription().empty()) {
    const bool more =
        !request.query().empty() || request.recall() != 0 || !request.timeout().empty();
    if (more) {
      violations.push_back({"subscription",
                            "is resumed as it was begun: leave query, recall and "
                            "timeout empty"});
      return writer.Finish(BadRequestError(violations));
    }
    return subscriptions_->Resume(request.subscription(), request.after_sequence(), writer);
  }
  absl::Status query = CheckQuery(request.query());
  if (!query.ok()) return writer.Finish(query);
  const double recall = RecallOf(request.recall(), violations);
  const absl::Duration timeout =
      ParseTimeout(request.timeout(), absl::InfiniteDuration(), kSubscribeTimeoutMax, violations);
  if (request.after_sequence() != 0) {
    violations.push_back({"after_sequence", "is given without a subscription"});
  }
  if (!violations.empty()) return writer.Finish(BadRequestError(violations));
  subscriptions_->Begin(request.query(), recall, timeout, writer);
}

absl::StatusOr<v1::UnsubscribeResponse> SearchServant::Unsubscribe(
    const CallHead& head, const v1::UnsubscribeRequest& request) {
  PANAL_RETURN_IF_ERROR(subscriptions_->End(request.subscription()));
  return v1::UnsubscribeResponse();
}

}  // namespace panal
