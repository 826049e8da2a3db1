#include "tests/sim/sim_catalog.h"

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

std::vector<uint32_t> SimCatalog::Arrive(const Page& page, absl::Time now) {
  using Name = std::pair<RecordKind, absl::string_view>;
  absl::btree_map<Name, std::pair<uint64_t, absl::Time>> before;
  auto old = pages_.find(page.header.key);
  if (old != pages_.end()) {
    const std::vector<Record>& records = old->second->records;
    for (size_t i = 0; i < records.size(); ++i) {
      before[{records[i].kind, records[i].name}] = {records[i].version,
                                                    arrived_[page.header.key][i]};
    }
  }
  std::vector<absl::Time> times;
  std::vector<uint32_t> fresh;
  for (const Record& record : page.records) {
    auto known = before.find({record.kind, record.name});
    const bool same = known != before.end() && known->second.first >= record.version;
    if (!same) fresh.push_back(static_cast<uint32_t>(times.size()));
    times.push_back(same ? known->second.second : now);
  }
  arrived_[page.header.key] = std::move(times);
  return fresh;
}

PageOutcome SimCatalog::Store(const PagePtr& page, bool has_body, absl::Time now,
                              std::vector<uint32_t>* fresh) {
  const PageHeader& header = page->header;
  PANAL_CHECK(IsSigned(header));
  if (header.expires_ms <= ToMilliseconds(now)) return PageOutcome::kStale;
  auto it = pages_.find(header.key);
  bool here = it != pages_.end();
  if (here && header.version < it->second->header.version) return PageOutcome::kStale;
  bool same = here && header.version == it->second->header.version &&
              header.body_hash == it->second->header.body_hash;
  if (!has_body && !same) return PageOutcome::kBodyMissing;
  if (!here && header.key.publisher != owner_) {
    if (kept_ >= kept_max_) return PageOutcome::kFull;
    ++kept_;
  }
  if (has_body) {
    std::vector<uint32_t> came = Arrive(*page, now);
    if (fresh != nullptr) *fresh = std::move(came);
    pages_[header.key] = page;
  } else if (header.expires_ms > it->second->header.expires_ms) {
    auto refreshed = std::make_shared<Page>(*it->second);
    refreshed->header = header;
    it->second = std::move(refreshed);
  }
  return PageOutcome::kKept;
}

PagePtr SimCatalog::Load(const PageKey& key, absl::Time now) const {
  auto it = pages_.find(key);
  if (it == pages_.end() || it->second->header.expires_ms <= ToMilliseconds(now)) return nullptr;
  return it->second;
}

IndexAnswered SimCatalog::Search(const QueryIndex& query, absl::Time now) {
  ++evaluated_;
  absl::StatusOr<Query> parsed = Query::Parse(query.query);
  PANAL_CHECK(parsed.ok());
  IndexAnswered answer{.token = query.token};
  HitLimit limit(query.limit);
  for (const auto& [key, page] : pages_) {
    if (page->header.expires_ms <= ToMilliseconds(now)) continue;
    const std::vector<absl::Time>& arrived = arrived_[key];
    for (size_t i = 0; i < page->records.size(); ++i) {
      const Record& record = page->records[i];
      if (now - arrived[i] > query.arrived_within) continue;
      if (!Matches(*parsed, record, key.publisher)) continue;
      Hit hit{record, {key.publisher, AddressesOf(key.publisher)}, VersionOf(key.publisher)};
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
  for (const auto& [key, page] : pages_) {
    if (page->header.expires_ms <= ToMilliseconds(now)) continue;
    for (const Record& record : page->records) {
      if (Matches(query, record, key.publisher)) return true;
    }
  }
  return false;
}

std::vector<uint32_t> SimCatalog::DigestHashes(absl::Time now) const {
  std::vector<uint32_t> hashes;
  for (const auto& [key, page] : pages_) {
    if (page->header.expires_ms <= ToMilliseconds(now)) continue;
    for (const Record& record : page->records) {
      ForEachDigestHash(record, [&](uint32_t hash) { hashes.push_back(hash); });
    }
  }
  return hashes;
}

std::vector<PagePtr> SimCatalog::OwnPages() const {
  std::vector<PagePtr> own;
  for (const auto& [key, page] : pages_) {
    if (key.publisher == owner_) own.push_back(page);
  }
  return own;
}

std::vector<std::string> SimCatalog::AddressesOf(const PeerId& publisher) const {
  auto it = pages_.find(PageKey{publisher, kPeerPageNumber});
  if (it == pages_.end() || it->second->records.empty()) return {};
  return it->second->records.front().addresses;
}

uint64_t SimCatalog::VersionOf(const PeerId& publisher) const {
  auto it = pages_.find(PageKey{publisher, kPeerPageNumber});
  if (it == pages_.end() || it->second->records.empty()) return 0;
  return it->second->records.front().version;
}

}  // namespace panal::sim
