// What all peers of an invite mesh must know of each other and remember: who was thrown out, which
// ticket was used by whom, which peer has a new key. How facts are made, encoded and verified:
// common/identity/fact.h; rules: docs/protocol/admission.md, "Facts".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/grant.h"

namespace panal {

// Longest fact, in bytes. The largest has 917.
inline constexpr size_t kFactSizeMax = 1024;
// Facts that a peer remembers, by who says what (server/processing/admission/fact_set.h). 16 MiB of
// memory and disk.
inline constexpr size_t kFactsMax = 16'384;

// A peer is thrown out, or one grant is taken back. Takes the role admin.
struct Revocation {
  std::variant<PeerId, Serial> target;
  // Whether everything that the target let in is void too; otherwise only what it grants from the
  // revocation on.
  bool cascade = true;
  // For people: UTF-8, at most kRevocationReasonSizeMax bytes.
  std::string reason;

  bool operator==(const Revocation&) const = default;
};

// A ticket was used. Takes the role inviter.
struct Redemption {
  Serial ticket;
  PeerId peer;
  // The ticket's; from then on nobody need remember its uses.
  uint64_t ticket_not_after_s = 0;

  bool operator==(const Redemption&) const = default;
};

// A peer goes on with another key; said with the old one, which is void from then on.
struct MovedTo {
  PeerId from;
  std::string to;  // The new public key.

  bool operator==(const MovedTo&) const = default;
};

using FactBody = std::variant<Revocation, Redemption, MovedTo>;

struct VerifiedFact {
  // SHA-256 of its bytes.
  Sha256Digest id;
  FactBody body;
  absl::Time time;
  // From then on it says nothing that is not so anyway, and may be forgotten.
  absl::Time expires;
  // The grants from the root's first to the signer's own; empty where the root signed.
  std::vector<VerifiedGrant> signer;
  // As they were signed: what is sent and stored.
  std::string bytes;
};

// The first bytes of a fact's id, which name it between peers. Nobody finds a second fact of a name;
// and who makes two of one name hides one of its own.
using FactName = std::array<uint8_t, 12>;

inline FactName NameOf(const Sha256Digest& id) {
  FactName name;
  std::memcpy(name.data(), id.bytes.data(), name.size());
  return name;
}

// What comes of a fact that is to be remembered. kFull: its quota is.
enum class FactOutcome : uint8_t { kAdded, kKnown, kExpired, kFull };

// Facts are shared by who spreads them, who stores them and who asks what they void.
using FactPtr = std::shared_ptr<const VerifiedFact>;

}  // namespace panal
