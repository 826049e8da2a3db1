// Calls to and from other peers over Call streams: which stream a call takes, and the streams'
// lives.
//
// Specification:
// - S1. A call takes the stream to its peer that is there, whoever dialled it; otherwise one is
//   dialled: the peer's contact is looked up, its addresses are tried in order. Calls that come
//   meanwhile wait for the same stream.
// - S2. Both peers may dial at once; then there are two streams and both are used.
// - S3. A dialled stream without calls ends after CallMuxOptions::idle_max.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/async_generic_service.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/model/record.h"
#include "common/rpc/stream_admission.h"
#include "server/application/call.h"
#include "server/runtime/call_mux.h"
#include "server/runtime/deadline_timer.h"
#include "server/runtime/mesh_port.h"
#include "server/runtime/peer_channels.h"

namespace panal {

// Call streams at once, over all peers, dialled and accepted each. Guess: as links (kLinksMax).
inline constexpr size_t kCallStreamsMax = 1024;
// Streams accepted from one peer at once. One is needed; a peer that restarts comes back before its
// old ones are noticed to be dead.
inline constexpr size_t kCallStreamsPerPeerMax = 4;
// A dial that has not opened the stream by then is given up, per address. Guess: a TLS handshake
// over a slow path, three times.
inline constexpr absl::Duration kCallStreamOpenMax = absl::Seconds(10);

struct CallStreamsOptions {
  size_t calls_per_stream_max = kCallsPerStreamMax;
  size_t streams_per_peer_max = kCallStreamsPerPeerMax;
  size_t streams_max = kCallStreamsMax;        // Dialled and accepted each.
  absl::Duration idle_max = absl::Minutes(5);  // Guess: calls come in bursts.
  absl::Duration open_max = kCallStreamOpenMax;
};

// Thread-safe; no method but Shutdown blocks. Shared by its owner and lookups under way.
class CallStreams final : public PeerCalls, public std::enable_shared_from_this<CallStreams> {
 public:
  // `route` gets the calls of other peers. `admission` and `channels` must outlive Shutdown.
  static std::shared_ptr<CallStreams> Create(const StreamAdmission& admission,
                                             PeerChannels& channels, ContactLookup lookup,
                                             std::function<void(CallPtr)> route,
                                             const CallStreamsOptions& options = {});
  // REQUIRES: Shutdown was called, and the server whose streams were accepted has ended.
  ~CallStreams() override;

  // As PeerCalls says. Further errors: MESSAGE_TOO_LARGE, ARGUMENT_INVALID (what does not fit a
  // CallOpen), OVERLOADED (calls_per_stream_max, streams_max), SHUTTING_DOWN.
  OutgoingCallPtr Open(const PeerId& peer, const std::string& reference,
                       const CallHead& head) override;

  // The reactor of a Call stream that `peer`, admitted, opened.
  grpc::ServerGenericBidiReactor* Accept(grpc::GenericCallbackServerContext& context,
                                         const CredentialPtr& peer);

  // Ends the streams whose other end is admitted no longer.
  void Recheck();

  // Ends every stream and waits for the dialled ones. Then shut the server down, which ends the
  // accepted ones.
  void Shutdown();

  // Streams now, dialled ones that are being opened included. For tests and metrics.
  size_t streams() const;

 private:
  using MuxPtr = std::shared_ptr<CallMux>;

  struct PeerStreams {
    MuxPtr dialled;
    std::vector<MuxPtr> accepted;  // The newest is last.
  };

  // A dial under way.
  struct Dial {
    MuxPtr mux;
    std::vector<std::string> addresses;
    size_t next = 0;
  };

  CallStreams(const StreamAdmission& admission, PeerChannels& channels, ContactLookup lookup,
              std::function<void(CallPtr)> route, const CallStreamsOptions& options);
  MuxPtr NewMux(const PeerId& peer, bool dialled);
  // The stream that a call to `peer` takes; `fresh`: it was made for it and must be dialled.
  absl::StatusOr<MuxPtr> StreamTo(const PeerId& peer, bool& fresh);
  void LookUp(const MuxPtr& mux);
  void DialNext(std::shared_ptr<Dial> dial, const absl::Status& why);
  // False: stopped.
  bool BeginDial();
  void EndDial();
  // Takes no more calls on it.
  void Retire(const MuxPtr& mux);
  void Ended(const MuxPtr& mux, const absl::Status& why, bool nothing_executed);

  const StreamAdmission& admission_;
  PeerChannels& channels_;
  const ContactLookup lookup_;
  const std::function<void(CallPtr)> route_;
  const CallStreamsOptions options_;
  DeadlineTimer timer_;

  mutable Mutex mutex_;
  Condition dial_ended_;
  absl::flat_hash_map<PeerId, PeerStreams> peers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<MuxPtr> all_ ABSL_GUARDED_BY(mutex_);  // Until they have ended.
  size_t accepted_ ABSL_GUARDED_BY(mutex_) = 0;
  int dials_ ABSL_GUARDED_BY(mutex_) = 0;  // Dialled gRPC streams that have not ended.
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace panal
