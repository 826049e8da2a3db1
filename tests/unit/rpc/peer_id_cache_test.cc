#include "common/rpc/peer_id_cache.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/identity/identity.h"

namespace panal {
namespace {

TEST(PeerIdCache, FindsTheIdOfACertificateTwice) {
  const Identity identity = Identity::Generate();
  PeerIdCache cache;

  EXPECT_EQ(*cache.Find(identity.certificate_pem()), identity.peer_id());
  EXPECT_EQ(*cache.Find(identity.certificate_pem()), identity.peer_id());
  EXPECT_EQ(cache.size(), 1u);
}

TEST(PeerIdCache, DoesNotRememberWhatIsNoCertificate) {
  PeerIdCache cache;

  EXPECT_EQ(ReasonOf(cache.Find("garbage").status()), ErrorReason::kCertificateInvalid);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(PeerIdCache, ForgetsTheOldestOnePastItsCapacity) {
  PeerIdCache cache(2);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(cache.Find(Identity::Generate().certificate_pem()).ok());

  EXPECT_EQ(cache.size(), 2u);
}

}  // namespace
}  // namespace panal
