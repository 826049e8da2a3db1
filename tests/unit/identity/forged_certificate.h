// Certificates and keys that Identity does not make, for tests of what is refused.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace panal {

// Kinds of key: "ED25519", "ED448", "P-256" or "RSA".
struct ForgedCertificate {
  std::string key_type = "ED25519";
  // PEM of the private key to use; a new key when empty.
  std::string key_pem;
  std::string common_name;
  // As OpenSSL takes it, for example "DNS:example.org"; no such extension when empty.
  std::string alternative_name;
};

// Self-signed certificate in PEM.
std::string MakeForgedCertificate(const ForgedCertificate& spec);
// PKCS #8 PEM of a new private key; encrypted where a passphrase is given.
std::string MakeKeyPem(const std::string& key_type, absl::string_view passphrase = "");

}  // namespace panal
