#include "server/runtime/generic_call.h"

#include <grpc/grpc.h>
#include <grpcpp/support/slice.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/rpc/byte_buffer.h"

namespace panal {
namespace {

// gRPC aborts the process when it is given metadata that HTTP/2 does not allow, so what a servant
// or another peer says is checked first.
bool IsLegal(const std::string& key, const std::string& value) {
  if (absl::StartsWith(key, "grpc-") || absl::StartsWith(key, ":")) return false;
  const grpc_slice raw_key = grpc_slice_from_static_buffer(key.data(), key.size());
  const grpc_slice raw_value = grpc_slice_from_static_buffer(value.data(), value.size());
  return grpc_header_key_is_legal(raw_key) != 0 &&
         (absl::EndsWith(key, "-bin") || grpc_header_nonbin_value_is_legal(raw_value) != 0);
}

absl::Time DeadlineOf(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return absl::FromChrono(deadline);
}

CallHead HeadOf(const grpc::GenericCallbackServerContext& context, const std::string& caller) {
  CallHead head;
  head.method = context.method();
  for (const auto& [key, value] : context.client_metadata()) {
    head.metadata.emplace(std::string(key.data(), key.size()),
                          std::string(value.data(), value.size()));
  }
  head.deadline = DeadlineOf(context);
  head.origin = CallOrigin::kApi;
  head.caller = caller;
  return head;
}

grpc::Status StatusOf(const CallResult& result) {
  if (result.code == 0) return grpc::Status::OK;
  const bool known = result.code > 0 && result.code <= grpc::StatusCode::UNAUTHENTICATED;
  return grpc::Status(
      known ? static_cast<grpc::StatusCode>(result.code) : grpc::StatusCode::UNKNOWN,
      result.message, result.details);
}

}  // namespace

std::shared_ptr<GenericCall> GenericCall::Create(grpc::GenericCallbackServerContext& context,
                                                 std::shared_ptr<ApiCallers> callers,
                                                 size_t message_size_max) {
  std::shared_ptr<GenericCall> call(new GenericCall(context, std::move(callers), message_size_max));
  call->self_ = call;
  return call;
}

GenericCall::GenericCall(grpc::GenericCallbackServerContext& context,
                         std::shared_ptr<ApiCallers> callers, size_t message_size_max)
    : context_(&context),
      callers_(std::move(callers)),
      caller_(callers_->Begin(context.peer())),
      message_size_max_(message_size_max),
      head_(HeadOf(context, caller_.name)) {}

std::vector<std::string> GenericCall::TakeMetadata(const std::string& key) {
  std::vector<std::string> values;
  const auto [begin, end] = head_.metadata.equal_range(key);
  for (auto it = begin; it != end; ++it) values.push_back(std::move(it->second));
  head_.metadata.erase(begin, end);
  return values;
}

bool GenericCall::Pin() {
  MutexLock lock(&mutex_);
  if (finishing_ || result_.has_value()) return false;
  ++pins_;
  return true;
}

void GenericCall::Unpin() {
  std::optional<CallResult> result;
  {
    MutexLock lock(&mutex_);
    PANAL_CHECK(pins_ > 0);
    if (--pins_ > 0 || !result_.has_value() || finishing_) return;
    finishing_ = true;
    result = *result_;
  }
  for (const auto& [key, value] : result->trailing_metadata) {
    if (IsLegal(key, value)) context_->AddTrailingMetadata(key, value);
  }
  grpc::ServerGenericBidiReactor::Finish(StatusOf(*result));
}

void GenericCall::Read(std::function<void(std::optional<std::string>)> done) {
  bool over = false;
  {
    MutexLock lock(&mutex_);
    over = finishing_ || result_.has_value() || cancelled_;
    if (!over) {
      PANAL_CHECK(read_done_ == nullptr);
      read_done_ = std::move(done);
      ++pins_;
    }
  }
  if (over) {
    done(std::nullopt);
    return;
  }
  StartRead(&incoming_);
  Unpin();
}

void GenericCall::OnReadDone(bool ok) {
  std::function<void(std::optional<std::string>)> done;
  {
    MutexLock lock(&mutex_);
    done = std::exchange(read_done_, nullptr);
  }
  if (ok && incoming_.Length() > message_size_max_) {
    Refuse(Error(
        ErrorReason::kMessageTooLarge,
        absl::StrCat("message of ", incoming_.Length(), " bytes exceeds ", message_size_max_),
        {{"size", absl::StrCat(incoming_.Length())}, {"limit", absl::StrCat(message_size_max_)}}));
    ok = false;
  }
  std::optional<std::string> message;
  if (ok) message = ToString(incoming_);
  incoming_.Clear();
  if (done != nullptr) done(std::move(message));
}

void GenericCall::SendInitialMetadata(CallMetadata metadata) {
  if (!Pin()) return;
  for (const auto& [key, value] : metadata) {
    if (IsLegal(key, value)) context_->AddInitialMetadata(key, value);
  }
  StartSendInitialMetadata();
  Unpin();
}

void GenericCall::Write(std::string message, std::function<void(bool ok)> done) {
  bool over = false;
  {
    MutexLock lock(&mutex_);
    over = finishing_ || result_.has_value() || cancelled_;
    if (!over) {
      PANAL_CHECK(write_done_ == nullptr);
      write_done_ = std::move(done);
      ++pins_;  // Until OnWriteDone.
    }
  }
  if (over) {
    done(false);
    return;
  }
  outgoing_ = ToByteBuffer(message);
  StartWrite(&outgoing_);
}

void GenericCall::OnWriteDone(bool ok) {
  std::function<void(bool)> done;
  {
    MutexLock lock(&mutex_);
    done = std::exchange(write_done_, nullptr);
  }
  outgoing_.Clear();
  if (done != nullptr) done(ok);
  Unpin();
}

void GenericCall::Finish(CallResult result) { FinishWhenUnpinned(std::move(result)); }

void GenericCall::FinishWhenUnpinned(CallResult result) {
  {
    MutexLock lock(&mutex_);
    if (result_.has_value()) return;  // Refused already, or the call is over.
    result_ = std::move(result);
    on_cancel_ = nullptr;
    ++pins_;
  }
  Unpin();
}

void GenericCall::Refuse(const absl::Status& why) {
  std::function<void()> on_cancel;
  {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    on_cancel = std::exchange(on_cancel_, nullptr);
  }
  FinishWhenUnpinned(ResultOf(why));
  if (on_cancel != nullptr) on_cancel();
}

void GenericCall::OnCancel(std::function<void()> callback) {
  {
    MutexLock lock(&mutex_);
    if (!cancelled_) {
      if (!result_.has_value()) on_cancel_ = std::move(callback);
      return;
    }
  }
  if (callback != nullptr) callback();
}

bool GenericCall::cancelled() const {
  MutexLock lock(&mutex_);
  return cancelled_;
}

void GenericCall::OnCancel() {
  std::function<void()> on_cancel;
  {
    MutexLock lock(&mutex_);
    cancelled_ = true;
    on_cancel = std::exchange(on_cancel_, nullptr);
  }
  if (on_cancel != nullptr) on_cancel();
}

void GenericCall::OnDone() {
  callers_->End(caller_);
  std::shared_ptr<GenericCall> self = std::move(self_);
}

}  // namespace panal
