// What makes a peer a member of an invite mesh: grants, each signed by who gives it, in a chain from
// the mesh's root key down to the peer (docs/protocol/admission.md, "Grants").
//
// A decoded chain is UNVERIFIED: sizes and ranges were looked at, neither signatures nor rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/identity/identity.h"
#include "common/model/grant.h"

namespace panal {

// `reader`, `member`, `inviter`, `admin`.
absl::string_view RoleName(Role role);
// Inverse of RoleName; nothing for another text.
std::optional<Role> RoleFromName(absl::string_view name);

// Most grants in a chain. Guess: root, a first admin, an inviter, a peer, and one to spare.
inline constexpr size_t kGrantsMax = 4;
inline constexpr size_t kChainSizeMin = 2 + kPublicKeySize + 1;  // Bytes of a chain without grants.
inline constexpr size_t kGrantSize = kPublicKeySize + 1 + 8 + 8 + kSerialSize + kSignatureSize;
inline constexpr size_t kChainSizeMax = kChainSizeMin + kGrantsMax * kGrantSize;
// How far a peer's clock may be behind the issuer's. Guess: as Kerberos (RFC 4120) allows.
inline constexpr absl::Duration kClockSkewMax = absl::Minutes(5);
// Longest lifetime of any grant; so long is a revocation remembered. Guess.
inline constexpr absl::Duration kGrantLifetimeMax = absl::Hours(24 * 5 * 365);
// Lifetime of what a reader or a member gets from an inviter; it renews by itself. Guess.
inline constexpr absl::Duration kMemberLifetime = absl::Hours(24 * 30);
// Longest lifetime of a ticket. Guess: longer than an invitation waits.
inline constexpr absl::Duration kTicketLifetimeMax = absl::Hours(24 * 30);
// Most peers that one ticket lets in. Guess.
inline constexpr uint16_t kTicketUsesMax = 1000;

// Lets the holder of `subject`'s private key be of `role`. A ticket's grant (common/identity/
// ticket.h) lets whoever holds the ticket ask for a grant of `role`.
struct Grant {
  PublicKey subject;
  Role role = Role::kReader;
  bool ticket = false;
  uint64_t not_before_s = 0;  // Seconds since 1970.
  uint64_t not_after_s = 0;   // Seconds since 1970; void from then on.
  Serial serial;
  std::string signature;  // The issuer's, kSignatureSize bytes.

  bool operator==(const Grant&) const = default;
};

// Grants from the root down: the root issues the first, each subject the next. Without grants it
// stands for the root itself.
struct GrantChain {
  PublicKey root;
  std::vector<Grant> grants;

  bool operator==(const GrantChain&) const = default;
};

// Who may issue: a key, and the chain whose last subject it is; the root with a chain without
// grants.
struct Issuer {
  Identity key;
  GrantChain chain;
};

// What is to be granted.
struct GrantTerms {
  PublicKey subject;
  Role role = Role::kMember;
  // Cut to LifetimeMax() and to what the issuer's own grant has left.
  absl::Duration lifetime = absl::InfiniteDuration();
  // Makes it a ticket's grant for so many peers, at most kTicketUsesMax. 0: a peer's.
  uint16_t ticket_uses = 0;
};

// What a chain must end in.
enum class ChainEnd { kPeer, kTicket };

// Id of the invite mesh whose root key this is: SHA-256 of its SubjectPublicKeyInfo. REQUIRES:
// kPublicKeySize bytes.
MeshId InviteMeshId(absl::string_view root_public_key);
// Peers that a ticket's grant lets in. REQUIRES: a serial of kSerialSize bytes.
uint16_t UsesOf(const Serial& serial);
// Longest lifetime that IssueGrant gives: kTicketLifetimeMax to a ticket, kGrantLifetimeMax where the
// root gives it or the role is inviter or above, kMemberLifetime otherwise.
absl::Duration LifetimeMax(const GrantTerms& terms, bool by_root);

// The layout of a chain, which is also that of a credential (kind 2).
void WriteChain(const GrantChain& chain, ByteWriter& writer);
std::string EncodeChain(const GrantChain& chain);
// Reads one chain and leaves the reader behind it. Error: CREDENTIAL_INVALID.
absl::StatusOr<GrantChain> ReadChain(ByteReader& reader);
// A chain and nothing else. Error: CREDENTIAL_INVALID.
absl::StatusOr<GrantChain> DecodeChain(absl::string_view bytes);

// The issuer's chain with one more grant, valid from `now` on. REQUIRES: the issuer's key is that of
// its chain's end; a subject of kPublicKeySize bytes, uses within their limit, a lifetime above 0. Errors:
// NOT_PERMITTED (the issuer's role, the length of its chain), CREDENTIAL_EXPIRED (the issuer's own),
// CREDENTIAL_INVALID (not begun yet).
absl::StatusOr<GrantChain> IssueGrant(const Issuer& issuer, const GrantTerms& terms,
                                      absl::Time now);
// `grant` with the signature of `issuer`. Asks nothing: who verifies the chain does.
Grant SignGrant(Grant grant, const Identity& issuer, const MeshId& mesh);

// The grants of `chain` when all rules of docs/protocol/admission.md hold at `now` in `mesh`; none
// for the root itself. Errors: CREDENTIAL_INVALID, and CREDENTIAL_EXPIRED for what was valid once.
// About 160 microseconds a grant.
absl::StatusOr<std::vector<VerifiedGrant>> VerifyChain(const GrantChain& chain, const MeshId& mesh,
                                                       ChainEnd end, absl::Time now);

// What the grants of `chain` say. Asks nothing: VerifyChain does.
std::vector<VerifiedGrant> GrantsOf(const GrantChain& chain);

// Times of the layouts: whole seconds since 1970, none before; up to the year 9999 where they are
// shown.
uint64_t SecondsOf(absl::Time time);
absl::Time TimeOfSeconds(uint64_t seconds);
// `2026-03-01 12:00:00 UTC`.
std::string FormatUtc(absl::Time time);

}  // namespace panal
