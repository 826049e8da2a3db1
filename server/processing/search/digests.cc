#include "server/processing/search/digests.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/check.h"

namespace panal {

// --- Of neighbors --------------------------------------------------------------------------------

bool NeighborDigests::Take(Kept& kept, double cost, absl::Time now) {
  if (kept.counted_at != absl::InfinitePast()) {
    kept.allowance += kDigestFramesPerSecond * absl::ToDoubleSeconds(now - kept.counted_at);
    kept.allowance = std::min(kept.allowance, kDigestFramesMax);
  }
  kept.counted_at = now;
  if (kept.allowance < cost) return false;
  kept.allowance -= cost;
  return true;
}

void NeighborDigests::Drop(Kept& kept) {
  kept.digest = nullptr;
  kept.added = {};
}

void NeighborDigests::OnDigest(const PeerId& from, const DigestFrame& frame, absl::Time now,
                               Outputs& outputs) {
  Kept& kept = kept_[from];
  Drop(kept);
  if (!Take(kept, kDigestWholeCost, now)) {
    outputs.push_back(FrameRefused{from, "digests too often", false});
    return;
  }
  kept.version = frame.version;
  kept.digest = frame.digest;
}

void NeighborDigests::OnDelta(const PeerId& from, const DigestDelta& delta, absl::Time now,
                              Outputs& outputs) {
  auto it = kept_.find(from);
  // Nothing to add to: refused before, or withdrawn meanwhile.
  if (it == kept_.end() || it->second.digest == nullptr) return;
  Kept& kept = it->second;
  const bool often = !Take(kept, 1, now);
  const bool gap = delta.version != kept.version + 1;
  const size_t most = DigestAddedMax(kept.digest->bytes().size());
  const bool many = kept.added.size() + delta.hashes.size() > most;
  if (often || gap || many) {
    Drop(kept);
    const char* why = often ? "digests too often"
                      : gap ? "a digest with a gap"
                            : "a digest too long";
    outputs.push_back(FrameRefused{from, why, false});
    return;
  }
  kept.version = delta.version;
  kept.added.reserve(kept.added.size() + delta.hashes.size());  // No more: they grow rarely.
  kept.added.insert(kept.added.end(), delta.hashes.begin(), delta.hashes.end());
  std::sort(kept.added.begin(), kept.added.end());
}

std::optional<bool> NeighborDigests::MayMatch(const PeerId& peer, const DigestQuery& query) const {
  auto it = kept_.find(peer);
  if (it == kept_.end() || it->second.digest == nullptr) return std::nullopt;
  const Kept& kept = it->second;
  return query.MayMatch([&kept](uint32_t hash) {
    return kept.digest->MayHave(hash) ||
           std::binary_search(kept.added.begin(), kept.added.end(), hash);
  });
}

double NeighborDigests::Share() const {
  if (neighbors_.ids().empty()) return 0;
  const auto with = std::count_if(kept_.begin(), kept_.end(),
                                  [](const auto& entry) { return entry.second.digest != nullptr; });
  return static_cast<double>(with) / static_cast<double>(neighbors_.ids().size());
}

void NeighborDigests::CheckInvariants() const {
  for (const auto& [peer, kept] : kept_) {
    PANAL_CHECK(neighbors_.Has(peer));
    PANAL_CHECK(kept.digest != nullptr || kept.added.empty());
    if (kept.digest == nullptr) continue;
    PANAL_CHECK(kept.added.size() <= DigestAddedMax(kept.digest->bytes().size()));
  }
}

// --- The own one ---------------------------------------------------------------------------------

OwnDigest::OwnDigest(const SearchOptions& options, const Neighbors& neighbors,
                     const BubbleSizes& sizes, Tokens& tokens)
    : options_(options), neighbors_(neighbors), sizes_(sizes), tokens_(tokens) {}

void OwnDigest::OnStart(absl::Time now, Outputs& outputs) {
  if (!options_.digests) return;
  build_at_ = now + kDigestTick;
  Arm(now, outputs);
}

void OwnDigest::OnNeighborUp(const PeerId& peer, bool takes, Outputs& outputs) {
  if (!options_.digests || !takes) return;
  receivers_.insert(peer);
  if (built_) SendWhole(peer, outputs);
}

void OwnDigest::Add(uint32_t hash) {
  if (building_) meanwhile_.insert(hash);
  if (!built_ || !hashes_.insert(hash).second) return;
  pending_.push_back(hash);
  whole_ = nullptr;
}

void OwnDigest::OnPageKept(const Page& page, absl::Time now, Outputs& outputs) {
  if (!built_ && !building_) return;
  for (const Record& record : page.records) {
    ForEachDigestHash(record, [this](uint32_t hash) { Add(hash); });
  }
  if (meanwhile_.size() > kDigestTermsMax || hashes_.size() > kDigestTermsMax) {
    Withdraw(outputs);
    // What is being built would be too much as well.
    building_ = std::nullopt;
    meanwhile_.clear();
    build_at_ = now + options_.page_refresh_interval;
  }
  if (!pending_.empty()) pending_since_ = std::min(pending_since_, now);
  Arm(now, outputs);
}

void OwnDigest::Withdraw(Outputs& outputs) {
  if (built_) {
    ++version_;
    for (const PeerId& peer : receivers_) {
      outputs.push_back(SendFrame{peer, DigestFrame{version_, nullptr}});
    }
  }
  built_ = false;
  whole_ = nullptr;
  hashes_.clear();
  pending_.clear();
  pending_since_ = absl::InfiniteFuture();
}

void OwnDigest::OnBuilt(const DigestBuilt& built, absl::Time now, Outputs& outputs) {
  if (!building_ || *building_ != built.token) return;
  building_ = std::nullopt;
  absl::btree_set<uint32_t> hashes(built.hashes.begin(), built.hashes.end());
  hashes.insert(meanwhile_.begin(), meanwhile_.end());
  meanwhile_.clear();
  build_at_ = now + (built.failed ? kDigestRetry : options_.page_refresh_interval);
  if (built.failed) {
    // What there is holds too much at worst.
  } else if (hashes.size() > kDigestTermsMax) {
    Withdraw(outputs);
  } else if (!built_) {
    built_ = true;
    hashes_ = std::move(hashes);
    SendWholeToAll(now, outputs);
  } else {
    for (uint32_t hash : hashes_) stale_ += hashes.contains(hash) ? 0 : 1;
    for (uint32_t hash : hashes) {
      // Kept, and never told: the catalog was faster than what told it.
      if (!hashes_.contains(hash)) pending_.push_back(hash);
    }
    if (!pending_.empty()) pending_since_ = std::min(pending_since_, now);
    hashes_ = std::move(hashes);
    whole_ = nullptr;
  }
  Arm(now, outputs);
}

void OwnDigest::SendWhole(const PeerId& peer, Outputs& outputs) {
  if (whole_ == nullptr) {
    whole_ = std::make_shared<const TermDigest>(TermDigest::Of({hashes_.begin(), hashes_.end()}));
  }
  whole_size_ = std::min(whole_size_, whole_->bytes().size());
  outputs.push_back(SendFrame{peer, DigestFrame{version_, whole_}});
}

void OwnDigest::SendWholeToAll(absl::Time now, Outputs& outputs) {
  ++version_;
  whole_ = nullptr;
  whole_size_ = kDigestSizeMax;
  for (const PeerId& peer : receivers_) SendWhole(peer, outputs);
  added_ = 0;
  stale_ = 0;
  pending_.clear();
  pending_since_ = absl::InfiniteFuture();
  whole_at_ = now;
  delta_at_ = now;
}

bool OwnDigest::WholeIsDue() const {
  return pending_.size() > kDigestDeltaMax ||
         added_ + pending_.size() > DigestAddedMax(whole_size_) ||
         static_cast<double>(stale_) > kDigestStaleShare * static_cast<double>(hashes_.size());
}

absl::Time OwnDigest::FlushAt() const {
  if (!built_) return absl::InfiniteFuture();
  if (WholeIsDue()) return whole_at_ + kDigestWholeInterval;
  if (pending_.empty()) return absl::InfiniteFuture();
  return std::max(pending_since_ + kDigestDelay, delta_at_ + kDigestDeltaInterval);
}

void OwnDigest::Flush(absl::Time now, Outputs& outputs) {
  if (now < FlushAt()) return;
  if (WholeIsDue()) return SendWholeToAll(now, outputs);
  ++version_;
  for (const PeerId& peer : receivers_) {
    outputs.push_back(SendFrame{peer, DigestDelta{version_, pending_}});
  }
  added_ += pending_.size();
  pending_.clear();
  pending_since_ = absl::InfiniteFuture();
  delta_at_ = now;
}

void OwnDigest::OnTimer(absl::Time now, Outputs& outputs) {
  if (now < armed_at_) return;  // A later timer was replaced by an earlier one.
  armed_at_ = absl::InfiniteFuture();
  Flush(now, outputs);
  if (!building_ && now >= build_at_) {
    if (!built_ && sizes_.Saturated()) {
      build_at_ = now + kDigestTick;
    } else {
      build_at_ = absl::InfiniteFuture();
      building_ = tokens_.Take();
      outputs.push_back(BuildDigest{*building_});
    }
  }
  Arm(now, outputs);
}

void OwnDigest::Arm(absl::Time now, Outputs& outputs) {
  const absl::Time next = std::min(build_at_, FlushAt());
  if (next >= armed_at_) return;
  armed_at_ = next;
  outputs.push_back(ScheduleTimer{TimerDelay(next - now), Timer{TimerKind::kDigest, 0}});
}

void OwnDigest::CheckInvariants() const {
  PANAL_CHECK(hashes_.size() <= kDigestTermsMax && meanwhile_.size() <= kDigestTermsMax);
  PANAL_CHECK(pending_.size() <= hashes_.size() + kDigestTermsMax);
  PANAL_CHECK(built_ || (hashes_.empty() && pending_.empty()));
  for (const PeerId& peer : receivers_) PANAL_CHECK(neighbors_.Has(peer));
}

}  // namespace panal
