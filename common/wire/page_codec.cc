#include "common/wire/page_codec.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/wire/record_codec.h"
#include "common/wire/serialize.h"
#include "panal/v1/frames.pb.h"

namespace panal {
namespace {

// What stands before the raw key in an Ed25519 SubjectPublicKeyInfo (RFC 8410, section 4).
constexpr absl::string_view kSpkiPrefix("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12);

absl::Status Invalid(absl::string_view why) {
  return Error(ErrorReason::kPageInvalid, absl::StrCat("page: ", why));
}

// Everything of the header but the signature, which nobody has looked at.
absl::StatusOr<PageHeader> DecodeHeader(const v1::SignedPage& message) {
  std::optional<PeerId> publisher = PublisherOfKey(message.public_key());
  if (!publisher) {
    return Invalid(absl::StrCat("a public key of ", message.public_key().size(), " bytes is not ",
                                kPageKeySize));
  }
  std::optional<Sha256Digest> body_hash = Sha256Digest::FromBytes(message.body_hash());
  if (!body_hash) {
    return Invalid(absl::StrCat("a hash of ", message.body_hash().size(), " bytes is not 32"));
  }
  PageHeader header;
  header.key = {*publisher, message.number()};
  header.version = message.version();
  header.expires_ms = message.expires_ms();
  header.body_hash = *body_hash;
  header.public_key = message.public_key();
  header.signature = message.signature();
  return header;
}

}  // namespace

std::optional<PeerId> PublisherOfKey(absl::string_view public_key) {
  if (public_key.size() != kPageKeySize) return std::nullopt;
  return PeerId::FromBytes(Sha256(absl::StrCat(kSpkiPrefix, public_key)).view());
}

std::string EncodePageBody(const std::vector<Record>& records) {
  v1::PageBody message;
  for (const Record& record : records) ToProto(record, message.add_records());
  return internal::SerializeDeterministically(message);
}

absl::StatusOr<std::vector<Record>> DecodePageBody(absl::string_view body) {
  if (body.size() > kPageBodySizeMax) {
    return Invalid(absl::StrCat("a body of ", body.size(), " bytes exceeds ", kPageBodySizeMax));
  }
  v1::PageBody message;
  if (!internal::Parse(body, &message)) return Invalid("the body does not parse");
  if (static_cast<size_t>(message.records_size()) > kPageRecordsMax) {
    return Invalid(absl::StrCat(message.records_size(), " records exceed ", kPageRecordsMax));
  }
  std::vector<Record> records;
  records.reserve(message.records_size());
  for (const v1::Record& item : message.records()) {
    absl::StatusOr<std::optional<Record>> record = FromProto(item);
    if (!record.ok()) return Invalid(record.status().message());
    if (record->has_value()) records.push_back(**std::move(record));
  }
  return records;
}

void ToProto(const Page& page, bool with_body, v1::SignedPage* message) {
  message->Clear();
  message->set_public_key(page.header.public_key);
  message->set_number(page.header.key.number);
  message->set_version(page.header.version);
  message->set_expires_ms(page.header.expires_ms);
  message->set_body_hash(page.header.body_hash.ToBytes());
  message->set_signature(page.header.signature);
  message->set_has_body(with_body);
  if (with_body) message->set_body(page.body);
}

absl::StatusOr<DecodedPage> FromProto(const v1::SignedPage& message) {
  auto page = std::make_shared<Page>();
  PANAL_ASSIGN_OR_RETURN(page->header, DecodeHeader(message));
  page->body = message.body();
  if (message.has_body()) {
    PANAL_ASSIGN_OR_RETURN(page->records, DecodePageBody(page->body));
    if (Sha256(page->body) != page->header.body_hash) {
      return Invalid("the body does not hash to body_hash");
    }
  }
  PANAL_RETURN_IF_ERROR(ValidatePage(*page, message.has_body()));
  return DecodedPage{std::move(page), message.has_body()};
}

std::string EncodeSignedPage(const Page& page, bool with_body) {
  v1::SignedPage message;
  ToProto(page, with_body, &message);
  return internal::SerializeDeterministically(message);
}

absl::StatusOr<DecodedPage> DecodeSignedPage(absl::string_view bytes) {
  v1::SignedPage message;
  if (!internal::Parse(bytes, &message)) return Invalid("the bytes do not parse");
  return FromProto(message);
}

}  // namespace panal
