#include "common/identity/mesh_root.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/key_file_name.h"
#include "common/base/status.h"
#include "common/identity/key_file.h"
#include "common/identity/openssl_types.h"

namespace panal {
namespace {

using KeyInfo = std::unique_ptr<PKCS8_PRIV_KEY_INFO, internal::FreeBy<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedKey = std::unique_ptr<X509_SIG, internal::FreeBy<X509_SIG_free>>;

constexpr char kEncryptedMark[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
// Rounds of PBKDF2 with HMAC-SHA-256 (OWASP Password Storage Cheat Sheet, 2023).
constexpr int kRounds = 600'000;
// Bytes of PBKDF2's salt (NIST SP 800-132, section 5.1).
constexpr int kSaltSize = 16;

absl::Status WrongPassphrase(absl::string_view message) {
  ERR_clear_error();
  return Error(ErrorReason::kPassphraseInvalid, message);
}

std::string Encrypted(absl::string_view key_pem, absl::string_view passphrase) {
  internal::Bio reader = internal::ReaderOf(key_pem);
  internal::Key key(PEM_read_bio_PrivateKey(reader.get(), nullptr, nullptr, nullptr));
  PANAL_CHECK(key != nullptr);
  KeyInfo info(EVP_PKEY2PKCS8(key.get()));
  PANAL_CHECK(info != nullptr);
  // No PBE but PBES2, with the cipher given, and a new salt.
  EncryptedKey encrypted(PKCS8_encrypt(-1, EVP_aes_256_cbc(), passphrase.data(),
                                       static_cast<int>(passphrase.size()), nullptr, kSaltSize,
                                       kRounds, info.get()));
  PANAL_CHECK(encrypted != nullptr);
  internal::Bio writer = internal::MakeWriter();
  PANAL_CHECK(PEM_write_bio_PKCS8(writer.get(), encrypted.get()) == 1);
  return internal::Written(writer.get());
}

absl::StatusOr<std::string> Decrypted(absl::string_view pem, absl::string_view passphrase) {
  internal::Bio reader = internal::ReaderOf(pem);
  EncryptedKey encrypted(PEM_read_bio_PKCS8(reader.get(), nullptr, nullptr, nullptr));
  if (encrypted == nullptr) {
    ERR_clear_error();
    return Error(ErrorReason::kDataDirInvalid,
                 "encrypted root key does not parse as PKCS #8 in PEM; use another copy of it");
  }
  if (passphrase.empty()) return WrongPassphrase("the root key is encrypted; give its passphrase");
  KeyInfo info(
      PKCS8_decrypt(encrypted.get(), passphrase.data(), static_cast<int>(passphrase.size())));
  if (info == nullptr) {
    return WrongPassphrase("the passphrase does not open the root key, or its file is damaged");
  }
  internal::Bio writer = internal::MakeWriter();
  PANAL_CHECK(PEM_write_bio_PKCS8_PRIV_KEY_INFO(writer.get(), info.get()) == 1);
  return internal::Written(writer.get());
}

absl::Status CheckPassphrase(absl::string_view passphrase) {
  if (passphrase.size() <= kPassphraseSizeMax) return absl::OkStatus();
  return Error(ErrorReason::kArgumentInvalid,
               absl::StrCat("a passphrase of ", passphrase.size(), " bytes exceeds the limit of ",
                            kPassphraseSizeMax));
}

}  // namespace

MeshRoot::MeshRoot(Identity key) : key_(std::move(key)) {}

MeshRoot MeshRoot::Generate() { return MeshRoot(Identity::Generate()); }

absl::StatusOr<MeshRoot> MeshRoot::FromPem(absl::string_view pem, absl::string_view passphrase) {
  std::string key_pem(pem);
  if (absl::StrContains(pem, kEncryptedMark)) {
    PANAL_RETURN_IF_ERROR(CheckPassphrase(passphrase));
    PANAL_ASSIGN_OR_RETURN(key_pem, Decrypted(pem, passphrase));
  }
  PANAL_ASSIGN_OR_RETURN(Identity key, Identity::FromPem(key_pem));
  return MeshRoot(std::move(key));
}

absl::StatusOr<MeshRoot> MeshRoot::Load(const std::string& path, absl::string_view passphrase) {
  PANAL_ASSIGN_OR_RETURN(const std::optional<std::string> pem, internal::ReadKeyFile(path));
  if (!pem) {
    return Error(ErrorReason::kPathNotFound, absl::StrCat("there is no root key at ", path),
                 {{"path", path}});
  }
  absl::StatusOr<MeshRoot> root = FromPem(*pem, passphrase);
  if (!root.ok()) return Annotate(root.status(), path);
  return root;
}

absl::StatusOr<std::string> MeshRoot::ToPem(absl::string_view passphrase) const {
  PANAL_RETURN_IF_ERROR(CheckPassphrase(passphrase));
  if (passphrase.empty()) return key_.key_pem();
  return Encrypted(key_.key_pem(), passphrase);
}

absl::Status MeshRoot::Save(const std::string& dir, absl::string_view passphrase) const {
  const std::string path = absl::StrCat(dir, "/", kMeshRootFileName);
  PANAL_ASSIGN_OR_RETURN(const std::optional<std::string> present, internal::ReadKeyFile(path));
  if (present) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat("there is a root key at ", path, " already, which is never replaced"),
                 {{"path", path}});
  }
  PANAL_ASSIGN_OR_RETURN(const std::string pem, ToPem(passphrase));
  return internal::WriteKeyFile(dir, kMeshRootFileName, pem);
}

Issuer MeshRoot::issuer() const { return {.key = key_, .chain = {.root = key_.public_key()}}; }

}  // namespace panal
