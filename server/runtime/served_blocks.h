// One Blocks stream that another peer opened. Private to BlocksServer.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "panal/v1/file_object.pb.h"
#include "server/application/dispatcher.h"
#include "server/data/file_store/file_store.h"

namespace panal {

// Shared by gRPC (until OnDone) and the task that reads for it.
class ServedBlocks final : public grpc::ServerGenericBidiReactor,
                           public std::enable_shared_from_this<ServedBlocks> {
 public:
  // The stream's context holds the metadata that admits this peer. `done`: called once, last.
  // `files` and `dispatcher` must outlive the stream and its tasks.
  static ServedBlocks* Start(FileStore& files, Dispatcher& dispatcher, const PeerId& peer,
                             size_t queue_max, std::function<void()> done);

  void End(const absl::Status& why);

 private:
  struct Want {
    FileId file;
    bool manifest = false;
    uint32_t index = 0;
  };

  // An answer that waits to be written. With `chunked`, the chunks of `block` from `offset` on are
  // made when they are written.
  struct Answer {
    v1::BlocksResponse message;
    std::string block;
    size_t offset = 0;
    bool chunked = false;
    size_t size() const;
  };

  ServedBlocks(FileStore& files, Dispatcher& dispatcher, const PeerId& peer, size_t queue_max,
               std::function<void()> done);

  // Reactions.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  absl::Status TakeWant(const v1::BlocksRequest& request);
  // Reads for the next want when there is one and room for its answer.
  void ReadNext();
  void Perform(const Want& want);
  void Queue(Answer answer);
  // Writes the next message when none is under way; ends the stream when everything is answered and
  // nothing more will be asked.
  void Pump();
  v1::BlocksResponse NextMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartNextRead();
  void Unpin();

  FileStore& files_;
  Dispatcher& dispatcher_;
  const std::string caller_;  // For fairness: the peer's id.
  const size_t queue_max_;
  const std::function<void()> done_;
  grpc::ByteBuffer incoming_;  // Belongs to the read under way.
  grpc::ByteBuffer outgoing_;  // Belongs to the write under way.

  Mutex mutex_;
  std::deque<Want> wants_ ABSL_GUARDED_BY(mutex_);
  std::deque<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;  // A task reads a block.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool asked_all_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> ending_ ABSL_GUARDED_BY(mutex_);
  // Operations being begun, and one until End: only then gRPC may let go of the stream.
  int pins_ ABSL_GUARDED_BY(mutex_) = 1;
  std::shared_ptr<ServedBlocks> self_;  // gRPC's share; dropped in OnDone.
};

}  // namespace panal
