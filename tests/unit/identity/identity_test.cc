#include "common/identity/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/random.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/openssl_types.h"
#include "tests/unit/identity/forged_certificate.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

internal::Certificate Parsed(const std::string& pem) {
  internal::Bio reader = internal::ReaderOf(pem);
  return internal::Certificate(PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr));
}

// PKCS #8 of the key with this seed (RFC 8410, section 7).
std::string PemOfSeed(absl::string_view hex) {
  std::string der = absl::StrCat(absl::HexStringToBytes("302e020100300506032b657004220420"),
                                 absl::HexStringToBytes(hex));
  return absl::StrCat("-----BEGIN PRIVATE KEY-----\n", absl::Base64Escape(der),
                      "\n-----END PRIVATE KEY-----\n");
}

// Section 7.1, test 2.
TEST(Identity, SignsAsRfc8032Says) {
  absl::StatusOr<Identity> identity = Identity::FromPem(
      PemOfSeed("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(absl::BytesToHexString(identity->public_key()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  EXPECT_EQ(absl::BytesToHexString(identity->Sign("\x72")),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST(Identity, MayComeFromASeed) {
  const std::string seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
  EXPECT_EQ(Identity::FromSeed(absl::HexStringToBytes(seed)).key_pem(),
            Identity::FromPem(PemOfSeed(seed))->key_pem());
}

TEST(Identity, HasTheHashOfItsKeyInfoAsId) {
  Identity identity = Identity::Generate();
  internal::Certificate certificate = Parsed(identity.certificate_pem());
  unsigned char* der = nullptr;
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der);
  absl::string_view spki(reinterpret_cast<char*>(der), static_cast<size_t>(size));

  EXPECT_EQ(Sha256(spki).view(), identity.peer_id().view());
  EXPECT_EQ(PeerIdOfPublicKey(identity.public_key()), identity.peer_id());

  OPENSSL_free(der);
}

TEST(Identity, IsTheSameAfterItsPem) {
  Identity identity = Identity::Generate();
  absl::StatusOr<Identity> again = Identity::FromPem(identity.key_pem());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->peer_id(), identity.peer_id());
  EXPECT_EQ(again->public_key(), identity.public_key());
  EXPECT_EQ(again->key_pem(), identity.key_pem());
  EXPECT_EQ(again->Sign("x"), identity.Sign("x"));
}

TEST(Identity, IsAnotherOneEveryTime) {
  EXPECT_NE(Identity::Generate().peer_id(), Identity::Generate().peer_id());
}

TEST(Identity, RefusesPemThatIsCutAnywhere) {
  std::string pem = Identity::Generate().key_pem();
  // The last line may lack its line end.
  for (size_t size = 0; size + 1 < pem.size(); ++size) {
    absl::StatusOr<Identity> identity = Identity::FromPem(absl::string_view(pem).substr(0, size));
    EXPECT_EQ(ReasonOf(identity.status()), ErrorReason::kDataDirInvalid) << size;
  }
}

TEST(Identity, RefusesKeysOfOtherKinds) {
  for (const char* type : {"ED448", "P-256", "RSA"}) {
    absl::Status status = Identity::FromPem(MakeKeyPem(type)).status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kDataDirInvalid) << type;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not an Ed25519 key"));
  }
}

TEST(Identity, RefusesAnEncryptedKeyWithoutAskingForAPassphrase) {
  absl::Status status = Identity::FromPem(MakeKeyPem("ED25519", "secret")).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kDataDirInvalid);
}

TEST(Identity, CanBeUsedInSeveralThreads) {
  Identity identity = Identity::Generate();
  std::vector<std::thread> threads;
  std::vector<int> valid(4, 0);
  for (int& count : valid) {
    threads.emplace_back([identity, &count] {
      for (int i = 0; i < 50; ++i) {
        count += VerifySignature(identity.public_key(), "m", identity.Sign("m")) ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(valid, std::vector<int>(4, 50));
}

TEST(VerifySignature, AcceptsMessagesOfEverySize) {
  Identity identity = Identity::Generate();
  for (size_t size : {0, 1, 63, 64, 65, 100'000}) {
    std::string message = Random(size).Bytes(size);
    std::string signature = identity.Sign(message);
    EXPECT_EQ(signature.size(), 64u);
    EXPECT_TRUE(VerifySignature(identity.public_key(), message, signature));
  }
}

TEST(VerifySignature, RefusesAnyFlippedBit) {
  Identity identity = Identity::Generate();
  const std::string signature = identity.Sign("message");
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    std::string forged = signature;
    forged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_FALSE(VerifySignature(identity.public_key(), "message", forged)) << bit;
  }
}

TEST(VerifySignature, RefusesAnotherMessageOrKey) {
  Identity identity = Identity::Generate();
  std::string signature = identity.Sign("message");
  EXPECT_FALSE(VerifySignature(identity.public_key(), "massage", signature));
  EXPECT_FALSE(VerifySignature(identity.public_key(), "", signature));
  EXPECT_FALSE(VerifySignature(Identity::Generate().public_key(), "message", signature));
}

TEST(VerifySignature, RefusesOtherSizes) {
  Identity identity = Identity::Generate();
  std::string signature = identity.Sign("m");
  for (size_t size : {0, 31, 33}) {
    EXPECT_FALSE(VerifySignature(std::string(size, 'x'), "m", signature));
  }
  for (size_t size : {0, 63, 65}) {
    EXPECT_FALSE(VerifySignature(identity.public_key(), "m", std::string(size, 'x')));
  }
  EXPECT_FALSE(VerifySignature(identity.public_key(), "m", signature + "x"));
}

TEST(PeerIdOfPublicKey, NeedsExactly32Bytes) {
  EXPECT_TRUE(PeerIdOfPublicKey(std::string(32, 'x')).has_value());
  for (size_t size : {0, 31, 33}) {
    EXPECT_EQ(PeerIdOfPublicKey(std::string(size, 'x')), std::nullopt);
  }
}

TEST(Certificate, IsSelfSignedForAHundredYearsAndNoAuthority) {
  Identity identity = Identity::Generate();
  internal::Certificate certificate = Parsed(identity.certificate_pem());
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(X509_verify(certificate.get(), X509_get0_pubkey(certificate.get())), 1);
  EXPECT_EQ(X509_check_ca(certificate.get()), 0);
  int days = 0;
  int seconds = 0;
  ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate.get()), nullptr);
  EXPECT_EQ(days, 1);
  ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate.get()));
  EXPECT_GE(days, 36'499);
}

TEST(PeerIdOfCertificate, IsTheIdentitysOwn) {
  Identity identity = Identity::Generate();
  EXPECT_EQ(*PeerIdOfCertificate(identity.certificate_pem()), identity.peer_id());
}

TEST(PeerIdOfCertificate, RefusesANameThatIsNotTheKeysId) {
  Identity identity = Identity::Generate();
  const std::string id = identity.peer_id().ToText();
  const std::string other = Identity::Generate().peer_id().ToText();
  for (const std::string& name :
       {"DNS:" + other, std::string("DNS:*"), "DNS:*." + id, "DNS:" + id + ".", "DNS:x" + id,
        "DNS:" + id.substr(1), "email:a@" + id, "URI:" + id, std::string()}) {
    std::string pem = MakeForgedCertificate(
        {.key_pem = identity.key_pem(), .common_name = id, .alternative_name = name});
    absl::Status status = PeerIdOfCertificate(pem).status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kCertificateInvalid) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("DNS name")) << name;
  }
}

TEST(PeerIdOfCertificate, RefusesKeysOfOtherKinds) {
  for (const char* type : {"ED448", "P-256", "RSA"}) {
    std::string pem = MakeForgedCertificate({.key_type = type, .common_name = "x"});
    absl::Status status = PeerIdOfCertificate(pem).status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kCertificateInvalid) << type;
    EXPECT_THAT(std::string(status.message()), HasSubstr("Ed25519")) << type;
  }
}

TEST(PeerIdOfCertificate, RefusesPemThatIsCutAnywhere) {
  std::string pem = Identity::Generate().certificate_pem();
  for (size_t size = 0; size + 1 < pem.size(); ++size) {
    absl::Status status = PeerIdOfCertificate(absl::string_view(pem).substr(0, size)).status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kCertificateInvalid) << size;
  }
}

TEST(PeerIdOfCertificate, RefusesPemOfSomethingElseAndWhatIsTooLong) {
  Identity identity = Identity::Generate();
  std::string relabeled = absl::StrReplaceAll(identity.key_pem(), {{"PRIVATE KEY", "CERTIFICATE"}});
  std::string longest = identity.certificate_pem();
  longest.resize(16 * 1024, '\n');
  EXPECT_TRUE(PeerIdOfCertificate(longest).ok());
  for (const std::string& pem : {identity.key_pem(), relabeled, longest + "\n"}) {
    EXPECT_EQ(ReasonOf(PeerIdOfCertificate(pem).status()), ErrorReason::kCertificateInvalid);
  }
}

// Damages one byte at a time: never another peer's id, never a crash.
TEST(PeerIdOfCertificate, SurvivesDamage) {
  Identity identity = Identity::Generate();
  Random random(30);
  for (int round = 0; round < 2000; ++round) {
    std::string pem = identity.certificate_pem();
    pem[random.Below(pem.size())] = static_cast<char>(random.Next());
    absl::StatusOr<PeerId> id = PeerIdOfCertificate(pem);
    if (id.ok()) {
      EXPECT_EQ(*id, identity.peer_id());
    }
  }
}

}  // namespace
}  // namespace panal
