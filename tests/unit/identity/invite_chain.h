// Chains of grants for tests, also ones that no peer would issue. Keys are named by a letter: the same
// in every run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/identity/grant.h"

namespace panal {

// What tests call now: 2027-01-15 08:00:00 UTC.
inline constexpr absl::Time kTestNow = absl::FromUnixSeconds(1'800'000'000);

// The key whose seed is 32 times `name`.
Identity TestKey(char name);
PeerId TestPeer(char name);

struct TestGrant {
  char subject = 'a';
  Role role = Role::kMember;
  // Relative to kTestNow.
  absl::Duration begins = absl::ZeroDuration();
  absl::Duration ends = absl::Hours(24);
  // A ticket's grant for so many; a peer's where there is none.
  std::optional<uint16_t> ticket_uses;
  // Who signs; the subject before, or the root, where it is 0.
  char signer = 0;
};

// The mesh whose root is TestKey('r').
MeshId TestMesh();
// Grants from TestKey('r') down, each with 16 times its number (from 1) as serial.
GrantChain MakeChain(const std::vector<TestGrant>& grants);
// The last subject with MakeChain(grants); the root where there is none.
Issuer TestIssuer(const std::vector<TestGrant>& grants);

}  // namespace panal
