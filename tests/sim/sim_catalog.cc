#include "tests/sim/sim_catalog.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/model/hit_limit.h"

namespace panal::sim {

uint64_t ToMilliseconds(absl::Time time) { return static_cast<uint64_t>(absl::ToUnixMillis(time)); }

PagePtr MakePage(const PeerId& publisher, uint32_t number, uint64_t version, absl::Time expires,
                 std::vector<Record> records) {
  auto page = std::make_shared<Page>();
  for (const Record& record : records) {
    absl::StrAppend(&page->body, record.name, "\n", record.id.view(), record.version, "\n");
  }
  page->header.key = {publisher, number};
  page->header.version = version;
  page->header.expires_ms = ToMilliseconds(expires);
  page->header.body_hash = Sha256(page->body);
  page->header.public_key = std::string(32, 'k');
  page->header.signature = std::string(kPageSignatureSize, 's');
  page->records = std::move(records);
  return page;
}

bool IsSigned(const PageHeader& header) {
  return header.signature == std::string(kPageSignatureSize, 's');
}

bool IsSigned(const Frame& frame) {
  auto fine = [](const PagePtr& page) { return page == nullptr || IsSigned(page->header); };
  if (const auto* body = std::get_if<PageBodyFrame>(&frame)) return fine(body->page);
  const auto* cast = std::get_if<Cast>(&frame);
  const auto* payload = cast == nullptr ? nullptr : std::get_if<PagePayload>(&cast->payload);
  return payload == nullptr || (fine(payload->page) && fine(payload->peer_page));
}

PagePtr RefreshedPages::Of(const Page& page, const PageHeader& header) {
  PagePtr& newest = pages_[header.key];
  if (newest == nullptr || newest->header != header) {
    auto refreshed = std::make_shared<Page>(page);
    refreshed->header = header;
    newest = std::move(refreshed);
  }
  return newest;
}

std::vector<SimCatalog::Kept>::const_iterator SimCatalog::Seek(const PageKey& key) const {
  return std::lower_bound(
      pages_.begin(), pages_.end(), key,
      [](const Kept& kept, const PageKey& wanted) { return kept.page->header.key < wanted; });
}

const SimCatalog::Kept* SimCatalog::Find(const PageKey& key) const {
  auto it = Seek(key);
  return it != pages_.end() && it->page->header.key == key ? &*it : nullptr;
}

std::vector<uint32_t> SimCatalog::Fresh(const Kept* before, Kept& kept, absl::Time now) {
  using Name = std::pair<RecordKind, absl::string_view>;
  absl::btree_map<Name, std::pair<uint64_t, absl::Time>> known;
  if (before != nullptr) {
    const std::vector<Record>& records = before->page->records;
    for (size_t i = 0; i < records.size(); ++i) {
      known[{records[i].kind, records[i].name}] = {records[i].version, before->arrived[i]};
    }
  }
  std::vector<uint32_t> fresh;
  kept.arrived.reserve(kept.page->records.size());
  for (const Record& record : kept.page->records) {
    auto old = known.find({record.kind, record.name});
    const bool same = old != known.end() && old->second.first >= record.version;
    if (!same) fresh.push_back(static_cast<uint32_t>(kept.arrived.size()));
    kept.arrived.push_back(same ? old->second.second : now);
  }
  return fresh;
}

PageOutcome SimCatalog::Store(const PagePtr& page, bool has_body, absl::Time now,
                              std::vector<uint32_t>* fresh) {
  const PageHeader& header = page->header;
  PANAL_CHECK(IsSigned(header));
  if (header.expires_ms <= ToMilliseconds(now)) return PageOutcome::kStale;
  auto place = pages_.begin() + (Seek(header.key) - pages_.cbegin());
  Kept* old = place != pages_.end() && place->page->header.key == header.key ? &*place : nullptr;
  if (old != nullptr && header.version < old->page->header.version) return PageOutcome::kStale;
  bool same = old != nullptr && header.version == old->page->header.version &&
              header.body_hash == old->page->header.body_hash;
  if (!has_body && !same) return PageOutcome::kBodyMissing;
  if (old == nullptr && header.key.publisher != owner_) {
    if (kept_ >= kept_max_) return PageOutcome::kFull;
    ++kept_;
  }
  if (has_body) {
    Kept kept{page, {}};
    std::vector<uint32_t> came = Fresh(old, kept, now);
    if (fresh != nullptr) *fresh = std::move(came);
    if (old == nullptr) {
      pages_.insert(place, std::move(kept));
    } else {
      *old = std::move(kept);
    }
  } else if (header.expires_ms > old->page->header.expires_ms) {
    old->page = refreshed_.Of(*old->page, header);
  }
  return PageOutcome::kKept;
}

PagePtr SimCatalog::Load(const PageKey& key, absl::Time now) const {
  const Kept* kept = Find(key);
  if (kept == nullptr || kept->page->header.expires_ms <= ToMilliseconds(now)) return nullptr;
  return kept->page;
}

IndexAnswered SimCatalog::Search(const QueryIndex& query, absl::Time now) {
  ++evaluated_;
  absl::StatusOr<Query> parsed = Query::Parse(query.query);
  PANAL_CHECK(parsed.ok());
  IndexAnswered answer{.token = query.token};
  HitLimit limit(query.limit);
  for (const auto& [page, arrived] : pages_) {
    if (page->header.expires_ms <= ToMilliseconds(now)) continue;
    const PeerId& publisher = page->header.key.publisher;
    for (size_t i = 0; i < page->records.size(); ++i) {
      const Record& record = page->records[i];
      if (now - arrived[i] > query.arrived_within) continue;
      if (!Matches(*parsed, record, publisher)) continue;
      Hit hit{record, {publisher, AddressesOf(publisher)}, VersionOf(publisher)};
      const HitLimit::Verdict verdict = limit.Take(hit);
      if (verdict == HitLimit::Verdict::kTaken) answer.hits.push_back(std::move(hit));
      if (verdict != HitLimit::Verdict::kFull) continue;
      answer.truncated = true;
      return answer;
    }
  }
  return answer;
}

StandingMatched SimCatalog::Match(const MatchStanding& match) const {
  StandingMatched matched;
  for (const StandingQuery& standing : *match.queries) {
    StandingMatch one{.subscription = standing.subscription};
    for (const Hit& record : match.records) {
      const PeerId& publisher = record.publisher.id;
      if (!Matches(standing.query, record.record, publisher)) continue;
      one.hits.push_back(
          {record.record, {publisher, AddressesOf(publisher)}, VersionOf(publisher)});
    }
    if (!one.hits.empty()) matched.matches.push_back(std::move(one));
  }
  return matched;
}

bool SimCatalog::HasMatch(const Query& query, absl::Time now) const {
  for (const auto& [page, arrived] : pages_) {
    if (page->header.expires_ms <= ToMilliseconds(now)) continue;
    for (const Record& record : page->records) {
      if (Matches(query, record, page->header.key.publisher)) return true;
    }
  }
  return false;
}

std::vector<uint32_t> SimCatalog::DigestHashes(absl::Time now) const {
  std::vector<uint32_t> hashes;
  for (const auto& [page, arrived] : pages_) {
    if (page->header.expires_ms <= ToMilliseconds(now)) continue;
    for (const Record& record : page->records) {
      ForEachDigestHash(record, [&](uint32_t hash) { hashes.push_back(hash); });
    }
  }
  return hashes;
}

std::vector<PagePtr> SimCatalog::OwnPages() const {
  std::vector<PagePtr> own;
  for (const auto& [page, arrived] : pages_) {
    if (page->header.key.publisher == owner_) own.push_back(page);
  }
  return own;
}

PagePtr SimCatalog::OwnPage(uint32_t number) const {
  const Kept* kept = Find({owner_, number});
  return kept == nullptr ? nullptr : kept->page;
}

std::vector<std::string> SimCatalog::AddressesOf(const PeerId& publisher) const {
  const Kept* kept = Find({publisher, kPeerPageNumber});
  if (kept == nullptr || kept->page->records.empty()) return {};
  return kept->page->records.front().addresses;
}

uint64_t SimCatalog::VersionOf(const PeerId& publisher) const {
  const Kept* kept = Find({publisher, kPeerPageNumber});
  if (kept == nullptr || kept->page->records.empty()) return 0;
  return kept->page->records.front().version;
}

}  // namespace panal::sim
