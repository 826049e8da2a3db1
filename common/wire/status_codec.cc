#include "common/wire/status_codec.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "panal/v1/errors.pb.h"

namespace panal {
namespace {

constexpr char kDomain[] = "panal";
constexpr char kTypeUrlPrefix[] = "type.googleapis.com/google.rpc.";
constexpr char kViolationUrlPrefix[] = "panal/violation/";
// Longest wait that is believed. Guess: a day.
constexpr int64_t kRetrySecondsMax = 24 * 3600;

std::string CutText(absl::string_view text, size_t size_max) {
  std::string valid = ToValidUtf8(text);
  if (valid.size() <= size_max) return valid;
  size_t end = size_max;
  // Back to the first byte of the character that is cut.
  while (end > 0 && (static_cast<uint8_t>(valid[end]) & 0xC0) == 0x80) --end;
  valid.resize(end);
  return valid;
}

ErrorReason ReasonOrImplied(const absl::Status& status) {
  const ErrorReason reason = ReasonOf(status);
  if (reason != ErrorReason::kUnspecified) return reason;
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
      return ErrorReason::kCancelled;
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorReason::kDeadlineExceeded;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return ErrorReason::kInternal;
    default:
      return ErrorReason::kUnspecified;
  }
}

template <typename Message>
void Pack(absl::string_view name, const Message& message, v1::Status& status) {
  google::protobuf::Any* any = status.add_details();
  any->set_type_url(absl::StrCat(kTypeUrlPrefix, name));
  any->set_value(message.SerializeAsString());
}

absl::string_view ResourceTypeOf(ErrorReason reason) {
  const absl::string_view name = ReasonName(reason);
  if (absl::StartsWith(name, "FILE_") || reason == ErrorReason::kSourceNotFound) return "file";
  if (reason == ErrorReason::kPeerUnknown || reason == ErrorReason::kPeerAmbiguous ||
      reason == ErrorReason::kPeerUnreachable) {
    return "peer";
  }
  if (reason == ErrorReason::kObjectNotFound) return "object";
  return "";
}

std::optional<v1::ResourceInfo> ResourceOf(ErrorReason reason, const ErrorMetadata& metadata) {
  const absl::string_view type = ResourceTypeOf(reason);
  if (type.empty()) return std::nullopt;
  for (const char* key : {"id", "file", "peer", "peer_id", "prefix", "reference", "path", "name"}) {
    auto found = metadata.find(key);
    if (found == metadata.end()) continue;
    v1::ResourceInfo resource;
    resource.set_resource_type(std::string(type));
    resource.set_resource_name(CutText(found->second, kStatusMessageSizeMax));
    return resource;
  }
  return std::nullopt;
}

void AddRetry(const absl::Status& status, v1::Status& wire) {
  const std::optional<absl::Duration> retry_after = RetryAfterOf(status);
  if (!retry_after) return;
  v1::RetryInfo retry;
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(*retry_after);
  retry.mutable_retry_delay()->set_seconds(nanoseconds / 1'000'000'000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
  Pack("RetryInfo", retry, wire);
}

void AddViolations(const absl::Status& status, v1::Status& wire) {
  v1::BadRequest bad_request;
  for (const FieldViolation& violation : FieldViolationsOf(status)) {
    v1::BadRequest::FieldViolation* added = bad_request.add_field_violations();
    added->set_field(CutText(violation.field, kStatusMessageSizeMax));
    added->set_description(CutText(violation.description, kStatusMessageSizeMax));
  }
  if (bad_request.field_violations_size() > 0) Pack("BadRequest", bad_request, wire);
}

std::string Encode(const absl::Status& status, const ErrorMetadata& metadata, bool violations) {
  const ErrorReason reason = ReasonOrImplied(status);
  v1::Status wire;
  wire.set_code(static_cast<int>(status.code()));
  wire.set_message(StatusMessageOf(status));
  v1::ErrorInfo info;
  info.set_reason(std::string(ReasonName(reason)));
  info.set_domain(kDomain);
  for (const auto& [key, value] : metadata) {
    (*info.mutable_metadata())[ToValidUtf8(key)] = ToValidUtf8(value);
  }
  Pack("ErrorInfo", info, wire);
  AddRetry(status, wire);
  if (violations) AddViolations(status, wire);
  if (auto resource = ResourceOf(reason, metadata)) Pack("ResourceInfo", *resource, wire);
  return wire.SerializeAsString();
}

absl::StatusCode CodeOfWire(int code) {
  if (code < 0 || code > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    return absl::StatusCode::kUnknown;
  }
  return static_cast<absl::StatusCode>(code);
}

void CopyPayloads(const absl::Status& from, absl::Status& to) {
  from.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { to.SetPayload(url, payload); });
}

void Unpack(const google::protobuf::Any& any, absl::Status& status) {
  absl::string_view name = any.type_url();
  if (!absl::ConsumePrefix(&name, kTypeUrlPrefix)) return;
  if (name == "ErrorInfo") {
    v1::ErrorInfo info;
    if (!info.ParseFromString(any.value()) || info.domain() != kDomain) return;
    ErrorMetadata metadata(info.metadata().begin(), info.metadata().end());
    CopyPayloads(Error(ReasonFromName(info.reason()), "x", std::move(metadata)), status);
  } else if (name == "RetryInfo") {
    v1::RetryInfo retry;
    if (!retry.ParseFromString(any.value())) return;
    const int64_t seconds = retry.retry_delay().seconds();
    if (seconds < 0 || seconds > kRetrySecondsMax || retry.retry_delay().nanos() < 0) return;
    const absl::Status carrier = OverloadedError(
        "x", absl::Seconds(seconds) + absl::Nanoseconds(retry.retry_delay().nanos()));
    // Only the delay is taken: the reason that it came with may be another one.
    const absl::Status plain = Error(ErrorReason::kOverloaded, "x");
    carrier.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
      if (!plain.GetPayload(url).has_value()) status.SetPayload(url, payload);
    });
  } else if (name == "BadRequest") {
    v1::BadRequest bad_request;
    if (!bad_request.ParseFromString(any.value())) return;
    std::vector<FieldViolation> violations;
    for (const auto& violation : bad_request.field_violations()) {
      violations.push_back({violation.field(), violation.description()});
    }
    if (violations.empty()) return;
    const absl::Status carrier = BadRequestError(violations);
    carrier.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
      if (absl::StartsWith(url, kViolationUrlPrefix)) status.SetPayload(url, payload);
    });
  }
}

}  // namespace

absl::Status BadRequestError(const std::vector<FieldViolation>& violations) {
  PANAL_CHECK(!violations.empty());
  std::string message;
  for (const FieldViolation& violation : violations) {
    absl::StrAppend(&message, message.empty() ? "" : "; ", violation.field, ": ",
                    violation.description);
  }
  absl::Status status =
      Error(ErrorReason::kArgumentInvalid, message, {{"field", violations[0].field}});
  const size_t count = std::min(violations.size(), kFieldViolationsMax);
  for (size_t i = 0; i < count; ++i) {
    status.SetPayload(
        absl::StrFormat("%s%02d", kViolationUrlPrefix, i),
        absl::Cord(absl::StrCat(violations[i].field, "\n", violations[i].description)));
  }
  return status;
}

std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status) {
  std::vector<std::pair<std::string, FieldViolation>> found;
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    if (!absl::StartsWith(url, kViolationUrlPrefix)) return;
    std::pair<std::string, std::string> parts =
        absl::StrSplit(std::string(payload), absl::MaxSplits('\n', 1));
    found.emplace_back(std::string(url), FieldViolation{parts.first, parts.second});
  });
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<FieldViolation> violations;
  for (auto& [url, violation] : found) violations.push_back(std::move(violation));
  return violations;
}

std::string StatusMessageOf(const absl::Status& status) {
  return CutText(status.message(), kStatusMessageSizeMax);
}

std::string EncodeStatusDetails(const absl::Status& status) {
  if (status.ok()) return "";
  std::string details = Encode(status, MetadataOf(status), /*violations=*/true);
  if (details.size() <= kStatusDetailsSizeMax) return details;
  return Encode(status, {}, /*violations=*/false);
}

absl::Status DecodeStatusDetails(int code, absl::string_view message, absl::string_view details) {
  if (code == 0) return absl::OkStatus();
  absl::Status status(CodeOfWire(code), message);
  if (details.empty() || details.size() > kStatusDetailsDecodeMax) return status;
  v1::Status wire;
  if (!wire.ParseFromArray(details.data(), static_cast<int>(details.size()))) return status;
  for (const google::protobuf::Any& any : wire.details()) Unpack(any, status);
  return status;
}

}  // namespace panal
