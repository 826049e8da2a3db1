// Calls in memory, and a dispatcher that runs tasks on the calling thread: everything a test needs
// to drive a servant or the router step by step.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/wire/status_codec.h"
#include "google/protobuf/message_lite.h"
#include "gtest/gtest.h"
#include "server/application/call.h"
#include "server/application/dispatcher.h"

namespace panal {

// Runs what is submitted at once; what a task submits, after it. Not thread-safe.
class InlineDispatcher final : public Dispatcher {
 public:
  absl::Status Submit(WorkClass work_class, absl::string_view caller, std::function<void()> task,
                      int cost) override {
    if (!refusal.ok()) return refusal;
    classes.push_back(work_class);
    tasks_.push_back(std::move(task));
    if (!paused) Run();
    return absl::OkStatus();
  }

  void Stop() override {}

  int QueueLength(WorkClass work_class) const override { return static_cast<int>(tasks_.size()); }

  void Run() {
    if (running_) return;
    running_ = true;
    while (!tasks_.empty()) {
      std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
    running_ = false;
  }

  // Runs what `submit` submits from within a task, as a second worker would.
  void Nested(const std::function<void()>& submit) {
    running_ = false;
    submit();
    running_ = true;
  }

  absl::Status refusal;            // Not OK: what Submit says.
  bool paused = false;             // True: tasks wait for Run.
  std::vector<WorkClass> classes;  // Of every task accepted.

 private:
  std::deque<std::function<void()>> tasks_;
  bool running_ = false;
};

// The transport's side of a call, played by the test. Not thread-safe. Owned by a shared_ptr.
class FakeCall final : public Call, public std::enable_shared_from_this<FakeCall> {
 public:
  explicit FakeCall(CallHead head) : head_(std::move(head)) { Living().insert(this); }

  ~FakeCall() override { Living().erase(this); }

  // The callers of all calls that still live are gone. A call and whoever serves it own each other
  // until the call is finished, so what a test left unfinished would never be freed.
  static void AbandonAll() {
    std::vector<std::shared_ptr<FakeCall>> calls;
    for (FakeCall* call : Living()) calls.push_back(call->shared_from_this());
    for (const std::shared_ptr<FakeCall>& call : calls) {
      call->CallerCancels();
      if (call->writing()) call->CompleteWrite(false);
    }
  }

  // --- What the caller does ----------------------------------------------------------------------
  void CallerSends(std::string message) {
    inbox_.push_back(std::move(message));
    Deliver();
  }

  void CallerSends(const google::protobuf::MessageLite& message) {
    CallerSends(message.SerializeAsString());
  }

  void CallerHalfCloses() {
    half_closed_ = true;
    Deliver();
  }

  void CallerCancels() {
    cancelled_ = true;
    if (on_cancel_) std::exchange(on_cancel_, nullptr)();
    Deliver();
  }

  // The transport took the message under way.
  void CompleteWrite(bool ok = true) {
    PANAL_CHECK(write_done_ != nullptr);
    std::exchange(write_done_, nullptr)(ok);
  }

  // --- Call --------------------------------------------------------------------------------------
  const CallHead& head() const override { return head_; }

  void Read(std::function<void(std::optional<std::string>)> done) override {
    PANAL_CHECK(read_done_ == nullptr);
    read_done_ = std::move(done);
    Deliver();
  }

  void SendInitialMetadata(CallMetadata metadata) override {
    PANAL_CHECK(written.empty());
    initial_metadata = std::move(metadata);
  }

  void Write(std::string message, std::function<void(bool ok)> done) override {
    PANAL_CHECK(write_done_ == nullptr);
    PANAL_CHECK(!result.has_value());
    written.push_back(std::move(message));
    if (hold_writes) {
      write_done_ = std::move(done);
    } else {
      done(!cancelled_);
    }
  }

  void Finish(CallResult finished) override {
    PANAL_CHECK(!result.has_value());
    PANAL_CHECK(write_done_ == nullptr);
    result = std::move(finished);
    on_cancel_ = nullptr;
    Deliver();
  }

  void OnCancel(std::function<void()> callback) override {
    if (result.has_value()) return;
    if (cancelled_) return callback();
    on_cancel_ = std::move(callback);
  }

  bool cancelled() const override { return cancelled_; }

  // --- What was seen -----------------------------------------------------------------------------
  bool writing() const { return write_done_ != nullptr; }

  bool reading() const { return read_done_ != nullptr; }

  absl::Status status() const {
    if (!result.has_value()) return absl::Status(absl::StatusCode::kUnknown, "not finished");
    return DecodeStatusDetails(result->code, result->message, result->details);
  }

  template <typename Message>
  std::vector<Message> Messages() const {
    std::vector<Message> messages;
    for (const std::string& bytes : written) {
      PANAL_CHECK(messages.emplace_back().ParseFromString(bytes));
    }
    return messages;
  }

  bool hold_writes = false;  // True: writes wait for CompleteWrite.
  std::vector<std::string> written;
  std::optional<CallMetadata> initial_metadata;
  std::optional<CallResult> result;

 private:
  static std::set<FakeCall*>& Living() {
    static std::set<FakeCall*> living;
    return living;
  }

  void Deliver() {
    if (read_done_ == nullptr) return;
    const bool over = cancelled_ || result.has_value();
    if (!inbox_.empty() && !over) {
      std::string message = std::move(inbox_.front());
      inbox_.pop_front();
      std::exchange(read_done_, nullptr)(std::move(message));
    } else if (half_closed_ || over) {
      std::exchange(read_done_, nullptr)(std::nullopt);
    }
  }

  const CallHead head_;
  std::deque<std::string> inbox_;
  bool half_closed_ = false;
  bool cancelled_ = false;
  std::function<void(std::optional<std::string>)> read_done_;
  std::function<void(bool)> write_done_;
  std::function<void()> on_cancel_;
};

inline std::shared_ptr<FakeCall> MakeCall(absl::string_view method, CallMetadata metadata = {},
                                          absl::Time deadline = absl::InfiniteFuture()) {
  CallHead head;
  head.deadline = deadline;
  head.method = std::string(method);
  head.metadata = std::move(metadata);
  head.caller = "127.0.0.1";
  return std::make_shared<FakeCall>(std::move(head));
}

// A test with calls.
class CallTest : public ::testing::Test {
 protected:
  // While what serves the calls is still there.
  void TearDown() override { FakeCall::AbandonAll(); }
};

// Another peer's side of a call, played by the test. Not thread-safe.
class FakeOutgoingCall final : public OutgoingCall {
 public:
  // --- What the callee does ----------------------------------------------------------------------
  void CalleeSends(std::string message) {
    outbox_.push_back(std::move(message));
    Deliver();
  }

  void CalleeSendsInitialMetadata(CallMetadata metadata) { on_initial_(std::move(metadata)); }

  // After what was sent was read.
  void CalleeFinishes(CallResult result) {
    result_ = std::move(result);
    if (write_done_ != nullptr) CompleteWrite(false);
    Deliver();
  }

  void CompleteWrite(bool ok = true) { std::exchange(write_done_, nullptr)(ok); }

  // --- OutgoingCall ------------------------------------------------------------------------------
  void Write(std::string message, std::function<void(bool ok)> done) override {
    PANAL_CHECK(write_done_ == nullptr);
    written.push_back(std::move(message));
    if (hold_writes) {
      write_done_ = std::move(done);
    } else {
      done(true);
    }
  }

  void HalfClose() override { half_closed = true; }

  void Read(std::function<void(std::optional<std::string>)> done) override {
    PANAL_CHECK(read_done_ == nullptr);
    read_done_ = std::move(done);
    Deliver();
  }

  void OnInitialMetadata(std::function<void(CallMetadata)> callback) override {
    on_initial_ = std::move(callback);
  }

  void OnFinished(std::function<void(CallResult)> callback) override {
    on_finished_ = std::move(callback);
  }

  void Cancel() override {
    cancelled = true;
    if (result_.has_value() && outbox_.empty()) return;
    outbox_.clear();
    CalleeFinishes(ResultOf(Error(ErrorReason::kCancelled, "the caller lost interest")));
  }

  bool reading() const { return read_done_ != nullptr; }

  bool hold_writes = false;
  bool half_closed = false;
  bool cancelled = false;
  std::vector<std::string> written;

 private:
  void Deliver() {
    if (read_done_ != nullptr && !outbox_.empty()) {
      std::string message = std::move(outbox_.front());
      outbox_.pop_front();
      std::exchange(read_done_, nullptr)(std::move(message));
    } else if (read_done_ != nullptr && result_.has_value()) {
      std::exchange(read_done_, nullptr)(std::nullopt);
    }
    if (!result_.has_value() || !outbox_.empty() || on_finished_ == nullptr) return;
    on_initial_ = nullptr;
    std::exchange(on_finished_, nullptr)(*result_);
  }

  std::deque<std::string> outbox_;
  std::optional<CallResult> result_;
  std::function<void(std::optional<std::string>)> read_done_;
  std::function<void(bool)> write_done_;
  std::function<void(CallMetadata)> on_initial_;
  std::function<void(CallResult)> on_finished_;
};

}  // namespace panal
