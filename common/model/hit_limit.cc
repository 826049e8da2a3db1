#include "common/model/hit_limit.h"

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/sha256.h"

namespace panal {

Sha256Digest HitLimit::IdOf(const Hit& hit) {
  if (hit.record.kind != RecordKind::kObject) return hit.record.id;
  ByteWriter key;
  key.Raw(hit.publisher.id.view());
  key.Raw(hit.record.name);
  return Sha256(key.bytes());
}

HitLimit::Verdict HitLimit::Take(const Hit& hit) {
  const Sha256Digest id = IdOf(hit);
  auto known = names_.find(id);
  const bool full = hits_ >= kSearchHitsMax || (known == names_.end() && names_.size() >= limit_);
  if (full) return Verdict::kFull;
  if (known == names_.end()) known = names_.try_emplace(id).first;
  auto publisher = known->second.find(hit.publisher.id);
  if (publisher == known->second.end()) {
    if (known->second.size() >= kPublishersPerIdMax) return Verdict::kSurplus;
    publisher = known->second.try_emplace(hit.publisher.id, 0).first;
  }
  if (publisher->second >= kNamesPerPublisherMax) return Verdict::kSurplus;
  ++publisher->second;
  ++hits_;
  return Verdict::kTaken;
}

void HitLimit::Release(const Hit& hit) {
  auto id = names_.find(IdOf(hit));
  PANAL_CHECK(id != names_.end());
  auto publisher = id->second.find(hit.publisher.id);
  PANAL_CHECK(publisher != id->second.end());
  --hits_;
  if (--publisher->second > 0) return;
  id->second.erase(publisher);
  if (id->second.empty()) names_.erase(id);
}

}  // namespace panal
