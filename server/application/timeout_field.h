// The `timeout` of a request: a number with a unit, as common/base/units.h reads it.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/wire/status_codec.h"

namespace panal {

// What the field `timeout` says: above 0 and at most `longest`. Empty: `by_default`. Otherwise adds
// to `violations` and returns `by_default`.
absl::Duration ParseTimeout(absl::string_view text, absl::Duration by_default,
                            absl::Duration longest, std::vector<FieldViolation>& violations);

}  // namespace panal
