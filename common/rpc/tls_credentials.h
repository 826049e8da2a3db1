// TLS 1.3 with certificates on both sides, without any authority: the key is the identity.
//
// The dialler names the peer that it wants by the channel argument that ArgumentsFor sets, and
// refuses another in the handshake; the acceptor takes any peer with a well-formed certificate and
// learns its id (PeerOf). OpenSSL proves possession of the key in both directions.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/identity/identity.h"
#include "common/rpc/peer_id_cache.h"

namespace panal {

// Immutable; thread-safe. Calls InitializeRpc.
class TlsCredentials {
 public:
  explicit TlsCredentials(const Identity& identity);

  std::shared_ptr<grpc::ServerCredentials> ForServer() const { return server_; }

  // One object for all peers, so that channels to one peer can share a connection. Only with
  // arguments that Expect was called on: without a name every peer is refused.
  std::shared_ptr<grpc::ChannelCredentials> ForPeers() const { return peers_; }

  // For a first contact whose id is not known: any peer is taken. Learn the id by PeerOf.
  std::shared_ptr<grpc::ChannelCredentials> ForAnyPeer() const { return any_peer_; }

  // Makes a channel with ForPeers accept `peer` and nobody else.
  static void Expect(const PeerId& peer, grpc::ChannelArguments& arguments);

  // Id of the other end, proven by TLS. Errors: CERTIFICATE_INVALID.
  absl::StatusOr<PeerId> PeerOf(const grpc::AuthContext& context) const;

 private:
  const std::shared_ptr<PeerIdCache> ids_;  // Shared with the verifiers inside the credentials.
  std::shared_ptr<grpc::ServerCredentials> server_;
  std::shared_ptr<grpc::ChannelCredentials> peers_;
  std::shared_ptr<grpc::ChannelCredentials> any_peer_;
};

}  // namespace panal
