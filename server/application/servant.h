// A servant: the object that answers calls. Methods are registered by templates over the protobuf
// types of their request and response; dispatch is direct (a table by name, then the member
// function).
//
// class EchoServant final : public Servant {
//  public:
//   explicit EchoServant(Dispatcher& dispatcher) : Servant("acme.v1.EchoObject", dispatcher) {
//     Unary("Echo", WorkClass::kCalls, &EchoServant::Echo);
//   }
//  private:
//   absl::StatusOr<EchoResponse> Echo(const CallHead& head, const EchoRequest& request);
// };
//
// Threads: every handler runs on a worker of its method's class, never on a transport thread.
// Handlers of different calls run at the same time; those of one call never do. A handler must not
// wait for the network: what takes longer answers through a Responder or a StreamWriter. Errors: a
// request that does not decode is MESSAGE_INVALID; one the dispatcher refuses OVERLOADED. A call
// that is cancelled or late before its handler runs is finished without running it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"
#include "server/application/call.h"
#include "server/application/call_session.h"
#include "server/application/dispatcher.h"

namespace panal {

// Answers one call later. Copies answer the same call; the first answer counts. When all copies are
// gone without an answer the call ends with INTERNAL.
template <typename Response>
class Responder {
 public:
  explicit Responder(CallSessionPtr session) : session_(std::move(session)) {}

  void operator()(const absl::StatusOr<Response>& response) const {
    if (response.ok()) {
      session_->SendLast(response->SerializeAsString());
    } else {
      session_->Finish(response.status());
    }
  }

  // See CallSession.
  void OnCancel(std::function<void()> callback) const { session_->OnCancel(std::move(callback)); }

  bool over() const { return session_->over(); }

  // Runs `task` on a worker of the method's class, unless the call is over by then.
  void Submit(std::function<void()> task) const { session_->Submit(std::move(task)); }

 private:
  CallSessionPtr session_;
};

// The answer of a call as a stream. Copies write to the same call. Thread-safe.
template <typename Response>
class StreamWriter {
 public:
  explicit StreamWriter(CallSessionPtr session) : session_(std::move(session)) {}

  // False when the reader is too slow (kSendQueueMax) or gone: the message is dropped.
  bool Write(const Response& response) const {
    return session_->Send(response.SerializeAsString());
  }

  // Writes whatever waits already, and ends the call with OK.
  void WriteLast(const Response& response) const {
    session_->SendLast(response.SerializeAsString());
  }

  void Finish(const absl::Status& status) const { session_->Finish(status); }

  // Whether the reader has taken everything.
  bool idle() const { return session_->idle(); }

  // See CallSession: runs `task` on a worker once the reader has taken everything.
  void WhenIdle(std::function<void()> task) const { session_->WhenIdle(std::move(task)); }

  bool over() const { return session_->over(); }

  // See CallSession.
  void OnCancel(std::function<void()> callback) const { session_->OnCancel(std::move(callback)); }

 private:
  CallSessionPtr session_;
};

// A server stream that is pulled: Next is called each time the message before was taken.
template <typename Response>
class MessageSource {
 public:
  virtual ~MessageSource() = default;
  // Nothing: the end.
  virtual absl::StatusOr<std::optional<Response>> Next() = 0;

  // Asked when Next failed, with its error. True: what was wrong is being mended, and `again` will
  // be called once, on any thread, after which Next is called again. False: the call ends with the
  // error.
  virtual bool Mend(const absl::Status& error, std::function<void()> again) { return false; }
};

// A client stream: one call of OnMessage at a time, reading paused meanwhile. Freed without OnEnd
// when the caller is gone.
template <typename Request, typename Response>
class MessageSink {
 public:
  virtual ~MessageSink() = default;
  // An error ends the call.
  virtual absl::Status OnMessage(const Request& request) = 0;
  // The caller is done sending.
  virtual absl::StatusOr<Response> OnEnd() = 0;
};

// Both ways: as MessageSink, and the next message is read once everything written was taken. The
// call ends with OK when the caller is done sending, or earlier by `writer.Finish`.
template <typename Request, typename Response>
class MessageExchange {
 public:
  virtual ~MessageExchange() = default;
  // An error ends the call.
  virtual absl::Status OnMessage(const Request& request, const StreamWriter<Response>& writer) = 0;
};

// Decodes `bytes`. Error: MESSAGE_INVALID.
absl::Status DecodeMessage(absl::string_view bytes, google::protobuf::MessageLite& message);

class Servant : public std::enable_shared_from_this<Servant> {
 public:
  // `service`: full name of the interface. `dispatcher` must outlive the servant and its calls.
  Servant(absl::string_view service, Dispatcher& dispatcher);
  virtual ~Servant() = default;
  Servant(const Servant&) = delete;
  Servant& operator=(const Servant&) = delete;

  const std::string& service() const { return service_; }

  // Begins to serve a call. False when there is no such method: the call is untouched. REQUIRES:
  // the servant is owned by a shared_ptr; its calls keep it alive.
  bool Serve(absl::string_view method, const CallPtr& call) const;
  // Names of the methods, ascending.
  std::vector<std::string> methods() const;

 protected:
  // The methods that follow are for programs of this peer: a call from another peer is refused with
  // NOT_PERMITTED. A peer decides alone what it shares, stores and spends.
  void ForProgramsOnly() { for_programs_only_ = true; }

  // Answers from the handler.
  template <typename Self, typename Request, typename Response>
  void Unary(absl::string_view method, WorkClass work_class,
             absl::StatusOr<Response> (Self::*handler)(const CallHead&, const Request&)) {
    AddUnary<Request>(method, work_class,
                      [self = static_cast<Self*>(this), handler](const CallSessionPtr& session,
                                                                 const Request& request) {
                        Responder<Response>{session}((self->*handler)(session->head(), request));
                      });
  }

  // Answers later.
  template <typename Self, typename Request, typename Response>
  void AsyncUnary(absl::string_view method, WorkClass work_class,
                  void (Self::*handler)(const CallHead&, const Request&, Responder<Response>)) {
    AddUnary<Request>(method, work_class,
                      [self = static_cast<Self*>(this), handler](const CallSessionPtr& session,
                                                                 const Request& request) {
                        (self->*handler)(session->head(), request, Responder<Response>{session});
                      });
  }

  // Streams what the source yields.
  template <typename Self, typename Request, typename Response>
  void ServerStream(absl::string_view method, WorkClass work_class,
                    absl::StatusOr<std::unique_ptr<MessageSource<Response>>> (Self::*handler)(
                        const CallHead&, const Request&)) {
    AddUnary<Request>(method, work_class,
                      [self = static_cast<Self*>(this), handler](const CallSessionPtr& session,
                                                                 const Request& request) {
                        auto source = (self->*handler)(session->head(), request);
                        if (!source.ok()) return session->Finish(source.status());
                        Pull<Response>(
                            session, std::shared_ptr<MessageSource<Response>>(*std::move(source)));
                      });
  }

  // Streams what is written, whenever that is.
  template <typename Self, typename Request, typename Response>
  void PushStream(absl::string_view method, WorkClass work_class,
                  void (Self::*handler)(const CallHead&, const Request&, StreamWriter<Response>)) {
    AddUnary<Request>(method, work_class,
                      [self = static_cast<Self*>(this), handler](const CallSessionPtr& session,
                                                                 const Request& request) {
                        (self->*handler)(session->head(), request, StreamWriter<Response>{session});
                      });
  }

  // Gives the caller's messages to a sink.
  template <typename Self, typename Request, typename Response>
  void ClientStream(absl::string_view method, WorkClass work_class,
                    absl::StatusOr<std::unique_ptr<MessageSink<Request, Response>>> (Self::*begin)(
                        const CallHead&)) {
    Add(method, work_class,
        [self = static_cast<Self*>(this), begin](const CallSessionPtr& session) {
          session->Submit([self, begin, session] {
            auto sink = (self->*begin)(session->head());
            if (!sink.ok()) return session->Finish(sink.status());
            Drain<Request, Response>(
                session, std::shared_ptr<MessageSink<Request, Response>>(*std::move(sink)));
          });
        });
  }

  // Gives the caller's messages to an exchange that answers them.
  template <typename Self, typename Request, typename Response>
  void Bidi(absl::string_view method, WorkClass work_class,
            absl::StatusOr<std::unique_ptr<MessageExchange<Request, Response>>> (Self::*begin)(
                const CallHead&)) {
    Add(method, work_class,
        [self = static_cast<Self*>(this), begin](const CallSessionPtr& session) {
          session->Submit([self, begin, session] {
            auto exchange = (self->*begin)(session->head());
            if (!exchange.ok()) return session->Finish(exchange.status());
            Converse<Request, Response>(
                session, std::shared_ptr<MessageExchange<Request, Response>>(*std::move(exchange)));
          });
        });
  }

 private:
  using MethodStart = std::function<void(const CallSessionPtr&)>;

  struct Method {
    WorkClass work_class = WorkClass::kCalls;
    bool for_programs_only = false;
    MethodStart start;
  };

  void Add(absl::string_view method, WorkClass work_class, MethodStart start);
  // Reads the one request of a call and runs `task` with it on a worker.
  static void ReadRequest(const CallSessionPtr& session, std::function<void(std::string)> task);

  template <typename Request>
  void AddUnary(absl::string_view method, WorkClass work_class,
                std::function<void(const CallSessionPtr&, const Request&)> run) {
    Add(method, work_class, [run = std::move(run)](const CallSessionPtr& session) {
      ReadRequest(session, [session, run](std::string bytes) {
        Request request;
        absl::Status decoded = DecodeMessage(bytes, request);
        if (!decoded.ok()) return session->Finish(decoded);
        run(session, request);
      });
    });
  }

  template <typename Response>
  static void Pull(const CallSessionPtr& session,
                   const std::shared_ptr<MessageSource<Response>>& source) {
    absl::StatusOr<std::optional<Response>> next = source->Next();
    if (!next.ok()) {
      auto again = [session, source] {
        session->Submit([session, source] { Pull<Response>(session, source); });
      };
      if (!source->Mend(next.status(), std::move(again))) session->Finish(next.status());
      return;
    }
    if (!next->has_value()) return session->Finish(absl::OkStatus());
    session->Send((*next)->SerializeAsString());
    session->WhenIdle([session, source] { Pull<Response>(session, source); });
  }

  template <typename Request, typename Response>
  static void Drain(const CallSessionPtr& session,
                    const std::shared_ptr<MessageSink<Request, Response>>& sink) {
    session->Read([session, sink](std::optional<std::string> read) {
      if (!read) return Responder<Response>{session}(sink->OnEnd());
      Request request;
      absl::Status taken = DecodeMessage(*read, request);
      if (taken.ok()) taken = sink->OnMessage(request);
      if (!taken.ok()) return session->Finish(taken);
      Drain<Request, Response>(session, sink);
    });
  }

  template <typename Request, typename Response>
  static void Converse(const CallSessionPtr& session,
                       const std::shared_ptr<MessageExchange<Request, Response>>& exchange) {
    session->Read([session, exchange](std::optional<std::string> read) {
      if (!read) return session->Finish(absl::OkStatus());
      Request request;
      absl::Status taken = DecodeMessage(*read, request);
      if (taken.ok()) taken = exchange->OnMessage(request, StreamWriter<Response>{session});
      if (!taken.ok()) return session->Finish(taken);
      session->WhenIdle([session, exchange] { Converse<Request, Response>(session, exchange); });
    });
  }

  const std::string service_;
  Dispatcher& dispatcher_;
  bool for_programs_only_ = false;
  std::map<std::string, Method, std::less<>> methods_;
};

using ServantPtr = std::shared_ptr<const Servant>;

}  // namespace panal
