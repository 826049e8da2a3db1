// What a verified grant of an invite mesh says. How grants are made, encoded and verified:
// common/identity/grant.h; rules: docs/protocol/admission.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"

namespace panal {

// What a peer may do, ascending: each role may do what those below it may. reader: search, read, be
// a neighbor, keep others' pages. member: also publish, store copies, export objects. inviter: also
// let others in, up to its own role. admin: also revoke. Values are those of the layout.
enum class Role : uint8_t { kReader = 1, kMember = 2, kInviter = 3, kAdmin = 4 };

inline constexpr size_t kSerialSize = 16;  // Bytes; random ones do not meet.

// Names a grant: kSerialSize raw bytes, shown as 26 base32 characters. Of a ticket's grant the last
// two bytes are the number of its uses.
using Serial = std::string;

// One grant of a chain that was verified.
struct VerifiedGrant {
  PeerId subject;
  Role role = Role::kReader;
  absl::Time not_before;
  absl::Time not_after;
  Serial serial;

  bool operator==(const VerifiedGrant&) const = default;
};

}  // namespace panal
