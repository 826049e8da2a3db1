#include "server/application/timeout_field.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/units.h"

namespace panal {

absl::Duration ParseTimeout(absl::string_view text, absl::Duration by_default,
                            absl::Duration longest, std::vector<FieldViolation>& violations) {
  if (text.empty()) return by_default;
  const absl::StatusOr<absl::Duration> timeout = ParseDuration(text);
  if (!timeout.ok()) {
    violations.push_back({"timeout", std::string(timeout.status().message())});
    return by_default;
  }
  if (*timeout <= absl::ZeroDuration() || *timeout > longest) {
    violations.push_back({"timeout", absl::StrCat(text, " is not above 0 and at most ",
                                                  absl::FormatDuration(longest))});
    return by_default;
  }
  return *timeout;
}

}  // namespace panal
