#include "common/identity/identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/key_file_name.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/key_file.h"
#include "common/identity/openssl_types.h"

namespace panal {
namespace {

// What stands before the raw key in an Ed25519 SubjectPublicKeyInfo (RFC 8410, section 4).
constexpr unsigned char kSpkiPrefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                         0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

std::string PrivateKeyPem(const EVP_PKEY* key) {
  internal::Bio writer = internal::MakeWriter();
  PANAL_CHECK(
      PEM_write_bio_PKCS8PrivateKey(writer.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return internal::Written(writer.get());
}

// OpenSSL's default asks for a passphrase on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

}  // namespace

struct Identity::State {
  explicit State(internal::Key own_key)
      : key(std::move(own_key)), public_key(internal::RawPublicKey(key.get())) {
    std::optional<PeerId> id = PeerIdOfPublicKey(public_key);
    PANAL_CHECK(id.has_value());
    peer_id = *id;
    key_pem = PrivateKeyPem(key.get());
    certificate_pem = internal::MakeCertificatePem(key.get(), peer_id.ToText());
  }

  internal::Key key;
  PublicKey public_key;
  PeerId peer_id;
  std::string key_pem;
  std::string certificate_pem;
};

Identity::Identity(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Identity Identity::Generate() {
  internal::Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  PANAL_CHECK(key != nullptr);
  return Identity(std::make_shared<State>(std::move(key)));
}

absl::StatusOr<Identity> Identity::FromPem(absl::string_view key_pem) {
  internal::Bio reader = internal::ReaderOf(key_pem);
  internal::Key key(PEM_read_bio_PrivateKey(reader.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    ERR_clear_error();
    return Error(ErrorReason::kDataDirInvalid,
                 "private key does not parse as unencrypted PKCS #8 in PEM");
  }
  if (internal::RawPublicKey(key.get()).empty()) {
    return Error(ErrorReason::kDataDirInvalid, "private key is not an Ed25519 key");
  }
  return Identity(std::make_shared<State>(std::move(key)));
}

Identity Identity::FromSeed(absl::string_view seed) {
  PANAL_CHECK(seed.size() == kKeySeedSize);
  internal::Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                                 internal::Unsigned(seed), kKeySeedSize));
  PANAL_CHECK(key != nullptr);
  return Identity(std::make_shared<State>(std::move(key)));
}

absl::StatusOr<Identity> Identity::LoadOrCreate(absl::string_view dir) {
  const std::string path = absl::StrCat(dir, "/", kKeyFileName);
  PANAL_ASSIGN_OR_RETURN(std::optional<std::string> key_pem, internal::ReadKeyFile(path));
  if (key_pem) {
    absl::StatusOr<Identity> identity = FromPem(*key_pem);
    if (!identity.ok()) return Annotate(identity.status(), path);
    return identity;
  }
  Identity identity = Generate();
  PANAL_RETURN_IF_ERROR(internal::WriteKeyFile(std::string(dir), kKeyFileName, identity.key_pem()));
  return identity;
}

const PeerId& Identity::peer_id() const { return state_->peer_id; }

const PublicKey& Identity::public_key() const { return state_->public_key; }

const std::string& Identity::key_pem() const { return state_->key_pem; }

const std::string& Identity::certificate_pem() const { return state_->certificate_pem; }

std::string Identity::Sign(absl::string_view message) const {
  internal::DigestContext context(EVP_MD_CTX_new());
  PANAL_CHECK(context != nullptr);
  PANAL_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) == 1);
  std::string signature(kSignatureSize, '\0');
  size_t size = signature.size();
  PANAL_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                             &size, internal::Unsigned(message), message.size()) == 1);
  PANAL_CHECK(size == kSignatureSize);
  return signature;
}

std::optional<PeerId> PeerIdOfPublicKey(absl::string_view public_key) {
  if (public_key.size() != kPublicKeySize) return std::nullopt;
  std::string spki(reinterpret_cast<const char*>(kSpkiPrefix), sizeof(kSpkiPrefix));
  spki.append(public_key.data(), public_key.size());
  return PeerId::FromBytes(Sha256(spki).view());
}

bool VerifySignature(absl::string_view public_key, absl::string_view message,
                     absl::string_view signature) {
  if (public_key.size() != kPublicKeySize || signature.size() != kSignatureSize) return false;
  internal::Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                internal::Unsigned(public_key), kPublicKeySize));
  internal::DigestContext context(EVP_MD_CTX_new());
  PANAL_CHECK(context != nullptr);
  bool valid = key != nullptr &&
               EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
               EVP_DigestVerify(context.get(), internal::Unsigned(signature), kSignatureSize,
                                internal::Unsigned(message), message.size()) == 1;
  // A failure left in this thread's queue would be taken for a later TLS call's.
  if (!valid) ERR_clear_error();
  return valid;
}

}  // namespace panal
