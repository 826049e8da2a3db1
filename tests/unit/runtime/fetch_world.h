// A fetcher in a world of sources that a test describes: a real file store in a folder of its own,
// a real node loop and dispatcher, and sources that answer, lie, corrupt, vanish or wait as told.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "server/data/block_store/file_system.h"
#include "server/data/file_store/file_store.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/fetcher.h"
#include "server/runtime/node_loop.h"
#include "tests/support/catalog_support.h"
#include "tests/support/eventually.h"

namespace panal {

inline PeerId PeerOf(absl::string_view name) { return catalog_test::Peer(name); }

// What one source does. Set up before the fetch; counters may be read at any time.
struct FakeSource {
  struct Content {
    std::string manifest;
    std::string bytes;
    uint32_t block_size = kBlockSizeMin;
    bool inlined = false;
    std::string held;  // Bitmap; empty: all.
  };

  std::map<FileId, Content> contents;
  bool corrupt = false;  // Every block has one wrong byte.
  bool lies = false;     // Sends the manifest of something else.
  bool mute = false;     // Never answers a block.
  bool mute_manifest = false;
  FileId mute_manifest_of;       // Answers for everything else.
  int blocks_until_closed = -1;  // The stream breaks after so many blocks.
  bool unreachable = false;

  std::atomic<int> opened{0};
  std::atomic<int> manifests{0};
  std::atomic<int> blocks{0};
  Mutex mutex;
  std::multiset<std::pair<FileId, uint32_t>> asked ABSL_GUARDED_BY(mutex);

  // Offers `bytes`; returns their id.
  FileId Offer(const std::string& bytes, FileType type = FileType::kFile) {
    Manifest manifest = ManifestOf(type, bytes);
    contents[manifest.Id()] = {manifest.Encode(), bytes, manifest.block_size_bytes,
                               bytes.size() <= kInlineSizeMax, ""};
    return manifest.Id();
  }

  size_t TimesAsked() {
    MutexLock lock(&mutex);
    return asked.size();
  }

  // Blocks asked more than once.
  size_t AskedAgain() {
    MutexLock lock(&mutex);
    return asked.size() - std::set<std::pair<FileId, uint32_t>>(asked.begin(), asked.end()).size();
  }
};

// Answers wants on a thread of its own, as the reader of the real client does.
class FakeBlocksClient final : public BlocksClient {
 public:
  FakeBlocksClient() { reader_.Start(); }

  ~FakeBlocksClient() override { reader_.Stop(); }

  std::map<PeerId, std::unique_ptr<FakeSource>> sources;

  NodeLoop& reader() { return reader_; }

  absl::StatusOr<std::unique_ptr<BlocksStream>> Open(const PeerContact& contact,
                                                     BlocksEvents events) override {
    FakeSource& source = *sources.at(contact.id);
    ++source.opened;
    auto state = std::make_shared<State>();
    state->source = &source;
    state->events = std::move(events);
    if (source.unreachable) {
      reader_.Post([state] {
        state->Tell([&] { state->events.on_closed(absl::UnavailableError("connection refused")); });
      });
    }
    return std::make_unique<Stream>(reader_, state);
  }

 private:
  // Shared by the stream and its answers on their way; events end when the stream is freed.
  struct State {
    FakeSource* source = nullptr;
    BlocksEvents events;
    Mutex mutex;  // Held while an event is delivered.
    bool closed ABSL_GUARDED_BY(mutex) = false;
    int sent = 0;
    std::atomic<int> unanswered{0};

    template <typename Event>
    void Tell(Event event) {
      MutexLock lock(&mutex);
      if (!closed) event();
    }

    void Break() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
      closed = true;
      events.on_closed(absl::UnavailableError("the stream broke"));
    }
  };

  class Stream final : public BlocksStream {
   public:
    Stream(NodeLoop& reader, std::shared_ptr<State> state)
        : reader_(reader), state_(std::move(state)) {}

    ~Stream() override {
      MutexLock lock(&state_->mutex);
      state_->closed = true;
    }

    bool WantManifest(const FileId& file) override {
      ++state_->source->manifests;
      if (state_->source->mute_manifest || state_->source->mute_manifest_of == file) return true;
      reader_.Post([state = state_, file] { AnswerManifest(*state, file); });
      return true;
    }

    bool WantBlock(const FileId& file, uint32_t index, uint32_t) override {
      if (state_->unanswered.load() >= kWantsPerStreamMax) return false;
      ++state_->unanswered;
      {
        MutexLock lock(&state_->source->mutex);
        state_->source->asked.insert({file, index});
      }
      if (state_->source->mute) return true;
      reader_.Post([state = state_, file, index] { AnswerBlock(*state, file, index); });
      return true;
    }

   private:
    static void AnswerManifest(State& state, const FileId& file) {
      auto it = state.source->contents.find(file);
      state.Tell([&] {
        if (it == state.source->contents.end()) {
          return state.events.on_refused(file, true, 0, "FILE_NOT_FOUND");
        }
        ManifestAnswer answer{file, it->second.manifest, it->second.held};
        if (state.source->lies) answer.manifest = ManifestOf(FileType::kFile, "other").Encode();
        if (it->second.inlined) {
          answer.has_inline_content = true;
          answer.inline_content = state.source->corrupt ? "wrong" : it->second.bytes;
        }
        state.events.on_manifest(std::move(answer));
      });
    }

    static void AnswerBlock(State& state, const FileId& file, uint32_t index) {
      const FakeSource::Content& content = state.source->contents.at(file);
      std::string bytes =
          content.bytes.substr(uint64_t{index} * content.block_size, content.block_size);
      if (state.source->corrupt) bytes[0] = static_cast<char>(bytes[0] ^ 1);
      MutexLock lock(&state.mutex);
      --state.unanswered;
      if (state.closed) return;
      int limit = state.source->blocks_until_closed;
      if (limit >= 0 && state.sent >= limit) return state.Break();
      ++state.sent;
      ++state.source->blocks;
      state.events.on_block(file, index, std::move(bytes));
    }

    NodeLoop& reader_;
    const std::shared_ptr<State> state_;
  };

  NodeLoop reader_;
};

// What a fetch came to.
struct Outcome {
  absl::Status status;
  FetchProgress progress;
};

// A fetch under way, as a program sees it.
class Caller {
 public:
  FetchHandlers Handlers() {
    FetchHandlers handlers;
    handlers.on_progress = [state = state_](const FetchProgress& progress) {
      MutexLock lock(&state->mutex);
      ++state->ticks;
      state->last = progress;
    };
    handlers.on_done = [state = state_](const absl::Status& status, const FetchProgress& progress) {
      state->outcome = {status, progress};
      state->done.Notify();
    };
    return handlers;
  }

  // Waits for the end.
  Outcome Wait() {
    if (state_->done.WaitForNotificationWithTimeout(kPatience)) return state_->outcome;
    ADD_FAILURE() << "the fetch did not end";
    return {absl::DeadlineExceededError("test"), {}};
  }

  bool done() const { return state_->done.HasBeenNotified(); }

  FetchProgress last() {
    MutexLock lock(&state_->mutex);
    return state_->last;
  }

  // How often it was told of progress: once every tick.
  int ticks() {
    MutexLock lock(&state_->mutex);
    return state_->ticks;
  }

 private:
  struct State {
    Mutex mutex;
    FetchProgress last ABSL_GUARDED_BY(mutex);
    int ticks ABSL_GUARDED_BY(mutex) = 0;
    Outcome outcome;
    absl::Notification done;
  };

  // Shared with the fetcher, which may tell after the test gave up.
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class FetchWorld : public testing::Test {
 protected:
  FetchWorld() { (void)SetLogLevel("error"); }

  void SetUp() override { Open(); }

  void TearDown() override { Close(); }

  void Open(int64_t storage_max = 0) {
    auto catalog = Catalog::Open({.path = dir_.path() + "/catalog.db"});
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    catalog_ = *std::move(catalog);
    auto blocks = BlockStore::Open({.dir = dir_.path() + "/blocks", .size_bytes_max = storage_max},
                                   RealFileSystem());
    ASSERT_TRUE(blocks.ok()) << blocks.status();
    blocks_ = *std::move(blocks);
    files_ = FileStore::Create(*catalog_, *blocks_);
    dispatcher_ = Dispatcher::Create({});
    loop_ = std::make_unique<NodeLoop>();
    fetcher_ = Fetcher::Create(options_, *files_, *dispatcher_, client_, Host());
    loop_->Start();
  }

  // Ends everything in the order of Node::Stop.
  void Close() {
    if (fetcher_ == nullptr) return;
    absl::Notification ended;
    fetcher_->Shutdown([&] { ended.Notify(); });
    ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
    dispatcher_->Stop();
    loop_->Stop();
    fetcher_.reset();
    dispatcher_.reset();
    loop_.reset();
    files_.reset();
    blocks_.reset();
    catalog_.reset();
  }

  FakeSource& Source(const std::string& name) {
    auto& source = client_.sources[PeerOf(name)];
    if (source == nullptr) source = std::make_unique<FakeSource>();
    return *source;
  }

  // The index says that `source` publishes `file`.
  void Index(const FileId& file, const std::string& source, const std::string& name = "file",
             Attributes attributes = {}) {
    Hit hit{{.kind = RecordKind::kFile,
             .name = name,
             .id = Sha256Digest{file.bytes},
             .attributes = std::move(attributes)},
            {PeerOf(source), {"127.0.0.1:1"}}};
    MutexLock lock(&index_mutex_);
    index_.emplace(absl::StrCat("id:", file.ToText()), std::move(hit));
  }

  // And that nobody does any more.
  void Unindex(const FileId& file) {
    MutexLock lock(&index_mutex_);
    index_.erase(absl::StrCat("id:", file.ToText()));
  }

  FetchRequest Request(const FileId& id, absl::Duration timeout = absl::Seconds(30)) {
    return {.id = id, .timeout = timeout};
  }

  Outcome Fetch(const FileId& id, absl::Duration timeout = absl::Seconds(30)) {
    Caller caller;
    fetcher_->Start(Request(id, timeout), caller.Handlers());
    return caller.Wait();
  }

  std::string ReadAll(const FileId& id) {
    std::string bytes;
    while (true) {
      auto part = files_->Read(id, bytes.size(), kReadChunkSizeMax);
      EXPECT_TRUE(part.ok()) << part.status();
      if (!part.ok() || part->empty()) return bytes;
      bytes += *part;
    }
  }

  // Waits until `condition`, which is looked at on the node loop.
  bool Eventually(std::function<bool()> condition) {
    absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      bool holds = false;
      absl::Notification looked;
      loop_->PostAfter(absl::Milliseconds(5), [&] {
        holds = condition();
        looked.Notify();
      });
      looked.WaitForNotification();
      if (holds) return true;
    }
    return false;
  }

  FetcherHost Host() {
    FetcherHost host;
    host.self = PeerOf("self");
    host.post = [this](std::function<void()> task) { loop_->Post(std::move(task)); };
    host.post_after = [this](absl::Duration delay, std::function<void()> task) {
      loop_->PostAfter(delay, std::move(task));
    };
    host.search = [this](const std::string& query, double, uint32_t, absl::Duration,
                         SearchHandlers handlers) { return Search(query, std::move(handlers)); };
    host.cancel_search = [this](uint64_t) { ++cancelled_searches_; };
    host.lookup = [](const PeerId& peer, auto done) { done(PeerContact{peer, {"127.0.0.1:1"}}); };
    host.pages_changed = [this] { ++pages_changed_; };
    host.now = [this] { return loop_->Now() + absl::Seconds(seconds_ahead_.load()); };
    host.seed = 1;
    return host;
  }

  uint64_t Search(const std::string& query, SearchHandlers handlers) {
    std::vector<Hit> hits;
    {
      MutexLock lock(&index_mutex_);
      auto [begin, end] = index_.equal_range(query);
      for (auto it = begin; it != end; ++it) hits.push_back(it->second);
    }
    uint64_t number = ++searches_;
    loop_->Post([this, hits = std::move(hits), handlers = std::move(handlers)] {
      if (!hits.empty()) handlers.on_hits(hits);
      handlers.on_done(summary_);
    });
    return number;
  }

  FetchOptions options_;
  SearchSummary summary_{.peers_reached = 5, .mesh_size = 5, .recall = 1.0, .complete = true};
  catalog_test::TempDir dir_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<FileStore> files_;
  std::unique_ptr<Dispatcher> dispatcher_;
  FakeBlocksClient client_;
  std::unique_ptr<NodeLoop> loop_;
  std::unique_ptr<Fetcher> fetcher_;
  Mutex index_mutex_;
  std::multimap<std::string, Hit> index_ ABSL_GUARDED_BY(index_mutex_);
  std::atomic<uint64_t> searches_{0};
  std::atomic<int> cancelled_searches_{0};
  std::atomic<int> pages_changed_{0};
  std::atomic<int> seconds_ahead_{0};  // Of the fetcher's clock.
};

inline std::string BytesOf(size_t size, uint64_t seed = 1) { return Random(seed).Bytes(size); }

}  // namespace panal
