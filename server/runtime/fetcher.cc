#include "server/runtime/fetcher.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "server/runtime/block_sources.h"
#include "server/runtime/content_receiver.h"
#include "server/runtime/fetch_task.h"

namespace panal {
namespace {

// Period of progress, timeouts and retries.
constexpr absl::Duration kTick = absl::Milliseconds(250);
// Waits between two searches for sources of one content. Guess.
constexpr absl::Duration kSearchRetryMin = absl::Seconds(1);
constexpr absl::Duration kSearchRetryMax = absl::Seconds(10);
constexpr absl::Duration kSearchTimeout = absl::Seconds(10);
// Hits of a search for sources.
constexpr uint32_t kSourceHitsMax = 64;
// Wait before work that the dispatcher refused is tried again.
constexpr absl::Duration kOverloadRetry = absl::Milliseconds(100);
// Recall of the search for sources: one missed search in a hundred is repeated.
constexpr double kSourceRecall = 0.99;

class FetcherImpl final : public Fetcher {
 public:
  FetcherImpl(const FetchOptions& options, FileStore& files, Dispatcher& dispatcher,
              BlocksClient& blocks, FetcherHost host)
      : options_(options),
        files_(files),
        dispatcher_(dispatcher),
        host_(std::move(host)),
        random_(host_.seed),
        sources_(blocks, host_.lookup, host_.post, SourceEvents()) {}

  uint64_t Start(FetchRequest request, FetchHandlers handlers) override {
    uint64_t number = next_number_.fetch_add(1);
    host_.post(
        [this, number, request = std::move(request), handlers = std::move(handlers)]() mutable {
          Begin(number, std::move(request), std::move(handlers));
        });
    return number;
  }

  void Cancel(uint64_t fetch) override {
    host_.post([this, fetch] { Forget(fetch); });
  }

  int active() const override { return active_.load(); }

  void Shutdown(std::function<void()> done) override {
    host_.post([this, done = std::move(done)]() mutable { EndAll(std::move(done)); });
  }

 private:
  // A content that some task waits for.
  struct Content {
    std::unique_ptr<ContentReceiver> receiver;
    uint64_t generation = 0;
    std::set<FileId> tasks;
    uint64_t search = 0;  // 0: none under way.
    absl::Time next_search = absl::InfinitePast();
    absl::Duration retry = kSearchRetryMin;
    bool found = false;    // Some search brought a publisher.
    bool nowhere = false;  // Every peer was asked and none has, or had, it.
  };

  using Tasks = std::map<FileId, FetchTask>;

  BlockSourceEvents SourceEvents();
  ReceiverHost HostOf(const FileId& content, uint64_t generation);
  void Begin(uint64_t number, FetchRequest request, FetchHandlers handlers);
  void Forget(uint64_t number);
  void EndAll(std::function<void()> done);

  void RunOnWorker(std::function<void()> work, std::function<void()> after);
  void BlockArrived(const PeerId& source, const FileId& file, uint32_t index, std::string bytes);
  void BlockWritten(const PeerId& source, const FileId& file, uint32_t index,
                    const absl::Status& result);

  // Tries `source` for everything that the task receives now and later.
  void AddSource(FetchTask& task, const PeerId& source);
  void StartContents(FetchTask& task);
  void StartContent(FetchTask& task, const FileId& id);
  void FindSources(const FileId& content);
  void SourcesFound(const FileId& content, uint64_t generation, const std::vector<Hit>& hits);
  void SearchEnded(const FileId& content, uint64_t generation, const SearchSummary& summary);
  void ContentEnded(const FileId& content, uint64_t generation, const absl::Status& status);
  void ContentReceived(FetchTask& task, const ContentReceiver& receiver);
  void ReadListing(FetchTask& task, const FileId& id);
  void Advance(const FileId& task_id);
  void Publish(FetchTask& task);
  void EndTask(FileId task_id, const absl::Status& status);  // By value: often the task's own.
  void DropUnused();

  void Tick();
  bool OutOfSources(const FetchTask& task, absl::Time now) const;
  absl::Status NotFound(const FetchTask& task) const;
  FetchProgress ProgressOf(const FetchTask& task) const;

  const FetchOptions options_;
  FileStore& files_;
  Dispatcher& dispatcher_;
  const FetcherHost host_;
  Random random_;
  std::map<FileId, Content> contents_;
  Tasks tasks_;
  uint64_t buffered_bytes_ = 0;
  uint64_t next_generation_ = 1;
  bool ticking_ = false;
  bool stopping_ = false;
  std::atomic<uint64_t> next_number_{1};
  std::atomic<int> active_{0};
  BlockSources sources_;  // Last: its events refer to the members above.
};

BlockSourceEvents FetcherImpl::SourceEvents() {
  BlockSourceEvents events;
  events.on_manifest = [this](const PeerId& source, ManifestAnswer answer) {
    auto it = contents_.find(answer.file);
    if (it == contents_.end()) return;
    it->second.receiver->OnManifest(source, std::move(answer), host_.now());
  };
  events.on_refused = [this](const PeerId& source, const FileId& file, bool manifest,
                             uint32_t index, const std::string& reason) {
    auto it = contents_.find(file);
    if (it == contents_.end()) return;
    it->second.receiver->OnRefused(source, manifest, index, reason, host_.now());
  };
  events.on_closed = [this](const PeerId& source, const std::string& why) {
    for (auto& [id, task] : tasks_) task.sources.erase(source);
    for (auto& [id, content] : contents_) {
      content.receiver->OnSourceClosed(source, why, host_.now());
    }
  };
  events.on_block = [this](const PeerId& source, const FileId& file, uint32_t index,
                           std::string bytes) {
    BlockArrived(source, file, index, std::move(bytes));
  };
  return events;
}

// --- Work on workers -----------------------------------------------------------------------------

void FetcherImpl::RunOnWorker(std::function<void()> work, std::function<void()> after) {
  auto task = [this, work, after] {
    work();
    host_.post(after);
  };
  if (dispatcher_.Submit(WorkClass::kBulk, "fetch", std::move(task)).ok()) return;
  host_.post_after(kOverloadRetry, [this, work = std::move(work), after = std::move(after)] {
    RunOnWorker(work, after);
  });
}

void FetcherImpl::BlockArrived(const PeerId& source, const FileId& file, uint32_t index,
                               std::string bytes) {
  auto shared = std::make_shared<const std::string>(std::move(bytes));
  absl::Status queued = dispatcher_.Submit(
      WorkClass::kBulk, source.ToShortText(), [this, source, file, index, shared] {
        absl::Status result = files_.ReceiveBlock(file, index, *shared);
        host_.post(
            [this, source, file, index, result] { BlockWritten(source, file, index, result); });
      });
  if (queued.ok()) return;
  host_.post_after(kOverloadRetry, [this, source, file, index, queued] {
    BlockWritten(source, file, index, queued);
  });
}

void FetcherImpl::BlockWritten(const PeerId& source, const FileId& file, uint32_t index,
                               const absl::Status& result) {
  auto it = contents_.find(file);
  if (it != contents_.end())
    it->second.receiver->OnBlockReceived(source, index, result, host_.now());
}

ReceiverHost FetcherImpl::HostOf(const FileId& content, uint64_t generation) {
  auto current = [this, content, generation] {
    auto it = contents_.find(content);
    return it != contents_.end() && it->second.generation == generation;
  };
  ReceiverHost host;
  host.run = [this, current](std::function<void()> work, std::function<void()> after) {
    RunOnWorker(std::move(work), [current, after = std::move(after)] {
      if (current()) after();
    });
  };
  host.find_sources = [this](const FileId& id) { FindSources(id); };
  host.on_ended = [this, generation](const FileId& id, const absl::Status& status) {
    // Later: the receiver that says so is freed by it.
    host_.post([this, id, generation, status] { ContentEnded(id, generation, status); });
  };
  host.reserve = [this](uint64_t size) {
    if (buffered_bytes_ > 0 && buffered_bytes_ + size > kReceiveBufferMax) return false;
    buffered_bytes_ += size;
    return true;
  };
  host.release = [this](uint64_t size) { buffered_bytes_ -= size; };
  host.now = host_.now;
  return host;
}

// --- Fetches -------------------------------------------------------------------------------------

void FetcherImpl::Begin(uint64_t number, FetchRequest request, FetchHandlers handlers) {
  if (stopping_) {
    handlers.on_done(Error(ErrorReason::kShuttingDown, "the peer is stopping"), {});
    return;
  }
  auto [it, inserted] = tasks_.try_emplace(request.id);
  FetchTask& task = it->second;
  if (inserted && static_cast<int>(tasks_.size()) > kFetchesMax) {
    tasks_.erase(it);
    handlers.on_done(OverloadedError(absl::StrCat(kFetchesMax, " fetches are under way already"),
                                     absl::Seconds(5)),
                     {});
    return;
  }
  if (task.callers.size() >= kFetchCallersMax) {
    handlers.on_done(
        OverloadedError(absl::StrCat(kFetchCallersMax, " programs wait for this fetch already"),
                        absl::Seconds(5)),
        {});
    return;
  }
  task.callers[number] = std::move(handlers);
  for (const PeerId& source : request.sources) AddSource(task, source);
  if (!request.name.empty()) {
    task.name = request.name;
    task.named = true;
  }
  task.repair = request.repair && (inserted || task.repair);
  if (!inserted) return;
  active_.fetch_add(1);
  task.id = request.id;
  task.timeout = request.timeout;
  task.last_progress = host_.now();
  task.seen.insert(task.id);
  task.waiting.push_back(task.id);
  StartContents(task);
  if (!std::exchange(ticking_, true)) host_.post_after(kTick, [this] { Tick(); });
}

void FetcherImpl::AddSource(FetchTask& task, const PeerId& source) {
  bool room = static_cast<int>(task.sources.size()) < options_.known_sources_max;
  if (source == host_.self || !room || !task.sources.insert(source).second) return;
  for (const FileId& id : task.active) {
    auto it = contents_.find(id);
    if (it != contents_.end()) it->second.receiver->AddSource(source, host_.now());
  }
}

void FetcherImpl::StartContents(FetchTask& task) {
  while (!task.waiting.empty() && static_cast<int>(task.active.size()) < kChildrenMax) {
    FileId id = task.waiting.front();
    task.waiting.pop_front();
    StartContent(task, id);
  }
}

void FetcherImpl::StartContent(FetchTask& task, const FileId& id) {
  task.active.insert(id);
  auto [it, inserted] = contents_.try_emplace(id);
  Content& content = it->second;
  content.tasks.insert(task.id);
  if (inserted) {
    content.generation = next_generation_++;
    content.receiver = std::make_unique<ContentReceiver>(id, options_, files_, sources_, random_,
                                                         HostOf(id, content.generation));
    content.receiver->Begin();
  }
  for (const PeerId& source : task.sources) content.receiver->AddSource(source, host_.now());
}

void FetcherImpl::FindSources(const FileId& id) {
  auto it = contents_.find(id);
  if (it == contents_.end() || it->second.search != 0 || stopping_) return;
  Content& content = it->second;
  absl::Time now = host_.now();
  if (now < content.next_search) return;
  uint64_t generation = content.generation;
  SearchHandlers handlers;
  handlers.on_hits = [this, id, generation](std::vector<Hit> hits) {
    SourcesFound(id, generation, hits);
  };
  handlers.on_done = [this, id, generation](const SearchSummary& summary) {
    SearchEnded(id, generation, summary);
  };
  content.search = host_.search(absl::StrCat("id:", id.ToText()), kSourceRecall, kSourceHitsMax,
                                kSearchTimeout, std::move(handlers));
  // Refused: this peer has too much to do.
  if (content.search == 0) content.next_search = now + content.retry;
}

void FetcherImpl::SourcesFound(const FileId& id, uint64_t generation,
                               const std::vector<Hit>& hits) {
  auto it = contents_.find(id);
  if (it == contents_.end() || it->second.generation != generation) return;
  for (const Hit& hit : hits) {
    if (hit.record.id.bytes != id.bytes) continue;
    if (auto task = tasks_.find(id); task != tasks_.end()) {
      if (task->second.name.empty()) task->second.name = hit.record.name;
      if (task->second.attributes.empty()) task->second.attributes = hit.record.attributes;
    }
    if (hit.publisher.id == host_.self) continue;
    it->second.found = true;
    for (const FileId& task_id : it->second.tasks) {
      std::set<PeerId>& sources = tasks_[task_id].sources;
      if (static_cast<int>(sources.size()) < options_.known_sources_max) {
        sources.insert(hit.publisher.id);
      }
    }
    it->second.receiver->AddSource(hit.publisher.id, host_.now());
  }
}

void FetcherImpl::SearchEnded(const FileId& id, uint64_t generation, const SearchSummary& summary) {
  auto it = contents_.find(id);
  if (it == contents_.end() || it->second.generation != generation) return;
  Content& content = it->second;
  content.search = 0;
  content.next_search = host_.now() + content.retry;
  content.retry = std::min(content.retry * 2, kSearchRetryMax);
  // A peer that publishes it and cannot be reached just now may come back, also one that was there
  // at an earlier search: that takes its time.
  content.nowhere = !content.found && summary.complete && summary.recall >= 1.0;
  for (const FileId& task_id : content.tasks) {
    FetchTask& task = tasks_[task_id];
    task.peers_asked = std::max(task.peers_asked, summary.peers_reached);
  }
}

void FetcherImpl::ContentEnded(const FileId& id, uint64_t generation, const absl::Status& status) {
  auto it = contents_.find(id);
  if (it == contents_.end() || it->second.generation != generation) return;
  Content content = std::move(it->second);
  contents_.erase(it);
  if (content.search != 0) host_.cancel_search(content.search);
  for (const FileId& task_id : content.tasks) {
    auto task = tasks_.find(task_id);
    if (task == tasks_.end()) continue;
    if (!status.ok()) {
      EndTask(task_id, status);
      continue;
    }
    ContentReceived(task->second, *content.receiver);
    Advance(task_id);
  }
  content.receiver.reset();  // Gives its room back before others resume.
  for (auto& [other_id, other] : contents_) other.receiver->Resume();
}

void FetcherImpl::ContentReceived(FetchTask& task, const ContentReceiver& receiver) {
  const Manifest& manifest = *receiver.manifest();
  task.active.erase(receiver.id());
  task.last_progress = host_.now();
  task.received_bytes += receiver.received_bytes();
  task.contributors.insert(receiver.contributors().begin(), receiver.contributors().end());
  bool top = receiver.id() == task.id;
  if (top) {
    task.type = manifest.type;
    if (manifest.type == FileType::kFile) task.total_bytes = manifest.size_bytes;
    if (manifest.type == FileType::kDirectory) task.files_total = 0;
  }
  if (manifest.type == FileType::kDirectory) {
    ReadListing(task, receiver.id());
    return;
  }
  ++task.files_done;
  task.done_bytes += manifest.size_bytes;
}

void FetcherImpl::ReadListing(FetchTask& task, const FileId& id) {
  ++task.listings_open;
  auto entries =
      std::make_shared<absl::StatusOr<std::vector<ListingEntry>>>(absl::UnknownError(""));
  RunOnWorker([this, id, entries] { *entries = files_.ReadListing(id); },
              [this, task_id = task.id, entries] {
                auto it = tasks_.find(task_id);
                if (it == tasks_.end()) return;
                --it->second.listings_open;
                if (!entries->ok()) return EndTask(task_id, entries->status());
                absl::Status added = it->second.AddEntries(**entries);
                if (!added.ok()) return EndTask(task_id, added);
                Advance(task_id);
              });
}

void FetcherImpl::Advance(const FileId& task_id) {
  auto it = tasks_.find(task_id);
  if (it == tasks_.end()) return;
  StartContents(it->second);
  if (!it->second.Received() || it->second.publishing) return;
  if (it->second.repair) return EndTask(task_id, absl::OkStatus());
  it->second.publishing = true;
  Publish(it->second);
}

void FetcherImpl::Publish(FetchTask& task) {
  auto added = std::make_shared<absl::StatusOr<AddedFile>>(absl::UnknownError(""));
  RunOnWorker(
      [this, added, id = task.id, named = task.named, name = task.name,
       attributes = task.attributes] {
        auto details = files_.Find(id);
        if (!named && details.ok() && !details->name.empty()) {
          // Published here already: as it is, with its attributes.
          *added = AddedFile{.id = id, .type = details->type, .name = details->name};
          return;
        }
        *added = files_.PublishFetched(id, name.empty() ? id.ToText() : name, attributes);
      },
      [this, added, task_id = task.id] {
        auto it = tasks_.find(task_id);
        if (it == tasks_.end()) return;
        if (!added->ok()) return EndTask(task_id, added->status());
        it->second.name = (*added)->name;
        host_.pages_changed();
        EndTask(task_id, absl::OkStatus());
      });
}

void FetcherImpl::EndTask(FileId task_id, const absl::Status& status) {
  auto it = tasks_.find(task_id);
  if (it == tasks_.end()) return;
  FetchProgress progress = ProgressOf(it->second);
  std::map<uint64_t, FetchHandlers> callers = std::move(it->second.callers);
  tasks_.erase(it);
  active_.fetch_sub(1);
  DropUnused();
  for (auto& [number, handlers] : callers) handlers.on_done(status, progress);
}

void FetcherImpl::Forget(uint64_t number) {
  for (auto& [id, task] : tasks_) {
    if (task.callers.erase(number) == 0) continue;
    if (task.callers.empty()) EndTask(id, absl::OkStatus());
    return;
  }
}

// Lets go of contents that no task waits for any more, after a last checkpoint, and of their
// sources.
void FetcherImpl::DropUnused() {
  for (auto it = contents_.begin(); it != contents_.end();) {
    std::erase_if(it->second.tasks, [this](const FileId& id) { return !tasks_.contains(id); });
    if (!it->second.tasks.empty()) {
      ++it;
      continue;
    }
    if (it->second.search != 0) host_.cancel_search(it->second.search);
    FileId id = it->first;
    bool receiving = it->second.receiver->received_bytes() > 0;
    it = contents_.erase(it);
    if (!receiving) continue;
    RunOnWorker(
        [this, id] {
          absl::Status kept = files_.CheckpointReceive(id);
          if (!kept.ok()) LogLimited(LogLevel::kWarning, "checkpoint_failed");
        },
        [] {});
  }
  sources_.CloseUnless([this](const PeerId& source) {
    return std::any_of(tasks_.begin(), tasks_.end(),
                       [&](const auto& task) { return task.second.sources.contains(source); }) ||
           std::any_of(contents_.begin(), contents_.end(),
                       [&](const auto& content) { return content.second.receiver->Uses(source); });
  });
}

void FetcherImpl::EndAll(std::function<void()> done) {
  stopping_ = true;
  // Shared by the checkpoints under way: the last one calls `done`.
  auto pending = std::make_shared<int>(1);
  auto one_less = [this, pending, done = std::move(done)] {
    if (--*pending > 0) return;
    absl::Status status =
        Error(ErrorReason::kShuttingDown, "the peer is stopping; the next fetch goes on from here");
    while (!tasks_.empty()) EndTask(tasks_.begin()->first, status);
    sources_.CloseAll();
    done();
  };
  for (auto& [id, content] : contents_) {
    if (content.receiver->received_bytes() == 0) continue;
    ++*pending;
    RunOnWorker([this, id = id] { (void)files_.CheckpointReceive(id); }, one_less);
  }
  one_less();
}

// --- Time ----------------------------------------------------------------------------------------

void FetcherImpl::Tick() {
  if (tasks_.empty() || stopping_) {
    ticking_ = false;
    return;
  }
  absl::Time now = host_.now();
  for (auto& [id, content] : contents_) {
    content.receiver->Tick(now);
    content.receiver->Resume();
  }
  std::vector<FileId> ended;
  for (auto& [id, task] : tasks_) {
    if (OutOfSources(task, now)) {
      ended.push_back(id);
      continue;
    }
    FetchProgress progress = ProgressOf(task);
    for (auto& [number, handlers] : task.callers) handlers.on_progress(progress);
  }
  for (const FileId& id : ended) EndTask(id, NotFound(tasks_[id]));
  host_.post_after(kTick, [this] { Tick(); });
}

bool FetcherImpl::OutOfSources(const FetchTask& task, absl::Time now) const {
  if (task.active.empty() || task.publishing || task.listings_open > 0) return false;
  absl::Time last = task.last_progress;
  bool nowhere = false;
  for (const FileId& id : task.active) {
    const Content& content = contents_.at(id);
    if (content.receiver->Busy()) return false;
    last = std::max(last, content.receiver->last_progress());
    nowhere = nowhere || (content.nowhere && content.search == 0);
  }
  return nowhere || now - last > task.timeout;
}

absl::Status FetcherImpl::NotFound(const FetchTask& task) const {
  std::string why;
  for (const FileId& id : task.active) {
    auto it = contents_.find(id);
    if (it == contents_.end() || it->second.receiver->last_failure().empty()) continue;
    why = absl::StrCat("; the last source failed: ", it->second.receiver->last_failure());
    break;
  }
  std::string what =
      task.files_total > 1 ? absl::StrCat("a part of ", task.id.ToText()) : task.id.ToText();
  return Error(ErrorReason::kSourceNotFound,
               absl::StrCat("no source for ", what, ": ", Counted(task.peers_asked, "peer"),
                            task.peers_asked == 1 ? " was asked" : " were asked", why),
               {{"id", task.id.ToText()}, {"peers_asked", absl::StrCat(task.peers_asked)}});
}

FetchProgress FetcherImpl::ProgressOf(const FetchTask& task) const {
  FetchProgress progress;
  progress.held_bytes = task.done_bytes;
  progress.total_bytes = task.total_bytes;
  progress.received_bytes = task.received_bytes;
  progress.files_done = task.files_done;
  progress.files_total = task.files_total;
  progress.name = task.name;
  progress.kind = task.type == FileType::kDirectory ? "directory" : "file";
  progress.peers_asked = task.peers_asked;
  std::set<PeerId> contributors = task.contributors;
  bool busy = task.active.empty();
  for (const FileId& id : task.active) {
    auto it = contents_.find(id);
    if (it == contents_.end()) continue;
    const ContentReceiver& receiver = *it->second.receiver;
    busy = busy || receiver.Busy();
    progress.received_bytes += receiver.received_bytes();
    contributors.insert(receiver.contributors().begin(), receiver.contributors().end());
    if (!receiver.manifest() || receiver.manifest()->type != FileType::kFile) continue;
    progress.held_bytes += receiver.held_bytes();
    if (id == task.id) progress.total_bytes = receiver.manifest()->size_bytes;
  }
  progress.sources = static_cast<int>(contributors.size());
  if (!busy) progress.waiting = "searching for sources";
  return progress;
}

}  // namespace

std::unique_ptr<Fetcher> Fetcher::Create(const FetchOptions& options, FileStore& files,
                                         Dispatcher& dispatcher, BlocksClient& blocks,
                                         FetcherHost host) {
  return std::make_unique<FetcherImpl>(options, files, dispatcher, blocks, std::move(host));
}

}  // namespace panal
