// What a peer must be told of its mesh: the name, and where it is joined.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"

namespace panal {

// Longest name of a mesh, in bytes. Guess: it is typed by people.
inline constexpr size_t kMeshNameSizeMax = 64;

// Whether `name` is 1 to kMeshNameSizeMax bytes of UTF-8. Error: CONFIG_INVALID.
absl::Status ValidateMeshName(absl::string_view name);

// `[PEERID@]HOST:PORT`: where a mesh is joined.
struct JoinAddress {
  std::string address;
  std::optional<PeerId> peer;

  bool operator==(const JoinAddress&) const = default;
};

// Error: CONFIG_INVALID.
absl::StatusOr<JoinAddress> ParseJoinAddress(absl::string_view text);

}  // namespace panal
