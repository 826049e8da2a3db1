#include "server/runtime/join_service.h"

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/status_convert.h"
#include "panal/v1/peer_object.pb.h"
#include "server/runtime/refused_stream.h"

namespace panal {
namespace {

absl::StatusOr<JoinAttempt> Read(const grpc::ByteBuffer& buffer, const PeerId& peer) {
  if (buffer.Length() > kJoinRequestSizeMax) {
    return Error(ErrorReason::kMessageTooLarge,
                 absl::StrCat("request of ", buffer.Length(), " bytes exceeds the limit of ",
                              kJoinRequestSizeMax));
  }
  v1::JoinRequest request;
  if (!Parse(buffer, request)) {
    return Error(ErrorReason::kMessageInvalid, "the request does not decode");
  }
  return JoinAttempt{.peer = peer,
                     .ticket = request.ticket(),
                     .public_key = request.public_key(),
                     .proof = request.proof()};
}

// Shared by gRPC (until OnDone), who decides, and the timer.
class JoinStream final : public grpc::ServerGenericBidiReactor,
                         public std::enable_shared_from_this<JoinStream> {
 public:
  static JoinStream* Start(const PeerId& peer, const JoinHandler& handler,
                           std::function<void()> done) {
    std::shared_ptr<JoinStream> stream(new JoinStream(peer, handler, std::move(done)));
    stream->self_ = stream;
    stream->alarm_ = std::make_unique<grpc::Alarm>();
    stream->alarm_->Set(absl::ToChronoTime(absl::Now() + kJoinTimeout),
                        [weak = std::weak_ptr<JoinStream>(stream)](bool late) {
                          std::shared_ptr<JoinStream> stream = late ? weak.lock() : nullptr;
                          if (stream == nullptr) return;
                          stream->Answer(Error(ErrorReason::kDeadlineExceeded,
                                               "no request, or no answer, in time"));
                        });
    stream->StartRead(&stream->incoming_);
    return stream.get();
  }

 private:
  JoinStream(const PeerId& peer, const JoinHandler& handler, std::function<void()> done)
      : peer_(peer), handler_(handler), done_(std::move(done)) {}

  void OnReadDone(bool ok) override {
    if (!ok) return Answer(Error(ErrorReason::kMessageInvalid, "there is no request"));
    absl::StatusOr<JoinAttempt> attempt = Read(incoming_, peer_);
    if (!attempt.ok()) return Answer(attempt.status());
    handler_(*std::move(attempt),
             [self = shared_from_this()](absl::StatusOr<std::string> credential) {
               self->Answer(std::move(credential));
             });
  }

  void OnCancel() override { Answer(Error(ErrorReason::kCancelled, "the caller is gone")); }

  void OnDone() override {
    alarm_.reset();
    done_();
    std::shared_ptr<JoinStream> self = std::move(self_);
  }

  // The first one counts.
  void Answer(absl::StatusOr<std::string> credential) {
    if (answered_.exchange(true)) return;
    if (!credential.ok()) {
      LogLimited(LogLevel::kInfo, "join_refused",
                 {{"peer", peer_.ToText()}, {"why", std::string(credential.status().message())}});
      Finish(ToGrpcStatus(credential.status()));
      return;
    }
    v1::JoinResponse response;
    response.set_credential(*std::move(credential));
    outgoing_ = ToByteBuffer(response);
    StartWriteAndFinish(&outgoing_, grpc::WriteOptions(), grpc::Status::OK);
  }

  const PeerId peer_;
  const JoinHandler& handler_;  // The service's, which outlives the server.
  const std::function<void()> done_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  std::atomic<bool> answered_ = false;
  std::unique_ptr<grpc::Alarm> alarm_;
  std::shared_ptr<JoinStream> self_;  // gRPC's share; dropped in OnDone.
};

}  // namespace

JoinService::JoinService(JoinHandler handler)
    : handler_(std::move(handler)), load_(std::make_shared<Load>()) {}

grpc::ServerGenericBidiReactor* JoinService::Accept(grpc::GenericCallbackServerContext& context,
                                                    const PeerId& caller) {
  {
    MutexLock lock(&load_->mutex);
    if (load_->open >= kJoinsMax || !load_->bucket.Take(absl::Now())) {
      return new RefusedStream(ToGrpcStatus(
          OverloadedError("too many peers ask to be let in at the moment", absl::Seconds(1))));
    }
    ++load_->open;
  }
  return JoinStream::Start(caller, handler_, [load = load_] {
    MutexLock lock(&load->mutex);
    --load->open;
  });
}

}  // namespace panal
