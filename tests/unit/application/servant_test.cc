#include "server/application/servant.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "panal/v1/peer_object.pb.h"
#include "tests/unit/application/fake_call.h"

namespace panal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Stand-ins for any request and response: one string each.
using Request = v1::ResolvePeerRequest;
using Response = v1::ResolvePeerResponse;

Request MakeRequest(const std::string& text) {
  Request request;
  request.set_prefix(text);
  return request;
}

Response MakeResponse(const std::string& text) {
  Response response;
  response.set_peer_id(text);
  return response;
}

std::vector<std::string> Texts(const FakeCall& call) {
  std::vector<std::string> texts;
  for (const Response& response : call.Messages<Response>()) texts.push_back(response.peer_id());
  return texts;
}

// One method of every form.
class EveryFormServant final : public Servant {
 public:
  explicit EveryFormServant(Dispatcher& dispatcher) : Servant("test.EveryForm", dispatcher) {
    Unary("Echo", WorkClass::kCalls, &EveryFormServant::Echo);
    AsyncUnary("Later", WorkClass::kControl, &EveryFormServant::Later);
    ServerStream("Count", WorkClass::kBulk, &EveryFormServant::Count);
    PushStream("Push", WorkClass::kSearch, &EveryFormServant::Push);
    ClientStream("Join", WorkClass::kBulk, &EveryFormServant::Join);
    Bidi("Talk", WorkClass::kCalls, &EveryFormServant::Talk);
    ForProgramsOnly();
    Unary("Spend", WorkClass::kCalls, &EveryFormServant::Echo);
  }

  // For tests: the answers under way.
  std::optional<Responder<Response>> later;
  std::optional<StreamWriter<Response>> push;
  int pulled = 0;
  int joins_freed = 0;
  int joins_ended = 0;

 private:
  absl::StatusOr<Response> Echo(const CallHead& head, const Request& request) {
    if (request.prefix() == "bad") return Error(ErrorReason::kPeerIdInvalid, "bad");
    return MakeResponse(request.prefix());
  }

  void Later(const CallHead& head, const Request& request, Responder<Response> respond) {
    later = respond;
  }

  class Counter final : public MessageSource<Response> {
   public:
    Counter(EveryFormServant& servant, int end) : servant_(servant), end_(end) {}

    absl::StatusOr<std::optional<Response>> Next() override {
      ++servant_.pulled;
      if (at_ == end_) return std::optional<Response>();
      return std::optional<Response>(MakeResponse(std::to_string(at_++)));
    }

   private:
    EveryFormServant& servant_;
    const int end_;
    int at_ = 0;
  };

  absl::StatusOr<std::unique_ptr<MessageSource<Response>>> Count(const CallHead& head,
                                                                 const Request& request) {
    if (request.prefix().empty()) return Error(ErrorReason::kArgumentInvalid, "how far");
    return std::make_unique<Counter>(*this, std::stoi(request.prefix()));
  }

  void Push(const CallHead& head, const Request& request, StreamWriter<Response> writer) {
    push = writer;
  }

  class Joiner final : public MessageSink<Request, Response> {
   public:
    explicit Joiner(EveryFormServant& servant) : servant_(servant) {}

    ~Joiner() override { ++servant_.joins_freed; }

    absl::Status OnMessage(const Request& request) override {
      if (request.prefix() == "bad") return Error(ErrorReason::kChunkOutOfOrder, "bad");
      text_ += request.prefix();
      return absl::OkStatus();
    }

    absl::StatusOr<Response> OnEnd() override {
      ++servant_.joins_ended;
      return MakeResponse(text_);
    }

   private:
    EveryFormServant& servant_;
    std::string text_;
  };

  absl::StatusOr<std::unique_ptr<MessageSink<Request, Response>>> Join(const CallHead& head) {
    return std::make_unique<Joiner>(*this);
  }

  class Talker final : public MessageExchange<Request, Response> {
   public:
    absl::Status OnMessage(const Request& request, const StreamWriter<Response>& writer) override {
      if (request.prefix() == "bad") return Error(ErrorReason::kArgumentInvalid, "bad");
      writer.Write(MakeResponse(request.prefix()));
      return absl::OkStatus();
    }
  };

  absl::StatusOr<std::unique_ptr<MessageExchange<Request, Response>>> Talk(const CallHead& head) {
    return std::make_unique<Talker>();
  }
};

class ServantTest : public CallTest {
 protected:
  void TearDown() override {
    CallTest::TearDown();
    if (servant == nullptr) return;
    servant->later.reset();
    servant->push.reset();
  }

  std::shared_ptr<FakeCall> Serve(absl::string_view method) {
    auto call = MakeCall(method);
    EXPECT_TRUE(servant->Serve(method, call));
    return call;
  }

  InlineDispatcher dispatcher;
  std::shared_ptr<EveryFormServant> servant = std::make_shared<EveryFormServant>(dispatcher);
};

TEST_F(ServantTest, NamesItsMethodsAndRefusesOthers) {
  EXPECT_THAT(servant->methods(),
              ElementsAre("Count", "Echo", "Join", "Later", "Push", "Spend", "Talk"));
  auto call = MakeCall("Other");
  EXPECT_FALSE(servant->Serve("Other", call));
  EXPECT_FALSE(call->result.has_value());
}

TEST_F(ServantTest, AnswersAUnaryCallOnAWorkerOfItsClass) {
  auto call = Serve("Echo");
  dispatcher.paused = true;
  call->CallerSends(MakeRequest("hello"));
  EXPECT_FALSE(call->result.has_value());

  dispatcher.Run();

  EXPECT_THAT(dispatcher.classes, ElementsAre(WorkClass::kCalls));
  EXPECT_THAT(Texts(*call), ElementsAre("hello"));
  EXPECT_TRUE(call->status().ok());
}

TEST_F(ServantTest, KeepsMethodsForProgramsFromOtherPeers) {
  for (const CallOrigin origin : {CallOrigin::kApi, CallOrigin::kInProcess, CallOrigin::kMesh}) {
    auto call = std::make_shared<FakeCall>(CallHead{.method = "Spend", .origin = origin});
    ASSERT_TRUE(servant->Serve("Spend", call));
    call->CallerSends(MakeRequest("all"));

    const bool refused = origin == CallOrigin::kMesh;
    EXPECT_EQ(ReasonOf(call->status()),
              refused ? ErrorReason::kNotPermitted : ErrorReason::kUnspecified);
    EXPECT_EQ(call->written.empty(), refused);
  }
}

TEST_F(ServantTest, FinishesWithTheErrorOfTheHandler) {
  auto call = Serve("Echo");

  call->CallerSends(MakeRequest("bad"));

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kPeerIdInvalid);
  EXPECT_THAT(call->written, IsEmpty());
}

TEST_F(ServantTest, RefusesAMessageThatDoesNotDecode) {
  for (const char* method : {"Echo", "Later", "Count", "Push", "Join", "Talk"}) {
    auto call = Serve(method);

    call->CallerSends(std::string("\xff\xff\xff"));

    EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kMessageInvalid) << method;
  }
}

TEST_F(ServantTest, RefusesAUnaryCallWithoutARequest) {
  auto call = Serve("Echo");

  call->CallerHalfCloses();

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kMessageInvalid);
}

TEST_F(ServantTest, PassesTheRefusalOfTheDispatcherOn) {
  auto call = Serve("Echo");
  dispatcher.refusal = OverloadedError("busy", absl::Seconds(2));

  call->CallerSends(MakeRequest("hello"));

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kOverloaded);
  EXPECT_EQ(RetryAfterOf(call->status()), absl::Seconds(2));
}

TEST_F(ServantTest, SkipsTheHandlerOfACallThatWasCancelledInTheQueue) {
  auto call = Serve("Later");
  dispatcher.paused = true;
  call->CallerSends(MakeRequest("hello"));

  call->CallerCancels();
  dispatcher.Run();

  EXPECT_FALSE(servant->later.has_value());
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(ServantTest, SkipsTheHandlerOfACallThatIsLate) {
  CallHead head;
  head.deadline = absl::Now() - absl::Seconds(1);
  auto call = std::make_shared<FakeCall>(head);
  ASSERT_TRUE(servant->Serve("Later", call));

  call->CallerSends(MakeRequest("hello"));

  EXPECT_FALSE(servant->later.has_value());
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kDeadlineExceeded);
}

TEST_F(ServantTest, AnswersLater) {
  auto call = Serve("Later");
  call->CallerSends(MakeRequest("hello"));
  ASSERT_FALSE(call->result.has_value());

  (*servant->later)(MakeResponse("at last"));
  (*servant->later)(MakeResponse("again"));

  EXPECT_THAT(Texts(*call), ElementsAre("at last"));
  EXPECT_TRUE(call->status().ok());
}

TEST_F(ServantTest, FinishesACallThatItsHandlerDropped) {
  auto call = Serve("Later");
  call->CallerSends(MakeRequest("hello"));

  servant->later.reset();

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kInternal);
}

TEST_F(ServantTest, TellsAHandlerOfCancellationOnce) {
  auto call = Serve("Later");
  call->CallerSends(MakeRequest("hello"));
  int told = 0;
  servant->later->OnCancel([&] { ++told; });

  call->CallerCancels();

  EXPECT_EQ(told, 1);
  EXPECT_TRUE(servant->later->over());
  servant->later->OnCancel([&] { ++told; });
  EXPECT_EQ(told, 2) << "one set after the cancellation is called at once";
}

TEST_F(ServantTest, KeepsItselfAliveWhileACallIsUnderWay) {
  auto call = Serve("Later");
  call->CallerSends(MakeRequest("hello"));
  Responder<Response> later = *std::exchange(servant->later, std::nullopt);
  std::weak_ptr<EveryFormServant> weak = servant;

  servant.reset();
  EXPECT_FALSE(weak.expired());
  later(MakeResponse("bye"));

  EXPECT_THAT(Texts(*call), ElementsAre("bye"));
}

TEST_F(ServantTest, PullsTheNextMessageOnlyWhenTheOneBeforeWasTaken) {
  auto call = Serve("Count");
  call->hold_writes = true;
  call->CallerSends(MakeRequest("2"));
  EXPECT_EQ(servant->pulled, 1);
  EXPECT_THAT(Texts(*call), ElementsAre("0"));

  call->CompleteWrite();
  EXPECT_EQ(servant->pulled, 2);
  EXPECT_THAT(Texts(*call), ElementsAre("0", "1"));
  EXPECT_FALSE(call->result.has_value());
  call->CompleteWrite();

  EXPECT_TRUE(call->status().ok());
}

TEST_F(ServantTest, StopsPullingWhenTheCallerIsGone) {
  auto call = Serve("Count");
  call->hold_writes = true;
  call->CallerSends(MakeRequest("100"));

  call->CompleteWrite(/*ok=*/false);

  EXPECT_EQ(servant->pulled, 1);
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(ServantTest, StopsPullingWhenTheCallerCancels) {
  auto call = Serve("Count");
  call->hold_writes = true;
  call->CallerSends(MakeRequest("100"));

  call->CallerCancels();
  EXPECT_FALSE(call->result.has_value()) << "not before the write under way is done";
  call->CompleteWrite(/*ok=*/false);

  EXPECT_EQ(servant->pulled, 1);
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(ServantTest, PullsALongStreamWithoutGrowingTheStack) {
  auto call = Serve("Count");

  call->CallerSends(MakeRequest("100000"));

  EXPECT_EQ(call->written.size(), 100'000u);
  EXPECT_TRUE(call->status().ok());
}

TEST_F(ServantTest, RefusesAStreamByTheErrorOfItsHandler) {
  auto call = Serve("Count");

  call->CallerSends(MakeRequest(""));

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kArgumentInvalid);
}

TEST_F(ServantTest, QueuesPushedMessagesUpToItsLimit) {
  auto call = Serve("Push");
  call->hold_writes = true;
  call->CallerSends(MakeRequest("go"));
  // The first is under way and no longer waits.
  ASSERT_TRUE(servant->push->Write(MakeResponse("first")));
  const Response half = MakeResponse(std::string(kSendQueueMax / 2 - 200, 'x'));

  EXPECT_TRUE(servant->push->Write(half));
  EXPECT_TRUE(servant->push->Write(half));
  EXPECT_FALSE(servant->push->Write(half)) << "one past the limit";
  EXPECT_FALSE(servant->push->idle());
  servant->push->WriteLast(MakeResponse("last"));
  for (int i = 0; i < 4; ++i) call->CompleteWrite();

  EXPECT_EQ(call->written.size(), 4u);
  EXPECT_EQ(Texts(*call).back(), "last");
  EXPECT_TRUE(call->status().ok());
}

TEST_F(ServantTest, DropsWhatWaitsWhenAPushedStreamFails) {
  auto call = Serve("Push");
  call->hold_writes = true;
  call->CallerSends(MakeRequest("go"));
  servant->push->Write(MakeResponse("one"));
  servant->push->Write(MakeResponse("two"));

  servant->push->Finish(Error(ErrorReason::kStorageFull, "full"));
  EXPECT_FALSE(call->result.has_value());
  call->CompleteWrite();

  EXPECT_THAT(Texts(*call), ElementsAre("one"));
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kStorageFull);
}

TEST_F(ServantTest, GivesASinkOneMessageAtATime) {
  auto call = Serve("Join");
  dispatcher.paused = true;
  call->CallerSends(MakeRequest("a"));
  call->CallerSends(MakeRequest("b"));
  call->CallerHalfCloses();
  EXPECT_FALSE(call->reading()) << "reading pauses while a message is worked on";

  dispatcher.Run();

  EXPECT_THAT(Texts(*call), ElementsAre("ab"));
  EXPECT_TRUE(call->status().ok());
  EXPECT_EQ(servant->joins_freed, 1);
}

TEST_F(ServantTest, FreesASinkWithoutEndWhenTheCallerIsGone) {
  auto call = Serve("Join");
  call->CallerSends(MakeRequest("a"));

  call->CallerCancels();

  EXPECT_EQ(servant->joins_ended, 0);
  EXPECT_EQ(servant->joins_freed, 1);
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(ServantTest, EndsAClientStreamByTheErrorOfItsSink) {
  auto call = Serve("Join");

  call->CallerSends(MakeRequest("bad"));

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kChunkOutOfOrder);
  EXPECT_EQ(servant->joins_freed, 1);
}

TEST_F(ServantTest, ReadsTheNextMessageOfAnExchangeOnceItsAnswerWasTaken) {
  auto call = Serve("Talk");
  call->hold_writes = true;
  call->CallerSends(MakeRequest("a"));
  call->CallerSends(MakeRequest("b"));
  EXPECT_THAT(Texts(*call), ElementsAre("a"));

  call->CompleteWrite();
  EXPECT_THAT(Texts(*call), ElementsAre("a", "b"));
  call->CompleteWrite();
  call->CallerHalfCloses();

  EXPECT_TRUE(call->status().ok());
}

}  // namespace
}  // namespace panal
