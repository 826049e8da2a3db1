#include "server/application/upload_sink.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/manifest.h"
#include "common/wire/status_codec.h"

namespace panal {
namespace {

// Bytes of one chunk (proto/panal/v1/file_object.proto).
constexpr size_t kUploadChunkSizeMax = 1024 * 1024;

absl::Status OutOfOrder(absl::string_view part, absl::string_view why) {
  return Error(ErrorReason::kChunkOutOfOrder, absl::StrCat(part, " out of order: ", why));
}

Attributes AttributesOf(const google::protobuf::Map<std::string, std::string>& map) {
  return Attributes(map.begin(), map.end());
}

}  // namespace

UploadSink::UploadSink(FileStore& files, Mesh& mesh, std::shared_ptr<std::atomic<int>> open)
    : mesh_(mesh), open_(std::move(open)), upload_(files.NewUpload()) {}

UploadSink::~UploadSink() { --*open_; }

absl::Status UploadSink::OnMessage(const v1::UploadFileRequest& request) {
  switch (request.part_case()) {
    case v1::UploadFileRequest::kStart:
      return OnStart(request.start());
    case v1::UploadFileRequest::kChunk:
      return OnChunk(request.chunk());
    case v1::UploadFileRequest::kFinish:
      return OnFinish();
    case v1::UploadFileRequest::kFinishDirectory:
      return OnFinishDirectory(request.finish_directory());
    case v1::UploadFileRequest::PART_NOT_SET:
      break;
  }
  return BadRequestError({{"part", "the message holds no part that this peer knows"}});
}

absl::Status UploadSink::OnStart(const v1::UploadStart& start) {
  if (state_ == State::kFile) return OutOfOrder("start", "the file before it is not finished");
  if (state_ == State::kDone) return OutOfOrder("start", "the upload is complete");
  if (directory_ && !start.directory_entry()) {
    return OutOfOrder("start", "a file of its own among the entries of a directory");
  }
  if (start.size_bytes() < 0 || static_cast<uint64_t>(start.size_bytes()) > kFileSizeMax) {
    return BadRequestError(
        {{"start.size_bytes",
          absl::StrCat(start.size_bytes(), " is not within 0 to ", kFileSizeMax)}});
  }
  if (start.is_directory()) {
    if (!start.directory_entry() || start.size_bytes() != 0) {
      return BadRequestError(
          {{"start.is_directory", "an empty directory is an entry of a directory, of size 0"}});
    }
    PANAL_RETURN_IF_ERROR(upload_->AddEmptyDirectory(start.name()));
    state_ = State::kEmptyDirectory;
  } else {
    PANAL_RETURN_IF_ERROR(upload_->BeginFile(
        start.name(), static_cast<uint64_t>(start.size_bytes()), start.executable(),
        AttributesOf(start.attributes()), start.directory_entry()));
    state_ = State::kFile;
  }
  entry_ = start.directory_entry();
  directory_ = entry_;
  return absl::OkStatus();
}

absl::Status UploadSink::OnChunk(const v1::UploadChunk& chunk) {
  if (state_ != State::kFile) return OutOfOrder("chunk", "no file is begun");
  if (chunk.data().size() > kUploadChunkSizeMax) {
    return BadRequestError(
        {{"chunk.data", absl::StrCat(chunk.data().size(), " bytes exceed ", kUploadChunkSizeMax)}});
  }
  if (chunk.offset_bytes() < 0) return OutOfOrder("chunk", "its offset is negative");
  return upload_->Append(static_cast<uint64_t>(chunk.offset_bytes()), chunk.data());
}

absl::Status UploadSink::OnFinish() {
  if (state_ == State::kEmptyDirectory) {
    state_ = State::kIdle;
    return absl::OkStatus();
  }
  if (state_ != State::kFile) return OutOfOrder("finish", "no file is begun");
  PANAL_ASSIGN_OR_RETURN(const AddedFile added, upload_->FinishFile());
  state_ = State::kIdle;
  if (!entry_) Published(added);
  return absl::OkStatus();
}

absl::Status UploadSink::OnFinishDirectory(const v1::UploadFinishDirectory& finish) {
  if (state_ == State::kFile) {
    return OutOfOrder("finish_directory", "the file before it is not finished");
  }
  if (state_ == State::kDone) return OutOfOrder("finish_directory", "the upload is complete");
  PANAL_ASSIGN_OR_RETURN(
      const AddedFile added,
      upload_->FinishDirectory(finish.name(), AttributesOf(finish.attributes())));
  Published(added);
  return absl::OkStatus();
}

void UploadSink::Published(const AddedFile& added) {
  state_ = State::kDone;
  v1::UploadFileResponse& response = response_.emplace();
  response.set_id(added.id.ToText());
  response.set_name(added.name);
  response.set_size_bytes(static_cast<int64_t>(added.size_bytes));
  response.set_files(static_cast<int64_t>(added.files));
  mesh_.SpreadChanges();
}

absl::StatusOr<v1::UploadFileResponse> UploadSink::OnEnd() {
  if (response_.has_value()) return *response_;
  return Error(ErrorReason::kUploadIncomplete, directory_
                                                   ? "the upload ended without finish_directory"
                                                   : "the upload ended without finish");
}

}  // namespace panal
