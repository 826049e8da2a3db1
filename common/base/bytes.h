// Fixed binary layouts: big-endian integers, length-prefixed strings.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace panal {

// Appends to a string.
class ByteWriter {
 public:
  void U8(uint8_t value);
  void U16(uint16_t value);
  void U32(uint32_t value);
  void U64(uint64_t value);
  // The bytes themselves, no length.
  void Raw(absl::string_view bytes);
  // A U16 length, then the bytes. REQUIRES: at most 65535 bytes.
  void String16(absl::string_view bytes);

  const std::string& bytes() const { return bytes_; }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what ByteWriter wrote. After the first read past the end every read gives zeros and ok() is
// false: check once at the end. `bytes` must outlive the reader and what Raw and String16 return.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes) : rest_(bytes) {}

  uint8_t U8();
  uint16_t U16();
  uint32_t U32();
  uint64_t U64();
  absl::string_view Raw(size_t size);
  absl::string_view String16();

  bool ok() const { return ok_; }

  // Bytes not yet read.
  size_t remaining() const { return rest_.size(); }

  // Whether everything was read and nothing was missing.
  bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace panal
