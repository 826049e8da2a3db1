#include "server/runtime/page_signer.h"

#include <utility>

#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/wire/page_codec.h"

namespace panal {

PageSigner::PageSigner(const Identity& identity, const MeshId& mesh, Catalog& catalog)
    : identity_(identity), mesh_(mesh), catalog_(catalog) {}

PagePtr PageSigner::Sign(uint32_t number, uint64_t version, std::string body,
                         std::vector<Record> records, absl::Time now) const {
  auto page = std::make_shared<Page>();
  page->header.key = {identity_.peer_id(), number};
  page->header.version = version;
  page->header.expires_ms = static_cast<uint64_t>(absl::ToUnixMillis(now + kPageLifetime));
  page->header.body_hash = Sha256(body);
  page->header.public_key = identity_.public_key();
  page->header.signature = identity_.Sign(PageSigningBytes(mesh_, page->header));
  page->body = std::move(body);
  page->records = std::move(records);
  return page;
}

absl::StatusOr<std::vector<PagePtr>> PageSigner::SignDirty(absl::Time now) {
  MutexLock lock(&signing_);
  PANAL_ASSIGN_OR_RETURN(std::vector<DirtyPage> dirty, catalog_.DirtyPages(kSignBatchMax));
  std::vector<PagePtr> pages;
  for (DirtyPage& page : dirty) {
    std::string body = EncodePageBody(page.records);
    PagePtr fresh = Sign(page.number, page.version, std::move(body), std::move(page.records), now);
    if (absl::Status stored = catalog_.StoreOwnPage(*fresh); !stored.ok()) {
      if (pages.empty()) return stored;
      return pages;  // The next call meets the error first.
    }
    pages.push_back(std::move(fresh));
  }
  return pages;
}

absl::StatusOr<PagePtr> PageSigner::Resign(const Page& page, absl::Time now) {
  PagePtr fresh = Sign(page.header.key.number, page.header.version, page.body, page.records, now);
  PANAL_RETURN_IF_ERROR(catalog_.StoreOwnPage(*fresh));
  return fresh;
}

absl::StatusOr<std::vector<PagePtr>> PageSigner::Refresh(const std::vector<uint32_t>& numbers,
                                                         absl::Time now) {
  MutexLock lock(&signing_);
  std::vector<PagePtr> pages;
  for (uint32_t number : numbers) {
    auto page = catalog_.FindPage({identity_.peer_id(), number});
    if (!page.ok()) {
      if (ReasonOf(page.status()) == ErrorReason::kFileNotFound) continue;
      return page.status();
    }
    absl::StatusOr<PagePtr> fresh = Resign(**page, now);
    if (!fresh.ok()) {
      if (pages.empty()) return fresh.status();
      return pages;  // What is missing falls due again.
    }
    pages.push_back(*std::move(fresh));
  }
  return pages;
}

absl::StatusOr<std::vector<PagePtr>> PageSigner::LoadAll(absl::Time now) {
  MutexLock lock(&signing_);
  std::vector<PagePtr> pages;
  int64_t after = -1;
  while (true) {
    PANAL_ASSIGN_OR_RETURN(std::vector<PagePtr> batch,
                           catalog_.OwnPages(identity_.peer_id(), after, kSignBatchMax));
    if (batch.empty()) return pages;
    after = batch.back()->header.key.number;
    for (PagePtr& page : batch) {
      absl::Time expires = absl::FromUnixMillis(static_cast<int64_t>(page->header.expires_ms));
      if (!page->records.empty() && expires - now < kPageLifetime * 2 / 3) {
        PANAL_ASSIGN_OR_RETURN(page, Resign(*page, now));
      }
      pages.push_back(std::move(page));
    }
  }
}

bool PageSigner::Verify(const Page& page, absl::Time now) {
  if (page.header.expires_ms <= static_cast<uint64_t>(absl::ToUnixMillis(now))) return false;
  if (page.header.expires_ms > static_cast<uint64_t>(absl::ToUnixMillis(now + kPageExpiryMax))) {
    return false;
  }
  std::string signed_bytes = PageSigningBytes(mesh_, page.header);
  Sha256Digest digest = Sha256(signed_bytes + page.header.signature + page.header.public_key);
  if (Remembered(digest)) return true;
  std::optional<PeerId> publisher = PeerIdOfPublicKey(page.header.public_key);
  if (!publisher || *publisher != page.header.key.publisher) return false;
  if (!VerifySignature(page.header.public_key, signed_bytes, page.header.signature)) return false;
  Remember(digest);
  return true;
}

bool PageSigner::Remembered(const Sha256Digest& digest) {
  MutexLock lock(&mutex_);
  auto it = verified_.find(digest);
  if (it == verified_.end()) return false;
  recent_.splice(recent_.begin(), recent_, it->second);
  return true;
}

void PageSigner::Remember(const Sha256Digest& digest) {
  MutexLock lock(&mutex_);
  if (verified_.contains(digest)) return;
  recent_.push_front(digest);
  verified_[digest] = recent_.begin();
  if (recent_.size() <= kVerifiedPagesMax) return;
  verified_.erase(recent_.back());
  recent_.pop_back();
}

}  // namespace panal
