#include "server/runtime/call_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/status_convert.h"
#include "server/runtime/call_stream.h"
#include "server/runtime/refused_stream.h"

namespace panal {
namespace {

absl::Status ShuttingDown() { return Error(ErrorReason::kShuttingDown, "this peer is stopping"); }

}  // namespace

std::shared_ptr<CallStreams> CallStreams::Create(const StreamAdmission& admission,
                                                 PeerChannels& channels, ContactLookup lookup,
                                                 std::function<void(CallPtr)> route,
                                                 const CallStreamsOptions& options) {
  return std::shared_ptr<CallStreams>(
      new CallStreams(admission, channels, std::move(lookup), std::move(route), options));
}

CallStreams::CallStreams(const StreamAdmission& admission, PeerChannels& channels,
                         ContactLookup lookup, std::function<void(CallPtr)> route,
                         const CallStreamsOptions& options)
    : admission_(admission),
      channels_(channels),
      lookup_(std::move(lookup)),
      route_(std::move(route)),
      options_(options) {}

CallStreams::~CallStreams() {
  MutexLock lock(&mutex_);
  PANAL_CHECK(stopped_ && accepted_ == 0 && dials_ == 0);
}

size_t CallStreams::streams() const {
  MutexLock lock(&mutex_);
  return all_.size();
}

CallStreams::MuxPtr CallStreams::NewMux(const PeerId& peer, bool dialled) {
  CallMuxOptions options;
  options.peer = peer;
  options.dialled = dialled;
  options.calls_max = options_.calls_per_stream_max;
  options.idle_max = options_.idle_max;
  return std::make_shared<CallMux>(options, route_, timer_);
}

// --- Opening calls ------------------------------------------------------------------------------

OutgoingCallPtr CallStreams::Open(const PeerId& peer, const std::string& reference,
                                  const CallHead& head) {
  CallHead named = head;
  named.reference = reference;
  while (true) {
    bool fresh = false;
    absl::StatusOr<MuxPtr> mux = StreamTo(peer, fresh);
    if (!mux.ok()) return FailedCall(mux.status());
    OutgoingCallPtr call = (*mux)->Open(named);
    if (fresh) LookUp(*mux);
    if (call != nullptr) return call;
    Retire(*mux);  // It was just ending: take the next one.
  }
}

absl::StatusOr<CallStreams::MuxPtr> CallStreams::StreamTo(const PeerId& peer, bool& fresh) {
  MutexLock lock(&mutex_);
  if (stopped_) return ShuttingDown();
  auto found = peers_.find(peer);
  if (found != peers_.end()) {
    if (!found->second.accepted.empty()) return found->second.accepted.back();
    if (found->second.dialled != nullptr) return found->second.dialled;
  }
  if (all_.size() - accepted_ >= options_.streams_max) {
    return OverloadedError(absl::StrCat(options_.streams_max, " call streams are open already"),
                           absl::Seconds(1));
  }
  fresh = true;
  MuxPtr mux = NewMux(peer, /*dialled=*/true);
  peers_[peer].dialled = mux;
  all_.insert(mux);
  return mux;
}

// --- Dialling -----------------------------------------------------------------------------------

void CallStreams::LookUp(const MuxPtr& mux) {
  lookup_(mux->peer(), [weak = weak_from_this(), mux](absl::StatusOr<PeerContact> contact) {
    std::shared_ptr<CallStreams> self = weak.lock();
    if (self == nullptr) return;
    auto dial = std::make_shared<Dial>();
    dial->mux = mux;
    if (contact.ok()) dial->addresses = contact->addresses;
    self->DialNext(std::move(dial), contact.ok() ? Error(ErrorReason::kPeerUnreachable,
                                                         "no address of the peer is known")
                                                 : contact.status());
  });
}

void CallStreams::DialNext(std::shared_ptr<Dial> dial, const absl::Status& why) {
  if (dial->next >= dial->addresses.size() || !BeginDial()) {
    Ended(dial->mux, why, /*nothing_executed=*/true);
    return;
  }
  const MuxPtr mux = dial->mux;
  std::shared_ptr<grpc::Channel> channel =
      channels_.GetAt(mux->peer(), dial->addresses[dial->next++], ChannelUse::kControl);
  std::shared_ptr<DialledCallStream> stream = DialledCallStream::Start(
      mux, std::move(channel), admission_,
      [self = shared_from_this(), dial = std::move(dial)](const absl::Status& why, bool opened) {
        if (opened) {
          self->Ended(dial->mux, why, /*nothing_executed=*/false);
        } else {
          self->DialNext(dial, why);  // No call has been sent yet.
        }
        self->EndDial();
      });
  timer_.Set(absl::Now() + options_.open_max, [weak = std::weak_ptr<DialledCallStream>(stream)] {
    if (std::shared_ptr<DialledCallStream> late = weak.lock()) {
      late->EndUnlessOpen(Error(ErrorReason::kPeerUnreachable, "the peer did not answer in time"));
    }
  });
}

bool CallStreams::BeginDial() {
  MutexLock lock(&mutex_);
  if (stopped_) return false;
  ++dials_;
  return true;
}

void CallStreams::EndDial() {
  MutexLock lock(&mutex_);
  --dials_;
  dial_ended_.SignalAll();
}

// --- Accepting ----------------------------------------------------------------------------------

grpc::ServerGenericBidiReactor* CallStreams::Accept(grpc::GenericCallbackServerContext& context,
                                                    const CredentialPtr& peer) {
  MuxPtr mux;
  absl::Status refusal;
  {
    MutexLock lock(&mutex_);
    std::vector<MuxPtr>& accepted = peers_[peer->peer].accepted;
    if (stopped_) {
      refusal = ShuttingDown();
    } else if (accepted.size() >= options_.streams_per_peer_max ||
               accepted_ >= options_.streams_max) {
      refusal = OverloadedError(absl::StrCat(accepted.size(), " call streams of the peer and ",
                                             accepted_, " in all are open already"),
                                absl::Seconds(1));
    } else {
      mux = NewMux(peer->peer, /*dialled=*/false);
      mux->Admitted(peer);
      accepted.push_back(mux);
      all_.insert(mux);
      ++accepted_;
    }
  }
  if (!refusal.ok()) return new RefusedStream(ToGrpcStatus(refusal));
  admission_.Attach(context);
  return AcceptedCallStream::Start(mux, [self = shared_from_this(), mux] {
    self->Ended(mux, absl::OkStatus(), /*nothing_executed=*/false);
  });
}

void CallStreams::Recheck() {
  std::vector<MuxPtr> muxes;
  {
    MutexLock lock(&mutex_);
    muxes.assign(all_.begin(), all_.end());
  }
  for (const MuxPtr& mux : muxes) {
    const CredentialPtr credential = mux->credential();
    if (credential == nullptr) continue;
    const absl::Status admitted = admission_.Recheck(*credential);
    if (!admitted.ok()) mux->End(admitted);
  }
}

// --- Ending -------------------------------------------------------------------------------------

void CallStreams::Retire(const MuxPtr& mux) {
  MutexLock lock(&mutex_);
  auto found = peers_.find(mux->peer());
  if (found == peers_.end()) return;
  PeerStreams& streams = found->second;
  if (streams.dialled == mux) streams.dialled = nullptr;
  auto it = std::find(streams.accepted.begin(), streams.accepted.end(), mux);
  if (it != streams.accepted.end()) {
    streams.accepted.erase(it);
    --accepted_;
  }
  if (streams.dialled == nullptr && streams.accepted.empty()) peers_.erase(found);
}

void CallStreams::Ended(const MuxPtr& mux, const absl::Status& why, bool nothing_executed) {
  Retire(mux);  // First, so that a call that fails can be tried again on another stream.
  mux->OnClosed(why, nothing_executed);
  MutexLock lock(&mutex_);
  all_.erase(mux);
}

void CallStreams::Shutdown() {
  std::vector<MuxPtr> ending;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    ending.assign(all_.begin(), all_.end());
  }
  for (const MuxPtr& mux : ending) mux->End(ShuttingDown());
  MutexLock lock(&mutex_);
  while (dials_ > 0) dial_ended_.Wait(&mutex_);
}

}  // namespace panal
