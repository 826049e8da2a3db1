// One Blocks stream that this peer opened, on the completion queue that all of them share. Private
// to BlocksClient.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/rpc/stream_admission.h"
#include "panal/v1/file_object.grpc.pb.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/peer_channels.h"

namespace panal {

// A source that has not opened the stream by then is given up, per address. Guess: as a Call
// stream.
inline constexpr absl::Duration kBlocksOpenMax = absl::Seconds(10);

// Thread-safe. Answers are handled on the reader's thread only. Shared by the owner's BlocksStream,
// the client, and its operations on the queue.
class BlocksSession final : public std::enable_shared_from_this<BlocksSession> {
 public:
  enum class Operation : uint8_t { kOpen, kMetadata, kRead, kWrite, kFinish, kAlarm };
  static constexpr size_t kOperations = 6;
  class Attempt;

  // What the queue hands back.
  struct Tag {
    std::shared_ptr<Attempt> attempt;  // Set while the operation is under way.
    Operation operation = Operation::kOpen;
  };

  // `ended`: called once, on the reader's thread, when no operation is under way any more.
  BlocksSession(PeerContact source, BlocksEvents events, const StreamAdmission& admission,
                PeerChannels& channels, grpc::CompletionQueue& queue,
                std::function<void(BlocksSession*)> ended);

  // Dials the first address. Once.
  void Start();
  // False: kWantsPerStreamMax are unanswered.
  bool Want(const FileId& file, bool manifest, uint32_t index, uint32_t size_bytes);
  // No event comes after it returned, except that from within an event it does not wait.
  void Close();
  // Ends the stream where the source is admitted no longer.
  void Recheck();
  // Ends the stream; on_closed comes.
  void Cancel(const absl::Status& why);
  // The reader's thread: an operation is over. `tag` belongs to a session.
  static void OnTag(Tag& tag, bool ok);

 private:
  struct Key {
    FileId file;
    bool manifest = false;
    uint32_t index = 0;
    bool operator==(const Key&) const = default;

    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.file, key.manifest, key.index);
    }
  };

  struct Wanted {
    uint32_t size_bytes = 0;
    std::string bytes;  // What came so far.
  };

  void Dial();
  void OnOpened(Attempt& attempt, bool ok);
  void OnRead(Attempt& attempt, bool ok);
  void OnFinished(const std::shared_ptr<Attempt>& attempt);
  void WriteNext();
  // Error: FRAME_INVALID.
  absl::Status OnResponse(v1::BlocksResponse& response);
  absl::Status OnManifest(v1::ManifestPart& part);
  absl::Status OnChunk(v1::BlockChunk& chunk);
  absl::Status OnRefusal(v1::BlockRefusal& refusal);
  absl::Status TakeChunk(const Key& key, v1::BlockChunk& chunk, std::string& block, bool& whole);
  // Removes the want that was answered. False: it was never asked.
  bool Answered(const Key& key);
  // Calls `event` unless the owner is gone.
  void Deliver(const std::function<void()>& event);
  std::shared_ptr<Attempt> attempt() const;

  const PeerContact source_;
  const BlocksEvents events_;
  const StreamAdmission& admission_;
  PeerChannels& channels_;
  grpc::CompletionQueue& queue_;
  const std::function<void(BlocksSession*)> ended_;

  mutable Mutex mutex_;
  Condition delivered_;
  std::shared_ptr<Attempt> attempt_ ABSL_GUARDED_BY(mutex_);  // The current one.
  CredentialPtr credential_ ABSL_GUARDED_BY(mutex_);  // What admitted the source; null until then.
  size_t next_address_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<Key, Wanted> wanted_ ABSL_GUARDED_BY(mutex_);
  std::deque<Key> unsent_ ABSL_GUARDED_BY(mutex_);
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;  // Nothing is asked any more.
  bool owner_gone_ ABSL_GUARDED_BY(mutex_) = false;
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id deliverer_ ABSL_GUARDED_BY(mutex_);
  absl::Status end_reason_ ABSL_GUARDED_BY(mutex_);  // When this side ended the stream.
};

}  // namespace panal
