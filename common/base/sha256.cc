#include "common/base/sha256.h"

#include <openssl/evp.h>

#include "common/base/check.h"

namespace panal {
namespace {

// Fetched once: EVP_sha256() is looked up anew for every digest, which costs more than a short one.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  PANAL_CHECK(algorithm != nullptr);
  return algorithm;
}

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

using Context = std::unique_ptr<EVP_MD_CTX, ContextDeleter>;

Context MakeContext() {
  Context context(EVP_MD_CTX_new());
  PANAL_CHECK(context != nullptr);
  return context;
}

void Begin(EVP_MD_CTX* context) {
  PANAL_CHECK(EVP_DigestInit_ex2(context, Algorithm(), nullptr) == 1);
}

void Add(EVP_MD_CTX* context, absl::string_view bytes) {
  PANAL_CHECK(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1);
}

Sha256Digest End(EVP_MD_CTX* context) {
  Sha256Digest digest;
  PANAL_CHECK(EVP_DigestFinal_ex(context, digest.bytes.data(), nullptr) == 1);
  return digest;
}

}  // namespace

Sha256Digest Sha256(absl::string_view bytes) {
  thread_local Context context = MakeContext();
  Begin(context.get());
  Add(context.get(), bytes);
  return End(context.get());
}

struct Sha256Hasher::State {
  Context context = MakeContext();
};

Sha256Hasher::Sha256Hasher() : state_(std::make_unique<State>()) { Begin(state_->context.get()); }

Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::Update(absl::string_view bytes) { Add(state_->context.get(), bytes); }

Sha256Digest Sha256Hasher::Finish() {
  Sha256Digest digest = End(state_->context.get());
  Begin(state_->context.get());
  return digest;
}

}  // namespace panal
