// Object references: `panal://<peer-id>/<service>/<key>` (docs/protocol/objects.md).
#pragma once

#include <compare>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"

namespace panal {

inline constexpr size_t kReferenceSizeMax = 2048;  // Bytes of the text.
inline constexpr size_t kObjectKeySizeMax = 512;   // Bytes, before percent-encoding.

// Names an object wherever it lives: survives restarts and address changes, since the peer id is a
// key hash. A value: copy, compare, print, pass in messages.
struct ObjectRef {
  PeerId peer;
  std::string service;  // Full gRPC service name: identifiers separated by dots.
  std::string key;      // May be empty. Any bytes but NUL.

  // Characters outside the URI's unreserved set are percent-encoded.
  std::string ToText() const;
  // Error: REFERENCE_INVALID, which says what was wrong.
  static absl::StatusOr<ObjectRef> Parse(absl::string_view text);

  auto operator<=>(const ObjectRef&) const = default;
};

}  // namespace panal
