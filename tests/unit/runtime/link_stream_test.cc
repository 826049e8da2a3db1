#include "server/runtime/link_stream.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/rpc/byte_buffer.h"
#include "common/wire/frame_codec.h"

namespace panal {
namespace {

// Remembers what was reported.
class Recorder final : public LinkStreamOwner {
 public:
  void OnHello(const LinkStreamPtr& stream, Hello) override {
    ++hellos;
    stream->ReadNext();
  }

  void OnFrame(const LinkStreamPtr& stream, Frame) override {
    ++frames;
    stream->ReadNext();
  }

  void OnTimer(const LinkStreamPtr&) override {}

  void OnUnknownFrame(const LinkStreamPtr& stream, bool) override {
    ++unknown;
    stream->ReadNext();
  }

  void OnBadFrame(const LinkStreamPtr&) override { ++bad; }

  void OnEnded(const LinkStreamPtr&, absl::Status status) override {
    ++ended;
    why = status;
  }

  int hellos = 0, frames = 0, unknown = 0, bad = 0, ended = 0;
  absl::Status why;
};

// A stream whose reads and writes are completed by the test.
class FakeStream final : public LinkStream {
 public:
  FakeStream(LinkStreamOwner& owner, bool outbound) : LinkStream(owner, 1, PeerId(), outbound) {}

  void Come(absl::string_view bytes) {
    incoming_ = ToByteBuffer(bytes);
    reading = false;
    ReadDone(true);
  }

  void ReadFails() { ReadDone(false); }

  void Written(bool ok = true) { WriteDone(ok); }

  void GrpcDone() { Done(Error(ErrorReason::kConnectionLost, "gone")); }

  bool reading = false, cancelled = false, writes_over = false, call_ended = false;
  std::vector<std::string> written;

 private:
  void StartReading(grpc::ByteBuffer*) override { reading = true; }

  void StartWriting(const grpc::ByteBuffer* buffer) override {
    written.push_back(ToString(*buffer));
  }

  void WritesOver() override { writes_over = true; }

  void CancelCall() override { cancelled = true; }

  void EndCall(const absl::Status&) override { call_ended = true; }
};

std::shared_ptr<FakeStream> Make(Recorder& recorder, bool outbound) {
  return std::make_shared<FakeStream>(recorder, outbound);
}

TEST(LinkStream, QueuesExactlyItsLimitAndNotOneByteMore) {
  Recorder recorder;
  auto stream = Make(recorder, false);

  EXPECT_TRUE(stream->Send(std::string(kLinkQueueMax - 10, 'x')));
  EXPECT_TRUE(stream->Send(std::string(10, 'y')));
  EXPECT_FALSE(stream->Send("z"));
  stream->Written();
  EXPECT_TRUE(stream->Send("z"));
}

TEST(LinkStream, WritesOneFrameAtATimeInOrder) {
  Recorder recorder;
  auto stream = Make(recorder, false);

  stream->Send("one");
  stream->Send("two");
  EXPECT_EQ(stream->written, (std::vector<std::string>{"one"}));
  stream->Written();
  EXPECT_EQ(stream->written, (std::vector<std::string>{"one", "two"}));
}

TEST(LinkStream, AcceptorClosesAfterWhatIsQueuedWasWritten) {
  Recorder recorder;
  auto stream = Make(recorder, false);
  stream->Send("one");
  stream->Send("two");

  stream->Close(Error(ErrorReason::kCancelled, "closed"));
  EXPECT_FALSE(stream->call_ended);
  stream->Written();
  EXPECT_FALSE(stream->call_ended);
  stream->Written();

  EXPECT_TRUE(stream->call_ended);
  EXPECT_EQ(stream->written.size(), 2u);
}

TEST(LinkStream, DiallerClosesByEndingItsWritesAndWaitsForTheAcceptor) {
  Recorder recorder;
  auto stream = Make(recorder, true);
  stream->Come(EncodeFrame(Hello{}));
  stream->Send("bye");

  stream->Close(Error(ErrorReason::kCancelled, "closed"));
  EXPECT_FALSE(stream->writes_over);
  stream->Written();
  EXPECT_TRUE(stream->writes_over);
  EXPECT_FALSE(stream->call_ended);
  stream->ReadFails();

  EXPECT_TRUE(stream->call_ended);
}

TEST(LinkStream, DiallerThatIsNotAnsweredYetClosesAtOnce) {
  Recorder recorder;
  auto stream = Make(recorder, true);

  stream->Close(Error(ErrorReason::kCancelled, "closed"));

  EXPECT_TRUE(stream->cancelled);
  EXPECT_FALSE(stream->writes_over);
}

TEST(LinkStream, RefusesAFirstFrameThatIsNoHello) {
  Recorder recorder;
  auto stream = Make(recorder, false);

  stream->Come(EncodeFrame(Join{}));
  stream->GrpcDone();

  EXPECT_EQ(recorder.bad, 1);
  EXPECT_TRUE(stream->call_ended);
  EXPECT_EQ(ReasonOf(recorder.why), ErrorReason::kFrameInvalid);
}

TEST(LinkStream, RefusesASecondHello) {
  Recorder recorder;
  auto stream = Make(recorder, false);

  stream->Come(EncodeFrame(Hello{}));
  stream->Come(EncodeFrame(Hello{}));
  stream->GrpcDone();

  EXPECT_EQ(recorder.hellos, 1);
  EXPECT_EQ(ReasonOf(recorder.why), ErrorReason::kFrameInvalid);
}

TEST(LinkStream, CountsAndIgnoresAFrameOfAnUnknownCase) {
  Recorder recorder;
  auto stream = Make(recorder, false);
  stream->Come(EncodeFrame(Hello{}));

  stream->Come(absl::string_view("\xfa\x01\x00", 3));  // Field 31, length 0.

  EXPECT_EQ(recorder.unknown, 1);
  EXPECT_EQ(recorder.bad, 0);
  EXPECT_TRUE(stream->reading);
  EXPECT_FALSE(stream->call_ended);
}

TEST(LinkStream, RefusesAFrameOneByteTooLarge) {
  Recorder recorder;
  auto at_limit = Make(recorder, false);
  auto beyond = Make(recorder, false);
  // Field 31, a string; four bytes of tag and length before it.
  std::string frame("\xfa\x01\xfb\xff\x0f", 5);
  frame.resize(kFrameSizeMax, 'x');
  at_limit->Come(EncodeFrame(Hello{}));
  beyond->Come(EncodeFrame(Hello{}));

  at_limit->Come(frame);
  beyond->Come(frame + "x");
  beyond->GrpcDone();

  EXPECT_FALSE(at_limit->call_ended);
  EXPECT_EQ(recorder.bad, 1);
  EXPECT_EQ(ReasonOf(recorder.why), ErrorReason::kFrameTooLarge);
}

TEST(LinkStream, EndsOnlyAfterTheWriteUnderWay) {
  Recorder recorder;
  auto stream = Make(recorder, false);
  stream->Send("one");

  stream->Abort(Error(ErrorReason::kCancelled, "gone"));
  EXPECT_TRUE(stream->cancelled);
  EXPECT_FALSE(stream->call_ended);
  stream->Written(false);

  EXPECT_TRUE(stream->call_ended);
}

TEST(LinkStream, KeepsTheFirstReason) {
  Recorder recorder;
  auto stream = Make(recorder, false);

  stream->Abort(Error(ErrorReason::kOverloaded, "slow"));
  stream->Abort(Error(ErrorReason::kCancelled, "gone"));
  stream->GrpcDone();

  EXPECT_EQ(ReasonOf(recorder.why), ErrorReason::kOverloaded);
  EXPECT_EQ(recorder.ended, 1);
}

}  // namespace
}  // namespace panal
