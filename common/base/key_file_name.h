// The name that a peer's private key has in its data directory. A folder that holds one is never
// shared.
#pragma once

namespace panal {

inline constexpr char kKeyFileName[] = "peer.key";

}  // namespace panal
