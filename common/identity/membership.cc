#include "common/identity/membership.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/bytes.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/key_file.h"
#include "common/identity/ticket.h"

namespace panal {
namespace {

constexpr char kFileName[] = "membership";
constexpr uint8_t kVersion = 1;

std::string Encode(const MeshMembership& membership) {
  ByteWriter writer;
  writer.U8(kVersion);
  writer.String16(membership.mesh_name);
  writer.String16(EncodeChain(membership.chain));
  writer.U8(static_cast<uint8_t>(membership.contacts.size()));
  for (const JoinAddress& contact : membership.contacts) {
    writer.String16(absl::StrCat(contact.peer->ToText(), "@", contact.address));
  }
  return absl::StrCat(writer.bytes(), Sha256(writer.bytes()).view());
}

// Nothing: damaged.
std::optional<MeshMembership> Decode(absl::string_view bytes) {
  if (bytes.size() < Sha256Digest::kSize) return std::nullopt;
  const absl::string_view content = bytes.substr(0, bytes.size() - Sha256Digest::kSize);
  if (Sha256(content).view() != bytes.substr(content.size())) return std::nullopt;
  ByteReader reader(content);
  if (reader.U8() != kVersion) return std::nullopt;
  MeshMembership membership;
  membership.mesh_name = std::string(reader.String16());
  absl::StatusOr<GrantChain> chain = DecodeChain(reader.String16());
  if (!chain.ok() || !ValidateMeshName(membership.mesh_name).ok()) return std::nullopt;
  membership.chain = *std::move(chain);
  const size_t contacts = reader.U8();
  if (contacts > kTicketContactsMax) return std::nullopt;
  for (size_t i = 0; i < contacts; ++i) {
    absl::StatusOr<JoinAddress> contact = ParseJoinAddress(reader.String16());
    if (!contact.ok() || !contact->peer) return std::nullopt;
    membership.contacts.push_back(*std::move(contact));
  }
  if (!reader.AtEnd()) return std::nullopt;
  return membership;
}

}  // namespace

absl::StatusOr<std::optional<MeshMembership>> LoadMembership(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/", kFileName);
  PANAL_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, internal::ReadKeyFile(path));
  if (!bytes) return std::optional<MeshMembership>();
  std::optional<MeshMembership> membership = Decode(*bytes);
  if (membership) return membership;
  return Error(ErrorReason::kDataDirInvalid,
               absl::StrCat(path,
                            " is damaged; move it away and join with a new ticket, or put "
                            "a copy of it back"),
               {{"path", path}});
}

absl::Status SaveMembership(const std::string& dir, const MeshMembership& membership) {
  return internal::WriteKeyFile(dir, kFileName, Encode(membership));
}

}  // namespace panal
