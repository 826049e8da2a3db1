#include "common/rpc/peer_id_cache.h"

#include <optional>

#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/identity.h"

namespace panal {

absl::StatusOr<PeerId> PeerIdCache::Find(absl::string_view certificate_pem) {
  const Sha256Digest key = Sha256(certificate_pem);
  {
    MutexLock lock(&mutex_);
    if (std::optional<PeerId> known = ids_.Find(key)) return *known;
  }
  PANAL_ASSIGN_OR_RETURN(const PeerId id, PeerIdOfCertificate(certificate_pem));
  MutexLock lock(&mutex_);
  ids_.Insert(key, id);
  return id;
}

size_t PeerIdCache::size() const {
  MutexLock lock(&mutex_);
  return ids_.size();
}

}  // namespace panal
