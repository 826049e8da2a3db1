#include "server/runtime/blocks_session.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/model/manifest.h"
#include "common/rpc/status_convert.h"

namespace panal {
namespace {

constexpr uint32_t kBlocksMax = static_cast<uint32_t>(kFileSizeMax / kBlockSizeMax);
constexpr size_t kBitmapSizeMax = kBlocksMax / 8;
// Bytes of a reason's name. The longest is 28.
constexpr size_t kReasonSizeMax = 64;

absl::Status Invalid(absl::string_view what) {
  return Error(ErrorReason::kFrameInvalid, absl::StrCat("blocks stream: ", what));
}

}  // namespace

// One gRPC stream to one address.
class BlocksSession::Attempt {
 public:
  Attempt(std::shared_ptr<BlocksSession> owner, std::shared_ptr<grpc::Channel> over)
      : session(std::move(owner)),
        channel(std::move(over)),
        stub(v1::FileObject::NewStub(channel)) {
    for (size_t i = 0; i < kOperations; ++i) tags[i].operation = static_cast<Operation>(i);
  }

  // The tag of an operation that is about to begin on `self`; it keeps both alive until it is over.
  static Tag* Begin(const std::shared_ptr<Attempt>& self, Operation operation) {
    Tag& tag = self->tags[static_cast<size_t>(operation)];
    tag.attempt = self;
    return &tag;
  }

  const std::shared_ptr<BlocksSession> session;  // Shared with its owner and the client.
  const std::shared_ptr<grpc::Channel> channel;  // Shared with the pool.
  const std::unique_ptr<v1::FileObject::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::BlocksRequest, v1::BlocksResponse>> stream;
  grpc::Alarm alarm;
  std::array<Tag, kOperations> tags;
  v1::BlocksResponse incoming;  // Belongs to the read under way.
  grpc::Status status;          // Belongs to the finish under way.
  absl::Status refusal;         // Why the source was not admitted. Reader's thread only.
  bool opened = false;          // Reader's thread only.
};

BlocksSession::BlocksSession(PeerContact source, BlocksEvents events,
                             const StreamAdmission& admission, PeerChannels& channels,
                             grpc::CompletionQueue& queue,
                             std::function<void(BlocksSession*)> ended)
    : source_(std::move(source)),
      events_(std::move(events)),
      admission_(admission),
      channels_(channels),
      queue_(queue),
      ended_(std::move(ended)) {}

// --- Opening ------------------------------------------------------------------------------------

void BlocksSession::Start() { Dial(); }

void BlocksSession::Dial() {
  std::string address;
  {
    MutexLock lock(&mutex_);
    PANAL_CHECK(next_address_ < source_.addresses.size());
    address = source_.addresses[next_address_++];
  }
  auto attempt = std::make_shared<Attempt>(shared_from_this(),
                                           channels_.GetAt(source_.id, address, ChannelUse::kBulk));
  admission_.Attach(attempt->context);
  attempt->stream = attempt->stub->PrepareAsyncBlocks(&attempt->context, &queue_);
  bool unwanted = false;
  {
    MutexLock lock(&mutex_);
    attempt_ = attempt;
    unwanted = over_;
  }
  // The call is begun all the same: its end is what ends the session.
  if (unwanted) attempt->context.TryCancel();
  attempt->alarm.Set(&queue_, absl::ToChronoTime(absl::Now() + kBlocksOpenMax),
                     Attempt::Begin(attempt, Operation::kAlarm));
  attempt->stream->StartCall(Attempt::Begin(attempt, Operation::kOpen));
}

void BlocksSession::OnTag(Tag& tag, bool ok) {
  const std::shared_ptr<Attempt> attempt = std::move(tag.attempt);
  BlocksSession& session = *attempt->session;
  switch (tag.operation) {
    case Operation::kOpen:
      if (ok) {
        attempt->stream->ReadInitialMetadata(Attempt::Begin(attempt, Operation::kMetadata));
      } else {
        attempt->stream->Finish(&attempt->status, Attempt::Begin(attempt, Operation::kFinish));
      }
      return;
    case Operation::kMetadata:
      session.OnOpened(*attempt, ok);
      return;
    case Operation::kRead:
      session.OnRead(*attempt, ok);
      return;
    case Operation::kWrite: {
      MutexLock lock(&session.mutex_);
      session.writing_ = false;
    }
      if (ok) session.WriteNext();  // Otherwise the read tells.
      return;
    case Operation::kFinish:
      session.OnFinished(attempt);
      return;
    case Operation::kAlarm:
      if (ok && !attempt->opened) attempt->context.TryCancel();
      return;
  }
}

void BlocksSession::OnOpened(Attempt& attempt, bool ok) {
  const std::shared_ptr<Attempt> self = this->attempt();
  PANAL_CHECK(self.get() == &attempt);
  // gRPC reports metadata of a call that was refused as well; only a stream that is open yields a
  // message or waits for one.
  if (!ok) {
    attempt.stream->Finish(&attempt.status, Attempt::Begin(self, Operation::kFinish));
    return;
  }
  const absl::StatusOr<CredentialPtr> source = admission_.Admit(attempt.context);
  if (!source.ok()) {
    attempt.refusal = source.status();
    // In this order: where the source refused this peer, its status is there and is what counts.
    attempt.stream->Finish(&attempt.status, Attempt::Begin(self, Operation::kFinish));
    attempt.context.TryCancel();
    return;
  }
  attempt.opened = true;
  attempt.alarm.Cancel();
  {
    MutexLock lock(&mutex_);
    open_ = !over_;
    credential_ = *source;
  }
  attempt.stream->Read(&attempt.incoming, Attempt::Begin(self, Operation::kRead));
  WriteNext();
}

std::shared_ptr<BlocksSession::Attempt> BlocksSession::attempt() const {
  MutexLock lock(&mutex_);
  return attempt_;
}

void BlocksSession::Recheck() {
  CredentialPtr credential;
  {
    MutexLock lock(&mutex_);
    credential = credential_;
  }
  if (credential == nullptr) return;
  const absl::Status admitted = admission_.Recheck(*credential);
  if (!admitted.ok()) Cancel(admitted);
}

// --- Asking -------------------------------------------------------------------------------------

bool BlocksSession::Want(const FileId& file, bool manifest, uint32_t index, uint32_t size_bytes) {
  {
    MutexLock lock(&mutex_);
    if (over_) return true;
    const Key key{file, manifest, index};
    if (wanted_.contains(key)) return true;
    if (wanted_.size() >= static_cast<size_t>(kWantsPerStreamMax)) return false;
    wanted_[key].size_bytes = size_bytes;
    unsent_.push_back(key);
  }
  WriteNext();
  return true;
}

void BlocksSession::WriteNext() {
  v1::BlocksRequest request;
  std::shared_ptr<Attempt> attempt;
  {
    MutexLock lock(&mutex_);
    if (!open_ || writing_ || unsent_.empty()) return;
    const Key key = unsent_.front();
    unsent_.pop_front();
    if (key.manifest) {
      request.mutable_manifest()->set_file_id(key.file.ToBytes());
    } else {
      request.mutable_block()->set_file_id(key.file.ToBytes());
      request.mutable_block()->set_index(key.index);
    }
    writing_ = true;
    attempt = attempt_;
  }
  attempt->stream->Write(request, Attempt::Begin(attempt, Operation::kWrite));
}

// --- Answers ------------------------------------------------------------------------------------

void BlocksSession::OnRead(Attempt& attempt, bool ok) {
  const std::shared_ptr<Attempt> self = this->attempt();
  if (ok) {
    absl::Status taken = OnResponse(attempt.incoming);
    if (taken.ok()) {
      attempt.stream->Read(&attempt.incoming, Attempt::Begin(self, Operation::kRead));
      return;
    }
    Cancel(taken);
  }
  {
    MutexLock lock(&mutex_);
    open_ = false;
  }
  attempt.stream->Finish(&attempt.status, Attempt::Begin(self, Operation::kFinish));
}

absl::Status BlocksSession::OnResponse(v1::BlocksResponse& response) {
  switch (response.answer_case()) {
    case v1::BlocksResponse::kManifest:
      return OnManifest(*response.mutable_manifest());
    case v1::BlocksResponse::kChunk:
      return OnChunk(*response.mutable_chunk());
    case v1::BlocksResponse::kRefusal:
      return OnRefusal(*response.mutable_refusal());
    case v1::BlocksResponse::ANSWER_NOT_SET:
      break;
  }
  return Invalid("answer of no kind");
}

bool BlocksSession::Answered(const Key& key) {
  MutexLock lock(&mutex_);
  return wanted_.erase(key) > 0;
}

absl::Status BlocksSession::OnManifest(v1::ManifestPart& part) {
  const std::optional<FileId> file = FileId::FromBytes(part.file_id());
  if (!file || !Answered({*file, /*manifest=*/true, 0})) {
    return Invalid("manifest that was not asked for");
  }
  if (part.manifest().size() > kManifestSizeMax) return Invalid("manifest of more than 3 MiB");
  if (part.held().size() > kBitmapSizeMax) return Invalid("bitmap of more than 8 KiB");
  if (part.inline_content().size() > kInlineSizeMax) {
    return Invalid("inline content of more than 16 KiB");
  }
  ManifestAnswer answer;
  answer.file = *file;
  answer.manifest = std::move(*part.mutable_manifest());
  answer.held = std::move(*part.mutable_held());
  answer.inline_content = std::move(*part.mutable_inline_content());
  answer.has_inline_content = part.has_inline_content();
  Deliver([&] { events_.on_manifest(std::move(answer)); });
  return absl::OkStatus();
}

absl::Status BlocksSession::OnChunk(v1::BlockChunk& chunk) {
  const std::optional<FileId> file = FileId::FromBytes(chunk.file_id());
  if (!file) return Invalid("chunk that was not asked for");
  std::string block;
  bool whole = false;
  PANAL_RETURN_IF_ERROR(TakeChunk({*file, /*manifest=*/false, chunk.index()}, chunk, block, whole));
  if (whole) Deliver([&] { events_.on_block(*file, chunk.index(), std::move(block)); });
  return absl::OkStatus();
}

absl::Status BlocksSession::TakeChunk(const Key& key, v1::BlockChunk& chunk, std::string& block,
                                      bool& whole) {
  MutexLock lock(&mutex_);
  auto found = wanted_.find(key);
  if (found == wanted_.end()) return Invalid("chunk that was not asked for");
  Wanted& wanted = found->second;
  const size_t size = chunk.data().size();
  if (size > kBlockChunkSizeMax) return Invalid("chunk of more than 1 MiB");
  if (chunk.offset_bytes() != wanted.bytes.size()) return Invalid("chunk out of order");
  if (size > wanted.size_bytes - wanted.bytes.size()) {
    return Invalid(absl::StrCat("block of more than the ", wanted.size_bytes, " bytes expected"));
  }
  if (size == 0 && !chunk.last()) return Invalid("chunk of no bytes");
  if (wanted.bytes.empty() && chunk.last()) {
    wanted.bytes = std::move(*chunk.mutable_data());
  } else {
    wanted.bytes.reserve(wanted.size_bytes);
    wanted.bytes.append(chunk.data());
  }
  if (!chunk.last()) return absl::OkStatus();
  if (wanted.bytes.size() != wanted.size_bytes) {
    return Invalid(
        absl::StrCat("block of ", wanted.bytes.size(), " bytes, ", wanted.size_bytes, " expected"));
  }
  block = std::move(wanted.bytes);
  whole = true;
  wanted_.erase(found);
  return absl::OkStatus();
}

absl::Status BlocksSession::OnRefusal(v1::BlockRefusal& refusal) {
  const std::optional<FileId> file = FileId::FromBytes(refusal.file_id());
  const uint32_t index = refusal.manifest() ? 0 : refusal.index();
  if (!file || !Answered({*file, refusal.manifest(), index})) {
    return Invalid("refusal of what was not asked for");
  }
  if (refusal.reason().size() > kReasonSizeMax) return Invalid("reason of more than 64 bytes");
  Deliver([&] {
    events_.on_refused(*file, refusal.manifest(), index, std::move(*refusal.mutable_reason()));
  });
  return absl::OkStatus();
}

// --- Events and the end -------------------------------------------------------------------------

void BlocksSession::Deliver(const std::function<void()>& event) {
  {
    MutexLock lock(&mutex_);
    if (owner_gone_) return;
    delivering_ = true;
    deliverer_ = std::this_thread::get_id();
  }
  event();
  MutexLock lock(&mutex_);
  delivering_ = false;
  delivered_.SignalAll();
}

void BlocksSession::Close() {
  std::shared_ptr<Attempt> attempt;
  {
    MutexLock lock(&mutex_);
    owner_gone_ = true;
  }
  Cancel(Error(ErrorReason::kCancelled, "the stream is not wanted any more"));
  MutexLock lock(&mutex_);
  while (delivering_ && deliverer_ != std::this_thread::get_id()) delivered_.Wait(&mutex_);
}

void BlocksSession::Cancel(const absl::Status& why) {
  std::shared_ptr<Attempt> attempt;
  {
    MutexLock lock(&mutex_);
    if (over_) return;
    over_ = true;
    open_ = false;
    end_reason_ = why;
    unsent_.clear();
    attempt = attempt_;
  }
  if (attempt != nullptr) attempt->context.TryCancel();
}

void BlocksSession::OnFinished(const std::shared_ptr<Attempt>& attempt) {
  attempt->alarm.Cancel();
  absl::Status why = StreamEnd(attempt->status, attempt->opened);
  if (!attempt->refusal.ok() && attempt->status.error_code() == grpc::StatusCode::CANCELLED) {
    why = attempt->refusal;
  }
  {
    MutexLock lock(&mutex_);
    open_ = false;
    if (!over_ && !attempt->opened && next_address_ < source_.addresses.size())
      why = absl::OkStatus();
    if (!why.ok()) {
      if (over_) why = end_reason_;
      over_ = true;
      attempt_ = nullptr;
      wanted_.clear();
    }
  }
  if (why.ok()) {
    Dial();
    return;
  }
  const std::shared_ptr<BlocksSession> self = shared_from_this();
  Deliver([&] { events_.on_closed(why); });
  ended_(this);
}

}  // namespace panal
