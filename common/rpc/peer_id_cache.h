// Peer ids of certificates, remembered: parsing one costs 200 microseconds, and gRPC shows the
// certificate anew for every stream.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/rpc/lru_cache.h"

namespace panal {

// Certificates remembered. Guess: eight times the most links; about 1 MiB.
inline constexpr size_t kPeerIdCacheMax = 8192;

// Thread-safe. Only certificates that are valid are remembered.
class PeerIdCache {
 public:
  explicit PeerIdCache(size_t capacity = kPeerIdCacheMax) : ids_(capacity) {}

  // As PeerIdOfCertificate, about 2 microseconds when remembered. Error: CERTIFICATE_INVALID.
  absl::StatusOr<PeerId> Find(absl::string_view certificate_pem);

  // Certificates remembered now.
  size_t size() const;

 private:
  mutable Mutex mutex_;
  // By SHA-256 of the PEM text.
  LruCache<Sha256Digest, PeerId> ids_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
