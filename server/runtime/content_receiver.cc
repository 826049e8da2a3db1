#include "server/runtime/content_receiver.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "server/runtime/fetcher.h"

namespace panal {
namespace {

// A source that was asked for a manifest and sends nothing at all for this time is given up; search
// may find it again. Guess: a dial and a read.
constexpr absl::Duration kManifestTimeout = absl::Seconds(10);
// One that answers other things is slow, not silent, up to this time. Guess: what a peer with a
// long queue takes on a machine that is overloaded.
constexpr absl::Duration kManifestWaitMax = absl::Minutes(5);
constexpr char kNoManifest[] = "no manifest within 10 s";

// Bits of docs/protocol/files.md: bit i of byte i/8, least significant first. Empty: all are held.
std::vector<bool> HeldFromBitmap(const std::string& bitmap, size_t blocks) {
  if (bitmap.empty()) return {};
  std::vector<bool> held(blocks);
  for (size_t i = 0; i < blocks && i / 8 < bitmap.size(); ++i) {
    held[i] = (static_cast<uint8_t>(bitmap[i / 8]) >> (i % 8)) & 1;
  }
  return held;
}

// What passes by itself: the block is asked for again.
bool PassesByItself(const absl::Status& status) {
  ErrorReason reason = ReasonOf(status);
  return reason == ErrorReason::kOverloaded || reason == ErrorReason::kShuttingDown;
}

// An error of this machine, not of a source: the fetch cannot go on. FILE_NOT_FOUND: the content
// was removed while it was being received.
bool IsLocal(const absl::Status& status) {
  return !status.ok() && ReasonOf(status) != ErrorReason::kBlockCorrupt && !PassesByItself(status);
}

}  // namespace

ContentReceiver::ContentReceiver(const FileId& id, const FetchOptions& options, FileStore& files,
                                 BlockSources& sources, Random& random, ReceiverHost host)
    : id_(id),
      options_(options),
      files_(files),
      blocks_(sources),
      random_(random),
      host_(std::move(host)) {}

ContentReceiver::~ContentReceiver() {
  for (const auto& [key, size] : reserved_) host_.release(size);
}

void ContentReceiver::Release(const PeerId& source, uint32_t index) {
  auto it = reserved_.find({source, index});
  if (it == reserved_.end()) return;
  host_.release(it->second);
  reserved_.erase(it);
}

void ContentReceiver::ReleaseAll(const PeerId& source) {
  auto it = reserved_.lower_bound({source, 0});
  while (it != reserved_.end() && it->first.first == source) {
    host_.release(it->second);
    it = reserved_.erase(it);
  }
}

void ContentReceiver::Begin() {
  last_progress_ = host_.now();
  auto held = std::make_shared<absl::StatusOr<FileStore::Held>>(absl::UnknownError(""));
  // BeginReceive decides what is held: of what lies in place and has changed, nothing is. The
  // worker may outlive the receiver: it gets copies.
  host_.run(
      [&files = files_, id = id_, held] {
        *held = files.FindHeld(id);
        if (held->ok()) *held = files.BeginReceive((*held)->manifest);
      },
      [this, held] { Found(std::move(*held)); });
}

void ContentReceiver::Found(absl::StatusOr<FileStore::Held> held) {
  looked_ = true;
  if (held.ok()) {
    Manifest manifest = held->manifest;
    Receive(manifest, std::move(held));
    return;
  }
  if (ReasonOf(held.status()) != ErrorReason::kFileNotFound) return End(held.status());
  AskManifest();
}

void ContentReceiver::AddSource(const PeerId& source, absl::Time now) {
  if (ended_ || static_cast<int>(sources_known_.size()) >= options_.known_sources_max) return;
  if (refused_.contains(source) || !sources_known_.insert(source).second) return;
  if (fetch_ != nullptr) {
    Feed(SourceAdded{source}, now);
    // One that the scheduler does not want must not end the search for others.
    if (fetch_->sources_open() > 0) searching_ = false;
    return;
  }
  searching_ = false;
  sources_untried_.insert(source);
  AskManifest();
}

void ContentReceiver::AskManifest() {
  if (ended_ || !looked_ || fetch_ != nullptr || manifest_source_) return;
  if (sources_untried_.empty()) {
    if (!std::exchange(searching_, true)) host_.find_sources(id_);
    return;
  }
  auto it = sources_untried_.begin();
  std::advance(it, static_cast<long>(random_.Below(sources_untried_.size())));
  manifest_source_ = *it;
  sources_untried_.erase(it);
  manifest_asked_ = AskNow(*manifest_source_);
}

void ContentReceiver::OnManifest(const PeerId& source, ManifestAnswer answer, absl::Time now) {
  if (ended_) return;
  if (fetch_ != nullptr) {
    opening_.erase(source);
    Feed(SourceReady{source, HeldFromBitmap(answer.held, manifest_->blocks.size())}, now);
    return;
  }
  if (manifest_source_ != source) return;
  auto manifest = std::make_shared<absl::StatusOr<Manifest>>(absl::UnknownError(""));
  auto shared = std::make_shared<ManifestAnswer>(std::move(answer));
  host_.run(
      [id = id_, manifest, shared] { *manifest = DecodeManifest(shared->manifest, id); },
      [this, source, manifest, shared] { ManifestDecoded(source, *manifest, std::move(*shared)); });
}

void ContentReceiver::ManifestDecoded(const PeerId& source,
                                      const absl::StatusOr<Manifest>& manifest,
                                      ManifestAnswer answer) {
  if (ended_ || fetch_ != nullptr || manifest_source_ != source) return;
  if (!manifest.ok()) {
    LogLimited(
        LogLevel::kWarning, "manifest_refused",
        {{"source", source.ToShortText()}, {"why", std::string(manifest.status().message())}});
    last_failure_ = absl::StrCat(source.ToShortText(), ": ", manifest.status().message());
    Refuse(source);
    manifest_source_.reset();
    AskManifest();
    return;
  }
  manifest_ = *manifest;
  if (answer.has_inline_content) return ReceiveInline(source, std::move(answer.inline_content));
  held_by_[source] = std::move(answer.held);
  auto held = std::make_shared<absl::StatusOr<FileStore::Held>>(absl::UnknownError(""));
  host_.run(
      [&files = files_, held, manifest = *manifest_] { *held = files.BeginReceive(manifest); },
      [this, held, manifest = *manifest_] { Receive(manifest, std::move(*held)); });
}

void ContentReceiver::ReceiveInline(const PeerId& source, std::string content) {
  auto result = std::make_shared<absl::Status>();
  uint64_t size = content.size();
  host_.run([&files = files_, result, manifest = *manifest_,
             content = std::move(content)] { *result = files.ReceiveInline(manifest, content); },
            [this, result, source, size] {
              if (result->ok()) {
                held_bytes_ = received_bytes_ = size;
                contributors_.insert(source);
                last_progress_ = host_.now();
                return End(absl::OkStatus());
              }
              if (IsLocal(*result)) return End(*result);
              LogLimited(LogLevel::kWarning, "block_corrupt",
                         {{"source", source.ToShortText()}, {"file", id_.ToShortText()}});
              last_failure_ = absl::StrCat(source.ToShortText(), ": ", result->message());
              Refuse(source);
              if (fetch_ != nullptr) return;  // Another source's manifest came meanwhile.
              manifest_.reset();
              manifest_source_.reset();
              AskManifest();
            });
}

void ContentReceiver::Receive(const Manifest& manifest, absl::StatusOr<FileStore::Held> held) {
  if (ended_ || fetch_ != nullptr) return;  // The source closed, and another's manifest came first.
  if (!held.ok()) return End(held.status());
  manifest_ = manifest;
  held_ = held->held;
  if (held_.empty()) held_.assign(manifest.blocks.size(), true);
  for (uint32_t i = 0; i < held_.size(); ++i) {
    if (held_[i]) held_bytes_ += manifest.BlockSize(i);
  }
  fetch_ = Fetch::Create(held_, manifest.block_size_bytes, options_, random_);
  manifest_source_.reset();
  absl::Time now = host_.now();
  searching_ = false;
  for (const PeerId& source : std::set<PeerId>(sources_known_)) {  // Feeding may drop some.
    if (!ended_) Feed(SourceAdded{source}, now);
  }
  if (!ended_) Feed(FetchTick{}, now);  // Last: without a source it asks for some.
}

void ContentReceiver::OnRefused(const PeerId& source, bool manifest, uint32_t index,
                                const std::string& reason, absl::Time now) {
  if (ended_) return;
  if (fetch_ != nullptr) {
    if (manifest) {
      Forget(source);
      Feed(SourceFailed{source, reason}, now);
    } else {
      Release(source, index);
      Feed(BlockFailed{source, index, BlockFailure::kRefused}, now);
    }
    return;
  }
  if (manifest_source_ != source) return;
  last_failure_ = absl::StrCat(source.ToShortText(), ": ", reason);
  manifest_source_.reset();
  AskManifest();
}

void ContentReceiver::OnSourceClosed(const PeerId& source, const std::string& why, absl::Time now) {
  if (ended_ || sources_known_.erase(source) == 0) return;
  last_failure_ = absl::StrCat(source.ToShortText(), ": ", why);
  Forget(source);
  if (fetch_ != nullptr) {
    Feed(SourceFailed{source, why}, now);
    return;
  }
  if (manifest_source_ != source) return;
  manifest_source_.reset();
  AskManifest();
}

void ContentReceiver::OnBlockReceived(const PeerId& source, uint32_t index,
                                      const absl::Status& result, absl::Time now) {
  Release(source, index);
  if (ended_ || fetch_ == nullptr || index >= manifest_->blocks.size()) return;
  uint32_t size = manifest_->BlockSize(index);
  if (result.ok()) {
    if (!held_[index]) held_bytes_ += size;  // In the end game a block comes twice.
    held_[index] = true;
    received_bytes_ += size;
    contributors_.insert(source);
    dirty_ = true;
    last_progress_ = now;
    Feed(BlockStored{source, index}, now);
    return;
  }
  if (IsLocal(result)) return End(result);
  bool corrupt = ReasonOf(result) == ErrorReason::kBlockCorrupt;
  if (corrupt) {
    LogLimited(LogLevel::kWarning, "block_corrupt",
               {{"source", source.ToShortText()},
                {"file", id_.ToShortText()},
                {"block", absl::StrCat(index)}});
  }
  if (corrupt) Refuse(source);
  last_failure_ = absl::StrCat(source.ToShortText(), ": ", result.message());
  Feed(BlockFailed{source, index, corrupt ? BlockFailure::kCorrupt : BlockFailure::kLocal}, now);
}

void ContentReceiver::Tick(absl::Time now) {
  if (ended_) return;
  if (fetch_ == nullptr) {
    if (manifest_source_ && !manifest_ && IsSilent(*manifest_source_, manifest_asked_, now)) {
      sources_known_.erase(*manifest_source_);
      OnRefused(*manifest_source_, /*manifest=*/true, 0, kNoManifest, now);
    } else if (!manifest_source_ && searching_) {
      host_.find_sources(id_);
    }
    return;
  }
  GiveUpSilent(now);
  Feed(FetchTick{}, now);
  if (ended_) return;
  if (searching_) host_.find_sources(id_);
  if (dirty_ && now - last_checkpoint_ >= kCheckpointInterval) Checkpoint();
}

ContentReceiver::Asked ContentReceiver::AskNow(const PeerId& source) {
  blocks_.WantManifest(source, id_);
  return {.at = host_.now(), .heard = host_.now(), .answers = blocks_.AnswersFrom(source)};
}

bool ContentReceiver::IsSilent(const PeerId& source, Asked& asked, absl::Time now) const {
  uint64_t answers = blocks_.AnswersFrom(source);
  // Somebody else may be quicker, so that a slow one is waited for only where there is no other.
  bool slow =
      answers != asked.answers && now - asked.at <= kManifestWaitMax && sources_untried_.empty();
  if (slow) asked = {.at = asked.at, .heard = now, .answers = answers};
  return now - asked.heard > kManifestTimeout;
}

// Sources that were asked for their manifest and do not answer.
void ContentReceiver::GiveUpSilent(absl::Time now) {
  std::vector<PeerId> silent;
  for (auto& [source, asked] : opening_) {
    if (IsSilent(source, asked, now)) silent.push_back(source);
  }
  for (const PeerId& source : silent) {
    sources_known_.erase(source);
    last_failure_ = absl::StrCat(source.ToShortText(), ": ", kNoManifest);
    Forget(source);
    if (!ended_) Feed(SourceFailed{source, kNoManifest}, now);
  }
}

void ContentReceiver::Forget(const PeerId& source) {
  sources_untried_.erase(source);
  opening_.erase(source);
  held_by_.erase(source);
  std::erase_if(waiting_for_room_, [&](const WantBlock& want) { return want.source == source; });
  ReleaseAll(source);
}

void ContentReceiver::Refuse(const PeerId& source) {
  sources_known_.erase(source);
  if (static_cast<int>(refused_.size()) < options_.known_sources_max) refused_.insert(source);
}

void ContentReceiver::Resume() {
  std::vector<WantBlock> waiting = std::move(waiting_for_room_);
  waiting_for_room_.clear();
  for (const WantBlock& want : waiting) Perform(want);
}

void ContentReceiver::Checkpoint() {
  dirty_ = false;
  last_checkpoint_ = host_.now();
  auto result = std::make_shared<absl::Status>();
  host_.run([&files = files_, id = id_, result] { *result = files.CheckpointReceive(id); },
            [this, result] {
              if (IsLocal(*result)) End(*result);
            });
}

bool ContentReceiver::Busy() const {
  if (!looked_ || finishing_) return true;
  if (fetch_ == nullptr) return manifest_source_.has_value();
  // Sources that are open and have nothing that is missing do not count.
  return fetch_->sources_open() > 0 && !searching_;
}

void ContentReceiver::Feed(const FetchInput& input, absl::Time now) {
  std::vector<FetchOutput> outputs;
  fetch_->Handle(input, now, outputs);
  for (const FetchOutput& output : outputs) {
    if (ended_) return;
    std::visit([this](const auto& one) { Perform(one); }, output);
  }
}

void ContentReceiver::Perform(const OpenSource& output) {
  auto it = held_by_.find(output.source);
  if (it == held_by_.end()) {
    opening_[output.source] = AskNow(output.source);
    return;
  }
  std::string bitmap = std::move(it->second);
  held_by_.erase(it);
  Feed(SourceReady{output.source, HeldFromBitmap(bitmap, manifest_->blocks.size())}, host_.now());
}

void ContentReceiver::Perform(const RefreshSource& output) {
  blocks_.WantManifest(output.source, id_);
}

void ContentReceiver::Perform(const WantBlock& output) {
  uint32_t size = manifest_->BlockSize(output.index);
  std::pair<PeerId, uint32_t> key{output.source, output.index};
  if (!reserved_.contains(key)) {
    if (!host_.reserve(size)) {
      waiting_for_room_.push_back(output);  // At most options_.wants_max of them.
      return;
    }
    reserved_[key] = size;
  }
  blocks_.WantBlock(output.source, id_, output.index, size);
}

void ContentReceiver::Perform(const CloseSource& output) {
  if (output.why != "complete") {
    last_failure_ = absl::StrCat(output.source.ToShortText(), ": ", output.why);
  }
  sources_known_.erase(output.source);
  Forget(output.source);
}

void ContentReceiver::Perform(const FetchComplete&) {
  finishing_ = true;
  auto result = std::make_shared<absl::Status>();
  host_.run([&files = files_, id = id_, result] { *result = files.CheckpointReceive(id); },
            [this, result] { End(*result); });
}

void ContentReceiver::Perform(const SourcesExhausted& output) {
  if (!output.why.empty()) last_failure_ = output.why;
  if (!std::exchange(searching_, true)) host_.find_sources(id_);
}

void ContentReceiver::End(const absl::Status& status) {
  if (std::exchange(ended_, true)) return;
  host_.on_ended(id_, status);
}

}  // namespace panal
