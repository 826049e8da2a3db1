#include "common/model/page.h"

#include "absl/strings/str_cat.h"
#include "common/base/bytes.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr absl::string_view kMagic("panal page v1\0", 14);

absl::Status Invalid(const PageKey& key, absl::string_view why) {
  return Error(
      ErrorReason::kPageInvalid,
      absl::StrCat("page ", key.number, " of peer ", key.publisher.ToShortText(), "…: ", why),
      {{"publisher", key.publisher.ToText()}, {"number", absl::StrCat(key.number)}});
}

absl::Status ValidateHeader(const PageHeader& header) {
  if (header.key.number > kPageNumberMax) {
    return Invalid(header.key, absl::StrCat("the number exceeds ", kPageNumberMax));
  }
  if (header.public_key.size() != kPageKeySize) {
    return Invalid(header.key, absl::StrCat("a public key of ", header.public_key.size(),
                                            " bytes is not ", kPageKeySize));
  }
  if (header.signature.size() != kPageSignatureSize) {
    return Invalid(header.key, absl::StrCat("a signature of ", header.signature.size(),
                                            " bytes is not ", kPageSignatureSize));
  }
  return absl::OkStatus();
}

absl::Status ValidatePeerRecord(const PageKey& key, const Record& record) {
  if (key.number != kPeerPageNumber) {
    return Invalid(key, absl::StrCat("a peer record belongs on page ", kPeerPageNumber));
  }
  if (record.id.bytes != key.publisher.bytes) {
    return Invalid(key, "the peer record is another peer's");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidatePage(const Page& page, bool has_body) {
  const PageKey& key = page.header.key;
  PANAL_RETURN_IF_ERROR(ValidateHeader(page.header));
  if (!has_body && (!page.body.empty() || !page.records.empty())) {
    return Invalid(key, "a page without its body has one");
  }
  if (page.body.size() > kPageBodySizeMax) {
    return Invalid(
        key, absl::StrCat("a body of ", page.body.size(), " bytes exceeds ", kPageBodySizeMax));
  }
  if (page.records.size() > kPageRecordsMax) {
    return Invalid(key, absl::StrCat(page.records.size(), " records exceed ", kPageRecordsMax));
  }
  for (size_t i = 0; i < page.records.size(); ++i) {
    const Record& record = page.records[i];
    if (absl::Status status = ValidateRecord(record); !status.ok()) {
      return Invalid(key, absl::StrCat("record ", i, ": ", status.message()));
    }
    if (record.kind == RecordKind::kPeer) PANAL_RETURN_IF_ERROR(ValidatePeerRecord(key, record));
  }
  return absl::OkStatus();
}

std::string PageSigningBytes(const MeshId& mesh, const PageHeader& header) {
  ByteWriter writer;
  writer.Raw(kMagic);
  writer.Raw(mesh.view());
  writer.Raw(header.key.publisher.view());
  writer.U32(header.key.number);
  writer.U64(header.version);
  writer.U64(header.expires_ms);
  writer.Raw(header.body_hash.view());
  return writer.Take();
}

}  // namespace panal
