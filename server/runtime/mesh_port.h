// The mesh port: one gRPC server with mutual TLS 1.3 on which other peers open their streams, and
// the channels to other peers' mesh ports. Owns Links, the Call streams and the serving side of
// Blocks.
//
// Both ends of every stream show `panal-mesh` and `panal-credential-bin`, checked before any frame
// is acted on (cached by peer id and hash). Compression is refused.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/identity/identity.h"
#include "common/rpc/mesh_admission.h"
#include "server/application/call.h"
#include "server/application/dispatcher.h"
#include "server/data/file_store/file_store.h"
#include "server/runtime/acceptor.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/join_service.h"
#include "server/runtime/links.h"

namespace panal {

struct MeshPortOptions {
  std::string listen;  // HOST:PORT; port 0 picks a free one.
  // Answers strangers that ask to be let in. Empty: they are refused as whoever is not admitted.
  JoinHandler join;
  // Addresses being asked for their peer at once (Links::DialAddress).
  int probes_max = kProbesMax;
  // Connections open at once; those beyond are closed as they come.
  size_t connections_max = ConnectionsFor(kMeshConnectionsShare);
};

// Finds where a peer can be dialled: neighbors, catalog, then a search of the mesh. Called on any
// thread, does not block; `done` comes once, on any thread. Errors: PEER_UNKNOWN.
using ContactLookup =
    std::function<void(const PeerId&, std::function<void(absl::StatusOr<PeerContact>)> done)>;

class MeshPort {
 public:
  // Binds the port (without SO_REUSEPORT) and begins to accept. `route` gets the calls of other
  // peers; `files` serves blocks, on workers of class kBulk. Everything passed must outlive the
  // port. Errors: PORT_TAKEN.
  static absl::StatusOr<std::unique_ptr<MeshPort>> Open(
      const MeshPortOptions& options, const Identity& identity, const MeshAdmission& admission,
      Hello hello, LinkEvents events, std::function<void(CallPtr)> route, FileStore& files,
      Dispatcher& dispatcher, ContactLookup lookup);
  virtual ~MeshPort() = default;

  // HOST:PORT as bound.
  virtual std::string address() const = 0;
  virtual Links& links() = 0;
  virtual PeerCalls& calls() = 0;
  virtual BlocksClient& blocks() = 0;
  // Ends every stream whose other end is admitted no longer: expired, or revoked. What is open is
  // gone through: call it when something was revoked, and every second.
  virtual void Recheck() = 0;
  // Stops accepting, closes streams, waits until no callback can come any more.
  virtual void Shutdown() = 0;
};

}  // namespace panal
