#include "common/identity/grant.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/identity/openssl_types.h"

namespace panal {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kKindInvite = 2;
// Bit of a role's byte that marks a ticket's grant.
constexpr uint8_t kTicketBit = 0x80;
// Used with its terminating NUL: no label is the beginning of another one's message.
constexpr char kGrantLabel[] = "panal grant v1";
// 9999-12-31 23:59:59, the last second that is shown with four digits of a year.
constexpr uint64_t kShownSecondsMax = 253'402'300'799;

constexpr absl::string_view kRoleNames[] = {"reader", "member", "inviter", "admin"};

absl::Status Invalid(absl::string_view message) {
  return Error(ErrorReason::kCredentialInvalid, message);
}

uint64_t Seconds(absl::Duration duration) {
  return static_cast<uint64_t>(absl::ToInt64Seconds(duration));
}

// Everything of a grant but its signature.
void WriteTerms(const Grant& grant, ByteWriter& writer) {
  PANAL_CHECK(grant.subject.size() == kPublicKeySize && grant.serial.size() == kSerialSize);
  writer.Raw(grant.subject);
  writer.U8(static_cast<uint8_t>(grant.role) | (grant.ticket ? kTicketBit : 0));
  writer.U64(grant.not_before_s);
  writer.U64(grant.not_after_s);
  writer.Raw(grant.serial);
}

std::string SignedMessage(const Grant& grant, const MeshId& mesh) {
  ByteWriter writer;
  writer.Raw(absl::string_view(kGrantLabel, sizeof(kGrantLabel)));
  writer.Raw(mesh.view());
  WriteTerms(grant, writer);
  return writer.Take();
}

std::optional<Grant> ReadGrant(ByteReader& reader) {
  Grant grant;
  grant.subject = std::string(reader.Raw(kPublicKeySize));
  const uint8_t role = reader.U8();
  grant.ticket = (role & kTicketBit) != 0;
  grant.role = static_cast<Role>(role & ~kTicketBit);
  grant.not_before_s = reader.U64();
  grant.not_after_s = reader.U64();
  grant.serial = std::string(reader.Raw(kSerialSize));
  grant.signature = std::string(reader.Raw(kSignatureSize));
  if (grant.role < Role::kReader || grant.role > Role::kAdmin) return std::nullopt;
  return grant;
}

// What is wrong with the dates of a grant, whatever the time is; `issuer` is null below the root.
std::optional<std::string> FaultOfDates(const Grant& grant, const Grant* issuer) {
  const absl::Duration most = grant.ticket ? kTicketLifetimeMax : kGrantLifetimeMax;
  if (grant.not_after_s <= grant.not_before_s) return "ends before it begins";
  if (grant.not_after_s - grant.not_before_s > Seconds(most)) {
    return absl::StrCat("lasts longer than ", absl::ToInt64Hours(most) / 24, " days");
  }
  if (issuer != nullptr && grant.not_after_s > issuer->not_after_s) {
    return "ends after its issuer's own";
  }
  return std::nullopt;
}

// What is wrong with what a grant gives, whatever the time is; `issuer` is null below the root.
std::optional<std::string> FaultOfRights(const Grant& grant, const Grant* issuer) {
  const uint16_t uses = UsesOf(grant.serial);
  if (grant.ticket && (uses == 0 || uses > kTicketUsesMax)) {
    return absl::StrCat("is a ticket's for ", uses, " uses, which are not of 1 to ",
                        kTicketUsesMax);
  }
  if (issuer == nullptr) return std::nullopt;
  if (issuer->ticket) return "is signed by a ticket, which lets in and grants nothing";
  if (issuer->role < Role::kInviter) {
    return absl::StrCat("is signed by a ", RoleName(issuer->role), ", who may not let others in");
  }
  if (grant.role > issuer->role) {
    return absl::StrCat("makes its subject ", RoleName(grant.role), ", its issuer is only ",
                        RoleName(issuer->role));
  }
  return std::nullopt;
}

std::string GrantName(const GrantChain& chain, size_t index) {
  return absl::StrCat("grant ", index + 1, " of ", chain.grants.size());
}

absl::Status CheckRules(const GrantChain& chain, const MeshId& mesh, ChainEnd end) {
  if (chain.root.size() != kPublicKeySize || InviteMeshId(chain.root) != mesh) {
    return Invalid("chain begins at the root key of another mesh");
  }
  if (chain.grants.size() > kGrantsMax) {
    return Invalid(absl::StrCat(chain.grants.size(), " grants exceed the limit of ", kGrantsMax));
  }
  const Grant* issuer = nullptr;
  for (size_t i = 0; i < chain.grants.size(); ++i) {
    const Grant& grant = chain.grants[i];
    std::optional<std::string> fault = FaultOfDates(grant, issuer);
    if (!fault) fault = FaultOfRights(grant, issuer);
    if (fault) return Invalid(absl::StrCat(GrantName(chain, i), " ", *fault));
    issuer = &grant;
  }
  const bool is_ticket = issuer != nullptr && issuer->ticket;
  if (is_ticket != (end == ChainEnd::kTicket)) {
    return Invalid(is_ticket ? "chain ends in a ticket, which is redeemed and not shown"
                             : "chain does not end in a ticket");
  }
  return absl::OkStatus();
}

absl::Status CheckSignatures(const GrantChain& chain, const MeshId& mesh) {
  const PublicKey* issuer = &chain.root;
  for (size_t i = 0; i < chain.grants.size(); ++i) {
    const Grant& grant = chain.grants[i];
    if (!VerifySignature(*issuer, SignedMessage(grant, mesh), grant.signature)) {
      return Invalid(absl::StrCat(GrantName(chain, i), ": its signature does not hold"));
    }
    issuer = &grant.subject;
  }
  return absl::OkStatus();
}

absl::Status CheckTimes(const GrantChain& chain, absl::Time now) {
  for (size_t i = 0; i < chain.grants.size(); ++i) {
    const Grant& grant = chain.grants[i];
    if (SecondsOf(now) + Seconds(kClockSkewMax) < grant.not_before_s) {
      return Invalid(absl::StrCat(GrantName(chain, i), " begins at ",
                                  FormatUtc(TimeOfSeconds(grant.not_before_s)), ", here it is ",
                                  FormatUtc(now), "; compare the clocks"));
    }
    if (SecondsOf(now) >= grant.not_after_s) {
      return Error(ErrorReason::kCredentialExpired,
                   absl::StrCat(GrantName(chain, i), " expired at ",
                                FormatUtc(TimeOfSeconds(grant.not_after_s)), ", here it is ",
                                FormatUtc(now)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMayIssue(const GrantChain& chain, Role role) {
  if (chain.grants.empty()) return absl::OkStatus();
  const Role own = chain.grants.back().role;
  if (own < Role::kInviter || own < role) {
    return Error(ErrorReason::kNotPermitted,
                 absl::StrCat("the role ", RoleName(own), " lets in nobody as ", RoleName(role),
                              "; it takes an inviter of that role or above"));
  }
  if (chain.grants.size() >= kGrantsMax) {
    return Error(ErrorReason::kNotPermitted,
                 absl::StrCat("the chain from the root has ", chain.grants.size(),
                              " grants, the most there may be; let an inviter nearer to the root "
                              "let the peer in"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view RoleName(Role role) {
  const size_t index = static_cast<size_t>(role) - 1;
  return index < std::size(kRoleNames) ? kRoleNames[index] : "unknown";
}

std::optional<Role> RoleFromName(absl::string_view name) {
  for (size_t i = 0; i < std::size(kRoleNames); ++i) {
    if (kRoleNames[i] == name) return static_cast<Role>(i + 1);
  }
  return std::nullopt;
}

MeshId InviteMeshId(absl::string_view root_public_key) {
  std::optional<PeerId> id = PeerIdOfPublicKey(root_public_key);
  PANAL_CHECK(id.has_value());
  return MeshId{id->bytes};
}

uint16_t UsesOf(const Serial& serial) {
  PANAL_CHECK(serial.size() == kSerialSize);
  return ByteReader(absl::string_view(serial).substr(kSerialSize - 2)).U16();
}

absl::Duration LifetimeMax(const GrantTerms& terms, bool by_root) {
  if (terms.ticket_uses > 0) return kTicketLifetimeMax;
  return by_root || terms.role >= Role::kInviter ? kGrantLifetimeMax : kMemberLifetime;
}

void WriteChain(const GrantChain& chain, ByteWriter& writer) {
  PANAL_CHECK(chain.root.size() == kPublicKeySize && chain.grants.size() <= kGrantsMax);
  writer.U8(kVersion);
  writer.U8(kKindInvite);
  writer.Raw(chain.root);
  writer.U8(static_cast<uint8_t>(chain.grants.size()));
  for (const Grant& grant : chain.grants) {
    PANAL_CHECK(grant.signature.size() == kSignatureSize);
    WriteTerms(grant, writer);
    writer.Raw(grant.signature);
  }
}

std::string EncodeChain(const GrantChain& chain) {
  ByteWriter writer;
  WriteChain(chain, writer);
  return writer.Take();
}

absl::StatusOr<GrantChain> ReadChain(ByteReader& reader) {
  const uint8_t version = reader.U8();
  const uint8_t kind = reader.U8();
  if (version != kVersion || kind != kKindInvite) {
    return Invalid(absl::StrCat("credential has version ", version, " and kind ", kind,
                                ", this mesh takes version 1 and kind 2 (invite)"));
  }
  GrantChain chain;
  chain.root = std::string(reader.Raw(kPublicKeySize));
  const size_t count = reader.U8();
  if (count > kGrantsMax) {
    return Invalid(absl::StrCat(count, " grants exceed the limit of ", kGrantsMax));
  }
  if (!reader.ok() || reader.remaining() < count * kGrantSize) {
    return Invalid("chain of grants is truncated");
  }
  for (size_t i = 0; i < count; ++i) {
    std::optional<Grant> grant = ReadGrant(reader);
    if (!grant) {
      return Invalid(absl::StrCat("grant ", i + 1, " of ", count, ": its role is not known"));
    }
    chain.grants.push_back(*std::move(grant));
  }
  return chain;
}

absl::StatusOr<GrantChain> DecodeChain(absl::string_view bytes) {
  ByteReader reader(bytes);
  PANAL_ASSIGN_OR_RETURN(GrantChain chain, ReadChain(reader));
  if (!reader.AtEnd()) return Invalid("bytes are left over behind the chain of grants");
  return chain;
}

absl::StatusOr<GrantChain> IssueGrant(const Issuer& issuer, const GrantTerms& terms,
                                      absl::Time now) {
  const bool by_root = issuer.chain.grants.empty();
  const PublicKey& own = by_root ? issuer.chain.root : issuer.chain.grants.back().subject;
  PANAL_CHECK(issuer.key.public_key() == own);
  PANAL_CHECK(terms.ticket_uses <= kTicketUsesMax && terms.lifetime > absl::ZeroDuration());
  PANAL_RETURN_IF_ERROR(CheckMayIssue(issuer.chain, terms.role));
  PANAL_RETURN_IF_ERROR(CheckTimes(issuer.chain, now));
  Grant grant;
  grant.subject = terms.subject;
  grant.role = terms.role;
  grant.ticket = terms.ticket_uses > 0;
  grant.not_before_s = SecondsOf(now);
  const absl::Duration lifetime = std::min(terms.lifetime, LifetimeMax(terms, by_root));
  grant.not_after_s = grant.not_before_s + std::max<uint64_t>(1, Seconds(lifetime));
  if (!by_root) {
    grant.not_after_s = std::min(grant.not_after_s, issuer.chain.grants.back().not_after_s);
  }
  grant.serial = internal::RandomBytes(kSerialSize);
  if (grant.ticket) {
    ByteWriter uses;
    uses.U16(terms.ticket_uses);
    grant.serial.replace(kSerialSize - 2, 2, uses.bytes());
  }
  GrantChain chain = issuer.chain;
  chain.grants.push_back(SignGrant(std::move(grant), issuer.key, InviteMeshId(issuer.chain.root)));
  return chain;
}

Grant SignGrant(Grant grant, const Identity& issuer, const MeshId& mesh) {
  grant.signature = issuer.Sign(SignedMessage(grant, mesh));
  return grant;
}

absl::StatusOr<std::vector<VerifiedGrant>> VerifyChain(const GrantChain& chain, const MeshId& mesh,
                                                       ChainEnd end, absl::Time now) {
  // The times last: only what was signed once is said to have expired.
  PANAL_RETURN_IF_ERROR(CheckRules(chain, mesh, end));
  PANAL_RETURN_IF_ERROR(CheckSignatures(chain, mesh));
  PANAL_RETURN_IF_ERROR(CheckTimes(chain, now));
  return GrantsOf(chain);
}

std::vector<VerifiedGrant> GrantsOf(const GrantChain& chain) {
  std::vector<VerifiedGrant> grants;
  for (const Grant& grant : chain.grants) {
    grants.push_back({.subject = *PeerIdOfPublicKey(grant.subject),
                      .role = grant.role,
                      .not_before = TimeOfSeconds(grant.not_before_s),
                      .not_after = TimeOfSeconds(grant.not_after_s),
                      .serial = grant.serial});
  }
  return grants;
}

uint64_t SecondsOf(absl::Time time) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(time)));
}

absl::Time TimeOfSeconds(uint64_t seconds) {
  return absl::FromUnixSeconds(static_cast<int64_t>(std::min(seconds, kShownSecondsMax)));
}

std::string FormatUtc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

}  // namespace panal
