// The names that private keys have in a data directory. A folder that holds one is never
// shared.
#pragma once

namespace panal {

inline constexpr char kKeyFileName[] = "peer.key";
// The root key of an invite mesh, where the peer made it.
inline constexpr char kMeshRootFileName[] = "mesh-root.key";
// Of whatever folder holds one of these, nothing is shared.
inline constexpr const char* kSecretFileNames[] = {kKeyFileName, kMeshRootFileName};

}  // namespace panal
