#include "common/wire/field_reader.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/frame.h"
#include "common/wire/page_codec.h"
#include "common/wire/record_codec.h"

namespace panal::internal {

void FieldReader::Refuse(absl::string_view field, absl::string_view value,
                         absl::string_view limit) {
  if (!status_.ok()) return;
  std::string path = absl::StrCat(message_, ".", field);
  std::string shown = absl::Utf8SafeCHexEscape(value.substr(0, 64));
  status_ = Error(ErrorReason::kFrameInvalid,
                  absl::StrCat("frame field ", path, ": ", shown, " is not ", limit),
                  {{"field", path}, {"value", shown}, {"limit", std::string(limit)}});
}

void FieldReader::Refuse(absl::string_view field, const absl::Status& why) {
  if (!status_.ok()) return;
  std::string path = absl::StrCat(message_, ".", field);
  status_ =
      Error(ErrorReason::kFrameInvalid, absl::StrCat("frame field ", path, ": ", why.message()),
            {{"field", path}, {"reason", std::string(ReasonName(ReasonOf(why)))}});
}

uint32_t FieldReader::Count(absl::string_view field, uint64_t value, uint64_t least,
                            uint64_t most) {
  if (value >= least && value <= most) return static_cast<uint32_t>(value);
  Refuse(field, absl::StrCat(value), absl::StrCat("from ", least, " to ", most));
  return 0;
}

double FieldReader::Real(absl::string_view field, double value, double least, double most) {
  if (value >= least && value <= most) return value;  // False for NaN.
  Refuse(field, absl::StrCat(value), absl::StrCat("from ", least, " to ", most));
  return 0;
}

double FieldReader::Mass(absl::string_view field, double value) {
  if (std::isfinite(value) && value >= 0) return value;
  Refuse(field, absl::StrCat(value), "finite, 0 and above");
  return 0;
}

std::string FieldReader::Text(absl::string_view field, const std::string& value, size_t least,
                              size_t most) {
  if (value.size() >= least && value.size() <= most) return value;
  Refuse(field, absl::StrCat(value.size(), " bytes"),
         absl::StrCat("of ", least, " to ", most, " bytes"));
  return "";
}

PeerId FieldReader::Id(absl::string_view field, const std::string& value) {
  std::optional<PeerId> id = PeerId::FromBytes(value);
  if (!id) Refuse(field, absl::StrCat(value.size(), " bytes"), "an id of 32 bytes");
  return id.value_or(PeerId{});
}

std::vector<PeerId> FieldReader::Ids(absl::string_view field, const Strings& values, size_t least,
                                     size_t most) {
  std::vector<PeerId> ids;
  uint32_t count = Count(field, values.size(), least, most);
  for (uint32_t i = 0; i < count; ++i) ids.push_back(Id(field, values.Get(static_cast<int>(i))));
  return ids;
}

std::vector<std::string> FieldReader::Texts(absl::string_view field, const Strings& values,
                                            size_t count_max, size_t size_max) {
  std::vector<std::string> texts;
  uint32_t count = Count(field, values.size(), 0, count_max);
  for (uint32_t i = 0; i < count; ++i) {
    texts.push_back(Text(field, values.Get(static_cast<int>(i)), 1, size_max));
  }
  return texts;
}

std::vector<std::string> FieldReader::Addresses(absl::string_view field, const Strings& values) {
  std::vector<std::string> addresses = Texts(field, values, kContactAddressesMax, kAddressSizeMax);
  for (const std::string& address : addresses) {
    if (!IsValidAddress(address)) Refuse(field, address, "HOST:PORT");
  }
  return addresses;
}

PeerContact FieldReader::Contact(absl::string_view field, const v1::PeerContact& value) {
  return {Id(absl::StrCat(field, ".peer_id"), value.peer_id()),
          Addresses(absl::StrCat(field, ".addresses"), value.addresses())};
}

std::vector<PeerContact> FieldReader::Sample(absl::string_view field, const Contacts& values) {
  std::vector<PeerContact> contacts;
  uint32_t count = Count(field, values.size(), 0, kSampleSizeMax);
  for (uint32_t i = 0; i < count; ++i) {
    contacts.push_back(Contact(field, values.Get(static_cast<int>(i))));
  }
  return contacts;
}

PagePtr FieldReader::SignedPage(absl::string_view field, const v1::SignedPage& value,
                                bool needs_body) {
  absl::StatusOr<DecodedPage> page = FromProto(value);
  if (!page.ok()) {
    Refuse(field, page.status());
    return nullptr;
  }
  if (needs_body && !page->has_body) {
    Refuse(absl::StrCat(field, ".has_body"), "false", "true");
    return nullptr;
  }
  return std::move(page->page);
}

}  // namespace panal::internal
