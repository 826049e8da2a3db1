#include "common/identity/openssl_types.h"

#include <openssl/rand.h>

#include "common/base/check.h"

namespace panal::internal {

Bio ReaderOf(absl::string_view text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  PANAL_CHECK(bio != nullptr);
  return bio;
}

Bio MakeWriter() {
  Bio bio(BIO_new(BIO_s_mem()));
  PANAL_CHECK(bio != nullptr);
  return bio;
}

std::string Written(BIO* writer) {
  char* text = nullptr;
  long size = BIO_get_mem_data(writer, &text);
  return std::string(text, static_cast<size_t>(size));
}

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  PANAL_CHECK(
      RAND_priv_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) == 1);
  return bytes;
}

std::string RawPublicKey(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) return "";
  std::string raw(32, '\0');
  size_t size = raw.size();
  int got = EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(raw.data()), &size);
  return got == 1 && size == raw.size() ? raw : "";
}

}  // namespace panal::internal
