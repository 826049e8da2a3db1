// What a peer keeps of the invite mesh that it belongs to: the file `membership` of its data
// directory, mode 0600. A directory without it belongs to no invite mesh.
//
// Layout: U8 version 1; String16 name of the mesh; String16 chain; U8 count of contacts, of each
// String16 `PEERID@HOST:PORT`; 32 bytes SHA-256 of all before. Big-endian.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/identity/grant.h"
#include "common/model/join_address.h"

namespace panal {

struct MeshMembership {
  std::string mesh_name;
  // The peer's credential.
  GrantChain chain;
  // Where the mesh was reached when it let the peer in, for a restart before the peer has met
  // others; at most kTicketContactsMax.
  std::vector<JoinAddress> contacts;

  MeshId mesh_id() const { return InviteMeshId(chain.root); }

  bool operator==(const MeshMembership&) const = default;
};

// What `<dir>/membership` holds; nothing when there is no such file. UNVERIFIED. Error:
// DATA_DIR_INVALID (damaged, or others may write it).
absl::StatusOr<std::optional<MeshMembership>> LoadMembership(const std::string& dir);

// Replaces it so that after a crash there is the whole old one or the whole new one. REQUIRES:
// `membership` is within its limits. Errors: DATA_DIR_INVALID, STORAGE_FULL.
absl::Status SaveMembership(const std::string& dir, const MeshMembership& membership);

}  // namespace panal
