#include "common/identity/ticket.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/base32.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/openssl_types.h"
#include "common/model/record.h"

namespace panal {
namespace {

constexpr uint8_t kVersion = 1;
// Bytes of the checksum: one mistyped ticket in four billion is not found.
constexpr size_t kChecksumSize = 4;
// Grants of the shortest chain: its issuer's and its own.
constexpr size_t kTicketGrantsMin = 2;
// Used with its terminating NUL: no label is the beginning of another one's message.
constexpr char kJoinLabel[] = "panal join v1";

absl::Status Invalid(absl::string_view message) {
  return Error(ErrorReason::kTicketInvalid, absl::StrCat("ticket ", message));
}

// What is wrong with a whole ticket is nothing that copying it again helps.
absl::Status Malformed(absl::string_view message) {
  return Invalid(absl::StrCat(message, "; ask for a new one"));
}

// The status of a chain of grants as that of the ticket that ends it.
absl::Status OfTicket(const absl::Status& status) {
  if (ReasonOf(status) != ErrorReason::kCredentialExpired) {
    return Malformed(absl::StrCat("is not valid: ", status.message()));
  }
  return Error(ErrorReason::kTicketExpired,
               absl::StrCat("ticket: ", status.message(), "; ask for a new one"));
}

std::string JoinMessage(const MeshId& mesh, const PeerId& joiner, const PeerId& acceptor) {
  return absl::StrCat(absl::string_view(kJoinLabel, sizeof(kJoinLabel)), mesh.view(), joiner.view(),
                      acceptor.view());
}

std::optional<std::string> FaultOfContacts(const std::vector<JoinAddress>& contacts) {
  if (contacts.size() > kTicketContactsMax) {
    return absl::StrCat(contacts.size(), " addresses exceed the limit of ", kTicketContactsMax);
  }
  for (const JoinAddress& contact : contacts) {
    if (!contact.peer) return absl::StrCat("the address ", contact.address, " is without peer id");
    if (!IsValidAddress(contact.address) || contact.address.size() > kTicketAddressSizeMax) {
      return absl::StrCat("the address `", absl::CHexEscape(contact.address),
                          "` is not HOST:PORT of at most ", kTicketAddressSizeMax, " bytes");
    }
  }
  return std::nullopt;
}

absl::Status CheckTerms(const TicketTerms& terms) {
  std::optional<std::string> fault = FaultOfContacts(terms.contacts);
  if (!ValidateMeshName(terms.mesh_name).ok()) {
    fault = absl::StrCat("the mesh's name is not 1 to ", kMeshNameSizeMax, " bytes of UTF-8");
  } else if (terms.uses < 1 || terms.uses > kTicketUsesMax) {
    fault = absl::StrCat(terms.uses, " uses are not of 1 to ", kTicketUsesMax);
  } else if (terms.lifetime <= absl::ZeroDuration() || terms.lifetime > kTicketLifetimeMax) {
    fault = absl::StrCat("a lifetime of ", absl::FormatDuration(terms.lifetime),
                         " is not above 0 and at most ", absl::FormatDuration(kTicketLifetimeMax));
  }
  return fault ? Error(ErrorReason::kArgumentInvalid, absl::StrCat("ticket: ", *fault))
               : absl::OkStatus();
}

std::string Checksum(absl::string_view bytes) {
  return Sha256(bytes).ToBytes().substr(0, kChecksumSize);
}

// The bytes of the text before the checksum.
absl::StatusOr<std::string> Unwrapped(absl::string_view text) {
  if (text.size() > kTicketTextSizeMax) {
    return Invalid(absl::StrCat("has ", text.size(), " characters, which exceeds the limit of ",
                                kTicketTextSizeMax, "; copy one line only"));
  }
  if (!absl::ConsumePrefix(&text, kTicketPrefix)) {
    return Invalid(absl::StrCat("does not begin with ", kTicketPrefix,
                                "; copy the whole line, or, where it begins with another number, "
                                "update this peer"));
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsBase32(text.substr(i, 1))) continue;
    return Invalid(absl::StrCat("has a character that none has, `",
                                absl::CHexEscape(text.substr(i, 1)), "`, at place ",
                                i + sizeof(kTicketPrefix), "; copy the line again"));
  }
  std::optional<std::string> bytes = Base32Decode(text);
  const size_t size = bytes && bytes->size() > kChecksumSize ? bytes->size() - kChecksumSize : 0;
  if (size == 0 || Checksum(bytes->substr(0, size)) != bytes->substr(size)) {
    return Invalid("is cut or mistyped, its checksum is wrong; copy the whole line again");
  }
  return bytes->substr(0, size);
}

absl::StatusOr<std::vector<JoinAddress>> ReadContacts(ByteReader& reader) {
  const size_t count = reader.U8();
  std::vector<JoinAddress> contacts;
  for (size_t i = 0; i < count && reader.ok(); ++i) {
    JoinAddress contact;
    contact.peer = PeerId::FromBytes(reader.Raw(PeerId::kSize));
    contact.address = std::string(reader.Raw(reader.U8()));
    contacts.push_back(std::move(contact));
  }
  if (!reader.ok()) return Malformed("lacks some of its addresses");
  std::optional<std::string> fault = FaultOfContacts(contacts);
  if (fault) return Malformed(absl::StrCat("is not valid: ", *fault));
  return contacts;
}

absl::Status CheckParts(const Ticket& ticket) {
  if (!ValidateMeshName(ticket.mesh_name).ok()) {
    return Malformed(
        absl::StrCat("names a mesh that is not 1 to ", kMeshNameSizeMax, " bytes of UTF-8"));
  }
  const std::vector<Grant>& grants = ticket.chain.grants;
  if (grants.size() < kTicketGrantsMin || !grants.back().ticket) {
    return Malformed("is not valid: its grants do not lead to a peer that issued it, and to it");
  }
  if (Identity::FromSeed(ticket.seed).public_key() != grants.back().subject) {
    return Malformed("is not valid: its key is not that of its grant");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Ticket> IssueTicket(const Issuer& issuer, const TicketTerms& terms, absl::Time now) {
  PANAL_RETURN_IF_ERROR(CheckTerms(terms));
  if (issuer.chain.grants.empty()) {
    return Error(ErrorReason::kNotPermitted,
                 "the root key issues no tickets: the peer that does counts their uses");
  }
  Ticket ticket{.mesh_name = terms.mesh_name,
                .seed = internal::RandomBytes(kKeySeedSize),
                .contacts = terms.contacts};
  PANAL_ASSIGN_OR_RETURN(ticket.chain,
                         IssueGrant(issuer,
                                    {.subject = Identity::FromSeed(ticket.seed).public_key(),
                                     .role = terms.role,
                                     .lifetime = terms.lifetime,
                                     .ticket_uses = static_cast<uint16_t>(terms.uses)},
                                    now));
  return ticket;
}

std::string PrintTicket(const Ticket& ticket) {
  PANAL_CHECK(CheckParts(ticket).ok() && !FaultOfContacts(ticket.contacts));
  ByteWriter writer;
  writer.U8(kVersion);
  writer.U8(static_cast<uint8_t>(ticket.mesh_name.size()));
  writer.Raw(ticket.mesh_name);
  WriteChain(ticket.chain, writer);
  writer.Raw(ticket.seed);
  writer.U8(static_cast<uint8_t>(ticket.contacts.size()));
  for (const JoinAddress& contact : ticket.contacts) {
    writer.Raw(contact.peer->view());
    writer.U8(static_cast<uint8_t>(contact.address.size()));
    writer.Raw(contact.address);
  }
  writer.Raw(Checksum(writer.bytes()));
  return absl::StrCat(kTicketPrefix, Base32Encode(writer.bytes()));
}

absl::StatusOr<Ticket> ParseTicket(absl::string_view text) {
  PANAL_ASSIGN_OR_RETURN(const std::string bytes, Unwrapped(absl::StripAsciiWhitespace(text)));
  ByteReader reader(bytes);
  if (const uint8_t version = reader.U8(); version != kVersion) {
    return Invalid(absl::StrCat("has version ", version, ", this peer reads version 1; update it"));
  }
  Ticket ticket;
  ticket.mesh_name = std::string(reader.Raw(reader.U8()));
  absl::StatusOr<GrantChain> chain = ReadChain(reader);
  if (!chain.ok()) return OfTicket(chain.status());
  ticket.chain = *std::move(chain);
  ticket.seed = std::string(reader.Raw(kKeySeedSize));
  if (!reader.ok()) return Malformed("lacks its key");
  PANAL_RETURN_IF_ERROR(CheckParts(ticket));
  PANAL_ASSIGN_OR_RETURN(ticket.contacts, ReadContacts(reader));
  if (!reader.AtEnd()) return Malformed("has bytes left over behind its addresses");
  return ticket;
}

absl::StatusOr<VerifiedTicket> CheckTicket(absl::string_view bytes, const MeshId& mesh,
                                           absl::Time now) {
  absl::StatusOr<GrantChain> chain = DecodeChain(bytes);
  if (!chain.ok()) return OfTicket(chain.status());
  if (chain->grants.size() == 1) return Malformed("is not valid: no peer issued it");
  absl::StatusOr<std::vector<VerifiedGrant>> grants =
      VerifyChain(*chain, mesh, ChainEnd::kTicket, now);
  if (!grants.ok()) return OfTicket(grants.status());
  VerifiedTicket ticket;
  ticket.key = chain->grants.back().subject;
  ticket.role = grants->back().role;
  ticket.uses = UsesOf(grants->back().serial);
  ticket.issuer = (*grants)[grants->size() - 2].subject;
  ticket.not_after = grants->back().not_after;
  ticket.chain = *std::move(grants);
  return ticket;
}

std::string MakeJoinProof(const Ticket& ticket, const PeerId& joiner, const PeerId& acceptor) {
  return Identity::FromSeed(ticket.seed)
      .Sign(JoinMessage(InviteMeshId(ticket.chain.root), joiner, acceptor));
}

absl::Status CheckJoinProof(const VerifiedTicket& ticket, const MeshId& mesh, const PeerId& joiner,
                            const PeerId& acceptor, absl::string_view proof) {
  if (VerifySignature(ticket.key, JoinMessage(mesh, joiner, acceptor), proof)) {
    return absl::OkStatus();
  }
  return Invalid(
      absl::StrCat("is not proven to be peer ", joiner.ToText(), "'s at peer ", acceptor.ToText()));
}

}  // namespace panal
