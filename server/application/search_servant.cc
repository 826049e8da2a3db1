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
#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/model/object_ref.h"
#include "common/model/query.h"
#include "common/wire/status_codec.h"
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

absl::StatusOr<SearchArguments> ArgumentsOf(const v1::SearchRequest& request) {
  if (request.query().size() > kQuerySizeMax) {
    return Error(ErrorReason::kQueryInvalid, absl::StrCat("a query of ", request.query().size(),
                                                          " bytes exceeds ", kQuerySizeMax));
  }
  PANAL_RETURN_IF_ERROR(Query::Parse(request.query()).status());
  SearchArguments arguments;
  std::vector<FieldViolation> violations;
  if (request.recall() != 0) arguments.recall = request.recall();
  // Written so that NaN is refused.
  if (!(arguments.recall > 0 && arguments.recall <= 1)) {
    violations.push_back(
        {"recall", absl::StrCat(request.recall(), " is not above 0 and at most 1")});
  }
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

// What a hit is called by: for an object its reference, from the attributes that its export gives.
std::string IdOf(const Hit& hit) {
  if (hit.record.kind != RecordKind::kObject) return hit.record.id.ToText();
  auto service = hit.record.attributes.find("service");
  auto key = hit.record.attributes.find("key");
  if (service == hit.record.attributes.end()) {
    return absl::StrCat("panal://", hit.publisher.id.ToText(), "/", hit.record.name);
  }
  return ObjectRef{hit.publisher.id, service->second,
                   key == hit.record.attributes.end() ? "" : key->second}
      .ToText();
}

absl::string_view CutShortName(CutShort cut_short) {
  switch (cut_short) {
    case CutShort::kNothing:
      return "";
    case CutShort::kTimeout:
      return "timeout";
    case CutShort::kPeersLost:
      return "peers lost";
    case CutShort::kEnough:
      return "enough";
    case CutShort::kOverloaded:
      return "";  // No answer: TooManySearches.
  }
  return "";
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
      const std::string id = IdOf(hit);
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

  static void FillHit(const Hit& hit, const std::string& id, v1::Hit* out) {
    out->set_id(id);
    out->set_kind(std::string(RecordKindName(hit.record.kind)));
    out->set_name(hit.record.name);
    out->set_size_bytes(static_cast<int64_t>(hit.record.size_bytes));
    for (const auto& [key, value] : hit.record.attributes)
      (*out->mutable_attributes())[key] = value;
    out->set_publisher(hit.publisher.id.ToText());
    for (const std::string& address : hit.publisher.addresses) {
      out->add_publisher_addresses(address);
    }
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
    : Servant("panal.v1.SearchObject", dispatcher), mesh_(mesh) {
  PushStream("Search", WorkClass::kSearch, &SearchServant::Search);
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

}  // namespace panal
