// The Blocks streams to the sources of fetches: one a source, shared by all contents that are
// received from it. Wants beyond what a stream may have unanswered wait here.
//
// All state belongs to the node loop; only on_block comes on the reader's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/mesh_port.h"

namespace panal {

struct BlockSourceEvents {
  // On the node loop.
  std::function<void(const PeerId&, ManifestAnswer)> on_manifest;
  std::function<void(const PeerId&, const FileId&, bool manifest, uint32_t index,
                     const std::string& reason)>
      on_refused;
  // The source is gone, with everything asked of it.
  std::function<void(const PeerId&, const std::string& why)> on_closed;
  // On the reader's thread: give it to a worker.
  std::function<void(const PeerId&, const FileId&, uint32_t index, std::string bytes)> on_block;
};

class BlockSources {
 public:
  // `post` runs tasks on the node loop. Everything passed must outlive the sources.
  BlockSources(BlocksClient& client, ContactLookup lookup,
               std::function<void(std::function<void()>)> post, BlockSourceEvents events);
  ~BlockSources();

  // Opens the stream where there is none; failures come by on_closed.
  void WantManifest(const PeerId& source, const FileId& file);
  void WantBlock(const PeerId& source, const FileId& file, uint32_t index, uint32_t size_bytes);
  // How often `source` has answered since its stream was opened, whatever it was asked for.
  uint64_t AnswersFrom(const PeerId& source) const;
  // Closes the streams to sources for which `needed` is false.
  void CloseUnless(const std::function<bool(const PeerId&)>& needed);
  void CloseAll();

 private:
  struct Want {
    FileId file;
    bool manifest = false;
    uint32_t index = 0;
    uint32_t size_bytes = 0;
  };

  struct Session {
    uint64_t generation = 0;
    uint64_t answers = 0;
    bool opening = true;
    std::unique_ptr<BlocksStream> stream;
    std::deque<Want> waiting;  // At most what the schedulers have under way.
  };

  Session& SessionOf(const PeerId& source);
  void Opened(const PeerId& source, uint64_t generation, absl::StatusOr<PeerContact> contact);
  BlocksEvents EventsOf(const PeerId& source, uint64_t generation);
  // The session, unless another one took its place meanwhile.
  Session* Current(const PeerId& source, uint64_t generation);
  void Flush(Session& session);
  void Close(const PeerId& source, const std::string& why);

  BlocksClient& client_;
  const ContactLookup lookup_;
  const std::function<void(std::function<void()>)> post_;
  const BlockSourceEvents events_;
  std::map<PeerId, Session> sessions_;
  uint64_t next_generation_ = 1;
  // Shared with tasks on their way to the loop: false once this is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace panal
