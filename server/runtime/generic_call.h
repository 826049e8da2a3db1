// A call on the API port: adapts gRPC's generic reactor to Call. Private to the API port.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/sync.h"
#include "server/application/call.h"
#include "server/runtime/api_callers.h"

namespace panal {

// Shared by gRPC (until OnDone) and the servant. Every method of Call checks that gRPC still has
// the call: after OnDone they do nothing.
class GenericCall final : public Call,
                          public grpc::ServerGenericBidiReactor,
                          public std::enable_shared_from_this<GenericCall> {
 public:
  // `message_size_max`: larger messages of the caller end the call with MESSAGE_TOO_LARGE. The call
  // counts for its caller in `callers` until gRPC is done with it.
  static std::shared_ptr<GenericCall> Create(grpc::GenericCallbackServerContext& context,
                                             std::shared_ptr<ApiCallers> callers,
                                             size_t message_size_max);

  const CallHead& head() const override { return head_; }

  // Takes the values of `key` off the head. Before anybody else has the call.
  std::vector<std::string> TakeMetadata(const std::string& key);

  void Read(std::function<void(std::optional<std::string>)> done) override;
  void SendInitialMetadata(CallMetadata metadata) override;
  void Write(std::string message, std::function<void(bool ok)> done) override;
  void Finish(CallResult result) override;
  void OnCancel(std::function<void()> callback) override;
  bool cancelled() const override;

 private:
  GenericCall(grpc::GenericCallbackServerContext& context, std::shared_ptr<ApiCallers> callers,
              size_t message_size_max);

  // Reactor.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // An operation on gRPC's object from outside a reaction: keeps gRPC from ending the call
  // meanwhile. False: the call is over.
  bool Pin();
  void Unpin();
  void FinishWhenUnpinned(CallResult result);
  void Refuse(const absl::Status& why);

  grpc::GenericCallbackServerContext* const context_;  // Valid until OnDone.
  const std::shared_ptr<ApiCallers> callers_;          // Shared with the port and its calls.
  const ApiCaller caller_;
  const size_t message_size_max_;
  CallHead head_;
  grpc::ByteBuffer incoming_;  // Belongs to the read under way.
  grpc::ByteBuffer outgoing_;  // Belongs to the write under way.

  mutable Mutex mutex_;
  std::function<void(std::optional<std::string>)> read_done_ ABSL_GUARDED_BY(mutex_);
  std::function<void(bool)> write_done_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_cancel_ ABSL_GUARDED_BY(mutex_);
  int pins_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<CallResult> result_ ABSL_GUARDED_BY(mutex_);  // Set: Finish was asked for.
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;            // Finish was said to gRPC.
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<GenericCall> self_;  // gRPC's share; dropped in OnDone.
};

}  // namespace panal
