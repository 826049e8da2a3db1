#include "tests/unit/identity/invite_chain.h"

#include "common/base/bytes.h"

namespace panal {

Identity TestKey(char name) { return Identity::FromSeed(std::string(kKeySeedSize, name)); }

PeerId TestPeer(char name) { return TestKey(name).peer_id(); }

MeshId TestMesh() { return InviteMeshId(TestKey('r').public_key()); }

GrantChain MakeChain(const std::vector<TestGrant>& grants) {
  GrantChain chain{.root = TestKey('r').public_key()};
  char above = 'r';
  for (const TestGrant& spec : grants) {
    Grant grant;
    grant.subject = TestKey(spec.subject).public_key();
    grant.role = spec.role;
    grant.not_before_s = static_cast<uint64_t>(absl::ToUnixSeconds(kTestNow + spec.begins));
    grant.not_after_s = static_cast<uint64_t>(absl::ToUnixSeconds(kTestNow + spec.ends));
    grant.serial = std::string(kSerialSize, static_cast<char>(chain.grants.size() + 1));
    grant.ticket = spec.ticket_uses.has_value();
    if (grant.ticket) {
      ByteWriter uses;
      uses.U16(*spec.ticket_uses);
      grant.serial.replace(kSerialSize - 2, 2, uses.bytes());
    }
    const Identity signer = TestKey(spec.signer == 0 ? above : spec.signer);
    chain.grants.push_back(SignGrant(grant, signer, TestMesh()));
    above = spec.subject;
  }
  return chain;
}

Issuer TestIssuer(const std::vector<TestGrant>& grants) {
  return {.key = TestKey(grants.empty() ? 'r' : grants.back().subject), .chain = MakeChain(grants)};
}

}  // namespace panal
