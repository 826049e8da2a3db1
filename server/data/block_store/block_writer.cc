#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/data/block_store/block_store_impl.h"

namespace panal {
namespace {

class BlockWriter final : public BlockStore::Writer {
 public:
  // Room for `size_bytes` is reserved in `store`.
  BlockWriter(BlockStoreImpl& store, FileSystem& fs, std::string path, FileType type,
              uint64_t size_bytes)
      : store_(store),
        fs_(fs),
        path_(std::move(path)),
        size_bytes_(size_bytes),
        builder_(type, size_bytes) {}

  ~BlockWriter() override {
    file_.reset();
    if (!finished_) {
      (void)fs_.Remove(path_);
      store_.Release(size_bytes_);
    }
  }

  absl::Status Open() {
    PANAL_ASSIGN_OR_RETURN(file_, fs_.OpenForWrite(path_));
    return absl::OkStatus();
  }

  absl::Status Append(absl::string_view bytes) override {
    if (bytes.size() > size_bytes_ - taken_) {
      return Incomplete(absl::StrCat("more than the ", size_bytes_, " bytes that were announced"));
    }
    PANAL_RETURN_IF_ERROR(file_->WriteAt(taken_, bytes));
    builder_.Update(bytes);
    taken_ += bytes.size();
    return absl::OkStatus();
  }

  absl::StatusOr<Manifest> Finish() override {
    if (taken_ != size_bytes_ || finished_) {
      return Incomplete(absl::StrCat(taken_, " of ", size_bytes_, " bytes"));
    }
    PANAL_RETURN_IF_ERROR(file_->Sync());
    Manifest manifest = builder_.Finish();
    PANAL_RETURN_IF_ERROR(store_.Adopt(manifest, path_));
    finished_ = true;
    return manifest;
  }

 private:
  absl::Status Incomplete(absl::string_view what) const {
    return Error(ErrorReason::kUploadIncomplete, absl::StrCat("the content has ", what),
                 {{"size_bytes", absl::StrCat(size_bytes_)}});
  }

  BlockStoreImpl& store_;
  FileSystem& fs_;
  const std::string path_;
  const uint64_t size_bytes_;
  ManifestBuilder builder_;
  std::unique_ptr<OpenFile> file_;
  uint64_t taken_ = 0;
  bool finished_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlockStore::Writer>> NewBlockWriter(BlockStoreImpl& store,
                                                                   FileSystem& fs, std::string path,
                                                                   FileType type,
                                                                   uint64_t size_bytes) {
  PANAL_RETURN_IF_ERROR(store.Reserve(size_bytes));
  auto writer = std::make_unique<BlockWriter>(store, fs, std::move(path), type, size_bytes);
  PANAL_RETURN_IF_ERROR(writer->Open());
  return writer;
}

}  // namespace panal
