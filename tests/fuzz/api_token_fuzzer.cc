#include <cstddef>
#include <cstdint>

#include "tests/property/model/byte_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  panal::CheckApiTokenFile(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
