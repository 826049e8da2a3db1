// Facts as a worker would hand them back; signatures are none.
#pragma once

#include <memory>
#include <string>

#include "common/base/sha256.h"
#include "common/model/fact.h"

namespace panal {

inline constexpr absl::Time kFactsNow = absl::FromUnixSeconds(1'800'000'000);

inline PeerId FactPeer(uint32_t number) {
  PeerId id;
  id.bytes[0] = 1;
  for (size_t i = 0; i < sizeof(number); ++i) id.bytes[4 - i] = number >> (8 * i) & 0xff;
  return id;
}

// What the end of a chain of one grant says; the root, where `signer` is 0. `number` makes it
// another than the rest of the same signer.
inline FactPtr TestFact(uint32_t signer, const FactBody& body, uint32_t number,
                        absl::Duration lasts = absl::Hours(24)) {
  auto fact = std::make_shared<VerifiedFact>();
  fact->bytes =
      std::to_string(signer) + "/" + std::to_string(body.index()) + "/" + std::to_string(number);
  fact->id = Sha256(fact->bytes);
  fact->body = body;
  fact->time = kFactsNow + absl::Seconds(number);
  fact->expires = kFactsNow + lasts;
  if (signer != 0) fact->signer = {{.subject = FactPeer(signer), .role = Role::kAdmin}};
  return fact;
}

// The same of the end of a chain of `depth` grants.
inline FactPtr DeepFact(uint32_t signer, const FactBody& body, size_t depth, uint32_t number) {
  auto fact = std::make_shared<VerifiedFact>(*TestFact(signer, body, number));
  if (signer != 0)
    fact->signer.insert(fact->signer.begin(), depth - 1, {.subject = FactPeer(9000)});
  return fact;
}

inline FactPtr DeepRevocation(uint32_t signer, size_t depth, uint32_t number) {
  return DeepFact(signer, Revocation{}, depth, number);
}

inline FactPtr TestRevocation(uint32_t signer, uint32_t number,
                              absl::Duration lasts = absl::Hours(24)) {
  return TestFact(signer, Revocation{.target = FactPeer(1'000'000 + number)}, number, lasts);
}

}  // namespace panal
