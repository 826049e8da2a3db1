#include "common/identity/credential.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "tests/unit/identity/invite_chain.h"

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

TEST(CheckCredential, LetsWhoKnowsTheNameIntoAnOpenMeshAsMember) {
  Parties p;
  absl::StatusOr<VerifiedCredential> verified = CheckCredential(
      p.credential, MeshPolicy::kOpen, p.mesh, p.identity.peer_id(), absl::InfinitePast());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->peer, p.identity.peer_id());
  EXPECT_EQ(verified->role, Role::kMember);
  EXPECT_EQ(verified->not_after, absl::InfiniteFuture());
  EXPECT_TRUE(verified->chain.empty());
  EXPECT_EQ(verified->serial(), "");
  EXPECT_EQ(RenewalTime(*verified), absl::InfiniteFuture());
}

absl::StatusOr<VerifiedCredential> CheckInvite(absl::string_view credential, char peer = 'b',
                                               absl::Time now = kTestNow) {
  return CheckCredential(credential, MeshPolicy::kInvite, TestMesh(), TestPeer(peer), now);
}

std::string InviteCredential() {
  return EncodeChain(MakeChain({{'a', Role::kAdmin}, {'b', Role::kReader}}));
}

TEST(CheckCredential, LetsThePeerOfTheLastGrantIntoAnInviteMesh) {
  absl::StatusOr<VerifiedCredential> verified = CheckInvite(InviteCredential());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->peer, TestPeer('b'));
  EXPECT_EQ(verified->role, Role::kReader);
  EXPECT_EQ(verified->not_before, kTestNow);
  EXPECT_EQ(verified->not_after, kTestNow + absl::Hours(24));
  EXPECT_EQ(verified->serial(), std::string(kSerialSize, 2));
  ASSERT_EQ(verified->chain.size(), 2u);
  EXPECT_EQ(verified->chain[0].subject, TestPeer('a'));
  EXPECT_EQ(RenewalTime(*verified), kTestNow + absl::Hours(16));
}

TEST(CheckCredential, RefusesAnotherPeers) {
  for (char peer : {'a', 'c', 'r'}) {
    const absl::Status status = CheckInvite(InviteCredential(), peer).status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
    EXPECT_THAT(MessageOf(status), HasSubstr(TestPeer(peer).ToText()));
  }
}

TEST(CheckCredential, RefusesTheKindOfTheOtherPolicy) {
  const std::string open = MakeOpenCredential(TestKey('b'), TestMesh());
  EXPECT_TRUE(CheckCredential(open, MeshPolicy::kOpen, TestMesh(), TestPeer('b'), kTestNow).ok());
  EXPECT_THAT(MessageOf(CheckInvite(open).status()), HasSubstr("kind 1"));
  const absl::Status status =
      CheckCredential(InviteCredential(), MeshPolicy::kOpen, TestMesh(), TestPeer('b'), kTestNow)
          .status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
  EXPECT_THAT(MessageOf(status), HasSubstr("kind 2"));
}

TEST(CheckCredential, RefusesTheRootAndTickets) {
  EXPECT_THAT(MessageOf(CheckInvite(EncodeChain(MakeChain({})), 'r').status()),
              HasSubstr("no grant"));
  const std::string ticket =
      EncodeChain(MakeChain({{'a', Role::kAdmin}, {.subject = 't', .ticket_uses = 1}}));
  EXPECT_THAT(MessageOf(CheckInvite(ticket, 't').status()), HasSubstr("ends in a ticket"));
}

TEST(CheckCredential, TellsExpiredFromInvalid) {
  const absl::Time end = kTestNow + absl::Hours(24);
  EXPECT_TRUE(CheckInvite(InviteCredential(), 'b', end - absl::Seconds(1)).ok());
  EXPECT_EQ(ReasonOf(CheckInvite(InviteCredential(), 'b', end).status()),
            ErrorReason::kCredentialExpired);
}

TEST(CheckCredential, RefusesAnyFlippedByteCutOrAddition) {
  const std::string credential = InviteCredential();
  for (size_t at = 0; at < credential.size(); ++at) {
    std::string forged = credential;
    forged[at] ^= 1;
    EXPECT_EQ(ReasonOf(CheckInvite(forged).status()), ErrorReason::kCredentialInvalid) << at;
    EXPECT_EQ(ReasonOf(CheckInvite(credential.substr(0, at)).status()),
              ErrorReason::kCredentialInvalid)
        << at;
  }
  EXPECT_THAT(MessageOf(CheckInvite(credential + "x").status()), HasSubstr("left over"));
}

TEST(CheckCredential, ReadsNothingBeyondTheLimit) {
  std::string longest = InviteCredential();
  longest.resize(kCredentialSizeMax);
  EXPECT_THAT(MessageOf(CheckInvite(longest).status()), HasSubstr("left over"));
  EXPECT_THAT(MessageOf(CheckInvite(longest + "x").status()),
              HasSubstr("4097 bytes, which exceeds the limit of 4096"));
}

TEST(IssueCredential, IsWhatItsPeerShows) {
  absl::StatusOr<std::string> credential =
      IssueCredential(TestIssuer({{'a', Role::kInviter}}),
                      {.subject = TestKey('b').public_key(), .role = Role::kReader}, kTestNow);
  ASSERT_TRUE(credential.ok()) << credential.status();
  EXPECT_TRUE(CheckInvite(*credential).ok());
  EXPECT_EQ(CheckInvite(*credential)->role, Role::kReader);
}

}  // namespace
}  // namespace panal
