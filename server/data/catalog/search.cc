#include "server/data/catalog/search.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/model/digest.h"
#include "common/model/hit_limit.h"
#include "server/data/catalog/codec.h"
#include "server/data/catalog/peers.h"
#include "server/data/catalog/query_plan.h"
#include "server/data/catalog/record_rows.h"

namespace panal::catalog {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPublisherColumn = 8;

// The terms of the index, as the tokenizer made them. Of the connection that asks: it is no data.
constexpr char kRecordTerms[] =
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.record_terms "
    "USING fts5vocab(main, record_words, row)";

// Stops the statements of a connection at a time, for as long as it lives.
class TimeLimit {
 public:
  TimeLimit(Connection& db, absl::Duration time_max)
      : db_(db),
        end_(Clock::now() + absl::ToChronoNanoseconds(std::min(time_max, absl::Hours(1)))) {
    sqlite3_progress_handler(db_.handle(), kStepsPerClockLook, &TimeLimit::IsOver, this);
  }

  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

  ~TimeLimit() { sqlite3_progress_handler(db_.handle(), 0, nullptr, nullptr); }

  bool over() const { return Clock::now() >= end_; }

 private:
  static int IsOver(void* limit) { return static_cast<TimeLimit*>(limit)->over() ? 1 : 0; }

  Connection& db_;
  const Clock::time_point end_;
};

// Adds matches, unranked, until the limit, the time or the candidates end.
absl::Status Collect(Connection& db, const Query& query, const QueryPlan& plan, HitLimit limit,
                     const TimeLimit& time, SearchResult& result) {
  PANAL_ASSIGN_OR_RETURN(Statement candidates, db.QueryOnce(plan.sql, plan.values));
  while (true) {
    if (time.over()) {
      result.out_of_time = true;
      return absl::OkStatus();
    }
    absl::StatusOr<bool> found = candidates.Step();
    if (candidates.interrupted()) {
      result.out_of_time = true;
      return absl::OkStatus();
    }
    if (!found.ok()) return found.status();
    if (!*found) return absl::OkStatus();
    PANAL_ASSIGN_OR_RETURN(RecordRow row, RecordFrom(candidates, db.path()));
    PANAL_ASSIGN_OR_RETURN(PeerId publisher,
                           IdFrom<PeerId>(candidates.Bytes(kPublisherColumn), db.path()));
    if (!Matches(query, row.record, publisher)) continue;
    Hit hit{std::move(row.record), {publisher, {}}};
    switch (limit.Take(hit)) {
      case HitLimit::Verdict::kTaken:
        result.hits.push_back(std::move(hit));
        break;
      case HitLimit::Verdict::kSurplus:
        break;
      case HitLimit::Verdict::kFull:
        result.truncated = true;
        return absl::OkStatus();
    }
  }
}

// Adds the hash of the first column of every row until there are more than `limit`.
template <typename Hash>
absl::Status AddHashes(Statement rows, size_t limit, Hash hash,
                       absl::flat_hash_set<uint32_t>& hashes) {
  while (hashes.size() <= limit) {
    PANAL_ASSIGN_OR_RETURN(bool found, rows.Step());
    if (!found) break;
    PANAL_RETURN_IF_ERROR(hash(rows.Bytes(0)));
  }
  return absl::OkStatus();
}

absl::StatusOr<SearchResult> Run(Connection& db, const Query& query, const QueryPlan& plan,
                                 int limit, absl::Duration time_max) {
  SearchResult result;
  {
    TimeLimit time(db, time_max);
    HitLimit hit_limit(static_cast<uint32_t>(std::max(limit, 0)));
    PANAL_RETURN_IF_ERROR(Collect(db, query, plan, std::move(hit_limit), time, result));
  }
  // Where words are rarer, they say more. Among equals the order of the index, newest first, stays.
  std::stable_sort(result.hits.begin(), result.hits.end(), [](const Hit& a, const Hit& b) {
    return a.record.name.size() < b.record.name.size();
  });
  PANAL_RETURN_IF_ERROR(AddAddresses(db, result.hits));
  return result;
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> DigestHashes(Connection& db, size_t limit) {
  absl::flat_hash_set<uint32_t> hashes;
  // Objects have no id; what stands for it is one hash more.
  PANAL_ASSIGN_OR_RETURN(Statement ids, db.QueryOnce("SELECT DISTINCT id FROM record", {}));
  auto add_id = [&](absl::string_view bytes) -> absl::Status {
    PANAL_ASSIGN_OR_RETURN(Sha256Digest id, IdFrom<Sha256Digest>(bytes, db.path()));
    hashes.insert(DigestHash(id));
    return absl::OkStatus();
  };
  PANAL_RETURN_IF_ERROR(AddHashes(std::move(ids), limit, add_id, hashes));
  PANAL_RETURN_IF_ERROR(db.RunScript(kRecordTerms));
  PANAL_ASSIGN_OR_RETURN(Statement terms, db.QueryOnce("SELECT term FROM temp.record_terms", {}));
  auto add_term = [&](absl::string_view term) {
    hashes.insert(DigestHash(term));
    return absl::OkStatus();
  };
  PANAL_RETURN_IF_ERROR(AddHashes(std::move(terms), limit, add_term, hashes));
  return std::vector<uint32_t>(hashes.begin(), hashes.end());
}

absl::Status AddAddresses(Connection& db, std::vector<Hit>& hits) {
  absl::flat_hash_map<PeerId, PublishedContact> known;
  for (Hit& hit : hits) {
    auto [entry, added] = known.try_emplace(hit.publisher.id);
    if (added) {
      PANAL_ASSIGN_OR_RETURN(entry->second, FindPublishedContact(db, hit.publisher.id));
    }
    hit.publisher.addresses = entry->second.addresses;
    hit.publisher_version = entry->second.version;
  }
  return absl::OkStatus();
}

absl::StatusOr<SearchResult> Search(Connection& db, const Query& query, int limit,
                                    absl::Duration time_max, int64_t now_ms) {
  return Run(db, query, PlanQuery(query, now_ms), limit, time_max);
}

absl::StatusOr<SearchResult> SearchArrivals(Connection& db, const Query& query, int limit,
                                            absl::Duration time_max, int64_t now_ms,
                                            int64_t since_ms) {
  return Run(db, query, PlanArrivals(query, now_ms, since_ms), limit, time_max);
}

}  // namespace panal::catalog
