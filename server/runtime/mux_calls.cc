#include "server/runtime/mux_calls.h"

#include <utility>

#include "common/base/status.h"

namespace panal {
namespace {

class EndedCall final : public OutgoingCall {
 public:
  explicit EndedCall(CallResult result) : result_(std::move(result)) {}

  void Write(std::string, std::function<void(bool ok)> done) override { done(false); }

  void HalfClose() override {}

  void Read(std::function<void(std::optional<std::string>)> done) override { done(std::nullopt); }

  void OnInitialMetadata(std::function<void(CallMetadata)>) override {}

  void OnFinished(std::function<void(CallResult)> callback) override { callback(result_); }

  void Cancel() override {}

 private:
  const CallResult result_;
};

}  // namespace

OutgoingCallPtr FailedCall(const absl::Status& why) {
  return std::make_shared<EndedCall>(ResultOf(why));
}

// --- Inbound ------------------------------------------------------------------------------------

MuxInboundCall::MuxInboundCall(std::shared_ptr<CallMux> mux, CallMux::EntryPtr entry)
    : mux_(std::move(mux)), entry_(std::move(entry)) {}

MuxInboundCall::~MuxInboundCall() {
  Finish(ResultOf(Error(ErrorReason::kInternal, "the servant dropped the call")));
}

const CallHead& MuxInboundCall::head() const { return entry_->state.head(); }

void MuxInboundCall::Read(std::function<void(std::optional<std::string>)> done) {
  mux_->Change(entry_, [&](CallState& call) { call.Read(std::move(done)); });
}

void MuxInboundCall::SendInitialMetadata(CallMetadata metadata) {
  mux_->Change(entry_, [&](CallState& call) { call.SendInitialMetadata(std::move(metadata)); });
}

void MuxInboundCall::Write(std::string message, std::function<void(bool ok)> done) {
  mux_->Change(entry_, [&](CallState& call) { call.Write(std::move(message), std::move(done)); });
}

void MuxInboundCall::Finish(CallResult result) {
  mux_->Change(entry_, [&](CallState& call) { call.Finish(std::move(result)); });
}

void MuxInboundCall::OnCancel(std::function<void()> callback) {
  mux_->Change(entry_, [&](CallState& call) { call.OnCancel(std::move(callback)); });
}

bool MuxInboundCall::cancelled() const {
  bool cancelled = false;
  MutexLock lock(&mux_->mutex_);
  cancelled = entry_->state.cancelled();
  return cancelled;
}

// --- Outgoing -----------------------------------------------------------------------------------

MuxOutgoingCall::MuxOutgoingCall(std::shared_ptr<CallMux> mux, CallMux::EntryPtr entry)
    : mux_(std::move(mux)), entry_(std::move(entry)) {}

MuxOutgoingCall::~MuxOutgoingCall() { Cancel(); }

void MuxOutgoingCall::Write(std::string message, std::function<void(bool ok)> done) {
  mux_->Change(entry_, [&](CallState& call) { call.Write(std::move(message), std::move(done)); });
}

void MuxOutgoingCall::HalfClose() {
  mux_->Change(entry_, [](CallState& call) { call.HalfClose(); });
}

void MuxOutgoingCall::Read(std::function<void(std::optional<std::string>)> done) {
  mux_->Change(entry_, [&](CallState& call) { call.Read(std::move(done)); });
}

void MuxOutgoingCall::OnInitialMetadata(std::function<void(CallMetadata)> callback) {
  mux_->Change(entry_, [&](CallState& call) { call.OnInitialMetadata(std::move(callback)); });
}

void MuxOutgoingCall::OnFinished(std::function<void(CallResult)> callback) {
  mux_->Change(entry_, [&](CallState& call) { call.OnFinished(std::move(callback)); });
}

void MuxOutgoingCall::Cancel() {
  mux_->Change(entry_, [](CallState& call) {
    call.Cancel(Error(ErrorReason::kCancelled, "the caller lost interest"));
  });
}

}  // namespace panal
