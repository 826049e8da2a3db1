// What one peer is started with. Filled from flags, environment, file and defaults by
// server/options_parser.h; checked once here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/model/join_address.h"
#include "server/application/dispatcher.h"
#include "server/processing/core.h"

namespace panal {

// Software version, as CMake's project() has it.
inline constexpr absl::string_view kVersion = PANAL_VERSION;

// Addresses of `--join`. Guess: all are dialled in every round, and one that answers is enough.
inline constexpr size_t kJoinAddressesMax = 64;
// Longest time that a peer waits for calls under way before it stops. Guess: service managers kill
// earlier.
inline constexpr absl::Duration kStopGraceMax = absl::Hours(1);

// Name of a mesh that nobody gave one.
inline constexpr char kMeshNameDefault[] = "panal";

struct NodeOptions {
  std::string data_dir;
  // Name of the mesh, 1 to 64 bytes. In an invite mesh the ticket says it; another one than
  // kMeshNameDefault must agree.
  std::string mesh_name = kMeshNameDefault;
  // `invite`: whoever has a ticket may join; `open`: whoever knows the name.
  std::string policy = "invite";
  // File with the ticket that lets the peer into its mesh, where it is in none. Empty: it waits for
  // JoinMesh.
  std::string ticket_file;
  std::string mesh_listen = "0.0.0.0:7401";
  std::string api_listen = "127.0.0.1:7400";
  // File with the tokens of programs (common/identity/api_token.h). Empty: the API and HTTP listeners
  // ask for none.
  std::string api_token_file;
  // `off` serves no HTTP.
  std::string http_listen = "127.0.0.1:7402";
  std::vector<JoinAddress> join;
  // Addresses told to other peers. Empty: those of this machine's interfaces that listen.
  std::vector<std::string> advertise;
  // Folders below which AddPath may read. Empty: AddPath is refused.
  std::vector<std::string> roots;
  // The API or HTTP listener may be reached from other machines without a token.
  bool listen_open = false;
  // Bytes of content kept in the block store. 0: as much as the disk has.
  int64_t storage_max_bytes = 0;
  // Largest time that calls under way get to finish when the peer stops.
  absl::Duration stop_grace = absl::Seconds(5);
  std::string log_level = "info";
  DispatcherOptions dispatcher;
  CoreOptions core;

  absl::Status Validate() const;
};

// The roots that exist, with links in their paths resolved.
std::vector<std::string> ResolveRoots(const std::vector<std::string>& roots);
// Whether HOST:PORT is a loopback address, or `localhost`. Another name may mean any address.
bool IsLoopback(absl::string_view address);
// Addresses to advertise for a listener bound at `bound`: itself, or those of the interfaces when
// it is a wildcard. At most kContactAddressesMax.
std::vector<std::string> AddressesOf(absl::string_view bound);

}  // namespace panal
