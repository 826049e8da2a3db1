#include "server/runtime/grpc_links.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/status_convert.h"
#include "common/wire/frame_codec.h"
#include "server/runtime/accepted_link.h"
#include "server/runtime/peer_probe.h"
#include "server/runtime/refused_stream.h"

namespace panal {
namespace {

// How long Shutdown lets queued frames go out. Guess.
constexpr absl::Duration kShutdownGrace = absl::Seconds(1);

std::string RangeOf(const Hello& hello) {
  return absl::StrCat(hello.protocol_min, " to ", hello.protocol_max);
}

}  // namespace

GrpcLinks::GrpcLinks(const PeerId& own, Hello hello, LinkEvents events,
                     const StreamAdmission& admission, PeerChannels& channels, int probes_max)
    : own_(own),
      events_(std::move(events)),
      admission_(admission),
      channels_(channels),
      probes_max_(probes_max),
      table_(own, kLinksMax),
      hello_(std::move(hello)) {}

GrpcLinks::~GrpcLinks() { Shutdown(); }

// --- The interface -------------------------------------------------------------------------------

void GrpcLinks::Dial(const PeerContact& peer) {
  Work work;
  {
    MutexLock lock(&mutex_);
    LinkActions actions;
    table_.Dial(peer, actions);
    work = Take(std::move(actions));
  }
  Perform(std::move(work));
}

void GrpcLinks::DialAddress(absl::string_view address, std::optional<PeerId> expected,
                            std::function<void(absl::StatusOr<PeerId>)> done) {
  absl::Status refused;
  {
    MutexLock lock(&mutex_);
    if (stopped_) {
      refused = Error(ErrorReason::kShuttingDown, "this peer is stopping");
    } else if (probes_ >= probes_max_) {
      refused = OverloadedError(absl::StrCat("addresses being dialled already: ", probes_max_),
                                kDialTimeout);
    } else {
      ++probes_;
    }
    if (!refused.ok()) ordered_.Push([done, refused] { done(refused); });
  }
  if (!refused.ok()) return ordered_.Run();
  std::shared_ptr<grpc::Channel> channel =
      expected ? channels_.GetAt(*expected, address, ChannelUse::kControl)
               : channels_.ToAnyPeer(address);
  PeerProbe::Start(std::move(channel), admission_, kDialTimeout,
                   [this, address = std::string(address), done](absl::StatusOr<PeerId> result) {
                     Probed(address, std::move(result), done);
                   });
}

void GrpcLinks::Probed(const std::string& address, absl::StatusOr<PeerId> result,
                       const std::function<void(absl::StatusOr<PeerId>)>& done) {
  if (!result.ok()) result = Annotate(result.status(), address);
  Work work;
  {
    MutexLock lock(&mutex_);
    ordered_.Push([done, result] { done(result); });
    LinkActions actions;
    if (result.ok() && *result != own_) table_.Dial({*result, {address}}, actions);
    work = Take(std::move(actions));
  }
  Perform(std::move(work));
  MutexLock lock(&mutex_);
  --probes_;
  ended_.SignalAll();
}

void GrpcLinks::Send(const PeerId& peer, const Frame& frame) {
  LinkStreamPtr stream;
  {
    MutexLock lock(&mutex_);
    stream = Find(table_.LinkTo(peer));
  }
  if (stream == nullptr) return;
  if (stream->Send(EncodeFrame(frame), UrgencyOf(frame))) return;
  stream->Abort(OverloadedError(
      absl::StrCat("neighbor reads too slowly: more than ", kLinkQueueMax, " bytes wait"),
      absl::Seconds(10)));
}

void GrpcLinks::Close(const PeerId& peer) {
  Work work;
  {
    MutexLock lock(&mutex_);
    LinkActions actions;
    table_.Close(peer, actions);
    work = Take(std::move(actions));
  }
  Perform(std::move(work));
}

void GrpcLinks::SetHello(Hello hello) {
  MutexLock lock(&mutex_);
  hello_ = std::move(hello);
}

void GrpcLinks::Shutdown() {
  std::vector<LinkStreamPtr> streams;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    table_.Stop();
    for (const auto& [id, stream] : streams_) streams.push_back(stream);
  }
  const absl::Status why = Error(ErrorReason::kShuttingDown, "the peer is stopping");
  for (const LinkStreamPtr& stream : streams) stream->Close(why);
  if (!WaitNone(absl::Now() + kShutdownGrace)) {
    for (const LinkStreamPtr& stream : streams) stream->Abort(why);
    WaitNone(absl::InfiniteFuture());
  }
  ordered_.WaitIdle();
}

bool GrpcLinks::WaitNone(absl::Time deadline) {
  MutexLock lock(&mutex_);
  while (!streams_.empty() || probes_ > 0) {
    const absl::Duration rest = deadline - absl::Now();
    if (rest <= absl::ZeroDuration()) return false;
    ended_.WaitFor(&mutex_, rest);
  }
  return true;
}

// --- Streams -------------------------------------------------------------------------------------

grpc::ServerGenericBidiReactor* GrpcLinks::Accept(grpc::GenericCallbackServerContext& context,
                                                  const CredentialPtr& peer) {
  std::shared_ptr<AcceptedLink> stream;
  absl::Status refused;
  {
    MutexLock lock(&mutex_);
    if (stopped_) {
      refused = Error(ErrorReason::kShuttingDown, "this peer is stopping");
    } else if (streams_.size() >= kLinkStreamsMax) {
      refused = OverloadedError(absl::StrCat("link streams open already: ", kLinkStreamsMax),
                                absl::Seconds(10));
    } else {
      stream = AcceptedLink::Create(*this, table_.NewStream(), peer, context);
      streams_[stream->id()] = stream;
    }
  }
  if (stream == nullptr) return new RefusedStream(ToGrpcStatus(refused));
  grpc::ServerGenericBidiReactor* reactor = stream->reactor();
  admission_.Attach(context);
  stream->SetTimer(kHelloTimeout);
  stream->Start();
  return reactor;
}

void GrpcLinks::Recheck() {
  std::vector<LinkStreamPtr> streams;
  {
    MutexLock lock(&mutex_);
    for (const auto& [id, stream] : streams_) streams.push_back(stream);
  }
  for (const LinkStreamPtr& stream : streams) {
    const CredentialPtr credential = stream->credential();
    if (credential == nullptr) continue;
    const absl::Status admitted = admission_.Recheck(*credential);
    if (!admitted.ok()) stream->Expel(admitted);
  }
}

void GrpcLinks::Open(OpenLinkStream open, Work& work) {
  std::shared_ptr<DialledLink> stream = DialledLink::Create(*this, open.stream, open.peer);
  streams_[open.stream] = stream;
  work.push_back([this, stream, address = std::move(open.address), hello = Frame(hello_)] {
    stream->SetTimer(kDialTimeout);
    stream->Start(channels_.GetAt(stream->peer(), address, ChannelUse::kControl), admission_,
                  EncodeFrame(hello));
  });
}

LinkStreamPtr GrpcLinks::Find(LinkStreamId id) const {
  auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

GrpcLinks::Work GrpcLinks::Take(LinkActions actions) {
  Work work;
  for (LinkAction& action : actions) {
    if (auto* up = std::get_if<ReportUp>(&action)) {
      ordered_.Push([this, up = std::move(*up)] { events_.on_up(up.peer, up.outbound, up.hello); });
    } else if (auto* lost = std::get_if<ReportLost>(&action)) {
      ordered_.Push([this, lost = std::move(*lost)] { events_.on_lost(lost.peer, lost.why); });
    } else if (auto* failed = std::get_if<ReportDialFailed>(&action)) {
      ordered_.Push(
          [this, failed = std::move(*failed)] { events_.on_dial_failed(failed.peer, failed.why); });
    } else if (auto* open = std::get_if<OpenLinkStream>(&action)) {
      Open(std::move(*open), work);
    } else if (auto* answer = std::get_if<AnswerHello>(&action)) {
      if (LinkStreamPtr stream = Find(answer->stream)) {
        work.push_back([stream, hello = Frame(hello_)] {
          stream->SetTimer(kHelloTimeout);
          stream->Send(EncodeFrame(hello));
        });
      }
    } else if (auto* confirm = std::get_if<ConfirmAnswer>(&action)) {
      if (LinkStreamPtr stream = Find(confirm->stream)) {
        work.push_back([stream] { stream->Send(""); });
      }
    } else if (auto* hold = std::get_if<HoldLinkStream>(&action)) {
      if (LinkStreamPtr stream = Find(hold->stream)) {
        work.push_back([stream] { stream->SetTimer(kHoldMax); });
      }
    } else if (auto* end = std::get_if<EndLinkStream>(&action)) {
      if (LinkStreamPtr stream = Find(end->stream)) {
        work.push_back([stream, end = *end] {
          end.at_once ? stream->Abort(end.why) : stream->Close(end.why);
        });
      }
    }
  }
  return work;
}

void GrpcLinks::Perform(Work work) {
  for (const std::function<void()>& step : work) step();
  ordered_.Run();
}

// --- What streams report -------------------------------------------------------------------------

absl::Status GrpcLinks::CheckProtocol(const Hello& theirs) const {
  const uint32_t common_min = std::max(hello_.protocol_min, theirs.protocol_min);
  const uint32_t common_max = std::min(hello_.protocol_max, theirs.protocol_max);
  if (common_min <= common_max) return absl::OkStatus();
  return Error(
      ErrorReason::kProtocolVersionUnsupported,
      absl::StrCat("no protocol version in common: ", RangeOf(hello_), " and ", RangeOf(theirs)),
      {{"acceptor", RangeOf(hello_)}, {"caller", RangeOf(theirs)}});
}

void GrpcLinks::OnHello(const LinkStreamPtr& stream, Hello hello) {
  Work work;
  {
    MutexLock lock(&mutex_);
    LinkActions actions;
    if (absl::Status unfit = CheckProtocol(hello); !unfit.ok()) {
      actions.push_back(EndLinkStream{stream->id(), std::move(unfit), stream->outbound()});
    } else {
      table_.HelloCame(stream->id(), stream->peer(), stream->outbound(), std::move(hello),
                       absl::Now(), actions);
    }
    work = Take(std::move(actions));
  }
  // A frame that follows at once is delivered after the link was reported up: its event is queued
  // behind.
  stream->ReadNext();
  Perform(std::move(work));
}

void GrpcLinks::OnFrame(const LinkStreamPtr& stream, Frame frame) {
  Work work;
  bool linked = false;
  bool held = false;
  {
    MutexLock lock(&mutex_);
    LinkActions actions;
    table_.Confirmed(stream->id(), stream->peer(), actions);
    work = Take(std::move(actions));
    linked = table_.LinkTo(stream->peer()) == stream->id();
    held = table_.IsHeld(stream->id(), stream->peer());
    if (linked) {
      ordered_.Push([this, stream, frame = std::move(frame)]() mutable {
        events_.on_frame(stream->peer(), std::move(frame));
        stream->ReadNext();
      });
    }
  }
  if (held) {
    stream->Close(Error(ErrorReason::kFrameInvalid, "a frame before the Hello was answered"));
  }
  // A stream that was given up may still bring frames.
  if (!linked) stream->ReadNext();
  Perform(std::move(work));
}

void GrpcLinks::OnUnknownFrame(const LinkStreamPtr& stream, bool empty) {
  if (!empty && events_.on_fault) events_.on_fault(stream->peer(), FrameFault::kUnknown);
  Work work;
  {
    MutexLock lock(&mutex_);
    LinkActions actions;
    table_.Confirmed(stream->id(), stream->peer(), actions);
    work = Take(std::move(actions));
  }
  stream->ReadNext();
  Perform(std::move(work));
}

void GrpcLinks::OnBadFrame(const LinkStreamPtr& stream) {
  if (events_.on_fault) events_.on_fault(stream->peer(), FrameFault::kUndecodable);
}

void GrpcLinks::OnTimer(const LinkStreamPtr& stream) {
  Work work;
  bool idle = false;
  bool dialling = false;
  {
    MutexLock lock(&mutex_);
    const LinkStreamId id = stream->id();
    dialling = table_.IsDialling(id, stream->peer());
    idle = table_.LinkTo(stream->peer()) != id && !table_.IsHeld(id, stream->peer());
    LinkActions actions;
    table_.HeldTooLong(id, stream->peer(), actions);
    work = Take(std::move(actions));
  }
  if (dialling) {
    stream->Abort(Error(ErrorReason::kPeerUnreachable,
                        absl::StrCat("no answer within ", absl::FormatDuration(kDialTimeout))));
  } else if (idle) {
    stream->Abort(Error(ErrorReason::kFrameInvalid, "no Hello, or no end, in time"));
  }
  Perform(std::move(work));
}

void GrpcLinks::OnEnded(const LinkStreamPtr& stream, absl::Status why) {
  LogLimited(LogLevel::kDebug, "link_stream_ended",
             {{"peer", stream->peer().ToShortText()}, {"why", std::string(why.message())}});
  Work work;
  {
    MutexLock lock(&mutex_);
    LinkActions actions;
    table_.Ended(stream->id(), stream->peer(), why, actions);
    work = Take(std::move(actions));
  }
  Perform(std::move(work));
  MutexLock lock(&mutex_);
  streams_.erase(stream->id());
  ended_.SignalAll();
}

}  // namespace panal
