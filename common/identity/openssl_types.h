// Ownership of OpenSSL's objects, and PEM text. Private to this library: no other header names
// OpenSSL.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace panal::internal {

// Calls OpenSSL's own function to free an object.
template <auto kFree>
struct FreeBy {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using Key = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeBy<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, FreeBy<BIO_free>>;

// OpenSSL's functions take unsigned bytes.
inline const unsigned char* Unsigned(absl::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// A reader of `text`, which must outlive it. REQUIRES: below 2 GiB.
Bio ReaderOf(absl::string_view text);
// A writer, and what was written to it.
Bio MakeWriter();
std::string Written(BIO* writer);

// `size` bytes for secrets, from OpenSSL's private generator.
std::string RandomBytes(size_t size);

// The 32 raw bytes of the Ed25519 key in `key`; empty when it is another kind of key.
std::string RawPublicKey(const EVP_PKEY* key);

// Self-signed certificate of `key`, in PEM; see Identity::certificate_pem.
std::string MakeCertificatePem(EVP_PKEY* key, absl::string_view peer_id);

}  // namespace panal::internal
