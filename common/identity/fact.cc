#include "common/identity/fact.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/identity/ticket.h"

namespace panal {
namespace {

constexpr uint8_t kVersion = 1;
// A kind of fact is its place in FactBody, counted from 1.
constexpr uint8_t kKindRevocation = 1;
constexpr uint8_t kKindRedemption = 2;
constexpr uint8_t kKindMovedTo = 3;
constexpr uint8_t kTargetPeer = 1;
constexpr uint8_t kTargetGrant = 2;
constexpr uint8_t kCascadeBit = 0x01;
// Used with its terminating NUL: no label is the beginning of another one's message.
constexpr char kFactLabel[] = "panal fact v1";

absl::Status Invalid(absl::string_view message) {
  return Error(ErrorReason::kFactInvalid, absl::StrCat("fact ", message));
}

void WriteBody(const Revocation& revocation, ByteWriter& writer) {
  if (const PeerId* peer = std::get_if<PeerId>(&revocation.target)) {
    writer.U8(kTargetPeer);
    writer.Raw(peer->view());
  } else {
    writer.U8(kTargetGrant);
    writer.Raw(std::get<Serial>(revocation.target));
  }
  writer.U8(revocation.cascade ? kCascadeBit : 0);
  writer.String16(revocation.reason);
}

void WriteBody(const Redemption& redemption, ByteWriter& writer) {
  writer.Raw(redemption.ticket);
  writer.Raw(redemption.peer.view());
  writer.U64(redemption.ticket_not_after_s);
}

void WriteBody(const MovedTo& moved, ByteWriter& writer) {
  writer.Raw(moved.from.view());
  writer.Raw(moved.to);
}

// Everything of a fact but its signature.
void WriteTerms(const Fact& fact, ByteWriter& writer) {
  writer.U8(kVersion);
  writer.U8(static_cast<uint8_t>(fact.body.index() + 1));
  WriteChain(fact.signer, writer);
  writer.U64(fact.time_s);
  std::visit([&](const auto& body) { WriteBody(body, writer); }, fact.body);
}

std::string SignedMessage(const Fact& fact) {
  ByteWriter writer;
  writer.Raw(absl::string_view(kFactLabel, sizeof(kFactLabel)));
  writer.Raw(InviteMeshId(fact.signer.root).view());
  WriteTerms(fact, writer);
  return writer.Take();
}

absl::StatusOr<FactBody> ReadRevocation(ByteReader& reader) {
  Revocation revocation;
  const uint8_t target = reader.U8();
  if (target == kTargetPeer) {
    revocation.target = PeerId::FromBytes(reader.Raw(PeerId::kSize)).value_or(PeerId());
  } else if (target == kTargetGrant) {
    revocation.target = Serial(reader.Raw(kSerialSize));
  } else {
    return Invalid(absl::StrCat("revokes a target of kind ", target, ", which is not known"));
  }
  const uint8_t flags = reader.U8();
  if ((flags & ~kCascadeBit) != 0) {
    return Invalid(absl::StrCat("has the flags ", flags, ", which are not known"));
  }
  revocation.cascade = flags == kCascadeBit;
  revocation.reason = std::string(reader.String16());
  return revocation;
}

FactBody ReadRedemption(ByteReader& reader) {
  Redemption redemption;
  redemption.ticket = Serial(reader.Raw(kSerialSize));
  redemption.peer = PeerId::FromBytes(reader.Raw(PeerId::kSize)).value_or(PeerId());
  redemption.ticket_not_after_s = reader.U64();
  return redemption;
}

FactBody ReadMovedTo(ByteReader& reader) {
  MovedTo moved;
  moved.from = PeerId::FromBytes(reader.Raw(PeerId::kSize)).value_or(PeerId());
  moved.to = PublicKey(reader.Raw(kPublicKeySize));
  return moved;
}

absl::StatusOr<FactBody> ReadBody(uint8_t kind, ByteReader& reader) {
  if (kind == kKindRevocation) return ReadRevocation(reader);
  if (kind == kKindRedemption) return ReadRedemption(reader);
  if (kind == kKindMovedTo) return ReadMovedTo(reader);
  return Invalid(absl::StrCat("is of kind ", kind, ", which is not known"));
}

uint64_t Seconds(absl::Duration duration) {
  return static_cast<uint64_t>(absl::ToInt64Seconds(duration));
}

std::optional<std::string> FaultOf(const Revocation& revocation, const Fact&) {
  const Serial* serial = std::get_if<Serial>(&revocation.target);
  if (serial != nullptr && serial->size() != kSerialSize) {
    return absl::StrCat("revokes a serial of ", serial->size(), " bytes, not ", kSerialSize);
  }
  if (revocation.reason.size() <= kRevocationReasonSizeMax && IsValidUtf8(revocation.reason)) {
    return std::nullopt;
  }
  return absl::StrCat("has a reason that is not at most ", kRevocationReasonSizeMax,
                      " bytes of UTF-8");
}

std::optional<std::string> FaultOf(const Redemption& redemption, const Fact& fact) {
  const uint16_t uses = redemption.ticket.size() == kSerialSize ? UsesOf(redemption.ticket) : 0;
  if (uses == 0 || uses > kTicketUsesMax) return "names no ticket";
  // The ticket was valid then, by a clock that may have been behind its issuer's.
  const uint64_t most = Seconds(kTicketLifetimeMax + kClockSkewMax);
  if (redemption.ticket_not_after_s > fact.time_s &&
      redemption.ticket_not_after_s - fact.time_s <= most) {
    return std::nullopt;
  }
  return "says of its ticket that it ends at a time when none does";
}

std::optional<std::string> FaultOf(const MovedTo& moved, const Fact&) {
  const std::optional<PeerId> to = PeerIdOfPublicKey(moved.to);
  if (!to || *to == moved.from) return "moves a peer to no other key";
  return std::nullopt;
}

std::optional<std::string> FaultOfBody(const Fact& fact) {
  return std::visit([&](const auto& body) { return FaultOf(body, fact); }, fact.body);
}

// Whether the end of the chain may say this. Error: NOT_PERMITTED.
absl::Status CheckMaySign(const Fact& fact) {
  const std::vector<Grant>& grants = fact.signer.grants;
  const Role role = grants.empty() ? Role::kAdmin : grants.back().role;
  bool may = true;
  absl::string_view who;
  if (std::holds_alternative<Revocation>(fact.body)) {
    may = role >= Role::kAdmin;
    who = "a revocation takes the role admin";
  } else if (std::holds_alternative<Redemption>(fact.body)) {
    may = role >= Role::kInviter;
    who = "a redemption takes the role inviter";
  } else {
    const PeerId& from = std::get<MovedTo>(fact.body).from;
    may = !grants.empty() && PeerIdOfPublicKey(grants.back().subject) == from;
    who = "a peer that moves says so itself";
  }
  if (may) return absl::OkStatus();
  return Error(ErrorReason::kNotPermitted,
               absl::StrCat(who, "; the signer has the role ", RoleName(role)));
}

absl::Time ExpiryOf(const Fact& fact) {
  if (const Redemption* redemption = std::get_if<Redemption>(&fact.body)) {
    return TimeOfSeconds(redemption->ticket_not_after_s) + kClockSkewMax;
  }
  // No grant that was valid then is valid any more.
  return TimeOfSeconds(fact.time_s) + kGrantLifetimeMax + kClockSkewMax;
}

VerifiedFact Verified(const Fact& fact, std::vector<VerifiedGrant> signer,
                      absl::string_view bytes) {
  return {.id = Sha256(bytes),
          .body = fact.body,
          .time = TimeOfSeconds(fact.time_s),
          .expires = ExpiryOf(fact),
          .signer = std::move(signer),
          .bytes = std::string(bytes)};
}

}  // namespace

absl::StatusOr<Fact> MakeFact(const Issuer& issuer, const FactBody& body, absl::Time now) {
  Fact fact{.signer = issuer.chain, .time_s = SecondsOf(now), .body = body};
  if (std::optional<std::string> fault = FaultOfBody(fact)) {
    return Error(ErrorReason::kArgumentInvalid, absl::StrCat("fact ", *fault));
  }
  PANAL_RETURN_IF_ERROR(CheckMaySign(fact));
  const MeshId mesh = InviteMeshId(issuer.chain.root);
  PANAL_RETURN_IF_ERROR(VerifyChain(issuer.chain, mesh, ChainEnd::kPeer, now).status());
  return SignFact(std::move(fact), issuer.key);
}

absl::StatusOr<FactPtr> MakeVerifiedFact(const Issuer& issuer, const FactBody& body,
                                         absl::Time now) {
  PANAL_ASSIGN_OR_RETURN(const Fact made, MakeFact(issuer, body, now));
  return std::make_shared<const VerifiedFact>(
      Verified(made, GrantsOf(made.signer), EncodeFact(made)));
}

Fact SignFact(Fact fact, const Identity& signer) {
  fact.signature = signer.Sign(SignedMessage(fact));
  return fact;
}

std::string EncodeFact(const Fact& fact) {
  PANAL_CHECK(fact.signature.size() == kSignatureSize);
  ByteWriter writer;
  WriteTerms(fact, writer);
  writer.Raw(fact.signature);
  return writer.Take();
}

absl::StatusOr<Fact> DecodeFact(absl::string_view bytes) {
  if (bytes.size() > kFactSizeMax) {
    return Invalid(
        absl::StrCat("has ", bytes.size(), " bytes, which exceeds the limit of ", kFactSizeMax));
  }
  ByteReader reader(bytes);
  const uint8_t version = reader.U8();
  const uint8_t kind = reader.U8();
  if (version != kVersion) {
    return Invalid(absl::StrCat("has version ", version, ", this peer takes version 1"));
  }
  Fact fact;
  absl::StatusOr<GrantChain> signer = ReadChain(reader);
  if (!signer.ok()) return Invalid(absl::StrCat("is of no signer: ", signer.status().message()));
  fact.signer = *std::move(signer);
  fact.time_s = reader.U64();
  PANAL_ASSIGN_OR_RETURN(fact.body, ReadBody(kind, reader));
  fact.signature = std::string(reader.Raw(kSignatureSize));
  if (!reader.AtEnd()) return Invalid("is truncated or has bytes left over");
  if (std::optional<std::string> fault = FaultOfBody(fact)) return Invalid(*fault);
  return fact;
}

absl::StatusOr<VerifiedFact> CheckFact(absl::string_view bytes, const MeshId& mesh,
                                       absl::Time now) {
  PANAL_ASSIGN_OR_RETURN(const Fact fact, DecodeFact(bytes));
  if (fact.time_s > SecondsOf(now) + Seconds(kClockSkewMax)) {
    return Invalid(absl::StrCat("is of ", FormatUtc(TimeOfSeconds(fact.time_s)), ", here it is ",
                                FormatUtc(now), "; compare the clocks"));
  }
  if (absl::Status may = CheckMaySign(fact); !may.ok()) {
    return Invalid(absl::StrCat("is not its signer's to say: ", may.message()));
  }
  absl::StatusOr<std::vector<VerifiedGrant>> signer =
      VerifyChain(fact.signer, mesh, ChainEnd::kPeer, TimeOfSeconds(fact.time_s));
  if (!signer.ok()) {
    return Invalid(
        absl::StrCat("is of a signer who could not say it then: ", signer.status().message()));
  }
  const std::vector<Grant>& grants = fact.signer.grants;
  const PublicKey& key = grants.empty() ? fact.signer.root : grants.back().subject;
  if (!VerifySignature(key, SignedMessage(fact), fact.signature)) {
    return Invalid("has a signature that does not hold");
  }
  return Verified(fact, *std::move(signer), bytes);
}

absl::StatusOr<VerifiedFact> RestoreFact(absl::string_view bytes, const MeshId& mesh) {
  PANAL_ASSIGN_OR_RETURN(const Fact fact, DecodeFact(bytes));
  if (InviteMeshId(fact.signer.root) != mesh) return Invalid("is of another mesh");
  return Verified(fact, GrantsOf(fact.signer), bytes);
}

absl::StatusOr<std::variant<PeerId, Serial>> ParseRevocationTarget(absl::string_view text) {
  if (const std::optional<PeerId> peer = PeerId::FromText(text)) return *peer;
  const std::optional<std::string> serial = Base32Decode(text);
  if (serial && serial->size() == kSerialSize) return *serial;
  if (absl::StartsWith(text, kTicketPrefix)) {
    PANAL_ASSIGN_OR_RETURN(const Ticket ticket, ParseTicket(text));
    return ticket.chain.grants.back().serial;
  }
  return Error(ErrorReason::kArgumentInvalid,
               absl::StrCat("`", absl::CHexEscape(text.substr(0, 64)), "` is no peer id (",
                            PeerId::kTextSize,
                            " base32 characters), no serial of a grant (26), and "
                            "no ticket"));
}

absl::Status CheckNotRevoked(const Revocations& revocations,
                             const std::vector<VerifiedGrant>& chain) {
  const std::optional<Revocations::Cause> cause = revocations.Check(chain);
  if (!cause) return absl::OkStatus();
  const Revocation* revocation = std::get_if<Revocation>(&cause->fact->body);
  const std::string what = revocation == nullptr ? " moved to another key" : " was revoked";
  const bool says_why = revocation != nullptr && !revocation->reason.empty();
  const std::string why = says_why ? absl::StrCat(": ", revocation->reason) : "";
  const bool is_own = cause->place + 1 == chain.size();
  return Error(ErrorReason::kCredentialRevoked,
               absl::StrCat(is_own ? "peer " : "an issuer of the credential, peer ",
                            chain[cause->place].subject.ToText(), is_own ? "" : ",", what, " at ",
                            FormatUtc(cause->fact->time), why));
}

}  // namespace panal
