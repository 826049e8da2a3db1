#include "server/runtime/served_blocks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/status_convert.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/blocks_server.h"

namespace panal {
namespace {

std::string BitmapOf(const std::vector<bool>& held) {
  std::string bitmap((held.size() + 7) / 8, '\0');
  for (size_t i = 0; i < held.size(); ++i) {
    if (held[i])
      bitmap[i / 8] = static_cast<char>(static_cast<uint8_t>(bitmap[i / 8]) | 1u << i % 8);
  }
  return bitmap;
}

void FillManifest(const FileId& file, const FileStore::Held& held, v1::ManifestPart& part) {
  part.set_file_id(file.ToBytes());
  part.set_manifest(held.manifest.Encode());
  part.set_held(BitmapOf(held.held));
  part.set_has_inline_content(held.has_inline_content);
  if (held.has_inline_content) part.set_inline_content(held.inline_content);
}

}  // namespace

size_t ServedBlocks::Answer::size() const {
  return chunked ? block.size() - offset : message.ByteSizeLong();
}

ServedBlocks::ServedBlocks(FileStore& files, Dispatcher& dispatcher, const PeerId& peer,
                           size_t queue_max, std::function<void()> done)
    : files_(files),
      dispatcher_(dispatcher),
      caller_(peer.ToText()),
      queue_max_(queue_max),
      done_(std::move(done)) {}

ServedBlocks* ServedBlocks::Start(FileStore& files, Dispatcher& dispatcher, const PeerId& peer,
                                  size_t queue_max, std::function<void()> done) {
  std::shared_ptr<ServedBlocks> stream(
      new ServedBlocks(files, dispatcher, peer, queue_max, std::move(done)));
  stream->self_ = stream;
  // Tells the reader that it is admitted, and by whom.
  stream->StartSendInitialMetadata();
  stream->StartNextRead();
  return stream.get();
}

// --- Wants --------------------------------------------------------------------------------------

void ServedBlocks::OnReadDone(bool ok) {
  if (!ok) {
    {
      MutexLock lock(&mutex_);
      asked_all_ = true;
    }
    Pump();
    return;
  }
  v1::BlocksRequest request;
  const absl::Status taken = Parse(incoming_, request)
                                 ? TakeWant(request)
                                 : Error(ErrorReason::kFrameInvalid, "want does not decode");
  incoming_.Clear();
  if (!taken.ok()) {
    LogLimited(LogLevel::kWarning, "blocks_stream_refused",
               {{"peer", caller_}, {"why", std::string(taken.message())}});
    End(taken);
    return;
  }
  StartNextRead();
  ReadNext();
}

absl::Status ServedBlocks::TakeWant(const v1::BlocksRequest& request) {
  Want want;
  std::optional<FileId> file;
  if (request.has_manifest()) {
    want.manifest = true;
    file = FileId::FromBytes(request.manifest().file_id());
  } else if (request.has_block()) {
    want.index = request.block().index();
    file = FileId::FromBytes(request.block().file_id());
  } else {
    return Error(ErrorReason::kFrameInvalid, "want of no kind");
  }
  if (!file) return Error(ErrorReason::kFrameInvalid, "file id of a want is not 32 bytes");
  want.file = *file;
  MutexLock lock(&mutex_);
  if (unanswered_ >= kWantsPerStreamMax) {
    return Error(ErrorReason::kFrameInvalid,
                 absl::StrCat("one more than ", kWantsPerStreamMax, " unanswered wants"));
  }
  ++unanswered_;
  wants_.push_back(want);
  return absl::OkStatus();
}

void ServedBlocks::ReadNext() {
  Want want;
  {
    MutexLock lock(&mutex_);
    if (ending_.has_value() || reading_ || wants_.empty() || queued_bytes_ >= queue_max_) return;
    reading_ = true;
    want = wants_.front();
    wants_.pop_front();
  }
  const absl::Status accepted = dispatcher_.Submit(
      WorkClass::kBulk, caller_, [self = shared_from_this(), want] { self->Perform(want); });
  if (accepted.ok()) return;
  Answer refusal;
  v1::BlockRefusal* body = refusal.message.mutable_refusal();
  body->set_file_id(want.file.ToBytes());
  body->set_index(want.index);
  body->set_manifest(want.manifest);
  body->set_reason(std::string(ReasonName(ReasonOf(accepted))));
  Queue(std::move(refusal));
}

void ServedBlocks::Perform(const Want& want) {
  Answer answer;
  absl::Status status;
  if (want.manifest) {
    absl::StatusOr<FileStore::Held> held = files_.FindHeld(want.file);
    status = held.status();
    if (held.ok()) FillManifest(want.file, *held, *answer.message.mutable_manifest());
  } else {
    absl::StatusOr<std::string> block = files_.ReadBlock(want.file, want.index);
    status = block.status();
    if (block.ok()) {
      v1::BlockChunk* chunk = answer.message.mutable_chunk();
      chunk->set_file_id(want.file.ToBytes());
      chunk->set_index(want.index);
      answer.block = *std::move(block);
      answer.chunked = true;
    }
  }
  if (!status.ok()) {
    v1::BlockRefusal* refusal = answer.message.mutable_refusal();
    refusal->set_file_id(want.file.ToBytes());
    refusal->set_index(want.index);
    refusal->set_manifest(want.manifest);
    refusal->set_reason(std::string(ReasonName(ReasonOf(status))));
  }
  Queue(std::move(answer));
}

// --- Answers ------------------------------------------------------------------------------------

void ServedBlocks::Queue(Answer answer) {
  {
    MutexLock lock(&mutex_);
    reading_ = false;
    if (ending_.has_value()) return;
    queued_bytes_ += answer.size();
    answers_.push_back(std::move(answer));
  }
  Pump();
  ReadNext();
}

v1::BlocksResponse ServedBlocks::NextMessage() {
  Answer& answer = answers_.front();
  v1::BlocksResponse message;
  const size_t before = answer.size();
  bool last = true;
  if (!answer.chunked) {
    message.Swap(&answer.message);
    queued_bytes_ -= before;
  } else {
    message = answer.message;
    v1::BlockChunk* chunk = message.mutable_chunk();
    chunk->set_offset_bytes(static_cast<uint32_t>(answer.offset));
    const size_t size = std::min(before, kBlockChunkSize);
    last = size == before;
    if (last && answer.offset == 0) {
      chunk->set_data(std::move(answer.block));
    } else {
      chunk->set_data(answer.block.data() + answer.offset, size);
    }
    chunk->set_last(last);
    answer.offset += size;
    queued_bytes_ -= size;
  }
  if (last) {
    answers_.pop_front();
    // Before the reader has it: it may ask for another block at once.
    --unanswered_;
  }
  return message;
}

void ServedBlocks::Pump() {
  v1::BlocksResponse message;
  bool over = false;
  {
    MutexLock lock(&mutex_);
    if (ending_.has_value() || writing_) return;
    if (!answers_.empty()) {
      message = NextMessage();
      writing_ = true;
      ++pins_;
    } else if (asked_all_ && unanswered_ == 0) {
      over = true;
    } else {
      return;
    }
  }
  if (over) {
    End(absl::OkStatus());
    return;
  }
  outgoing_ = ToByteBuffer(message);
  StartWrite(&outgoing_);
  Unpin();
}

void ServedBlocks::OnWriteDone(bool ok) {
  outgoing_.Clear();
  {
    MutexLock lock(&mutex_);
    writing_ = false;
  }
  if (!ok) {
    End(Error(ErrorReason::kConnectionLost, "the peer is gone"));
    return;
  }
  Pump();
  ReadNext();
}

// --- The end ------------------------------------------------------------------------------------

void ServedBlocks::StartNextRead() {
  {
    MutexLock lock(&mutex_);
    if (ending_.has_value()) return;
    ++pins_;
  }
  StartRead(&incoming_);
  Unpin();
}

void ServedBlocks::End(const absl::Status& why) {
  {
    MutexLock lock(&mutex_);
    if (ending_.has_value()) return;
    ending_ = why;
    wants_.clear();
    answers_.clear();
  }
  Unpin();
}

void ServedBlocks::Unpin() {
  absl::Status why;
  {
    MutexLock lock(&mutex_);
    PANAL_CHECK(pins_ > 0);
    if (--pins_ > 0) return;
    why = *ending_;
  }
  grpc::ServerGenericBidiReactor::Finish(ToGrpcStatus(why));
}

void ServedBlocks::OnCancel() {
  End(Error(ErrorReason::kConnectionLost, "the peer is gone or gave the stream up"));
}

void ServedBlocks::OnDone() {
  done_();
  std::shared_ptr<ServedBlocks> self = std::move(self_);
}

}  // namespace panal
