// One peer: everything it is made of, started in order and stopped in order. The composition root.
//
// Threads of a peer: the node loop (all processing state), the workers of the dispatcher (hashing,
// signatures, SQLite, disk, servants), one completion-queue thread that reads blocks, civetweb's,
// and gRPC's own, which only translate and post.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/application/mesh.h"
#include "server/runtime/options.h"

namespace panal {

// Where a peer serves, once it does.
struct NodeAddresses {
  PeerId peer_id;
  std::string api;
  std::string mesh;  // Empty: the peer waits to be let into a mesh.
  std::string http;  // Empty: no HTTP.

  // The line panald prints: `ready {"peer_id":…,"api":…,"mesh":…|null,"http":…|null}`.
  std::string ReadyLine() const;
};

class Node {
 public:
  // Opens the data directory, begins to serve and to join the mesh; of an invite mesh that it was not
  // let into yet, waits for that. Errors: CONFIG_INVALID, TICKET_INVALID, TICKET_EXPIRED, DATA_DIR_LOCKED, DATA_DIR_TOO_NEW, DATA_DIR_INVALID, CATALOG_CORRUPT, PORT_TAKEN, STORAGE_FULL.
  static absl::StatusOr<std::unique_ptr<Node>> Start(NodeOptions options);
  virtual ~Node() = default;

  virtual const NodeAddresses& addresses() const = 0;
  // The peer as the servants see it. For programs that embed it, and tests.
  virtual Mesh& mesh() = 0;

  // Refuses new calls, lets those under way finish (at most `stop_grace`), leaves the mesh,
  // checkpoints what is being received, and closes everything. Blocks. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace panal
