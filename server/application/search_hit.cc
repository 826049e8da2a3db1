#include "server/application/search_hit.h"

#include "absl/strings/str_cat.h"
#include "common/model/object_ref.h"

namespace panal {

std::string HitIdOf(const Hit& hit) {
  if (hit.record.kind != RecordKind::kObject) return hit.record.id.ToText();
  // From the attributes that the object's export gives.
  auto service = hit.record.attributes.find("service");
  auto key = hit.record.attributes.find("key");
  if (service == hit.record.attributes.end()) {
    return absl::StrCat("panal://", hit.publisher.id.ToText(), "/", hit.record.name);
  }
  return ObjectRef{hit.publisher.id, service->second,
                   key == hit.record.attributes.end() ? "" : key->second}
      .ToText();
}

void FillHit(const Hit& hit, const std::string& id, v1::Hit* out) {
  out->set_id(id);
  out->set_kind(std::string(RecordKindName(hit.record.kind)));
  out->set_name(hit.record.name);
  out->set_size_bytes(static_cast<int64_t>(hit.record.size_bytes));
  for (const auto& [key, value] : hit.record.attributes) (*out->mutable_attributes())[key] = value;
  out->set_publisher(hit.publisher.id.ToText());
  for (const std::string& address : hit.publisher.addresses) {
    out->add_publisher_addresses(address);
  }
}

absl::string_view CutShortName(CutShort cut_short) {
  switch (cut_short) {
    case CutShort::kTimeout:
      return "timeout";
    case CutShort::kPeersLost:
      return "peers lost";
    case CutShort::kEnough:
      return "enough";
    case CutShort::kNothing:
    case CutShort::kOverloaded:
      return "";
  }
  return "";
}

}  // namespace panal
