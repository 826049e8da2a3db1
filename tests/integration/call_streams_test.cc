// Calls between two real peers over mutual TLS. The other end of a test that breaks the protocol is
// a raw stream.
#include "server/runtime/call_streams.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/rpc/status_convert.h"
#include "common/wire/status_codec.h"
#include "panal/v1/frames.pb.h"
#include "server/runtime/peer_methods.h"
#include "tests/integration/freezable_proxy.h"
#include "tests/integration/raw_stream.h"
#include "tests/integration/stream_peer.h"

namespace panal {
namespace {

constexpr char kReference[] = "panal://somebody/t.S/key";

ErrorReason ReasonOfResult(const CallResult& result) {
  return ReasonOf(DecodeStatusDetails(result.code, result.message, result.details));
}

// The servants of these tests, by method.
class Servants {
 public:
  std::function<void(CallPtr)> route() {
    return [this](CallPtr call) { Route(std::move(call)); };
  }

  // `/t.S/Hold`: calls that are neither read nor answered.
  CallPtr TakeHeld() {
    if (!held_.Wait()) return nullptr;
    MutexLock lock(&mutex_);
    return calls_.back();
  }

  int held() {
    MutexLock lock(&mutex_);
    return static_cast<int>(calls_.size());
  }

  void DropHeld() {
    std::vector<CallPtr> dropped;
    MutexLock lock(&mutex_);
    dropped.swap(calls_);
  }

  Signal cancelled;
  Signal refused_write;

 private:
  void Route(CallPtr call) {
    const std::string& method = call->head().method;
    if (method == "/t.S/Echo")
      Echo(std::move(call));
    else if (method == "/t.S/Sum")
      Sum(std::move(call), std::make_shared<size_t>(0));
    else if (method == "/t.S/Count")
      Count(std::move(call));
    else if (method == "/t.S/Head")
      Head(std::move(call));
    else if (method == "/t.S/Fail")
      Fail(std::move(call));
    else if (method == "/t.S/Hold")
      Hold(std::move(call));
    // Everything else is dropped, which ends it with INTERNAL.
  }

  static void Echo(CallPtr call) {
    call->Read([call](std::optional<std::string> message) {
      if (!message) {
        call->Finish({});
        return;
      }
      call->Write(*std::move(message), [call](bool ok) {
        if (ok)
          Echo(call);
        else
          call->Finish({.code = 1});
      });
    });
  }

  static void Sum(CallPtr call, std::shared_ptr<size_t> sum) {
    call->Read([call, sum](std::optional<std::string> message) {
      if (message) {
        *sum += message->size();
        Sum(call, sum);
        return;
      }
      call->Write(absl::StrCat(*sum), [call](bool) { call->Finish({}); });
    });
  }

  void Count(CallPtr call) {
    call->Read([this, call](std::optional<std::string> message) {
      int count = 0;
      if (message) EXPECT_TRUE(absl::SimpleAtoi(*message, &count));
      CountOn(call, 0, count);
    });
  }

  void CountOn(CallPtr call, int next, int count) {
    if (next == count) {
      call->Finish({});
      return;
    }
    call->Write(std::string(60'000, static_cast<char>('a' + next % 26)),
                [this, call, next, count](bool ok) {
                  if (ok) {
                    CountOn(call, next + 1, count);
                  } else {
                    refused_write.Set();
                    call->Finish({.code = 1});
                  }
                });
  }

  static void Head(CallPtr call) {
    const CallHead& head = call->head();
    call->SendInitialMetadata({{"first", "1"}, {"first-bin", std::string("\0\xff", 2)}});
    std::string said = absl::StrCat(head.method, " ", head.reference, " ", head.peer.ToText(), " ",
                                    head.metadata.size(), " ", head.caller);
    for (const auto& [key, value] : head.metadata) absl::StrAppend(&said, " ", key, "=", value);
    call->Write(said, [call](bool) {
      CallResult result;
      result.trailing_metadata = {{"last", "2"}, {"panal-hidden", "x"}};
      call->Finish(result);
    });
  }

  static void Fail(CallPtr call) {
    call->Finish(ResultOf(Error(ErrorReason::kFileNotFound, "no such file", {{"id", "x"}})));
  }

  void Hold(CallPtr call) {
    call->OnCancel([this] { cancelled.Set(); });
    {
      MutexLock lock(&mutex_);
      calls_.push_back(std::move(call));
    }
    held_.Set();
  }

  Mutex mutex_;
  std::vector<CallPtr> calls_ ABSL_GUARDED_BY(mutex_);
  Signal held_;
};

// a calls, b serves; each knows the other.
struct Pair {
  explicit Pair(CallStreamsOptions options = {})
      : a({.route = servants_a.route(), .calls = options}),
        b({.route = servants.route(), .calls = options}) {
    a.Know(b.contact());
    b.Know(a.contact());
  }

  ~Pair() {
    servants_a.DropHeld();
    servants.DropHeld();
  }

  CallDriver Open(const std::string& method, absl::Time deadline = absl::InfiniteFuture()) {
    CallHead head;
    head.method = method;
    head.deadline = deadline;
    return CallDriver(a.calls().Open(b.id(), kReference, head));
  }

  Servants servants_a;
  Servants servants;
  StreamPeer a;
  StreamPeer b;
};

// --- The four kinds -----------------------------------------------------------------------------

TEST(CallStreams, CarryUnaryCallsWithHeadMetadataAndResult) {
  Pair pair;
  CallHead head;
  head.method = "/t.S/Head";
  head.metadata = {{"x", "1"}, {"y-bin", "2"}, {"panal-object", "dropped"}};
  CallDriver call(pair.a.calls().Open(pair.b.id(), kReference, head));

  std::string answer;
  const CallResult result = call.Unary("question", answer);

  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.trailing_metadata, (CallMetadata{{"last", "2"}}));
  EXPECT_EQ(call.InitialMetadata(),
            (CallMetadata{{"first", "1"}, {"first-bin", std::string("\0\xff", 2)}}));
  const std::string id = pair.a.id().ToText();
  EXPECT_EQ(answer, absl::StrCat("/t.S/Head ", kReference, " ", id, " 2 ", id, " x=1 y-bin=2"));
}

TEST(CallStreams, CarryStreamsOfMessagesEitherWayAndBothWays) {
  Pair pair;
  CallDriver sum = pair.Open("/t.S/Sum");
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(sum.Write(std::string(10'000, 'x')));
  sum.HalfClose();
  EXPECT_EQ(sum.Read(), "500000");
  EXPECT_EQ(sum.Read(), std::nullopt);
  EXPECT_EQ(sum.Finish().code, 0);

  CallDriver count = pair.Open("/t.S/Count");
  ASSERT_TRUE(count.Write("40"));
  for (int i = 0; i < 40; ++i) EXPECT_EQ(count.Read()->front(), static_cast<char>('a' + i % 26));
  EXPECT_EQ(count.Read(), std::nullopt);
  EXPECT_EQ(count.Finish().code, 0);

  CallDriver echo = pair.Open("/t.S/Echo");
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(echo.Write(absl::StrCat("message ", i)));
    EXPECT_EQ(echo.Read(), absl::StrCat("message ", i));
  }
  ASSERT_TRUE(echo.Write(""));
  EXPECT_EQ(echo.Read(), "");
  echo.HalfClose();
  EXPECT_EQ(echo.Read(), std::nullopt);
  EXPECT_EQ(echo.Finish().code, 0);
}

TEST(CallStreams, KeepCodeMessageAndDetailsOfAFailure) {
  Pair pair;
  CallDriver call = pair.Open("/t.S/Fail");

  const CallResult result = call.Finish();

  EXPECT_EQ(result.code, static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_EQ(result.message, "no such file");
  EXPECT_EQ(ReasonOfResult(result), ErrorReason::kFileNotFound);
}

TEST(CallStreams, EndWithInternalWhenTheServantDropsTheCall) {
  Pair pair;

  EXPECT_EQ(ReasonOfResult(pair.Open("/t.S/None").Finish()), ErrorReason::kInternal);
}

TEST(CallStreams, UseTheOtherPeersStreamForCallsBack) {
  Pair pair;
  std::string answer;
  EXPECT_EQ(pair.Open("/t.S/Echo").Unary("there", answer).code, 0);
  CallHead head;
  head.method = "/t.S/Echo";

  CallDriver back(pair.b.calls().Open(pair.a.id(), kReference, head));

  EXPECT_EQ(back.Unary("and back", answer).code, 0);
  EXPECT_EQ(answer, "and back");
  EXPECT_EQ(pair.a.calls().streams(), 1u);
  EXPECT_EQ(pair.b.calls().streams(), 1u);
}

TEST(CallStreams, ServeTwoHundredConcurrentCallsOnOneStream) {
  Pair pair;
  std::vector<CallDriver> calls;
  for (int i = 0; i < 200; ++i) calls.push_back(pair.Open("/t.S/Echo"));

  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(calls[i].Write(absl::StrCat(i, " ", round)));
    for (int i = 0; i < 200; ++i) ASSERT_EQ(calls[i].Read(), absl::StrCat(i, " ", round));
  }
  for (CallDriver& call : calls) call.HalfClose();
  for (CallDriver& call : calls) {
    EXPECT_EQ(call.Read(), std::nullopt);
    EXPECT_EQ(call.Finish().code, 0);
  }

  EXPECT_EQ(pair.a.calls().streams(), 1u);
}

// --- Windows and sizes --------------------------------------------------------------------------

TEST(CallStreams, StopAWriterWhoseReaderDoesNotReadAtTheWindow) {
  Pair pair;
  CallDriver call = pair.Open("/t.S/Hold");
  // Three whole parts and their cost fit into the window, a fourth does not.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(call.Write(std::string(kCallPartSizeMax, 'x')));

  const std::shared_ptr<Signal> fourth = call.StartWrite(std::string(kCallPartSizeMax, 'x'));
  std::string answer;
  EXPECT_EQ(pair.Open("/t.S/Echo").Unary("others are not stopped", answer).code, 0);
  EXPECT_FALSE(fourth->IsSet());

  const CallPtr held = pair.servants.TakeHeld();
  Signal read;
  held->Read([&](std::optional<std::string> message) {
    EXPECT_EQ(message->size(), kCallPartSizeMax);
    read.Set();
  });
  EXPECT_TRUE(read.Wait());
  EXPECT_TRUE(fourth->Wait());
}

TEST(CallStreams, StopAServantWhoseCallerDoesNotReadAndCancelIt) {
  Pair pair;
  CallDriver call = pair.Open("/t.S/Count");
  ASSERT_TRUE(call.Write("1000"));
  EXPECT_NE(call.Read(), std::nullopt);
  std::string answer;
  EXPECT_EQ(pair.Open("/t.S/Echo").Unary("others are not stopped", answer).code, 0);
  EXPECT_FALSE(pair.servants.refused_write.IsSet());

  call.Cancel();

  EXPECT_EQ(ReasonOfResult(call.Finish()), ErrorReason::kCancelled);
  EXPECT_TRUE(pair.servants.refused_write.Wait());
}

TEST(CallStreams, CarryAMessageOfTheLargestSizeAndRefuseOneByteMore) {
  Pair pair;
  const std::string largest(kCallMessageSizeMax, 'x');
  CallDriver call = pair.Open("/t.S/Echo");
  ASSERT_TRUE(call.Write(largest));
  EXPECT_TRUE(call.Read() == largest);

  EXPECT_FALSE(call.Write(largest + "x"));

  EXPECT_EQ(ReasonOfResult(call.Finish()), ErrorReason::kMessageTooLarge);
}

TEST(CallStreams, RefuseAHeadThatDoesNotFit) {
  Pair pair;

  EXPECT_EQ(ReasonOfResult(pair.Open("/" + std::string(kCallMethodSizeMax, 'm')).Finish()),
            ErrorReason::kMessageTooLarge);
  CallHead head;
  head.method = "/t.S/Head";
  head.metadata = {{"key", std::string(kCallMetadataValueSizeMax + 1, 'v')}};
  CallDriver call(pair.a.calls().Open(pair.b.id(), kReference, head));
  EXPECT_EQ(ReasonOfResult(call.Finish()), ErrorReason::kMessageTooLarge);
}

TEST(CallStreams, AnswerOneCallTooManyWithOverloaded) {
  Pair pair({.calls_per_stream_max = 3});
  std::vector<CallDriver> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(pair.Open("/t.S/Echo"));

  EXPECT_EQ(ReasonOfResult(pair.Open("/t.S/Echo").Finish()), ErrorReason::kOverloaded);

  std::string answer;
  EXPECT_EQ(calls[0].Unary("the others go on", answer).code, 0);
  EXPECT_EQ(pair.Open("/t.S/Echo").Unary("and there is room again", answer).code, 0);
}

// --- Cancellation, deadlines, broken streams ----------------------------------------------------

TEST(CallStreams, TellTheServantThatTheCallerCancelled) {
  Pair pair;
  CallDriver call = pair.Open("/t.S/Hold");
  ASSERT_NE(pair.servants.TakeHeld(), nullptr);

  call.Cancel();

  EXPECT_EQ(ReasonOfResult(call.Finish()), ErrorReason::kCancelled);
  EXPECT_TRUE(pair.servants.cancelled.Wait());
  EXPECT_FALSE(call.Write("late"));
  EXPECT_EQ(call.Read(), std::nullopt);
}

TEST(CallStreams, CancelACallWhoseCallerLetGo) {
  Pair pair;
  {
    CallDriver call = pair.Open("/t.S/Hold");
    ASSERT_NE(pair.servants.TakeHeld(), nullptr);
  }

  EXPECT_TRUE(pair.servants.cancelled.Wait());
}

TEST(CallStreams, EndALateCallOnBothSides) {
  Pair pair;
  CallDriver call = pair.Open("/t.S/Hold", absl::Now() + absl::Milliseconds(300));

  EXPECT_EQ(ReasonOfResult(call.Finish()), ErrorReason::kDeadlineExceeded);

  EXPECT_TRUE(pair.servants.cancelled.Wait());
}

TEST(CallStreams, EndALateCallThoughThePeerNeverAnswers) {
  Pair pair;
  FreezableProxy proxy(pair.b.contact().addresses[0]);
  proxy.Freeze();
  pair.a.Know({pair.b.id(), {proxy.address()}});

  CallDriver call = pair.Open("/t.S/Echo", absl::Now() + absl::Milliseconds(200));

  EXPECT_EQ(ReasonOfResult(call.Finish()), ErrorReason::kDeadlineExceeded);
}

TEST(CallStreams, SayThatALostCallMayHaveBeenExecuted) {
  Pair pair;
  CallDriver call = pair.Open("/t.S/Hold");
  ASSERT_NE(pair.servants.TakeHeld(), nullptr);

  pair.b.Stop();

  const CallResult result = call.Finish();
  EXPECT_EQ(ReasonOfResult(result), ErrorReason::kConnectionLost);
  EXPECT_NE(result.message.find("may have been executed"), std::string::npos);
  EXPECT_TRUE(pair.servants.cancelled.Wait());
}

TEST(CallStreams, CancelServantsWhenTheCallingPeerStops) {
  Pair pair;
  CallDriver call = pair.Open("/t.S/Hold");
  ASSERT_NE(pair.servants.TakeHeld(), nullptr);

  pair.a.Stop();

  EXPECT_TRUE(pair.servants.cancelled.Wait());
  EXPECT_EQ(call.Finish().code, static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_EQ(ReasonOfResult(pair.Open("/t.S/Echo").Finish()), ErrorReason::kShuttingDown);
}

TEST(CallStreams, DialAgainAfterThePeerCameBack) {
  Pair pair;
  std::string answer;
  EXPECT_EQ(pair.Open("/t.S/Echo").Unary("one", answer).code, 0);
  StreamPeer other({.route = pair.servants.route()});
  pair.a.Know(other.contact());
  CallHead head;
  head.method = "/t.S/Echo";

  CallDriver second(pair.a.calls().Open(other.id(), kReference, head));

  EXPECT_EQ(second.Unary("two", answer).code, 0);
  EXPECT_EQ(pair.a.calls().streams(), 2u);
}

TEST(CallStreams, SayWhyThePeerCannotBeReached) {
  Pair pair;
  PeerContact dead;
  {
    StreamPeer gone;
    dead = gone.contact();
  }
  CallHead head;
  head.method = "/t.S/Echo";
  const PeerId nobody = Identity::Generate().peer_id();

  EXPECT_EQ(ReasonOfResult(CallDriver(pair.a.calls().Open(nobody, kReference, head)).Finish()),
            ErrorReason::kPeerUnknown);
  pair.a.Know(dead);
  EXPECT_EQ(ReasonOfResult(CallDriver(pair.a.calls().Open(dead.id, kReference, head)).Finish()),
            ErrorReason::kPeerUnreachable);
  // Somebody else answers at the address.
  pair.a.Know({nobody, pair.b.contact().addresses});
  EXPECT_EQ(ReasonOfResult(CallDriver(pair.a.calls().Open(nobody, kReference, head)).Finish()),
            ErrorReason::kPeerUnreachable);
}

TEST(CallStreams, TryTheNextAddressWhenOneIsDead) {
  Pair pair;
  PeerContact contact = pair.b.contact();
  {
    StreamPeer gone;
    contact.addresses.insert(contact.addresses.begin(), gone.contact().addresses[0]);
  }
  pair.a.Know(contact);
  std::string answer;

  EXPECT_EQ(pair.Open("/t.S/Echo").Unary("hello", answer).code, 0);
}

TEST(CallStreams, EndADialledStreamWithoutCallsAndDialAgain) {
  Pair pair({.idle_max = absl::ZeroDuration()});
  std::string answer;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(pair.Open("/t.S/Echo").Unary("again", answer).code, 0);
  }
}

// Calls of both directions are cancelled, dropped, half-closed and finished at random moments.
TEST(CallStreams, StayUsableWhateverIsDoneToCalls) {
  Pair pair;
  std::string answer;
  ASSERT_EQ(pair.Open("/t.S/Echo").Unary("first", answer).code, 0);
  Random random(7);
  const char* const methods[] = {"/t.S/Echo", "/t.S/Sum", "/t.S/Count", "/t.S/Head", "/t.S/Fail"};
  std::vector<std::unique_ptr<CallDriver>> calls;

  for (int i = 0; i < 2000; ++i) {
    CallHead head;
    head.method = methods[random.Below(5)];
    if (random.Below(4) == 0) {
      head.deadline = absl::Now() + absl::Microseconds(random.Below(3000));
    }
    const bool back = random.Below(2) == 0;
    CallStreams& streams = back ? pair.b.calls() : pair.a.calls();
    const PeerId& peer = back ? pair.a.id() : pair.b.id();
    calls.push_back(std::make_unique<CallDriver>(streams.Open(peer, kReference, head)));
    calls.back()->StartWrite(head.method == methods[2] ? "20"
                                                       : std::string(random.Below(1000), 'x'));
    if (random.Below(2) == 0) calls.back()->HalfClose();
    if (random.Below(2) == 0) calls.back()->Cancel();
    if (calls.size() > 50) calls.erase(calls.begin() + static_cast<int>(random.Below(50)));
  }
  calls.clear();

  EXPECT_EQ(pair.Open("/t.S/Echo").Unary("last", answer).code, 0);
  EXPECT_EQ(answer, "last");
  EXPECT_EQ(pair.a.calls().streams(), 1u);
}

// --- Peers that break the protocol --------------------------------------------------------------

class RawCaller {
 public:
  explicit RawCaller(StreamPeer& peer)
      : identity_(Identity::Generate()),
        stream_(RawChannel(identity_, peer.contact().addresses[0]), kCallMethod,
                GoodMetadata(identity_)) {}

  bool Send(const v1::CallBatch& batch) { return stream_.Write(batch.SerializeAsString()); }

  bool SendBytes(const std::string& bytes) { return stream_.Write(bytes); }

  std::optional<v1::CallBatch> Read() {
    std::optional<std::string> bytes = stream_.Read();
    v1::CallBatch batch;
    if (!bytes || !batch.ParseFromString(*bytes)) return std::nullopt;
    return batch;
  }

  // How the stream ended, once everything was read.
  ErrorReason End() {
    while (Read()) {
    }
    return ReasonOf(FromGrpcStatus(stream_.Finish()));
  }

 private:
  const Identity identity_;
  RawStream stream_;
};

v1::CallFrame OpenFrame(uint64_t id, const std::string& method = "/t.S/Hold") {
  v1::CallFrame frame;
  frame.set_call_id(id);
  frame.mutable_open()->set_method(method);
  return frame;
}

v1::CallFrame MessageFrame(uint64_t id, size_t size, bool more = false) {
  v1::CallFrame frame;
  frame.set_call_id(id);
  frame.mutable_message()->set_data(std::string(size, 'x'));
  frame.mutable_message()->set_more(more);
  return frame;
}

v1::CallFrame Frame(uint64_t id, const std::function<void(v1::CallFrame&)>& fill) {
  v1::CallFrame frame;
  frame.set_call_id(id);
  fill(frame);
  return frame;
}

v1::CallBatch Batch(const std::vector<v1::CallFrame>& frames) {
  v1::CallBatch batch;
  for (const v1::CallFrame& frame : frames) *batch.add_frames() = frame;
  return batch;
}

struct Malformed {
  std::string name;
  std::vector<v1::CallFrame> frames;
};

std::vector<Malformed> MalformedBatches() {
  auto half_close = [](v1::CallFrame& frame) { frame.mutable_half_close(); };
  std::vector<Malformed> list = {
      {"no kind", {Frame(1, [](v1::CallFrame&) {})}},
      {"call id 0", {OpenFrame(0)}},
      {"wrong parity", {OpenFrame(2)}},
      {"id does not rise", {OpenFrame(3), OpenFrame(3)}},
      {"id falls", {OpenFrame(3), OpenFrame(1)}},
      {"no method", {OpenFrame(1, "")}},
      {"method too long", {OpenFrame(1, std::string(kCallMethodSizeMax + 1, 'm'))}},
      {"part too long", {OpenFrame(1), MessageFrame(1, kCallPartSizeMax + 1)}},
      {"beyond the window",
       {OpenFrame(1), MessageFrame(1, 65'500), MessageFrame(1, 65'500), MessageFrame(1, 65'500),
        MessageFrame(1, 65'500)}},
      {"status by the caller",
       {OpenFrame(1), Frame(1, [](v1::CallFrame& frame) { frame.mutable_status(); })}},
      {"initial metadata by the caller",
       {OpenFrame(1), Frame(1, [](v1::CallFrame& frame) { frame.mutable_initial_metadata(); })}},
      {"half close twice", {OpenFrame(1), Frame(1, half_close), Frame(1, half_close)}},
      {"half close within a message",
       {OpenFrame(1), MessageFrame(1, 1, /*more=*/true), Frame(1, half_close)}},
      {"message after half close", {OpenFrame(1), Frame(1, half_close), MessageFrame(1, 1)}},
      {"empty window",
       {OpenFrame(1), Frame(1, [](v1::CallFrame& frame) { frame.mutable_window(); })}},
      {"window too large",
       {OpenFrame(1),
        Frame(1, [](v1::CallFrame& frame) { frame.mutable_window()->set_bytes(0x7fffffff); })}},
      {"upper-case key",
       {Frame(1,
              [](v1::CallFrame& frame) {
                frame.mutable_open()->set_method("/t.S/Hold");
                frame.mutable_open()->add_metadata()->set_key("Key");
              })}},
      {"too many entries",
       {Frame(1,
              [](v1::CallFrame& frame) {
                frame.mutable_open()->set_method("/t.S/Hold");
                for (int i = 0; i <= kCallMetadataEntriesMax; ++i) {
                  frame.mutable_open()->add_metadata()->set_key("k");
                }
              })}},
  };
  return list;
}

TEST(CallStreams, EndTheStreamOnMalformedFrames) {
  Servants servants;
  StreamPeer peer({.route = servants.route()});

  for (const Malformed& malformed : MalformedBatches()) {
    RawCaller raw(peer);
    raw.Send(Batch(malformed.frames));
    EXPECT_EQ(raw.End(), ErrorReason::kFrameInvalid) << malformed.name;
  }
  RawCaller garbage(peer);
  garbage.SendBytes("\xff\xff\xff garbage");
  EXPECT_EQ(garbage.End(), ErrorReason::kFrameInvalid);
  servants.DropHeld();
}

TEST(CallStreams, IgnoreFramesForCallsThatAreNotOpen) {
  Servants servants;
  StreamPeer peer({.route = servants.route()});
  RawCaller raw(peer);

  raw.Send(Batch({MessageFrame(7, 10), Frame(9, [](v1::CallFrame& f) { f.mutable_cancel(); }),
                  OpenFrame(11, "/t.S/Fail")}));

  const std::optional<v1::CallBatch> answer = raw.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->frames(0).call_id(), 11u);
  EXPECT_EQ(answer->frames(0).status().code(), 5u);
}

TEST(CallStreams, TakeABatchAtTheLimitsAndRefuseALargerOne) {
  Servants servants;
  StreamPeer peer({.route = servants.route()});
  v1::CallBatch full;
  for (int i = 0; i < kBatchFramesMax; ++i) *full.add_frames() = MessageFrame(1, 1);
  RawCaller raw(peer);

  ASSERT_TRUE(raw.Send(full));
  ASSERT_TRUE(raw.Send(Batch({OpenFrame(1, "/t.S/Fail")})));
  ASSERT_TRUE(raw.Read());
  *full.add_frames() = MessageFrame(1, 1);
  raw.Send(full);
  EXPECT_EQ(raw.End(), ErrorReason::kFrameTooLarge);

  RawCaller fat(peer);
  fat.Send(Batch({MessageFrame(1, kBatchSizeMax)}));
  EXPECT_EQ(fat.End(), ErrorReason::kFrameTooLarge);
}

TEST(CallStreams, RefuseTheCallBeyondTheMostAndCutOffWhoReadsNoRefusals) {
  Servants servants;
  StreamPeer peer({.route = servants.route()});
  RawCaller raw(peer);
  uint64_t id = 1;
  for (size_t sent = 0; sent < kCallsPerStreamMax; sent += 512) {
    v1::CallBatch batch;
    for (int i = 0; i < 512; ++i, id += 2) *batch.add_frames() = OpenFrame(id);
    ASSERT_TRUE(raw.Send(batch));
  }

  ASSERT_TRUE(raw.Send(Batch({OpenFrame(id)})));

  const std::optional<v1::CallBatch> answer = raw.Read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->frames(0).call_id(), id);
  EXPECT_EQ(answer->frames(0).status().code(),
            static_cast<uint32_t>(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(servants.held(), static_cast<int>(kCallsPerStreamMax));
  servants.DropHeld();
}

TEST(CallStreams, RefuseOneStreamTooManyOfAPeer) {
  Servants servants;
  StreamPeer peer({.route = servants.route(), .calls = {.streams_per_peer_max = 2}});
  const Identity identity = Identity::Generate();
  const std::shared_ptr<grpc::Channel> channel = RawChannel(identity, peer.contact().addresses[0]);
  const RawStream::Metadata metadata = GoodMetadata(identity);
  RawStream first(channel, kCallMethod, metadata);
  RawStream second(channel, kCallMethod, metadata);
  for (RawStream* stream : {&first, &second}) {
    ASSERT_TRUE(stream->Write(Batch({OpenFrame(1, "/t.S/Fail")}).SerializeAsString()));
    ASSERT_TRUE(stream->Read());
  }

  RawStream third(channel, kCallMethod, metadata);

  EXPECT_EQ(third.Read(), std::nullopt);
  EXPECT_EQ(ReasonOf(FromGrpcStatus(third.Finish())), ErrorReason::kOverloaded);
}

TEST(CallStreams, AcceptAsManyStreamsInAllAsTheLimitAndNotOneMore) {
  Servants servants;
  StreamPeer peer({.route = servants.route(), .calls = {.streams_max = 2}});
  RawCaller first(peer), second(peer);
  for (RawCaller* caller : {&first, &second}) {
    ASSERT_TRUE(caller->Send(Batch({OpenFrame(1, "/t.S/Fail")})));
    ASSERT_TRUE(caller->Read());
  }

  RawCaller third(peer);

  EXPECT_EQ(third.End(), ErrorReason::kOverloaded);
}

TEST(CallStreams, DialAsManyPeersAsTheLimitAndNotOneMore) {
  Servants servants;
  StreamPeer caller({.calls = {.streams_max = 2}});
  std::vector<std::unique_ptr<StreamPeer>> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(std::make_unique<StreamPeer>(StreamPeer::Options{.route = servants.route()}));
    caller.Know(peers.back()->contact());
  }
  CallHead head;
  head.method = "/t.S/Echo";
  std::string answer;
  for (int i = 0; i < 2; ++i) {
    CallDriver call(caller.calls().Open(peers[i]->id(), kReference, head));
    ASSERT_EQ(call.Unary("hello", answer).code, 0);
  }

  CallDriver beyond(caller.calls().Open(peers[2]->id(), kReference, head));

  EXPECT_EQ(ReasonOfResult(beyond.Finish()), ErrorReason::kOverloaded);
  CallDriver known(caller.calls().Open(peers[0]->id(), kReference, head));
  EXPECT_EQ(known.Unary("again", answer).code, 0);
}

TEST(CallStreams, EndACallWhoseMessageIsTooLarge) {
  Servants servants;
  StreamPeer peer({.route = servants.route()});
  RawCaller raw(peer);
  ASSERT_TRUE(raw.Send(Batch({OpenFrame(1, "/t.S/Echo")})));

  // Sends only what it has credit for, so that the message is refused and not the stream.
  int64_t credit = kCallWindow;
  bool ended = false;
  while (!ended) {
    const int64_t cost = static_cast<int64_t>(kCallPartSizeMax) + kCallPartCost;
    while (credit >= cost) {
      ASSERT_TRUE(raw.Send(Batch({MessageFrame(1, kCallPartSizeMax, /*more=*/true)})));
      credit -= cost;
    }
    const std::optional<v1::CallBatch> batch = raw.Read();
    ASSERT_TRUE(batch);
    for (const v1::CallFrame& frame : batch->frames()) {
      credit += frame.window().bytes();
      if (!frame.has_status()) continue;
      ended = true;
      EXPECT_EQ(ReasonOf(DecodeStatusDetails(static_cast<int>(frame.status().code()),
                                             frame.status().message(), frame.status().details())),
                ErrorReason::kMessageTooLarge);
    }
  }
}

}  // namespace
}  // namespace panal
