#include "server/processing/search/hits.h"

#include <utility>

#include "common/base/bytes.h"
#include "common/base/sha256.h"
#include "common/model/frame.h"

namespace panal {
namespace {

// A digest, not the key itself: names are up to a kilobyte, and a weak hash could be made to
// collide so that a stranger's record hides another.
Sha256Digest KeyOf(const Hit& hit) {
  ByteWriter key;
  key.Raw(hit.publisher.id.view());
  key.Raw(hit.record.id.view());
  key.U8(static_cast<uint8_t>(hit.record.kind));
  key.Raw(hit.record.name);
  return Sha256(key.bytes());
}

// About what the hit takes on the wire; `kOverhead` covers ids, numbers and lengths.
size_t SizeOf(const Hit& hit) {
  constexpr size_t kOverhead = 128;
  size_t size = kOverhead + hit.record.name.size();
  for (const auto& [key, value] : hit.record.attributes) size += 8 + key.size() + value.size();
  for (const std::string& address : hit.record.addresses) size += 4 + address.size();
  for (const std::string& address : hit.publisher.addresses) size += 4 + address.size();
  return size;
}

}  // namespace

void HitMerger::Add(std::vector<Hit> hits) {
  for (Hit& hit : hits) {
    const Sha256Digest key = KeyOf(hit);
    if (seen_.contains(key)) continue;
    const HitLimit::Verdict verdict = limit_.Take(hit);
    if (verdict == HitLimit::Verdict::kFull) truncated_ = true;
    if (verdict != HitLimit::Verdict::kTaken) continue;
    seen_.insert(key);
    fresh_.push_back(std::move(hit));
  }
}

std::vector<Hit> HitMerger::Take() { return std::exchange(fresh_, {}); }

std::vector<std::vector<Hit>> SplitIntoAnswers(std::vector<Hit> hits) {
  std::vector<std::vector<Hit>> parts(1);
  size_t bytes = 0;
  for (Hit& hit : hits) {
    const size_t size = SizeOf(hit);
    const bool full = parts.back().size() >= kAnswerHitsMax || bytes + size > kAnswerHitBytesMax;
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
