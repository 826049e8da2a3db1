// A bidirectional call driven step by step, blocking: what a well- or ill-behaved other end would
// do.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/identity/identity.h"

namespace panal {

class RawStream {
 public:
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  // Opens `method` on `channel`; the call ends by itself after 20 s.
  RawStream(std::shared_ptr<grpc::Channel> channel, const std::string& method,
            const Metadata& metadata = {});
  ~RawStream();

  // False: the call is over.
  bool Write(absl::string_view message);
  void WritesDone();
  // Nothing: no further message.
  std::optional<std::string> Read();
  // Waits for the end.
  grpc::Status Finish();

  void Cancel() { context_.TryCancel(); }

  grpc::ClientContext& context() { return context_; }

 private:
  bool Wait();

  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  bool finished_ = false;
};

// A channel to `address` that shows `identity` and takes whatever certificate comes.
std::shared_ptr<grpc::Channel> RawChannel(const Identity& identity, const std::string& address);

// What a peer of the open mesh `mesh` sends with a stream.
RawStream::Metadata GoodMetadata(const Identity& identity, const std::string& mesh = "test");

}  // namespace panal
