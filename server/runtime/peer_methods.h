// Full method names of the streams between peers.
#pragma once

namespace panal {

inline constexpr char kLinkMethod[] = "/panal.v1.PeerObject/Link";
inline constexpr char kCallMethod[] = "/panal.v1.PeerObject/Call";
inline constexpr char kJoinMethod[] = "/panal.v1.PeerObject/Join";
inline constexpr char kBlocksMethod[] = "/panal.v1.FileObject/Blocks";

}  // namespace panal
