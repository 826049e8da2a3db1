#include "common/identity/mesh_root.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "tests/unit/identity/forged_certificate.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MeshRootTest : public testing::Test {
 protected:
  MeshRootTest() {
    std::string pattern = testing::TempDir() + "panal_root_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }

  ~MeshRootTest() override { std::filesystem::remove_all(dir_); }

  std::string path() const { return dir_ + "/mesh-root.key"; }

  void Put(absl::string_view content, mode_t mode = 0600) {
    std::ofstream(path()) << content;
    chmod(path().c_str(), mode);
  }

  std::string dir_;
};

void ExpectError(const absl::Status& status, ErrorReason reason, const std::string& message) {
  EXPECT_EQ(ReasonOf(status), reason) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST_F(MeshRootTest, IsAnotherMeshEveryTime) {
  const MeshRoot root = MeshRoot::Generate();
  EXPECT_NE(root.mesh_id(), MeshRoot::Generate().mesh_id());
  EXPECT_EQ(root.mesh_id().view(), PeerIdOfPublicKey(root.public_key())->view());
}

TEST_F(MeshRootTest, MakesTheFirstPeer) {
  const MeshRoot root = MeshRoot::Generate();
  absl::StatusOr<GrantChain> chain = IssueGrant(
      root.issuer(), {.subject = TestKey('a').public_key(), .role = Role::kAdmin}, kTestNow);
  ASSERT_TRUE(chain.ok()) << chain.status();
  EXPECT_TRUE(VerifyChain(*chain, root.mesh_id(), ChainEnd::kPeer, kTestNow).ok());
}

TEST_F(MeshRootTest, IsTheSameWhenItIsLoaded) {
  const MeshRoot root = MeshRoot::Generate();
  ASSERT_TRUE(root.Save(dir_, "").ok());
  struct stat info;
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  absl::StatusOr<MeshRoot> loaded = MeshRoot::Load(path(), "");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->mesh_id(), root.mesh_id());
  EXPECT_EQ(loaded->issuer().key.Sign("x"), root.issuer().key.Sign("x"));
  // A copy elsewhere is the key too, and a passphrase that is not needed does no harm.
  std::filesystem::copy_file(path(), dir_ + "/copy");
  EXPECT_TRUE(MeshRoot::Load(dir_ + "/copy", "unneeded").ok());
}

TEST_F(MeshRootTest, IsOpenedByItsPassphraseAlone) {
  const MeshRoot root = MeshRoot::Generate();
  ASSERT_TRUE(root.Save(dir_, "open sesame").ok());
  absl::StatusOr<MeshRoot> loaded = MeshRoot::Load(path(), "open sesame");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->mesh_id(), root.mesh_id());
  ExpectError(MeshRoot::Load(path(), "open barley").status(), ErrorReason::kPassphraseInvalid,
              "does not open the root key");
  ExpectError(MeshRoot::Load(path(), "").status(), ErrorReason::kPassphraseInvalid,
              "is encrypted; give its passphrase");
}

TEST_F(MeshRootTest, IsWrittenAsPkcs8) {
  const MeshRoot root = MeshRoot::Generate();
  EXPECT_THAT(*root.ToPem(""), HasSubstr("-----BEGIN PRIVATE KEY-----"));
  const std::string encrypted = *root.ToPem("p");
  EXPECT_THAT(encrypted, HasSubstr("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
  // Salted: never the same twice.
  EXPECT_NE(*root.ToPem("p"), encrypted);
}

// As `openssl genpkey -algorithm ed25519 -aes256` and other programs make it.
TEST_F(MeshRootTest, MayComeFromAnotherProgram) {
  EXPECT_TRUE(MeshRoot::FromPem(MakeKeyPem("ED25519", "secret"), "secret").ok());
  EXPECT_TRUE(MeshRoot::FromPem(MakeKeyPem("ED25519"), "").ok());
  for (const char* passphrase : {"", "secret"}) {
    ExpectError(MeshRoot::FromPem(MakeKeyPem("RSA", passphrase), passphrase).status(),
                ErrorReason::kDataDirInvalid, "not an Ed25519 key");
  }
}

TEST_F(MeshRootTest, HasAPassphraseOfAtMost1024Bytes) {
  const MeshRoot root = MeshRoot::Generate();
  const std::string longest(kPassphraseSizeMax, 'p');
  absl::StatusOr<std::string> pem = root.ToPem(longest);
  ASSERT_TRUE(pem.ok()) << pem.status();
  EXPECT_TRUE(MeshRoot::FromPem(*pem, longest).ok());
  for (const absl::Status& status :
       {root.ToPem(longest + "p").status(), MeshRoot::FromPem(*pem, longest + "p").status()}) {
    ExpectError(status, ErrorReason::kArgumentInvalid, "1025 bytes exceeds the limit of 1024");
  }
  EXPECT_EQ(ReasonOf(root.Save(dir_, longest + "p")), ErrorReason::kArgumentInvalid);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(MeshRootTest, IsNeverReplaced) {
  const MeshRoot first = MeshRoot::Generate();
  ASSERT_TRUE(first.Save(dir_, "").ok());
  ExpectError(MeshRoot::Generate().Save(dir_, ""), ErrorReason::kDataDirInvalid, "never replaced");
  EXPECT_EQ(MeshRoot::Load(path(), "")->mesh_id(), first.mesh_id());
  // Not even one that is damaged.
  Put("x");
  ExpectError(first.Save(dir_, ""), ErrorReason::kDataDirInvalid, "never replaced");
}

TEST_F(MeshRootTest, IsRefusedWhenOthersMayReadIt) {
  Put(*MeshRoot::Generate().ToPem(""), 0640);
  ExpectError(MeshRoot::Load(path(), "").status(), ErrorReason::kDataDirInvalid, "chmod 600");
}

TEST_F(MeshRootTest, IsMissedWhereThereIsNone) {
  ExpectError(MeshRoot::Load(path(), "").status(), ErrorReason::kPathNotFound, path());
  EXPECT_EQ(ReasonOf(MeshRoot::Generate().Save(dir_ + "/missing", "")),
            ErrorReason::kDataDirInvalid);
}

TEST_F(MeshRootTest, IsRefusedWhenItsFileIsCutAnywhere) {
  for (const std::string& pem : {MakeKeyPem("ED25519"), MakeKeyPem("ED25519", "p")}) {
    // The last line may lack its line end.
    for (size_t size = 0; size + 1 < pem.size(); ++size) {
      const absl::Status status = MeshRoot::FromPem(pem.substr(0, size), "p").status();
      EXPECT_EQ(ReasonOf(status), ErrorReason::kDataDirInvalid) << size << " " << status;
    }
  }
  Put("");
  ExpectError(MeshRoot::Load(path(), "").status(), ErrorReason::kDataDirInvalid, path());
}

TEST_F(MeshRootTest, SaysWhenAnEncryptedFileIsDamaged) {
  const std::string pem = MakeKeyPem("ED25519", "p");
  const std::string damaged = absl::StrReplaceAll(pem, {{"-----\nM", "-----\nN"}});
  ASSERT_NE(damaged, pem);
  ExpectError(MeshRoot::FromPem(damaged, "p").status(), ErrorReason::kDataDirInvalid,
              "another copy");
}

}  // namespace
}  // namespace panal
