#include <openssl/err.h>
#include <openssl/pem.h>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/identity/identity.h"
#include "common/identity/openssl_types.h"

namespace panal {
namespace {

constexpr long kBackdateSeconds = 24L * 60 * 60;
constexpr int kValidDays = 36500;
// Longest PEM that is looked at; ours have some 800 bytes.
constexpr size_t kCertificateSizeMax = 16 * 1024;

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  internal::Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  PANAL_CHECK(extension != nullptr);
  PANAL_CHECK(X509_add_ext(certificate, extension.get(), -1) == 1);
}

void SetNames(X509* certificate, absl::string_view peer_id) {
  X509_NAME* name = X509_get_subject_name(certificate);
  PANAL_CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, internal::Unsigned(peer_id),
                                         static_cast<int>(peer_id.size()), -1, 0) == 1);
  PANAL_CHECK(X509_set_issuer_name(certificate, name) == 1);
}

void SetValidity(X509* certificate) {
  PANAL_CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), -kBackdateSeconds) != nullptr);
  PANAL_CHECK(X509_time_adj_ex(X509_getm_notAfter(certificate), kValidDays, 0, nullptr) != nullptr);
}

absl::Status Invalid(absl::string_view message) {
  ERR_clear_error();
  return Error(ErrorReason::kCertificateInvalid, message);
}

}  // namespace

namespace internal {

std::string MakeCertificatePem(EVP_PKEY* key, absl::string_view peer_id) {
  Certificate certificate(X509_new());
  PANAL_CHECK(certificate != nullptr);
  PANAL_CHECK(X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  PANAL_CHECK(ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1) == 1);
  PANAL_CHECK(X509_set_pubkey(certificate.get(), key) == 1);
  SetValidity(certificate.get());
  SetNames(certificate.get(), peer_id);
  AddExtension(certificate.get(), NID_subject_alt_name, absl::StrCat("DNS:", peer_id));
  AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  // Ed25519 hashes by itself: a digest here is an error.
  PANAL_CHECK(X509_sign(certificate.get(), key, nullptr) > 0);
  Bio writer = MakeWriter();
  PANAL_CHECK(PEM_write_bio_X509(writer.get(), certificate.get()) == 1);
  return Written(writer.get());
}

}  // namespace internal

absl::StatusOr<PeerId> PeerIdOfCertificate(absl::string_view certificate_pem) {
  if (certificate_pem.size() > kCertificateSizeMax) {
    return Invalid(absl::StrCat("certificate has ", certificate_pem.size(),
                                " bytes, which exceeds the limit of ", kCertificateSizeMax));
  }
  internal::Bio reader = internal::ReaderOf(certificate_pem);
  internal::Certificate certificate(PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Invalid("certificate does not parse as X.509 in PEM");
  EVP_PKEY* key = X509_get0_pubkey(certificate.get());
  std::optional<PeerId> id =
      key == nullptr ? std::nullopt : PeerIdOfPublicKey(internal::RawPublicKey(key));
  if (!id) return Invalid("certificate's key is not an Ed25519 key");
  std::string name = id->ToText();
  if (X509_check_host(certificate.get(), name.data(), name.size(),
                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS,
                      nullptr) != 1) {
    return Invalid(absl::StrCat("certificate's DNS name is not its key's peer id ", name));
  }
  return *id;
}

}  // namespace panal
