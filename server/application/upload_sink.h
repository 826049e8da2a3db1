// The servant's side of one FileObject/UploadFile.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "panal/v1/file_object.pb.h"
#include "server/application/mesh.h"
#include "server/application/servant.h"
#include "server/data/file_store/file_store.h"

namespace panal {

// Checks the order of the parts and gives them to the store. What was not finished is dropped.
class UploadSink final : public MessageSink<v1::UploadFileRequest, v1::UploadFileResponse> {
 public:
  // `open` was counted up for this upload and is counted down at its end.
  UploadSink(FileStore& files, Mesh& mesh, std::shared_ptr<std::atomic<int>> open);
  ~UploadSink() override;

  absl::Status OnMessage(const v1::UploadFileRequest& request) override;
  absl::StatusOr<v1::UploadFileResponse> OnEnd() override;

 private:
  enum class State {
    kIdle,            // Nothing is begun: at first, and between the entries of a directory.
    kFile,            // Between `start` and `finish`.
    kEmptyDirectory,  // After the `start` of an empty directory; a `finish` is optional.
    kDone,            // Everything is published.
  };

  absl::Status OnStart(const v1::UploadStart& start);
  absl::Status OnChunk(const v1::UploadChunk& chunk);
  absl::Status OnFinish();
  absl::Status OnFinishDirectory(const v1::UploadFinishDirectory& finish);
  void Published(const AddedFile& added);

  Mesh& mesh_;
  const std::shared_ptr<std::atomic<int>> open_;
  const std::unique_ptr<FileStore::Upload> upload_;
  State state_ = State::kIdle;
  bool entry_ = false;      // The file begun is an entry of a directory.
  bool directory_ = false;  // Entries were sent: `finish_directory` must follow.
  std::optional<v1::UploadFileResponse> response_;
};

}  // namespace panal
