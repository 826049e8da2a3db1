#include "common/base/status.h"

#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace panal {
namespace {

constexpr char kReasonUrl[] = "panal/reason";
constexpr char kRetryAfterUrl[] = "panal/retry_after_ms";
constexpr char kMetadataUrlPrefix[] = "panal/meta/";

struct ReasonRow {
  absl::string_view name;
  ErrorReason reason;
  absl::StatusCode code;
};

constexpr ReasonRow kReasons[] = {
    {"UNSPECIFIED", ErrorReason::kUnspecified, absl::StatusCode::kUnknown},
#define PANAL_REASON(name, wire, code, text) {#wire, ErrorReason::k##name, absl::StatusCode::code},
#include "common/base/error_reasons.inc"
#undef PANAL_REASON
};

// An ErrorReason is an index into kReasons: both come from the same rows.
const ReasonRow& RowOf(ErrorReason reason) {
  auto index = static_cast<size_t>(reason);
  return index < std::size(kReasons) ? kReasons[index] : kReasons[0];
}

std::optional<std::string> PayloadOf(const absl::Status& status, absl::string_view url) {
  auto payload = status.GetPayload(url);
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

}  // namespace

absl::Status Error(ErrorReason reason, absl::string_view message, const ErrorMetadata& metadata) {
  const ReasonRow& row = RowOf(reason);
  absl::Status status(row.code, message);
  if (row.reason != ErrorReason::kUnspecified) status.SetPayload(kReasonUrl, absl::Cord(row.name));
  for (const auto& [key, value] : metadata) {
    status.SetPayload(absl::StrCat(kMetadataUrlPrefix, key), absl::Cord(value));
  }
  return status;
}

absl::Status OverloadedError(absl::string_view message, absl::Duration retry_after) {
  absl::Status status = Error(ErrorReason::kOverloaded, message);
  status.SetPayload(kRetryAfterUrl,
                    absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(retry_after))));
  return status;
}

ErrorReason ReasonOf(const absl::Status& status) {
  std::optional<std::string> name = PayloadOf(status, kReasonUrl);
  return name ? ReasonFromName(*name) : ErrorReason::kUnspecified;
}

ErrorMetadata MetadataOf(const absl::Status& status) {
  ErrorMetadata metadata;
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    if (absl::ConsumePrefix(&url, kMetadataUrlPrefix)) {
      metadata[std::string(url)] = std::string(payload);
    }
  });
  return metadata;
}

std::optional<absl::Duration> RetryAfterOf(const absl::Status& status) {
  std::optional<std::string> text = PayloadOf(status, kRetryAfterUrl);
  int64_t milliseconds = 0;
  if (!text || !absl::SimpleAtoi(*text, &milliseconds)) return std::nullopt;
  return absl::Milliseconds(milliseconds);
}

absl::string_view ReasonName(ErrorReason reason) { return RowOf(reason).name; }

ErrorReason ReasonFromName(absl::string_view name) {
  for (const ReasonRow& row : kReasons) {
    if (row.name == name) return row.reason;
  }
  return ErrorReason::kUnspecified;
}

absl::StatusCode CodeOf(ErrorReason reason) { return RowOf(reason).code; }

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace panal
