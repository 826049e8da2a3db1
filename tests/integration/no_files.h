// A file store that holds nothing, for ports that are tested without files.
#pragma once

#include "common/base/status.h"
#include "server/data/file_store/file_store.h"

namespace panal {

class NoFiles : public FileStore {
 public:
  absl::StatusOr<AddedFile> Put(absl::string_view, absl::string_view, const Attributes&) override {
    return None();
  }

  absl::StatusOr<AddedFile> AddPath(absl::string_view, absl::string_view, const Attributes&, bool,
                                    const std::vector<std::string>&,
                                    const std::function<bool()>&) override {
    return None();
  }

  std::unique_ptr<Upload> NewUpload() override { return nullptr; }

  absl::StatusOr<FileId> Resolve(absl::string_view) override { return None(); }

  absl::StatusOr<FileDetails> Find(const FileId&) override { return None(); }

  absl::StatusOr<std::string> Read(const FileId&, uint64_t, size_t) override { return None(); }

  absl::StatusOr<std::vector<ListingEntry>> ReadListing(const FileId&) override { return None(); }

  absl::StatusOr<Held> FindHeld(const FileId&) override { return None(); }

  absl::StatusOr<std::string> ReadBlock(const FileId&, uint32_t) override { return None(); }

  absl::StatusOr<Held> BeginReceive(const Manifest&) override { return None(); }

  absl::Status ReceiveInline(const Manifest&, absl::string_view) override { return None(); }

  absl::Status ReceiveBlock(const FileId&, uint32_t, absl::string_view) override { return None(); }

  absl::Status CheckpointReceive(const FileId&) override { return None(); }

  absl::StatusOr<AddedFile> PublishFetched(const FileId&, absl::string_view,
                                           const Attributes&) override {
    return None();
  }

  absl::StatusOr<Removed> Remove(const FileId&) override { return None(); }

  absl::StatusOr<int64_t> AdoptContents() override { return 0; }

  absl::StatusOr<int64_t> DropUnreferenced() override { return 0; }

 private:
  static absl::Status None() { return Error(ErrorReason::kFileNotFound, "no file is held"); }
};

}  // namespace panal
