#include "common/rpc/stream_admission.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/identity/credential.h"

namespace panal {
namespace {

class StreamAdmissionTest : public testing::Test {
 protected:
  const Identity own_ = Identity::Generate();
  const Identity other_ = Identity::Generate();
  const MeshId mesh_ = OpenMeshId("here");
  const TlsCredentials tls_{own_};
  StreamAdmission admission_{own_, mesh_, tls_};
};

TEST_F(StreamAdmissionTest, RemembersACredentialThatWasChecked) {
  const std::string credential = MakeOpenCredential(other_, mesh_);

  EXPECT_TRUE(admission_.CheckCredential(credential, other_.peer_id()).ok());
  EXPECT_TRUE(admission_.CheckCredential(credential, other_.peer_id()).ok());
  EXPECT_EQ(admission_.checked(), 1u);
}

TEST_F(StreamAdmissionTest, RefusesACredentialOfAnotherPeerAlsoWhenItIsRemembered) {
  const std::string credential = MakeOpenCredential(other_, mesh_);
  ASSERT_TRUE(admission_.CheckCredential(credential, other_.peer_id()).ok());

  const absl::Status status = admission_.CheckCredential(credential, own_.peer_id());

  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
}

TEST_F(StreamAdmissionTest, DoesNotRememberACredentialForAnotherMesh) {
  const std::string credential = MakeOpenCredential(other_, OpenMeshId("elsewhere"));

  EXPECT_EQ(ReasonOf(admission_.CheckCredential(credential, other_.peer_id())),
            ErrorReason::kCredentialInvalid);
  EXPECT_EQ(admission_.checked(), 0u);
}

}  // namespace
}  // namespace panal
