// Links over gRPC: performs what LinkTable decides. Private to the mesh port.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/sync.h"
#include "common/rpc/stream_admission.h"
#include "server/runtime/dialled_link.h"
#include "server/runtime/link_stream.h"
#include "server/runtime/link_table.h"
#include "server/runtime/links.h"
#include "server/runtime/ordered_events.h"
#include "server/runtime/peer_channels.h"

namespace panal {

// Time for one address: connection, TLS, admission and Hello.
inline constexpr absl::Duration kDialTimeout = absl::Seconds(5);
// Time a caller has for its Hello. Guess: twice a dial, so that the dialler gives up first.
inline constexpr absl::Duration kHelloTimeout = absl::Seconds(10);
// Streams at once, with or without a link. Beyond, callers are refused with OVERLOADED.
inline constexpr size_t kLinkStreamsMax = 2 * kLinksMax;

class GrpcLinks final : public Links, private LinkStreamOwner {
 public:
  // The references must outlive this object.
  GrpcLinks(const PeerId& own, Hello hello, LinkEvents events, const StreamAdmission& admission,
            PeerChannels& channels, int probes_max = kProbesMax);
  // Shuts down.
  ~GrpcLinks() override;

  // The reactor of a Link stream that `peer`, admitted, opened.
  grpc::ServerGenericBidiReactor* Accept(grpc::GenericCallbackServerContext& context,
                                         const CredentialPtr& peer);

  // Ends the streams whose other end is admitted no longer.
  void Recheck();

  void Dial(const PeerContact& peer) override;
  void DialAddress(absl::string_view address, std::optional<PeerId> expected,
                   std::function<void(absl::StatusOr<PeerId>)> done) override;
  void Send(const PeerId& peer, const Frame& frame) override;
  void Close(const PeerId& peer) override;
  void SetHello(Hello hello) override;
  void Shutdown() override;

 private:
  void OnHello(const LinkStreamPtr& stream, Hello hello) override;
  void OnFrame(const LinkStreamPtr& stream, Frame frame) override;
  void OnTimer(const LinkStreamPtr& stream) override;

  void OnUnknownFrame(const LinkStreamPtr& stream, bool empty) override;

  void OnBadFrame(const LinkStreamPtr& stream) override;

  void OnEnded(const LinkStreamPtr& stream, absl::Status why) override;

  // Work for gRPC that a change of the table brought about, to be done without the lock.
  using Work = std::vector<std::function<void()>>;
  // Queues the events among `actions` and returns the rest.
  Work Take(LinkActions actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Does it, then delivers events.
  void Perform(Work work);
  void Open(OpenLinkStream open, Work& work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  LinkStreamPtr Find(LinkStreamId id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckProtocol(const Hello& theirs) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Probed(const std::string& address, absl::StatusOr<PeerId> result,
              const std::function<void(absl::StatusOr<PeerId>)>& done);
  // Blocks until there is no stream and no probe, or until `deadline`. Whether there is none.
  bool WaitNone(absl::Time deadline);

  const PeerId own_;
  const LinkEvents events_;
  const StreamAdmission& admission_;
  PeerChannels& channels_;
  const int probes_max_;
  OrderedEvents ordered_;

  mutable Mutex mutex_;
  Condition ended_;
  LinkTable table_ ABSL_GUARDED_BY(mutex_);
  Hello hello_ ABSL_GUARDED_BY(mutex_);
  std::map<LinkStreamId, LinkStreamPtr> streams_ ABSL_GUARDED_BY(mutex_);
  int probes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace panal
