#include "common/model/listing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr absl::string_view kMagic("panal listing v1\0", 17);
// An entry with a name of one byte.
constexpr size_t kEntrySizeMin = 2 + 1 + 1 + 1 + 8 + FileId::kSize;

absl::Status Invalid(absl::string_view why) {
  return Error(ErrorReason::kListingInvalid, absl::StrCat("listing: ", why));
}

absl::Status InvalidEntry(uint32_t index, absl::string_view why) {
  return Invalid(absl::StrCat("entry ", index, ": ", why));
}

absl::StatusOr<ListingEntry> DecodeEntry(ByteReader& reader, uint32_t index) {
  ListingEntry entry;
  entry.name = std::string(reader.String16());
  uint8_t type = reader.U8();
  uint8_t executable = reader.U8();
  entry.size_bytes = reader.U64();
  absl::string_view id = reader.Raw(FileId::kSize);
  if (!reader.ok()) return InvalidEntry(index, "ends within");
  if (!IsValidEntryName(entry.name)) {
    return InvalidEntry(index, absl::StrCat("\"", absl::CHexEscape(entry.name.substr(0, 64)),
                                            "\" is no name of an entry"));
  }
  if (type != static_cast<uint8_t>(FileType::kFile) &&
      type != static_cast<uint8_t>(FileType::kDirectory)) {
    return InvalidEntry(index, absl::StrCat("type ", type, " is neither 1 nor 2"));
  }
  entry.type = static_cast<FileType>(type);
  if (executable > (entry.type == FileType::kFile ? 1 : 0)) {
    return InvalidEntry(index, absl::StrCat("executable ", executable, " with type ", type));
  }
  entry.executable = executable == 1;
  if (entry.size_bytes > kFileSizeMax) {
    return InvalidEntry(index, absl::StrCat("size ", entry.size_bytes, " exceeds ", kFileSizeMax));
  }
  entry.id = *FileId::FromBytes(id);
  return entry;
}

}  // namespace

bool IsValidEntryName(absl::string_view name) {
  if (name.empty() || name.size() > kListingNameSizeMax || name == "." || name == "..")
    return false;
  return !absl::StrContains(name, '/') && !absl::StrContains(name, '\0');
}

std::string EncodeListing(std::vector<ListingEntry> entries) {
  PANAL_CHECK(entries.size() <= kListingEntriesMax);
  std::sort(entries.begin(), entries.end(),
            [](const ListingEntry& a, const ListingEntry& b) { return a.name < b.name; });
  ByteWriter writer;
  writer.Raw(kMagic);
  writer.U32(static_cast<uint32_t>(entries.size()));
  for (size_t i = 0; i < entries.size(); ++i) {
    const ListingEntry& entry = entries[i];
    PANAL_CHECK(IsValidEntryName(entry.name));
    PANAL_CHECK(i == 0 || entries[i - 1].name != entry.name);
    bool is_file = entry.type == FileType::kFile;
    writer.String16(entry.name);
    writer.U8(static_cast<uint8_t>(entry.type));
    writer.U8(is_file && entry.executable ? 1 : 0);
    writer.U64(entry.size_bytes);
    writer.Raw(entry.id.view());
  }
  return writer.Take();
}

absl::StatusOr<std::vector<ListingEntry>> DecodeListing(absl::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.Raw(kMagic.size()) != kMagic) return Invalid("does not begin with panal listing v1");
  uint32_t count = reader.U32();
  if (!reader.ok()) return Invalid("ends within its head");
  if (count > kListingEntriesMax) {
    return Invalid(absl::StrCat(count, " entries exceed ", kListingEntriesMax));
  }
  // Before anything is reserved: a count costs its sender four bytes.
  if (reader.remaining() / kEntrySizeMin < count) {
    return Invalid(absl::StrCat(reader.remaining(), " bytes are too few for ", count, " entries"));
  }
  std::vector<ListingEntry> entries;
  entries.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    PANAL_ASSIGN_OR_RETURN(ListingEntry entry, DecodeEntry(reader, i));
    if (i > 0 && entries.back().name >= entry.name) {
      return InvalidEntry(i, "is not above the one before in bytewise name order");
    }
    entries.push_back(std::move(entry));
  }
  if (!reader.AtEnd())
    return Invalid(absl::StrCat(reader.remaining(), " bytes follow the last entry"));
  return entries;
}

}  // namespace panal
