#include "common/wire/record_codec.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/wire/serialize.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "panal/v1/frames.pb.h"

namespace panal {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

absl::Status Invalid(absl::string_view why) {
  return Error(ErrorReason::kRecordInvalid, absl::StrCat("record: ", why));
}

bool IsKnownKind(int kind) {
  return kind >= static_cast<int>(RecordKind::kFile) && kind <= static_cast<int>(RecordKind::kPeer);
}

void AddAddresses(const std::vector<std::string>& addresses, Strings* message) {
  message->Add(addresses.begin(), addresses.end());
}

absl::StatusOr<PeerContact> ContactOf(const std::string& id, const Strings& addresses) {
  std::optional<PeerId> peer = PeerId::FromBytes(id);
  if (!peer) return Invalid(absl::StrCat("a peer id of ", id.size(), " bytes is not 32"));
  if (static_cast<size_t>(addresses.size()) > kContactAddressesMax) {
    return Invalid(absl::StrCat(addresses.size(), " addresses exceed ", kContactAddressesMax));
  }
  for (const std::string& address : addresses) {
    if (!IsValidAddress(address)) return Invalid("an address of a contact is not HOST:PORT");
  }
  return PeerContact{*peer, {addresses.begin(), addresses.end()}};
}

}  // namespace

void ToProto(const Record& record, v1::Record* message) {
  message->Clear();
  message->set_kind(static_cast<v1::RecordKind>(record.kind));
  message->set_name(record.name);
  if (record.kind != RecordKind::kObject) message->set_id(record.id.ToBytes());
  message->set_size_bytes(record.size_bytes);
  message->mutable_attributes()->insert(record.attributes.begin(), record.attributes.end());
  message->set_version(record.version);
  AddAddresses(record.addresses, message->mutable_addresses());
}

void ToProto(const PeerContact& contact, v1::PeerContact* message) {
  message->Clear();
  message->set_peer_id(contact.id.ToBytes());
  AddAddresses(contact.addresses, message->mutable_addresses());
}

void ToProto(const Hit& hit, v1::HitRecord* message) {
  message->Clear();
  ToProto(hit.record, message->mutable_record());
  message->set_publisher(hit.publisher.id.ToBytes());
  AddAddresses(hit.publisher.addresses, message->mutable_addresses());
  message->set_publisher_version(hit.publisher_version);
}

absl::StatusOr<std::optional<Record>> FromProto(const v1::Record& message) {
  if (!IsKnownKind(message.kind())) return std::optional<Record>();
  Record record;
  record.kind = static_cast<RecordKind>(message.kind());
  // Before anything is copied: counts are bounded by the size of a frame only.
  if (static_cast<size_t>(message.attributes_size()) > kRecordAttributesMax) {
    return Invalid(
        absl::StrCat(message.attributes_size(), " attributes exceed ", kRecordAttributesMax));
  }
  if (static_cast<size_t>(message.addresses_size()) > kContactAddressesMax) {
    return Invalid(
        absl::StrCat(message.addresses_size(), " addresses exceed ", kContactAddressesMax));
  }
  record.name = message.name();
  if (record.kind != RecordKind::kObject || !message.id().empty()) {
    std::optional<Sha256Digest> id = Sha256Digest::FromBytes(message.id());
    if (!id) return Invalid(absl::StrCat("an id of ", message.id().size(), " bytes is not 32"));
    record.id = *id;
  }
  record.size_bytes = message.size_bytes();
  record.attributes.insert(message.attributes().begin(), message.attributes().end());
  record.version = message.version();
  record.addresses.assign(message.addresses().begin(), message.addresses().end());
  PANAL_RETURN_IF_ERROR(ValidateRecord(record));
  return record;
}

absl::StatusOr<PeerContact> FromProto(const v1::PeerContact& message) {
  return ContactOf(message.peer_id(), message.addresses());
}

absl::StatusOr<std::optional<Hit>> FromProto(const v1::HitRecord& message) {
  PANAL_ASSIGN_OR_RETURN(std::optional<Record> record, FromProto(message.record()));
  PANAL_ASSIGN_OR_RETURN(PeerContact publisher,
                         ContactOf(message.publisher(), message.addresses()));
  if (!record) return std::optional<Hit>();
  return Hit{*std::move(record), std::move(publisher), message.publisher_version()};
}

std::string EncodeRecord(const Record& record) {
  v1::Record message;
  ToProto(record, &message);
  return internal::SerializeDeterministically(message);
}

absl::StatusOr<std::optional<Record>> DecodeRecord(absl::string_view bytes) {
  v1::Record message;
  if (!internal::Parse(bytes, &message)) return Invalid("the bytes do not parse");
  return FromProto(message);
}

std::string EncodeHit(const Hit& hit) {
  v1::HitRecord message;
  ToProto(hit, &message);
  return internal::SerializeDeterministically(message);
}

absl::StatusOr<std::optional<Hit>> DecodeHit(absl::string_view bytes) {
  v1::HitRecord message;
  if (!internal::Parse(bytes, &message)) return Invalid("the bytes do not parse");
  return FromProto(message);
}

}  // namespace panal
