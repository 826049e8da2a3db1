#include "common/identity/credential.h"

#include "absl/strings/str_cat.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kKindOpen = 1;
// Used with their terminating NUL: no label is the beginning of another one's message.
constexpr char kMeshLabel[] = "panal open mesh v1";
constexpr char kCredentialLabel[] = "panal open credential v1";

std::string SignedMessage(const MeshId& mesh, const PeerId& peer) {
  return absl::StrCat(absl::string_view(kCredentialLabel, sizeof(kCredentialLabel)), mesh.view(),
                      peer.view());
}

absl::Status Invalid(absl::string_view message) {
  return Error(ErrorReason::kCredentialInvalid, message);
}

absl::Status CheckSize(absl::string_view credential) {
  if (credential.empty()) return Invalid("credential is missing");
  if (credential.size() <= kCredentialSizeMax) return absl::OkStatus();
  return Invalid(absl::StrCat("credential has ", credential.size(),
                              " bytes, which exceeds the limit of ", kCredentialSizeMax));
}

absl::Status NotOf(const PeerId& peer) {
  return Invalid(absl::StrCat("credential is not peer ", peer.ToText(), "'s"));
}

}  // namespace

MeshId OpenMeshId(absl::string_view name) {
  std::string named = absl::StrCat(absl::string_view(kMeshLabel, sizeof(kMeshLabel)), name);
  return MeshId{Sha256(named).bytes};
}

std::string MakeOpenCredential(const Identity& identity, const MeshId& mesh) {
  ByteWriter writer;
  writer.U8(kVersion);
  writer.U8(kKindOpen);
  writer.Raw(identity.public_key());
  writer.Raw(identity.Sign(SignedMessage(mesh, identity.peer_id())));
  return writer.Take();
}

absl::StatusOr<std::string> IssueCredential(const Issuer& issuer, const GrantTerms& terms,
                                            absl::Time now) {
  PANAL_CHECK(terms.ticket_uses == 0);
  PANAL_ASSIGN_OR_RETURN(const GrantChain chain, IssueGrant(issuer, terms, now));
  return EncodeChain(chain);
}

absl::StatusOr<VerifiedCredential> CheckCredential(absl::string_view credential, MeshPolicy policy,
                                                   const MeshId& mesh, const PeerId& peer,
                                                   absl::Time now) {
  if (policy == MeshPolicy::kOpen) {
    PANAL_RETURN_IF_ERROR(CheckOpenCredential(credential, peer, mesh));
    return VerifiedCredential{.peer = peer, .role = Role::kMember};
  }
  PANAL_RETURN_IF_ERROR(CheckSize(credential));
  PANAL_ASSIGN_OR_RETURN(const GrantChain chain, DecodeChain(credential));
  if (chain.grants.empty()) return Invalid("credential holds no grant");
  if (PeerIdOfPublicKey(chain.grants.back().subject) != peer) return NotOf(peer);
  PANAL_ASSIGN_OR_RETURN(std::vector<VerifiedGrant> grants,
                         VerifyChain(chain, mesh, ChainEnd::kPeer, now));
  const VerifiedGrant own = grants.back();
  return VerifiedCredential{.peer = peer,
                            .role = own.role,
                            .not_before = own.not_before,
                            .not_after = own.not_after,
                            .chain = std::move(grants)};
}

absl::Status CheckOpenCredential(absl::string_view credential, const PeerId& peer,
                                 const MeshId& mesh) {
  PANAL_RETURN_IF_ERROR(CheckSize(credential));
  ByteReader reader(credential);
  uint8_t version = reader.U8();
  uint8_t kind = reader.U8();
  if (version != kVersion || kind != kKindOpen) {
    return Invalid(absl::StrCat("credential has version ", version, " and kind ", kind,
                                ", this mesh takes version 1 and kind 1 (open)"));
  }
  absl::string_view public_key = reader.Raw(kPublicKeySize);
  absl::string_view signature = reader.Raw(kSignatureSize);
  if (!reader.AtEnd()) return Invalid("credential is truncated or has bytes left over");
  if (PeerIdOfPublicKey(public_key) != peer) return NotOf(peer);
  if (!VerifySignature(public_key, SignedMessage(mesh, peer), signature)) {
    return Invalid("credential's signature does not hold for this mesh");
  }
  return absl::OkStatus();
}

absl::Time RenewalTime(const VerifiedCredential& credential) {
  if (credential.not_after == absl::InfiniteFuture()) return absl::InfiniteFuture();
  return credential.not_after - (credential.not_after - credential.not_before) / 3;
}

}  // namespace panal
