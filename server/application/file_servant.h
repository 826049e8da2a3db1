// The files of this peer as a remote object (proto/panal/v1/file_object.proto). Its stream Blocks
// belongs to the mesh port and is not served here.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/sync.h"
#include "panal/v1/file_object.pb.h"
#include "server/application/mesh.h"
#include "server/application/servant.h"
#include "server/data/catalog/catalog.h"
#include "server/data/file_store/file_store.h"

namespace panal {

// AddPath calls that may wait: one runs at a time, so that adding large folders leaves bulk workers
// to reads, uploads and other peers. OVERLOADED beyond. Guess.
inline constexpr size_t kAddPathsWaitingMax = 64;
// Uploads open at once; each holds a file open. OVERLOADED beyond. Guess.
inline constexpr int kUploadsMax = 64;
// Shortest time between two messages of progress. Guess: smooth for people, nothing for the
// network.
inline constexpr absl::Duration kProgressInterval = absl::Milliseconds(200);
// Peers a FetchFile may name.
inline constexpr int kFetchSourcesMax = 64;
// Time to look for sources where the request names none, and the most it may name.
inline constexpr absl::Duration kFetchTimeoutDefault = absl::Seconds(10);
inline constexpr absl::Duration kFetchTimeoutMax = absl::Minutes(10);
// Entries of the listing that is kept decoded between two pages of ListDirectory: the pages of one
// directory would otherwise cost the square of its size. Larger listings are decoded for every
// page.
inline constexpr size_t kListingKeptEntriesMax = 200'000;

class FileServant final : public Servant {
 public:
  // `roots`: folders that AddPath may add from, resolved. Everything passed by reference must
  // outlive the servant and its calls.
  FileServant(Dispatcher& dispatcher, FileStore& files, Catalog& catalog, Mesh& mesh,
              std::vector<std::string> roots);

 private:
  using UploadParts = MessageSink<v1::UploadFileRequest, v1::UploadFileResponse>;

  absl::StatusOr<v1::PutFileResponse> PutFile(const CallHead& head,
                                              const v1::PutFileRequest& request);
  void AddPath(const CallHead& head, const v1::AddPathRequest& request,
               Responder<v1::AddPathResponse> respond);
  absl::StatusOr<std::unique_ptr<UploadParts>> UploadFile(const CallHead& head);
  absl::StatusOr<v1::ListFilesResponse> ListFiles(const CallHead& head,
                                                  const v1::ListFilesRequest& request);
  absl::StatusOr<v1::GetFileResponse> GetFile(const CallHead& head,
                                              const v1::GetFileRequest& request);
  absl::StatusOr<v1::ListDirectoryResponse> ListDirectory(const CallHead& head,
                                                          const v1::ListDirectoryRequest& request);
  absl::StatusOr<std::unique_ptr<MessageSource<v1::ReadFileResponse>>> ReadFile(
      const CallHead& head, const v1::ReadFileRequest& request);
  void FetchFile(const CallHead& head, const v1::FetchFileRequest& request,
                 StreamWriter<v1::FetchFileResponse> writer);
  absl::StatusOr<v1::RemoveFileResponse> RemoveFile(const CallHead& head,
                                                    const v1::RemoveFileRequest& request);

  absl::StatusOr<v1::AddPathResponse> AddPathNow(const v1::AddPathRequest& request,
                                                 std::function<bool()> cancelled);
  // Takes the turn to add, or puts `add` in line and empties it. False when the line is full.
  bool TakeTurn(std::function<void()>& add);
  // Next in line, or nothing: the turn is given back.
  std::function<void()> NextAdd();

  using Listing = std::vector<ListingEntry>;
  absl::StatusOr<std::shared_ptr<const Listing>> ListingOf(const FileId& id);

  FileStore& files_;
  Catalog& catalog_;
  Mesh& mesh_;
  const std::vector<std::string> roots_;
  // Shared with the uploads, which count themselves out.
  const std::shared_ptr<std::atomic<int>> uploads_;

  Mutex mutex_;
  bool adding_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  FileId kept_id_ ABSL_GUARDED_BY(mutex_);
  // Shared by the servant and the calls that read it.
  std::shared_ptr<const Listing> kept_listing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
