// Signs this peer's own pages and verifies those of others. Ed25519 costs 70 microseconds to sign
// and 160 to verify: both happen on workers, and what was verified is remembered by hash.
//
// Specification:
// - S1. A page is signed only after its records are committed in the catalog, and spread only after
//   the signed page is committed, so that a version once shown to others is never signed again with
//   another body (kill -9 included).
// - S2. Sign and Refresh of one peer never overlap: versions rise.
// - S3. A page that is stored is given to the caller, whatever fails after it: it would not be
//   spread otherwise.
// - S4. No page of others lives longer than kPageExpiryMax from now.
//   Rationale: keepers hold a page until it expires; a publisher whose clock is half an hour off is
//   void anyway, or within this limit.
//
// Thread-safe. Blocking (disk, signatures): called from workers only.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/identity/identity.h"
#include "common/model/page.h"
#include "server/data/catalog/catalog.h"

namespace panal {

// Pages of which the signature is remembered as good. 65,536 digests are 4 MiB.
inline constexpr size_t kVerifiedPagesMax = 65'536;
// Longest life of a page that is accepted: a fresh one of a publisher whose clock is ahead by as
// much as a page lives (kPageLifetime).
inline constexpr absl::Duration kPageExpiryMax = absl::Minutes(60);
// Pages signed and committed together.
inline constexpr int kSignBatchMax = 64;

class PageSigner {
 public:
  // Everything passed must outlive the signer.
  PageSigner(const Identity& identity, const MeshId& mesh, Catalog& catalog);

  // Signs and stores up to kSignBatchMax dirty own pages. Empty when none is dirty.
  absl::StatusOr<std::vector<PagePtr>> SignDirty(absl::Time now);
  // Signs the numbered own pages anew with a later expiry; the version stays.
  absl::StatusOr<std::vector<PagePtr>> Refresh(const std::vector<uint32_t>& numbers,
                                               absl::Time now);
  // Every own page, those with less than two thirds of their life left refreshed first.
  absl::StatusOr<std::vector<PagePtr>> LoadAll(absl::Time now);

  // Whether the page's signature is its publisher's for this mesh, and it has neither expired nor
  // claims to live longer than kPageExpiryMax. The body's hash is the decoder's business.
  bool Verify(const Page& page, absl::Time now);

 private:
  PagePtr Sign(uint32_t number, uint64_t version, std::string body, std::vector<Record> records,
               absl::Time now) const;
  absl::StatusOr<PagePtr> Resign(const Page& page, absl::Time now);
  bool Remembered(const Sha256Digest& digest);
  void Remember(const Sha256Digest& digest);

  const Identity& identity_;
  const MeshId mesh_;
  Catalog& catalog_;
  Mutex signing_;  // Held while versions are made: S2. Never held by Verify.
  Mutex mutex_;
  std::map<Sha256Digest, std::list<Sha256Digest>::iterator> verified_ ABSL_GUARDED_BY(mutex_);
  std::list<Sha256Digest> recent_ ABSL_GUARDED_BY(mutex_);  // Newest first.
};

}  // namespace panal
