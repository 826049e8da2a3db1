#include "common/identity/credential.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/random.h"
#include "common/base/status.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

struct Parties {
  Identity identity = Identity::Generate();
  MeshId mesh = OpenMeshId("home");
  std::string credential = MakeOpenCredential(identity, mesh);

  absl::Status Check(absl::string_view shown) const {
    return CheckOpenCredential(shown, identity.peer_id(), mesh);
  }
};

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

TEST(OpenMeshId, FollowsFromTheNameAlone) {
  // SHA-256 of "panal open mesh v1\0home", computed by another program.
  EXPECT_EQ(absl::BytesToHexString(OpenMeshId("home").view()),
            "436d41a5daa62d5adc081cf07efd80a37d22b2678ec11ec1927f93ab284f3d91");
  EXPECT_EQ(OpenMeshId("home"), OpenMeshId("home"));
  EXPECT_NE(OpenMeshId("home"), OpenMeshId("Home"));
  EXPECT_NE(OpenMeshId(""), OpenMeshId(absl::string_view("\0", 1)));
}

TEST(OpenCredential, LetsItsPeerIn) {
  Parties p;
  EXPECT_TRUE(p.Check(p.credential).ok());
}

TEST(OpenCredential, HasTheDocumentedLayout) {
  Parties p;
  ASSERT_EQ(p.credential.size(), 98u);
  EXPECT_EQ(p.credential.substr(0, 2), "\x01\x01");
  EXPECT_EQ(p.credential.substr(2, 32), p.identity.public_key());
  std::string message = std::string("panal open credential v1\0", 25) + p.mesh.ToBytes() +
                        p.identity.peer_id().ToBytes();
  EXPECT_TRUE(VerifySignature(p.identity.public_key(), message, p.credential.substr(34)));
}

TEST(OpenCredential, IsRefusedForAnotherMesh) {
  Parties p;
  absl::Status status =
      CheckOpenCredential(p.credential, p.identity.peer_id(), OpenMeshId("office"));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
  EXPECT_THAT(MessageOf(status), HasSubstr("mesh"));
}

TEST(OpenCredential, IsRefusedFromAnotherPeer) {
  Parties p;
  PeerId thief = Identity::Generate().peer_id();
  absl::Status status = CheckOpenCredential(p.credential, thief, p.mesh);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
  EXPECT_THAT(MessageOf(status), HasSubstr(thief.ToText()));
}

TEST(OpenCredential, IsRefusedWithTheSignatureOfAnotherKey) {
  Parties p;
  std::string other = MakeOpenCredential(Identity::Generate(), p.mesh);
  std::string forged = p.credential.substr(0, 34) + other.substr(34);
  EXPECT_EQ(ReasonOf(p.Check(forged)), ErrorReason::kCredentialInvalid);
}

TEST(OpenCredential, IsRefusedWithAnyFlippedBit) {
  Parties p;
  for (size_t bit = 0; bit < p.credential.size() * 8; ++bit) {
    std::string forged = p.credential;
    forged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_EQ(ReasonOf(p.Check(forged)), ErrorReason::kCredentialInvalid) << bit;
  }
}

TEST(OpenCredential, IsRefusedWhenCutAnywhereOrLonger) {
  Parties p;
  for (size_t size = 0; size < p.credential.size(); ++size) {
    EXPECT_EQ(ReasonOf(p.Check(p.credential.substr(0, size))), ErrorReason::kCredentialInvalid);
  }
  EXPECT_EQ(ReasonOf(p.Check(p.credential + "x")), ErrorReason::kCredentialInvalid);
}

TEST(OpenCredential, IsRefusedUnreadBeyondTheLimit) {
  Parties p;
  std::string longest = p.credential;
  longest.resize(kCredentialSizeMax);
  EXPECT_THAT(MessageOf(p.Check(longest)), HasSubstr("left over"));
  absl::Status status = p.Check(longest + "x");
  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
  EXPECT_THAT(MessageOf(status), HasSubstr("4097 bytes, which exceeds the limit of 4096"));
}

TEST(OpenCredential, IsMissedWhenThereIsNone) {
  Parties p;
  EXPECT_THAT(MessageOf(p.Check("")), HasSubstr("missing"));
}

}  // namespace
}  // namespace panal
