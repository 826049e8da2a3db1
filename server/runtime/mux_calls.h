// The two ends of a call on a Call stream, as their owners hold them. Private to CallMux.
#pragma once

#include "server/runtime/call_mux.h"

namespace panal {

// A call of the other peer, for its servant. Dropped without Finish, it ends with INTERNAL.
class MuxInboundCall final : public Call {
 public:
  MuxInboundCall(std::shared_ptr<CallMux> mux, CallMux::EntryPtr entry);
  ~MuxInboundCall() override;

  const CallHead& head() const override;
  void Read(std::function<void(std::optional<std::string>)> done) override;
  void SendInitialMetadata(CallMetadata metadata) override;
  void Write(std::string message, std::function<void(bool ok)> done) override;
  void Finish(CallResult result) override;
  void OnCancel(std::function<void()> callback) override;
  bool cancelled() const override;

 private:
  const std::shared_ptr<CallMux> mux_;
  const CallMux::EntryPtr entry_;
};

// A call to the other peer. Dropped before its end, it is cancelled.
class MuxOutgoingCall final : public OutgoingCall {
 public:
  MuxOutgoingCall(std::shared_ptr<CallMux> mux, CallMux::EntryPtr entry);
  ~MuxOutgoingCall() override;

  void Write(std::string message, std::function<void(bool ok)> done) override;
  void HalfClose() override;
  void Read(std::function<void(std::optional<std::string>)> done) override;
  void OnInitialMetadata(std::function<void(CallMetadata)> callback) override;
  void OnFinished(std::function<void(CallResult)> callback) override;
  void Cancel() override;

 private:
  const std::shared_ptr<CallMux> mux_;
  const CallMux::EntryPtr entry_;
};

}  // namespace panal
