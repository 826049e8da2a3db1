#include "server/runtime/blocks_client.h"

#include <grpcpp/completion_queue.h>

#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/runtime/blocks_session.h"

namespace panal {
namespace {

class OwnedSession final : public BlocksStream {
 public:
  explicit OwnedSession(std::shared_ptr<BlocksSession> session) : session_(std::move(session)) {}

  ~OwnedSession() override { session_->Close(); }

  bool WantManifest(const FileId& file) override {
    return session_->Want(file, /*manifest=*/true, /*index=*/0, /*size_bytes=*/0);
  }

  bool WantBlock(const FileId& file, uint32_t index, uint32_t size_bytes) override {
    return session_->Want(file, /*manifest=*/false, index, size_bytes);
  }

 private:
  const std::shared_ptr<BlocksSession> session_;  // Shared with the client and its operations.
};

class QueueBlocksClient final : public BlocksClient {
 public:
  QueueBlocksClient(const StreamAdmission& admission, PeerChannels& channels)
      : admission_(admission), channels_(channels), reader_([this] { ReadAll(); }) {}

  ~QueueBlocksClient() override {
    Shutdown();
    queue_.Shutdown();
    reader_.join();
  }

  void Recheck() override {
    for (const auto& session : Sessions()) session->Recheck();
  }

  void Shutdown() override {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
    }
    for (const auto& session : Sessions()) {
      session->Cancel(Error(ErrorReason::kShuttingDown, "this peer is stopping"));
    }
    MutexLock lock(&mutex_);
    while (!sessions_.empty()) ended_.Wait(&mutex_);
  }

  absl::StatusOr<std::unique_ptr<BlocksStream>> Open(const PeerContact& source,
                                                     BlocksEvents events) override {
    if (source.addresses.empty()) {
      return Error(ErrorReason::kPeerUnreachable, "no address of the source is known",
                   {{"peer", source.id.ToText()}});
    }
    auto session =
        std::make_shared<BlocksSession>(source, std::move(events), admission_, channels_, queue_,
                                        [this](BlocksSession* ended) { Forget(ended); });
    {
      MutexLock lock(&mutex_);
      if (stopping_) return Error(ErrorReason::kShuttingDown, "this peer is stopping");
      if (sessions_.size() >= static_cast<size_t>(kBlockSourcesMax)) {
        return OverloadedError(absl::StrCat(kBlockSourcesMax, " sources are open already"),
                               absl::Seconds(1));
      }
      sessions_.emplace(session.get(), session);
    }
    session->Start();
    return std::make_unique<OwnedSession>(std::move(session));
  }

 private:
  std::vector<std::shared_ptr<BlocksSession>> Sessions() {
    std::vector<std::shared_ptr<BlocksSession>> sessions;
    MutexLock lock(&mutex_);
    for (const auto& [address, session] : sessions_) sessions.push_back(session);
    return sessions;
  }

  void ReadAll() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) BlocksSession::OnTag(*static_cast<BlocksSession::Tag*>(tag), ok);
  }

  void Forget(BlocksSession* session) {
    std::shared_ptr<BlocksSession> last;  // Freed without the lock.
    MutexLock lock(&mutex_);
    auto found = sessions_.find(session);
    last = std::move(found->second);
    sessions_.erase(found);
    ended_.SignalAll();
  }

  const StreamAdmission& admission_;
  PeerChannels& channels_;
  grpc::CompletionQueue queue_;
  Mutex mutex_;
  Condition ended_;
  absl::flat_hash_map<BlocksSession*, std::shared_ptr<BlocksSession>> sessions_
      ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread reader_;  // Last: it uses everything above.
};

}  // namespace

std::unique_ptr<BlocksClient> BlocksClient::Create(const StreamAdmission& admission,
                                                   PeerChannels& channels) {
  return std::make_unique<QueueBlocksClient>(admission, channels);
}

}  // namespace panal
