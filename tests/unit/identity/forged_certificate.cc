#include "tests/unit/identity/forged_certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/check.h"
#include "common/identity/openssl_types.h"

namespace panal {
namespace {

internal::Key NewKey(const std::string& type) {
  EVP_PKEY* key = nullptr;
  if (type == "RSA") {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048});
  } else if (type == "P-256") {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  } else {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, type.c_str());
  }
  PANAL_CHECK(key != nullptr);
  return internal::Key(key);
}

internal::Key KeyOf(const ForgedCertificate& spec) {
  if (spec.key_pem.empty()) return NewKey(spec.key_type);
  internal::Bio reader = internal::ReaderOf(spec.key_pem);
  return internal::Key(PEM_read_bio_PrivateKey(reader.get(), nullptr, nullptr, nullptr));
}

void AddAlternativeName(X509* certificate, const std::string& name) {
  internal::Extension extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, name.c_str()));
  PANAL_CHECK(extension != nullptr);
  PANAL_CHECK(X509_add_ext(certificate, extension.get(), -1) == 1);
}

}  // namespace

std::string MakeForgedCertificate(const ForgedCertificate& spec) {
  internal::Key key = KeyOf(spec);
  internal::Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, internal::Unsigned(spec.common_name),
                             static_cast<int>(spec.common_name.size()), -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  if (!spec.alternative_name.empty()) {
    AddAlternativeName(certificate.get(), spec.alternative_name);
  }
  bool hashes_itself = spec.key_type == "ED25519" || spec.key_type == "ED448";
  PANAL_CHECK(X509_sign(certificate.get(), key.get(), hashes_itself ? nullptr : EVP_sha256()) > 0);
  internal::Bio writer = internal::MakeWriter();
  PANAL_CHECK(PEM_write_bio_X509(writer.get(), certificate.get()) == 1);
  return internal::Written(writer.get());
}

std::string MakeKeyPem(const std::string& key_type, absl::string_view passphrase) {
  internal::Key key = NewKey(key_type);
  internal::Bio writer = internal::MakeWriter();
  const EVP_CIPHER* cipher = passphrase.empty() ? nullptr : EVP_aes_256_cbc();
  PANAL_CHECK(PEM_write_bio_PKCS8PrivateKey(writer.get(), key.get(), cipher, passphrase.data(),
                                            static_cast<int>(passphrase.size()), nullptr,
                                            nullptr) == 1);
  return internal::Written(writer.get());
}

}  // namespace panal
