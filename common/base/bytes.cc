#include "common/base/bytes.h"

#include "common/base/check.h"

namespace panal {

void ByteWriter::U8(uint8_t value) { bytes_ += static_cast<char>(value); }

void ByteWriter::U16(uint16_t value) {
  U8(static_cast<uint8_t>(value >> 8));
  U8(static_cast<uint8_t>(value));
}

void ByteWriter::U32(uint32_t value) {
  U16(static_cast<uint16_t>(value >> 16));
  U16(static_cast<uint16_t>(value));
}

void ByteWriter::U64(uint64_t value) {
  U32(static_cast<uint32_t>(value >> 32));
  U32(static_cast<uint32_t>(value));
}

void ByteWriter::Raw(absl::string_view bytes) { bytes_.append(bytes.data(), bytes.size()); }

void ByteWriter::String16(absl::string_view bytes) {
  PANAL_CHECK(bytes.size() <= 0xffff);
  U16(static_cast<uint16_t>(bytes.size()));
  Raw(bytes);
}

uint8_t ByteReader::U8() {
  absl::string_view raw = Raw(1);
  return raw.empty() ? 0 : static_cast<uint8_t>(raw[0]);
}

// The parts are read in statements of their own: the order within an expression is unspecified.
uint16_t ByteReader::U16() {
  if (rest_.size() < 2) return Raw(2), 0;
  uint16_t high = U8();
  return static_cast<uint16_t>(high << 8 | U8());
}

uint32_t ByteReader::U32() {
  if (rest_.size() < 4) return Raw(4), 0;
  uint32_t high = U16();
  return high << 16 | U16();
}

uint64_t ByteReader::U64() {
  if (rest_.size() < 8) return Raw(8), 0;
  uint64_t high = U32();
  return high << 32 | U32();
}

absl::string_view ByteReader::Raw(size_t size) {
  if (size > rest_.size()) {
    ok_ = false;
    rest_ = absl::string_view();
    return rest_;
  }
  absl::string_view raw = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return raw;
}

absl::string_view ByteReader::String16() { return Raw(U16()); }

}  // namespace panal
