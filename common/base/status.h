// Errors: absl::Status with one typed reason (proto/panal/v1/errors.proto) and named values.
//
// Messages begin in lower case, have no final dot, and name the thing, the value and the limit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace panal {

// Why an operation failed. Names and codes: error_reasons.inc.
enum class ErrorReason {
  kUnspecified = 0,
#define PANAL_REASON(name, wire, code, text) k##name,
#include "common/base/error_reasons.inc"
#undef PANAL_REASON
};

// The values that the message names, for programs.
using ErrorMetadata = std::map<std::string, std::string>;

// A status with the code that belongs to `reason`.
absl::Status Error(ErrorReason reason, absl::string_view message,
                   const ErrorMetadata& metadata = {});

// OVERLOADED with the time after which a retry makes sense.
absl::Status OverloadedError(absl::string_view message, absl::Duration retry_after);

// Reason of `status`; kUnspecified when it carries none.
ErrorReason ReasonOf(const absl::Status& status);
// Values that travel with `status`.
ErrorMetadata MetadataOf(const absl::Status& status);
// Time after which a retry makes sense, where `status` says so.
std::optional<absl::Duration> RetryAfterOf(const absl::Status& status);

// `BLOCK_CORRUPT` for kBlockCorrupt; `UNSPECIFIED` for kUnspecified.
absl::string_view ReasonName(ErrorReason reason);
// Inverse of ReasonName; kUnspecified for a name that is not known.
ErrorReason ReasonFromName(absl::string_view name);
// The code that belongs to `reason`.
absl::StatusCode CodeOf(ErrorReason reason);

// `status` with "`context`: " before its message; reason and values stay.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace panal

// Returns from the function when `expr` is not OK.
#define PANAL_RETURN_IF_ERROR(expr)                                   \
  do {                                                                \
    if (absl::Status _status = (expr); !_status.ok()) return _status; \
  } while (false)

#define PANAL_CONCAT_INNER_(a, b) a##b
#define PANAL_CONCAT_(a, b) PANAL_CONCAT_INNER_(a, b)
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses.
#define PANAL_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp.ok()) return std::move(tmp).status();     \
  lhs = std::move(tmp).value()
// NOLINTEND(bugprone-macro-parentheses)
// Assigns the value of a StatusOr, or returns its status.
#define PANAL_ASSIGN_OR_RETURN(lhs, expr) \
  PANAL_ASSIGN_OR_RETURN_IMPL_(PANAL_CONCAT_(_status_or_, __LINE__), lhs, expr)
