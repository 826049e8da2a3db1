#include "common/model/frame.h"

namespace panal {
namespace {

// Bytes beside a string, bytes or message field: its key of one byte and a length of at most three.
constexpr size_t kFieldOverhead = 4;
// Kind, size and version of a record, version of the publisher: a key and a varint of at most ten
// bytes each.
constexpr size_t kNumbersSize = 4 * 11;

size_t AddressesSize(const std::vector<std::string>& addresses) {
  size_t size = 0;
  for (const std::string& address : addresses) size += kFieldOverhead + address.size();
  return size;
}

}  // namespace

size_t HitFrameSizeMax(const Hit& hit) {
  const Record& record = hit.record;
  size_t size = 2 * kFieldOverhead + kNumbersSize;  // The hit, the record in it.
  size += kFieldOverhead + record.name.size() + kFieldOverhead + Sha256Digest::kSize;
  for (const auto& [key, value] : record.attributes) {
    size += 3 * kFieldOverhead + key.size() + value.size();
  }
  size += AddressesSize(record.addresses);
  return size + kFieldOverhead + PeerId::kSize + AddressesSize(hit.publisher.addresses);
}

}  // namespace panal
