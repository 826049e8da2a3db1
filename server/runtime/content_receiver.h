// Receives one content: finds out what is held, gets the manifest from a source, schedules blocks
// through processing/transfer, has every block verified and written by workers, and keeps
// checkpoints.
//
// All state belongs to the node loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "server/application/dispatcher.h"
#include "server/data/file_store/file_store.h"
#include "server/processing/transfer/fetch.h"
#include "server/runtime/block_sources.h"

namespace panal {

// What a receiver needs around it. All functions are called on the node loop.
struct ReceiverHost {
  // Runs `work` on a worker and then `after` on the node loop, unless the receiver is gone by then.
  // The receiver may go while `work` runs: it must not refer to it.
  std::function<void(std::function<void()> work, std::function<void()> after)> run;
  // More sources are wanted for the content.
  std::function<void(const FileId&)> find_sources;
  // The content is complete and durable, or cannot be received here (disk full and the like).
  std::function<void(const FileId&, const absl::Status&)> on_ended;
  // Room for bytes on their way; false: ask again by Resume.
  std::function<bool(uint64_t size_bytes)> reserve;
  std::function<void(uint64_t size_bytes)> release;
  std::function<absl::Time()> now;
};

class ContentReceiver {
 public:
  ContentReceiver(const FileId& id, const FetchOptions& options, FileStore& files,
                  BlockSources& sources, Random& random, ReceiverHost host);
  ~ContentReceiver();

  void Begin();
  void AddSource(const PeerId& source, absl::Time now);

  void OnManifest(const PeerId& source, ManifestAnswer answer, absl::Time now);
  void OnRefused(const PeerId& source, bool manifest, uint32_t index, const std::string& reason,
                 absl::Time now);
  void OnSourceClosed(const PeerId& source, const std::string& why, absl::Time now);
  // A worker has verified and written a block, or not.
  void OnBlockReceived(const PeerId& source, uint32_t index, const absl::Status& result,
                       absl::Time now);
  // About twice a second.
  void Tick(absl::Time now);
  // Blocks that waited for room are asked now.
  void Resume();

  const FileId& id() const { return id_; }

  const std::optional<Manifest>& manifest() const { return manifest_; }

  uint64_t held_bytes() const { return held_bytes_; }

  uint64_t received_bytes() const { return received_bytes_; }

  // Sources that sent bytes.
  const std::set<PeerId>& contributors() const { return contributors_; }

  bool Uses(const PeerId& source) const { return sources_known_.contains(source); }

  // Whether any source is being asked now, or work on this machine is under way.
  bool Busy() const;

  // When a source last delivered something.
  absl::Time last_progress() const { return last_progress_; }

  // Why the last source was given up.
  const std::string& last_failure() const { return last_failure_; }

 private:
  void Found(absl::StatusOr<FileStore::Held> held);
  void AskManifest();
  void ManifestDecoded(const PeerId& source, const absl::StatusOr<Manifest>& manifest,
                       ManifestAnswer answer);
  // Makes what was received durable.
  void Checkpoint();
  void Receive(const Manifest& manifest, absl::StatusOr<FileStore::Held> held);
  void ReceiveInline(const PeerId& source, std::string content);
  void Feed(const FetchInput& input, absl::Time now);
  // Gives back the room of a block that was asked of `source`, or of all of them.
  void Release(const PeerId& source, uint32_t index);
  void ReleaseAll(const PeerId& source);
  // Drops what is noted of a source that is no longer used.
  void Forget(const PeerId& source);
  // Takes nothing of `source` for this content any more.
  void Refuse(const PeerId& source);

  // A source that was asked for its manifest, or for what it holds.
  struct Asked {
    absl::Time at = absl::InfinitePast();
    absl::Time heard =
        absl::InfinitePast();  // When it was asked, or seen to answer something else.
    uint64_t answers = 0;      // BlockSources::AnswersFrom then.
  };

  Asked AskNow(const PeerId& source);
  bool IsSilent(const PeerId& source, Asked& asked, absl::Time now) const;
  void GiveUpSilent(absl::Time now);
  void Perform(const OpenSource& output);
  void Perform(const RefreshSource& output);
  void Perform(const WantBlock& output);
  void Perform(const CloseSource& output);
  void Perform(const FetchComplete& output);
  void Perform(const SourcesExhausted& output);
  void End(const absl::Status& status);

  const FileId id_;
  const FetchOptions options_;
  FileStore& files_;
  BlockSources& blocks_;
  Random& random_;
  const ReceiverHost host_;

  std::optional<Manifest> manifest_;
  std::unique_ptr<Fetch> fetch_;           // Once the manifest is known.
  std::set<PeerId> sources_known_;         // At most options_.known_sources_max.
  std::set<PeerId> sources_untried_;       // Not asked for the manifest yet.
  std::optional<PeerId> manifest_source_;  // Asked for the manifest now.
  Asked manifest_asked_;
  std::map<PeerId, std::string> held_by_;  // Bitmaps that came with manifests.
  std::map<PeerId, Asked> opening_;        // Asked for what they hold, by the scheduler.
  std::set<PeerId> refused_;  // Sent something wrong. At most options_.known_sources_max.
  std::vector<WantBlock> waiting_for_room_;
  std::vector<bool> held_;  // Once the manifest is known; one entry a block.
  // Room reserved for blocks on their way, in bytes, by source and index.
  std::map<std::pair<PeerId, uint32_t>, uint32_t> reserved_;
  std::set<PeerId> contributors_;
  uint64_t held_bytes_ = 0;
  uint64_t received_bytes_ = 0;
  absl::Time last_progress_ = absl::InfinitePast();
  absl::Time last_checkpoint_ = absl::InfinitePast();
  bool dirty_ = false;      // Blocks were written since the last checkpoint.
  bool looked_ = false;     // What is held here is known.
  bool finishing_ = false;  // Everything is held; it is being made durable.
  bool ended_ = false;
  bool searching_ = false;  // find_sources was called and brought nothing yet.
  std::string last_failure_;
};

}  // namespace panal
