#include "server/runtime/call_frames.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace panal {
namespace {

using Entries = google::protobuf::RepeatedPtrField<v1::MetadataEntry>;

constexpr char kReservedPrefix[] = "panal-";
constexpr int kGrpcCodeMax = 16;  // UNAUTHENTICATED.

absl::Status TooLarge(absl::string_view what, size_t size, size_t limit) {
  return Error(ErrorReason::kMessageTooLarge, absl::StrCat(what, ": ", size, " exceeds ", limit),
               {{"size", absl::StrCat(size)}, {"limit", absl::StrCat(limit)}});
}

absl::Status Invalid(absl::string_view what) {
  return Error(ErrorReason::kFrameInvalid, absl::StrCat("call frame: ", what));
}

void AddEntries(const CallMetadata& metadata, Entries& entries) {
  for (const auto& [key, value] : metadata) {
    if (absl::StartsWith(key, kReservedPrefix)) continue;
    v1::MetadataEntry* entry = entries.Add();
    entry->set_key(key);
    entry->set_value(value);
  }
}

bool IsKey(absl::string_view key) {
  return !key.empty() && std::none_of(key.begin(), key.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || c <= ' ' || c == ':' || static_cast<uint8_t>(c) >= 0x7f;
  });
}

absl::StatusOr<CallMetadata> TakeEntries(const Entries& entries) {
  if (entries.size() > kCallMetadataEntriesMax) return Invalid("more than 64 metadata entries");
  CallMetadata metadata;
  size_t size = 0;
  for (const v1::MetadataEntry& entry : entries) {
    if (!IsKey(entry.key()) || entry.key().size() > kCallMetadataKeySizeMax) {
      return Invalid("metadata key is no lower-case key of at most 256 bytes");
    }
    if (entry.value().size() > kCallMetadataValueSizeMax) {
      return Invalid("metadata value of more than 8 KiB");
    }
    size += entry.key().size() + entry.value().size();
    if (absl::StartsWith(entry.key(), kReservedPrefix)) continue;
    metadata.emplace(entry.key(), entry.value());
  }
  if (size > kCallMetadataSizeMax) return Invalid("metadata of more than 64 KiB");
  return metadata;
}

// `text` without what would not travel in a `string` field, cut at a character.
std::string Cut(const std::string& text, size_t size_max) {
  std::string cut = IsValidUtf8(text) ? text : ToValidUtf8(text);
  if (cut.size() <= size_max) return cut;
  cut.resize(size_max);
  while (!IsValidUtf8(cut)) cut.pop_back();
  return cut;
}

}  // namespace

absl::Status CheckOpen(const CallHead& head) {
  if (head.method.size() > kCallMethodSizeMax) {
    return TooLarge("method name", head.method.size(), kCallMethodSizeMax);
  }
  if (head.reference.size() > kCallReferenceSizeMax) {
    return TooLarge("reference", head.reference.size(), kCallReferenceSizeMax);
  }
  if (!IsValidUtf8(head.method) || !IsValidUtf8(head.reference)) {
    return Error(ErrorReason::kArgumentInvalid, "method or reference is not UTF-8");
  }
  return CheckMetadata(head.metadata);
}

void EncodeOpen(const CallHead& head, absl::Time now, v1::CallOpen& open) {
  open.set_method(head.method);
  open.set_reference(head.reference);
  AddEntries(head.metadata, *open.mutable_metadata());
  if (head.deadline == absl::InfiniteFuture()) return;
  // Rounded up: the caller's own deadline comes first, and 0 would mean none.
  const int64_t left_ms = absl::ToInt64Milliseconds(head.deadline - now) + 1;
  open.set_timeout_ms(static_cast<uint64_t>(std::max<int64_t>(1, left_ms)));
}

absl::StatusOr<CallHead> DecodeOpen(const v1::CallOpen& open, const PeerId& peer, absl::Time now) {
  if (open.method().empty() || open.method().size() > kCallMethodSizeMax) {
    return Invalid("method name of no or more than 256 bytes");
  }
  if (open.reference().size() > kCallReferenceSizeMax) {
    return Invalid("reference of more than 2048 bytes");
  }
  CallHead head;
  PANAL_ASSIGN_OR_RETURN(head.metadata, TakeEntries(open.metadata()));
  head.method = open.method();
  head.reference = open.reference();
  head.origin = CallOrigin::kMesh;
  head.peer = peer;
  head.caller = peer.ToText();
  const uint64_t longest_ms = static_cast<uint64_t>(absl::ToInt64Milliseconds(kCallTimeoutMax));
  if (open.timeout_ms() > 0 && open.timeout_ms() <= longest_ms) {
    head.deadline = now + absl::Milliseconds(static_cast<int64_t>(open.timeout_ms()));
  }
  return head;
}

absl::Status CheckMetadata(const CallMetadata& metadata) {
  size_t size = 0;
  size_t entries = 0;
  for (const auto& [key, value] : metadata) {
    if (absl::StartsWith(key, kReservedPrefix)) continue;
    ++entries;
    size += key.size() + value.size();
    if (!IsKey(key)) {
      return Error(ErrorReason::kArgumentInvalid, "metadata key is no lower-case key");
    }
    if (key.size() > kCallMetadataKeySizeMax) {
      return TooLarge("metadata key", key.size(), kCallMetadataKeySizeMax);
    }
    if (value.size() > kCallMetadataValueSizeMax) {
      return TooLarge(absl::StrCat("metadata value of ", key), value.size(),
                      kCallMetadataValueSizeMax);
    }
  }
  if (entries > kCallMetadataEntriesMax) {
    return TooLarge("metadata entries", entries, kCallMetadataEntriesMax);
  }
  if (size > kCallMetadataSizeMax) return TooLarge("metadata", size, kCallMetadataSizeMax);
  return absl::OkStatus();
}

void EncodeMetadata(const CallMetadata& metadata, v1::CallMetadata& encoded) {
  AddEntries(metadata, *encoded.mutable_entries());
}

absl::StatusOr<CallMetadata> DecodeMetadata(const v1::CallMetadata& encoded) {
  return TakeEntries(encoded.entries());
}

void EncodeResult(const CallResult& result, v1::CallStatus& status) {
  if (absl::Status fits = CheckMetadata(result.trailing_metadata); !fits.ok()) {
    EncodeResult(ResultOf(fits), status);
    return;
  }
  const bool known = result.code >= 0 && result.code <= kGrpcCodeMax;
  status.set_code(known ? static_cast<uint32_t>(result.code)
                        : static_cast<uint32_t>(absl::StatusCode::kUnknown));
  status.set_message(Cut(result.message, kCallStatusMessageSizeMax));
  if (result.details.size() <= kCallStatusDetailsSizeMax) status.set_details(result.details);
  AddEntries(result.trailing_metadata, *status.mutable_trailing_metadata());
}

absl::StatusOr<CallResult> DecodeResult(const v1::CallStatus& status) {
  if (status.code() > static_cast<uint32_t>(kGrpcCodeMax)) return Invalid("status code above 16");
  if (status.message().size() > kCallStatusMessageSizeMax) {
    return Invalid("status message of more than 4 KiB");
  }
  if (status.details().size() > kCallStatusDetailsSizeMax) {
    return Invalid("status details of more than 8 KiB");
  }
  CallResult result;
  PANAL_ASSIGN_OR_RETURN(result.trailing_metadata, TakeEntries(status.trailing_metadata()));
  result.code = static_cast<int>(status.code());
  result.message = status.message();
  result.details = status.details();
  return result;
}

}  // namespace panal
