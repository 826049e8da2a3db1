#include "server/processing/search/hits.h"

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/model/frame.h"

namespace panal {

// A digest, not the key itself: names are up to a kilobyte, and a weak hash could be made to
// collide so that a stranger's record hides another.
Sha256Digest RecordKeyOf(const Hit& hit) {
  ByteWriter key;
  key.Raw(hit.publisher.id.view());
  key.U8(static_cast<uint8_t>(hit.record.kind));
  key.Raw(hit.record.name);
  return Sha256(key.bytes());
}

void HitMerger::Add(std::vector<Hit> hits) {
  for (Hit& hit : hits) AddOne(std::move(hit));
}

void HitMerger::AddOne(Hit hit) {
  const Sha256Digest key = RecordKeyOf(hit);
  auto known = seen_.find(key);
  if (known != seen_.end()) {
    const Seen& seen = known->second;
    const bool newer = hit.record.version > seen.version;
    const bool moved = hit.record.version == seen.version && hit.record.id == seen.id &&
                       hit.publisher_version > seen.publisher_version;
    if (newer || moved) Replace(known->second, std::move(hit));
    return;
  }
  const HitLimit::Verdict verdict = limit_.Take(hit);
  if (verdict == HitLimit::Verdict::kFull) truncated_ = true;
  if (verdict != HitLimit::Verdict::kTaken) return;
  seen_[key] = {hit.record.version, hit.publisher_version, hit.record.id, takes_, fresh_.size()};
  fresh_.push_back(std::move(hit));
}

void HitMerger::Replace(Seen& seen, Hit hit) {
  const bool fresh = seen.taken == takes_;
  if (hit.record.id != seen.id) {
    // What was passed keeps its room: who asked has it.
    if (fresh) limit_.Release(fresh_[seen.fresh_at]);
    const HitLimit::Verdict verdict = limit_.Take(hit);
    if (verdict != HitLimit::Verdict::kTaken) {
      if (verdict == HitLimit::Verdict::kFull) truncated_ = true;
      if (fresh) PANAL_CHECK(limit_.Take(fresh_[seen.fresh_at]) == HitLimit::Verdict::kTaken);
      return;
    }
  }
  const size_t place = fresh ? seen.fresh_at : fresh_.size();
  seen = {hit.record.version, std::max(hit.publisher_version, seen.publisher_version),
          hit.record.id, takes_, place};
  if (fresh) {
    fresh_[place] = std::move(hit);
  } else {
    fresh_.push_back(std::move(hit));
  }
}

std::vector<Hit> HitMerger::Take() {
  ++takes_;
  return std::exchange(fresh_, {});
}

std::vector<std::vector<Hit>> SplitIntoAnswers(std::vector<Hit> hits) {
  std::vector<std::vector<Hit>> parts(1);
  size_t bytes = 0;
  for (Hit& hit : hits) {
    const size_t size = HitFrameSizeMax(hit);
    const bool full = parts.back().size() >= kAnswerHitsMax || bytes + size > kAnswerHitsSizeMax;
    if (full && !parts.back().empty()) {
      parts.emplace_back();
      bytes = 0;
    }
    bytes += size;
    parts.back().push_back(std::move(hit));
  }
  return parts;
}

}  // namespace panal
