// The limits of one Call stream. Streams between real peers are in
// tests/integration/call_streams_test.cc.
#include "server/runtime/call_mux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/wire/status_codec.h"

namespace panal {
namespace {

// Keeps what is written; the test says when a write is done.
class HeldTransport final : public CallTransport {
 public:
  void WriteBatch(const v1::CallBatch& batch) override {
    for (const v1::CallFrame& frame : batch.frames()) frames.push_back(frame);
  }

  void End(const absl::Status&) override {}

  void EndIdle() override {}

  std::vector<v1::CallFrame> frames;
};

class CallMuxTest : public testing::Test {
 protected:
  ~CallMuxTest() override {
    if (mux_ == nullptr) return;
    mux_->OnClosed(Error(ErrorReason::kConnectionLost, "the test is over"),
                   /*nothing_executed=*/false);
    calls_.clear();
  }

  void Open(CallMuxOptions options) {
    mux_ = std::make_shared<CallMux>(
        options, [this](CallPtr call) { calls_.push_back(std::move(call)); }, timer_);
    ASSERT_TRUE(mux_->Attach(transport_));
    mux_->OnOpened();
  }

  absl::Status Begin(uint64_t id) {
    v1::CallBatch batch;
    v1::CallFrame* frame = batch.add_frames();
    frame->set_call_id(id);
    frame->mutable_open()->set_method("/t.S/M");
    return mux_->OnBatch(batch);
  }

  absl::Status Part(uint64_t id, size_t size, bool more) {
    v1::CallBatch batch;
    v1::CallFrame* frame = batch.add_frames();
    frame->set_call_id(id);
    frame->mutable_message()->set_data(std::string(size, 'x'));
    frame->mutable_message()->set_more(more);
    return mux_->OnBatch(batch);
  }

  // The other peer answers a call of this side with `messages` of one byte each and the end.
  absl::Status Answer(uint64_t id, int messages) {
    for (int i = 0; i < messages; ++i) PANAL_RETURN_IF_ERROR(Part(id, 1, /*more=*/false));
    v1::CallBatch batch;
    v1::CallFrame* frame = batch.add_frames();
    frame->set_call_id(id);
    frame->mutable_status();
    return mux_->OnBatch(batch);
  }

  // Reason of the status that was written for a call; nothing: none was.
  std::optional<ErrorReason> EndOf(uint64_t id) const {
    for (const v1::CallFrame& frame : transport_->frames) {
      if (frame.call_id() != id || !frame.has_status()) continue;
      return ReasonOf(DecodeStatusDetails(static_cast<int>(frame.status().code()),
                                          frame.status().message(), frame.status().details()));
    }
    return std::nullopt;
  }

  DeadlineTimer timer_;
  const std::shared_ptr<HeldTransport> transport_ = std::make_shared<HeldTransport>();
  std::vector<CallPtr> calls_;
  std::shared_ptr<CallMux> mux_;
};

TEST_F(CallMuxTest, LetsAsManyRefusalsWaitAsTheLimitAndNotOneMore) {
  Open({.calls_max = 1, .refusals_max = 2});
  ASSERT_TRUE(Begin(1).ok());
  ASSERT_TRUE(Begin(3).ok());  // Refused; its answer is being written.

  EXPECT_TRUE(Begin(5).ok());
  EXPECT_TRUE(Begin(7).ok());

  EXPECT_EQ(ReasonOf(Begin(9)), ErrorReason::kFrameInvalid);
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(CallMuxTest, RefusesOnForAPeerThatReadsItsRefusals) {
  Open({.calls_max = 1, .refusals_max = 2});
  ASSERT_TRUE(Begin(1).ok());

  for (uint64_t id = 3; id < 15; id += 2) {
    ASSERT_TRUE(Begin(id).ok()) << id;
    EXPECT_EQ(EndOf(id), ErrorReason::kOverloaded) << id;
    mux_->OnWritten();
  }
}

TEST_F(CallMuxTest, HoldsAsManyBytesOfIncompleteMessagesAsTheLimitAndNotOneMore) {
  Open({.assembly_max = 100 + kCallPartCost});
  std::optional<std::string> first;
  std::optional<std::string> second;
  ASSERT_TRUE(Begin(1).ok());
  ASSERT_TRUE(Begin(3).ok());
  calls_[0]->Read([&](std::optional<std::string> message) { first = std::move(message); });
  calls_[1]->Read([&](std::optional<std::string> message) { second = std::move(message); });
  ASSERT_TRUE(Part(1, 50, /*more=*/true).ok());
  ASSERT_TRUE(Part(3, 50, /*more=*/true).ok());
  EXPECT_EQ(mux_->open_calls(), 2u);

  ASSERT_TRUE(Part(3, 1, /*more=*/false).ok());

  EXPECT_EQ(EndOf(3), ErrorReason::kOverloaded);
  EXPECT_EQ(second, std::nullopt);
  EXPECT_TRUE(calls_[1]->cancelled());
  // The other call goes on, with the room that became free.
  ASSERT_TRUE(Part(1, 50, /*more=*/false).ok());
  EXPECT_EQ(first, std::string(100, 'x'));
  EXPECT_FALSE(calls_[0]->cancelled());
}

TEST_F(CallMuxTest, HoldsAsManyBytesThatNobodyReadsAsTheLimitAndNotOneMore) {
  Open({.assembly_max = 2 * (50 + kCallPartCost)});
  ASSERT_TRUE(Begin(1).ok());
  ASSERT_TRUE(Begin(3).ok());
  ASSERT_TRUE(Part(1, 50, /*more=*/false).ok());
  ASSERT_TRUE(Part(3, 50, /*more=*/false).ok());
  EXPECT_FALSE(calls_[0]->cancelled());
  EXPECT_FALSE(calls_[1]->cancelled());

  ASSERT_TRUE(Part(3, 0, /*more=*/false).ok());

  EXPECT_EQ(EndOf(3), ErrorReason::kOverloaded);
  // What the call held has room again.
  ASSERT_TRUE(Part(1, 50, /*more=*/false).ok());
  EXPECT_FALSE(calls_[0]->cancelled());
}

TEST_F(CallMuxTest, LetsAsManyBytesWaitToBeSentAsTheLimitAndNotOneMore) {
  Open({.waiting_max = 100});
  std::vector<std::string> outcomes;
  auto told = [&](std::string name) {
    return [&outcomes, name](bool ok) { outcomes.push_back(name + (ok ? " went" : " did not")); };
  };
  for (uint64_t id : {1, 3, 5, 7}) ASSERT_TRUE(Begin(id).ok());
  calls_[0]->Write("x", told("first"));  // Is being written; what comes now waits.
  calls_[1]->Write(std::string(50, 'x'), told("second"));
  calls_[2]->Write(std::string(50, 'x'), told("third"));
  EXPECT_THAT(outcomes, testing::ElementsAre("first went"));

  calls_[3]->Write("x", told("fourth"));

  EXPECT_THAT(outcomes, testing::ElementsAre("first went", "fourth did not"));
  EXPECT_TRUE(calls_[3]->cancelled());
  mux_->OnWritten();
  EXPECT_THAT(outcomes,
              testing::ElementsAre("first went", "fourth did not", "second went", "third went"));
  EXPECT_EQ(EndOf(7), ErrorReason::kOverloaded);
  // What went has room again.
  calls_[0]->Write(std::string(100, 'x'), told("fifth"));
  mux_->OnWritten();
  EXPECT_EQ(outcomes.back(), "fifth went");
}

// As a spliced call does it, the callbacks own the call. The answer is complete before the caller
// loses interest, and only its first message was read.
TEST_F(CallMuxTest, EndsACancelledCallWhoseAnswerIsLeftUnread) {
  Open({.dialled = true});
  OutgoingCallPtr call = mux_->Open({.method = "/t.S/M"});
  const std::weak_ptr<OutgoingCall> kept = call;
  std::vector<CallResult> results;
  std::vector<std::optional<std::string>> messages;
  call->OnInitialMetadata([call](const CallMetadata&) {});
  call->OnFinished([call, &results](CallResult result) { results.push_back(std::move(result)); });
  call->Read([&](std::optional<std::string> message) { messages.push_back(std::move(message)); });
  ASSERT_TRUE(Answer(1, /*messages=*/3).ok());
  EXPECT_THAT(messages, testing::ElementsAre(std::optional<std::string>("x")));
  EXPECT_TRUE(results.empty());

  call->Cancel();
  call->Cancel();
  call.reset();

  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].code, static_cast<int>(absl::StatusCode::kCancelled));
  EXPECT_TRUE(kept.expired());
}

TEST_F(CallMuxTest, KeepsTheResultOfACancelledCallWhoseAnswerWasRead) {
  Open({.dialled = true});
  OutgoingCallPtr call = mux_->Open({.method = "/t.S/M"});
  std::optional<CallResult> result;
  ASSERT_TRUE(Answer(1, /*messages=*/0).ok());

  call->Cancel();
  call->OnFinished([&](CallResult finished) { result = std::move(finished); });

  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->code, 0);
}

}  // namespace
}  // namespace panal
