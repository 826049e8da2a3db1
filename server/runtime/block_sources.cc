#include "server/runtime/block_sources.h"

#include <utility>
#include <vector>

namespace panal {

BlockSources::BlockSources(BlocksClient& client, ContactLookup lookup,
                           std::function<void(std::function<void()>)> post,
                           BlockSourceEvents events)
    : client_(client),
      lookup_(std::move(lookup)),
      post_(std::move(post)),
      events_(std::move(events)) {}

BlockSources::~BlockSources() {
  *alive_ = false;
  CloseAll();
}

BlockSources::Session& BlockSources::SessionOf(const PeerId& source) {
  auto [it, inserted] = sessions_.try_emplace(source);
  if (!inserted) return it->second;
  uint64_t generation = next_generation_++;
  it->second.generation = generation;
  // The answer may come when this is gone: it brings its own way to the loop.
  lookup_(source, [this, post = post_, alive = alive_, source,
                   generation](absl::StatusOr<PeerContact> contact) {
    post([this, alive, source, generation, contact = std::move(contact)]() mutable {
      if (*alive) Opened(source, generation, std::move(contact));
    });
  });
  return it->second;
}

BlockSources::Session* BlockSources::Current(const PeerId& source, uint64_t generation) {
  auto it = sessions_.find(source);
  if (it == sessions_.end() || it->second.generation != generation) return nullptr;
  return &it->second;
}

void BlockSources::Opened(const PeerId& source, uint64_t generation,
                          absl::StatusOr<PeerContact> contact) {
  Session* session = Current(source, generation);
  if (session == nullptr) return;
  if (!contact.ok()) return Close(source, std::string(contact.status().message()));
  auto stream = client_.Open(*contact, EventsOf(source, generation));
  if (!stream.ok()) return Close(source, std::string(stream.status().message()));
  session->opening = false;
  session->stream = std::move(*stream);
  Flush(*session);
}

BlocksEvents BlockSources::EventsOf(const PeerId& source, uint64_t generation) {
  // Everything but blocks goes to the loop; an event of a session that was replaced is dropped
  // there.
  auto on_loop = [this, alive = alive_, source, generation](auto react) {
    post_([this, alive, source, generation, react = std::move(react)]() mutable {
      if (!*alive) return;
      Session* session = Current(source, generation);
      if (session == nullptr) return;
      ++session->answers;
      react(*session);
    });
  };
  BlocksEvents events;
  events.on_manifest = [this, on_loop, source](ManifestAnswer answer) {
    on_loop([this, source, answer = std::move(answer)](Session& session) mutable {
      Flush(session);
      events_.on_manifest(source, std::move(answer));
    });
  };
  events.on_block = [this, on_loop, source](FileId file, uint32_t index, std::string bytes) {
    events_.on_block(source, file, index, std::move(bytes));
    on_loop([this](Session& session) { Flush(session); });
  };
  events.on_refused = [this, on_loop, source](FileId file, bool manifest, uint32_t index,
                                              std::string reason) {
    on_loop([this, source, file, manifest, index, reason](Session& session) {
      Flush(session);
      events_.on_refused(source, file, manifest, index, reason);
    });
  };
  events.on_closed = [this, on_loop, source](absl::Status why) {
    on_loop([this, source, why](Session&) { Close(source, std::string(why.message())); });
  };
  return events;
}

void BlockSources::WantManifest(const PeerId& source, const FileId& file) {
  Session& session = SessionOf(source);
  session.waiting.push_back({file, /*manifest=*/true});
  Flush(session);
}

void BlockSources::WantBlock(const PeerId& source, const FileId& file, uint32_t index,
                             uint32_t size_bytes) {
  Session& session = SessionOf(source);
  session.waiting.push_back({file, /*manifest=*/false, index, size_bytes});
  Flush(session);
}

uint64_t BlockSources::AnswersFrom(const PeerId& source) const {
  auto it = sessions_.find(source);
  return it == sessions_.end() ? 0 : it->second.answers;
}

void BlockSources::Flush(Session& session) {
  if (session.stream == nullptr) return;
  while (!session.waiting.empty()) {
    const Want& want = session.waiting.front();
    bool taken = want.manifest ? session.stream->WantManifest(want.file)
                               : session.stream->WantBlock(want.file, want.index, want.size_bytes);
    if (!taken) return;
    session.waiting.pop_front();
  }
}

void BlockSources::Close(const PeerId& source, const std::string& why) {
  auto it = sessions_.find(source);
  if (it == sessions_.end()) return;
  Session session = std::move(it->second);
  sessions_.erase(it);
  session.stream.reset();
  events_.on_closed(source, why);
}

void BlockSources::CloseUnless(const std::function<bool(const PeerId&)>& needed) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    it = needed(it->first) ? std::next(it) : sessions_.erase(it);
  }
}

void BlockSources::CloseAll() { sessions_.clear(); }

}  // namespace panal
