#include "common/rpc/mesh_admission.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/identity/credential.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

class MeshAdmissionTest : public testing::Test {
 protected:
  const Identity own_ = Identity::Generate();
  const Identity other_ = Identity::Generate();
  const MeshId mesh_ = OpenMeshId("here");
  const MeshAdmission admission_{own_, mesh_};
};

TEST_F(MeshAdmissionTest, RemembersACredentialThatWasChecked) {
  const std::string credential = MakeOpenCredential(other_, mesh_);

  EXPECT_TRUE(admission_.Check(credential, other_.peer_id()).ok());
  EXPECT_TRUE(admission_.Check(credential, other_.peer_id()).ok());
  EXPECT_EQ(admission_.Checked().size(), 1u);
}

TEST_F(MeshAdmissionTest, RefusesACredentialOfAnotherPeerAlsoWhenItIsRemembered) {
  const std::string credential = MakeOpenCredential(other_, mesh_);
  ASSERT_TRUE(admission_.Check(credential, other_.peer_id()).ok());

  const absl::Status status = admission_.Check(credential, own_.peer_id()).status();

  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
}

TEST_F(MeshAdmissionTest, DoesNotRememberACredentialForAnotherMesh) {
  const std::string credential = MakeOpenCredential(other_, OpenMeshId("elsewhere"));

  EXPECT_EQ(ReasonOf(admission_.Check(credential, other_.peer_id()).status()),
            ErrorReason::kCredentialInvalid);
  EXPECT_TRUE(admission_.Checked().empty());
}

// --- Invite meshes -------------------------------------------------------------------------------

class InviteAdmissionTest : public testing::Test {
 protected:
  static std::string CredentialOf(char peer) {
    return EncodeChain(MakeChain({{'a', Role::kAdmin}, {peer, Role::kMember}}));
  }

  absl::Time now_ = kTestNow;
  MeshAdmission admission_{AdmissionRules{.policy = MeshPolicy::kInvite,
                                          .mesh = TestMesh(),
                                          .credential = CredentialOf('o'),
                                          .now = [this] { return now_; }}};
};

TEST_F(InviteAdmissionTest, RefusesWhatLetsIntoAnOpenMesh) {
  const absl::Status status =
      admission_.Check(MakeOpenCredential(TestKey('b'), TestMesh()), TestPeer('b')).status();

  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
}

TEST_F(InviteAdmissionTest, RefusesARememberedCredentialOnceItHasExpired) {
  const absl::StatusOr<CredentialPtr> checked = admission_.Check(CredentialOf('b'), TestPeer('b'));
  ASSERT_TRUE(checked.ok()) << checked.status();

  now_ = (*checked)->not_after - absl::Seconds(1);
  EXPECT_TRUE(admission_.Recheck(**checked).ok());
  now_ += absl::Seconds(1);

  EXPECT_EQ(ReasonOf(admission_.Recheck(**checked)), ErrorReason::kCredentialExpired);
  EXPECT_EQ(ReasonOf(admission_.Check(CredentialOf('b'), TestPeer('b')).status()),
            ErrorReason::kCredentialExpired);
}

}  // namespace
}  // namespace panal
