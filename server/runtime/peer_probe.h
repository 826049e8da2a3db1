// Finds out which peer answers at an address: opens a Link stream, learns the id from TLS once the
// other end has admitted this peer and this peer the other end, and gives the stream up.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/rpc/stream_admission.h"

namespace panal {

class PeerProbe final : private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Called once, last, on a gRPC thread. Errors: PEER_UNREACHABLE, PEER_ID_MISMATCH, and what the
  // other end refuses with or is refused with.
  using Done = std::function<void(absl::StatusOr<PeerId>)>;

  // Deletes itself after `done`. `admission` must live until then.
  static void Start(std::shared_ptr<grpc::Channel> channel, const StreamAdmission& admission,
                    absl::Duration timeout, Done done);

 private:
  PeerProbe(std::shared_ptr<grpc::Channel> channel, const StreamAdmission& admission, Done done)
      : channel_(std::move(channel)), admission_(admission), done_(std::move(done)) {}

  void OnReadInitialMetadataDone(bool ok) override;

  void OnReadDone(bool) override {}

  void OnDone(const grpc::Status& status) override;

  grpc::ClientContext context_;
  const std::shared_ptr<grpc::Channel> channel_;  // Only this probe's.
  const StreamAdmission& admission_;
  const Done done_;
  grpc::ByteBuffer incoming_;
  std::optional<absl::StatusOr<PeerId>> learned_;  // Set in OnReadInitialMetadataDone.
};

}  // namespace panal
