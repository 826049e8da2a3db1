#include "server/data/catalog/codec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/bytes.h"
#include "common/base/status.h"

namespace panal::catalog {
namespace {

constexpr size_t kIdSize = Sha256Digest::kSize;

void WriteAttributes(const Attributes& attributes, ByteWriter& writer) {
  writer.U16(static_cast<uint16_t>(attributes.size()));
  for (const auto& [key, value] : attributes) {
    writer.String16(key);
    writer.String16(value);
  }
}

Attributes ReadAttributes(ByteReader& reader) {
  Attributes attributes;
  for (int left = reader.U16(); left > 0 && reader.ok(); --left) {
    std::string key(reader.String16());
    attributes.emplace(std::move(key), std::string(reader.String16()));
  }
  return attributes;
}

void WriteAddresses(const std::vector<std::string>& addresses, ByteWriter& writer) {
  writer.U16(static_cast<uint16_t>(addresses.size()));
  for (const std::string& address : addresses) writer.String16(address);
}

std::vector<std::string> ReadAddresses(ByteReader& reader) {
  std::vector<std::string> addresses;
  for (int left = reader.U16(); left > 0 && reader.ok(); --left) {
    addresses.emplace_back(reader.String16());
  }
  return addresses;
}

// Value of a base32 character, or -1.
int Base32Value(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

}  // namespace

std::string EncodeAttributes(const Attributes& attributes) {
  ByteWriter writer;
  WriteAttributes(attributes, writer);
  return writer.Take();
}

absl::StatusOr<Attributes> DecodeAttributes(absl::string_view bytes, absl::string_view path) {
  ByteReader reader(bytes);
  Attributes attributes = ReadAttributes(reader);
  if (!reader.AtEnd()) return CorruptError(path, "attributes do not decode");
  return attributes;
}

std::string EncodeAddresses(const std::vector<std::string>& addresses) {
  ByteWriter writer;
  WriteAddresses(addresses, writer);
  return writer.Take();
}

absl::StatusOr<std::vector<std::string>> DecodeAddresses(absl::string_view bytes,
                                                         absl::string_view path) {
  ByteReader reader(bytes);
  std::vector<std::string> addresses = ReadAddresses(reader);
  if (!reader.AtEnd()) return CorruptError(path, "addresses do not decode");
  return addresses;
}

std::string EncodeRecord(const Record& record) {
  ByteWriter writer;
  writer.U8(static_cast<uint8_t>(record.kind));
  writer.String16(record.name);
  writer.Raw(record.id.view());
  writer.U64(record.size_bytes);
  writer.U64(record.version);
  WriteAttributes(record.attributes, writer);
  WriteAddresses(record.addresses, writer);
  return writer.Take();
}

absl::StatusOr<Record> DecodeRecord(absl::string_view bytes, absl::string_view path) {
  ByteReader reader(bytes);
  Record record;
  record.kind = static_cast<RecordKind>(reader.U8());
  record.name = std::string(reader.String16());
  record.id = Sha256Digest::FromBytes(reader.Raw(kIdSize)).value_or(Sha256Digest());
  record.size_bytes = reader.U64();
  record.version = reader.U64();
  record.attributes = ReadAttributes(reader);
  record.addresses = ReadAddresses(reader);
  if (!reader.AtEnd()) return CorruptError(path, "a record does not decode");
  return record;
}

std::string EncodeKeys(const std::vector<int64_t>& keys) {
  ByteWriter writer;
  for (int64_t key : keys) writer.U64(static_cast<uint64_t>(key));
  return writer.Take();
}

absl::StatusOr<std::vector<int64_t>> DecodeKeys(absl::string_view bytes, absl::string_view path) {
  if (bytes.size() % sizeof(int64_t) != 0) return CorruptError(path, "a page's keys do not decode");
  ByteReader reader(bytes);
  std::vector<int64_t> keys(bytes.size() / sizeof(int64_t));
  for (int64_t& key : keys) key = static_cast<int64_t>(reader.U64());
  return keys;
}

std::string IndexText(const Record& record) {
  std::string text = record.name;
  for (const auto& [key, value] : record.attributes) absl::StrAppend(&text, " ", key, " ", value);
  return text;
}

// Protocol Buffers: a field costs a tag of 1 byte and, where its length varies, up to 3 bytes of
// length (nothing here reaches 2 MiB); numbers up to 10 bytes.
int64_t EncodedSizeBound(const Record& record) {
  constexpr int64_t kLengthPrefixed = 1 + 3;
  constexpr int64_t kNumber = 1 + 10;
  int64_t size = kLengthPrefixed + kNumber /*kind*/ + kNumber /*size*/ + kNumber /*version*/;
  size += kLengthPrefixed + static_cast<int64_t>(record.name.size());
  size += kLengthPrefixed + static_cast<int64_t>(kIdSize);
  for (const auto& [key, value] : record.attributes) {
    size += 3 * kLengthPrefixed + static_cast<int64_t>(key.size() + value.size());
  }
  for (const std::string& address : record.addresses) {
    size += kLengthPrefixed + static_cast<int64_t>(address.size());
  }
  return size;
}

PrefixRange RangeOfPrefix(absl::string_view prefix) {
  if (prefix.size() > Sha256Digest::kTextSize) return {};
  PrefixRange result{.range = {std::string(kIdSize, '\0'), std::string(kIdSize, '\xff')}};
  for (size_t bit = 0; bit < prefix.size() * 5; ++bit) {
    int value = Base32Value(prefix[bit / 5]);
    if (value < 0) return {};
    bool set = (value >> (4 - bit % 5) & 1) != 0;
    if (bit >= kIdSize * 8) {
      // The last character of an id's text has four bits more than the id.
      if (set) return {};
      continue;
    }
    int mask = 0x80 >> (bit % 8);
    std::string& changed = set ? result.range.first : result.range.last;
    changed[bit / 8] = static_cast<char>(set ? changed[bit / 8] | mask : changed[bit / 8] & ~mask);
  }
  result.valid = true;
  return result;
}

int64_t ToMs(absl::Time time) { return absl::ToUnixMillis(time); }

}  // namespace panal::catalog
