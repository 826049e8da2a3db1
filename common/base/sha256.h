// SHA-256, by OpenSSL.
#pragma once

#include <memory>

#include "absl/strings/string_view.h"
#include "common/base/ids.h"

namespace panal {

// Digest of `bytes`.
Sha256Digest Sha256(absl::string_view bytes);

// Digest of bytes that come in parts. Not thread-safe.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;

  void Update(absl::string_view bytes);
  // Digest of all bytes so far; the hasher begins anew.
  Sha256Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace panal
