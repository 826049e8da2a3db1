#include "server/application/file_servant.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/wire/status_codec.h"
#include "server/application/page_token.h"
#include "server/application/timeout_field.h"
#include "server/application/upload_sink.h"

namespace panal {
namespace {

absl::string_view TypeName(FileType type) {
  return type == FileType::kDirectory ? "directory" : "file";
}

absl::string_view StorageName(StorageKind storage) {
  switch (storage) {
    case StorageKind::kInline:
      return "inline";
    case StorageKind::kStored:
      return "stored";
    case StorageKind::kInPlace:
      return "in-place";
  }
  return "stored";
}

Attributes AttributesOf(const google::protobuf::Map<std::string, std::string>& map) {
  return Attributes(map.begin(), map.end());
}

v1::FileInfo InfoOf(const FileDetails& details) {
  v1::FileInfo info;
  info.set_id(details.id.ToText());
  info.set_name(details.name);
  info.set_size_bytes(static_cast<int64_t>(details.manifest.size_bytes));
  info.set_kind(std::string(TypeName(details.type)));
  for (const auto& [key, value] : details.attributes) (*info.mutable_attributes())[key] = value;
  info.set_held_bytes(static_cast<int64_t>(details.held_bytes));
  info.set_storage(std::string(StorageName(details.storage)));
  info.set_path(ToValidUtf8(details.path));
  info.set_block_size_bytes(details.manifest.block_size_bytes);
  info.set_blocks(static_cast<int64_t>(details.manifest.blocks.size()));
  const bool directory = details.type == FileType::kDirectory;
  info.set_total_bytes(directory ? static_cast<int64_t>(details.total_bytes) : 0);
  return info;
}

// What is published wins over what the content's first name says: one content may have many names.
void FillPublished(const PublishedFile& file, v1::FileInfo* info) {
  info->set_id(file.id.ToText());
  info->set_name(file.name);
  info->set_size_bytes(static_cast<int64_t>(file.size_bytes));
  info->set_kind(std::string(TypeName(file.type)));
  info->clear_attributes();
  for (const auto& [key, value] : file.attributes) (*info->mutable_attributes())[key] = value;
  const bool directory = file.type == FileType::kDirectory;
  info->set_total_bytes(directory ? static_cast<int64_t>(file.total_bytes) : 0);
}

// Whether blocks are gone that were here: damaged, and forgotten since.
bool IsDamage(const absl::Status& error) {
  const ErrorReason reason = ReasonOf(error);
  return reason == ErrorReason::kBlockCorrupt || reason == ErrorReason::kFileIncomplete ||
         reason == ErrorReason::kFileNotFound;
}

// Reads a range in chunks that end at multiples of their size, so that no block is verified for two
// chunks more often than it must be. Where a block is damaged the file is fetched anew from other
// peers, once a chunk; BLOCK_CORRUPT where that does not help.
class RangeSource final : public MessageSource<v1::ReadFileResponse> {
 public:
  RangeSource(FileStore& files, Mesh& mesh, FileId id, uint64_t begin, uint64_t end)
      : files_(files), mesh_(mesh), id_(id), at_(begin), end_(end) {}

  absl::StatusOr<std::optional<v1::ReadFileResponse>> Next() override {
    if (began_ && at_ == end_) return std::optional<v1::ReadFileResponse>();
    began_ = true;
    v1::ReadFileResponse response;
    response.set_offset_bytes(static_cast<int64_t>(at_));
    if (at_ < end_) {
      const uint64_t boundary = (at_ / kReadChunkSizeMax + 1) * kReadChunkSizeMax;
      const size_t length = static_cast<size_t>(std::min(boundary, end_) - at_);
      absl::StatusOr<std::string> read = files_.Read(id_, at_, length);
      if (!read.ok()) return AfterMending(read.status());
      std::string data = *std::move(read);
      // The store is free to give less, but nothing would repeat for ever.
      if (data.empty() || data.size() > length) {
        return Error(ErrorReason::kInternal,
                     absl::StrCat("read of ", length, " bytes at ", at_, " gave ", data.size()));
      }
      at_ += data.size();
      response.set_data(std::move(data));
    }
    return std::optional<v1::ReadFileResponse>(std::move(response));
  }

  bool Mend(const absl::Status& error, std::function<void()> again) override {
    // What was removed is not fetched again.
    if (!IsDamage(error) || mended_at_ == at_ || !files_.Find(id_).ok()) return false;
    mended_at_ = at_;
    mesh_.StartFetch({.id = id_, .timeout = kFetchTimeoutDefault, .repair = true},
                     {.on_progress = [](const FetchProgress&) {},
                      .on_done = [again = std::move(again)](const absl::Status&,
                                                            const FetchProgress&) { again(); }});
    return true;
  }

 private:
  absl::Status AfterMending(const absl::Status& error) const {
    if (mended_at_ != at_ || !IsDamage(error) || !files_.Find(id_).ok()) return error;
    return Error(ErrorReason::kBlockCorrupt,
                 absl::StrCat("a block of ", id_.ToText(), " near byte ", at_,
                              " is damaged, and no other peer gives it"),
                 {{"id", id_.ToText()}, {"offset", absl::StrCat(at_)}});
  }

  FileStore& files_;
  Mesh& mesh_;
  const FileId id_;
  uint64_t at_;
  const uint64_t end_;
  bool began_ = false;
  std::optional<uint64_t> mended_at_;  // Where the file was fetched anew.
};

v1::FetchFileResponse ProgressOf(const FetchProgress& progress, bool done) {
  v1::FetchFileResponse response;
  response.set_held_bytes(static_cast<int64_t>(progress.held_bytes));
  response.set_total_bytes(static_cast<int64_t>(progress.total_bytes));
  response.set_sources(progress.sources);
  response.set_done(done);
  response.set_received_bytes(static_cast<int64_t>(progress.received_bytes));
  response.set_files_done(static_cast<int64_t>(progress.files_done));
  response.set_files_total(static_cast<int64_t>(progress.files_total));
  response.set_waiting(progress.waiting);
  response.set_name(progress.name);
  response.set_kind(progress.kind);
  response.set_peers_asked(static_cast<int64_t>(progress.peers_asked));
  return response;
}

// Progress as fast as people and the reader can take it; newer progress replaces what was left out.
class ProgressWriter {
 public:
  explicit ProgressWriter(StreamWriter<v1::FetchFileResponse> writer)
      : writer_(std::move(writer)) {}

  void OnProgress(const FetchProgress& progress) {
    const absl::Time now = absl::Now();
    {
      MutexLock lock(&mutex_);
      if (now < next_ || !writer_.idle()) return;
      next_ = now + kProgressInterval;
    }
    writer_.Write(ProgressOf(progress, /*done=*/false));
  }

  void OnDone(const absl::Status& status, const FetchProgress& progress) {
    if (!status.ok()) return writer_.Finish(status);
    writer_.WriteLast(ProgressOf(progress, /*done=*/true));
  }

 private:
  const StreamWriter<v1::FetchFileResponse> writer_;
  Mutex mutex_;
  absl::Time next_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

absl::StatusOr<FetchRequest> FetchRequestOf(const v1::FetchFileRequest& request, FileStore& files) {
  std::vector<FieldViolation> violations;
  if (request.sources_size() > kFetchSourcesMax) {
    violations.push_back(
        {"sources", absl::StrCat(request.sources_size(), " peers exceed ", kFetchSourcesMax)});
  }
  FetchRequest fetch;
  fetch.timeout =
      ParseTimeout(request.timeout(), kFetchTimeoutDefault, kFetchTimeoutMax, violations);
  for (int i = 0; i < std::min(request.sources_size(), kFetchSourcesMax); ++i) {
    const std::optional<PeerId> source = PeerId::FromText(request.sources(i));
    if (source) {
      fetch.sources.push_back(*source);
    } else {
      violations.push_back({absl::StrCat("sources[", i, "]"), "not a full peer id"});
    }
  }
  if (!violations.empty()) return BadRequestError(violations);
  if (const std::optional<FileId> full = FileId::FromText(request.id())) {
    fetch.id = *full;
  } else {
    PANAL_ASSIGN_OR_RETURN(fetch.id, files.Resolve(request.id()));
  }
  if (!request.name().empty()) PANAL_RETURN_IF_ERROR(ValidateFileName(request.name()));
  fetch.name = request.name();
  return fetch;
}

}  // namespace

FileServant::FileServant(Dispatcher& dispatcher, FileStore& files, Catalog& catalog, Mesh& mesh,
                         std::vector<std::string> roots)
    : Servant("panal.v1.FileObject", dispatcher),
      files_(files),
      catalog_(catalog),
      mesh_(mesh),
      roots_(std::move(roots)),
      uploads_(std::make_shared<std::atomic<int>>(0)) {
  Unary("ListFiles", WorkClass::kCalls, &FileServant::ListFiles);
  Unary("GetFile", WorkClass::kCalls, &FileServant::GetFile);
  Unary("ListDirectory", WorkClass::kCalls, &FileServant::ListDirectory);
  ServerStream("ReadFile", WorkClass::kBulk, &FileServant::ReadFile);
  ForProgramsOnly();
  Unary("PutFile", WorkClass::kBulk, &FileServant::PutFile);
  AsyncUnary("AddPath", WorkClass::kBulk, &FileServant::AddPath);
  ClientStream("UploadFile", WorkClass::kBulk, &FileServant::UploadFile);
  PushStream("FetchFile", WorkClass::kCalls, &FileServant::FetchFile);
  Unary("RemoveFile", WorkClass::kCalls, &FileServant::RemoveFile);
}

absl::StatusOr<v1::PutFileResponse> FileServant::PutFile(const CallHead& head,
                                                         const v1::PutFileRequest& request) {
  PANAL_ASSIGN_OR_RETURN(const AddedFile added, files_.Put(request.name(), request.content(),
                                                           AttributesOf(request.attributes())));
  mesh_.SpreadChanges();
  v1::PutFileResponse response;
  response.set_id(added.id.ToText());
  response.set_size_bytes(static_cast<int64_t>(added.size_bytes));
  return response;
}

void FileServant::AddPath(const CallHead& head, const v1::AddPathRequest& request,
                          Responder<v1::AddPathResponse> respond) {
  if (!absl::StartsWith(request.path(), "/")) {
    return respond(BadRequestError(
        {{"path", absl::StrCat("\"", request.path().substr(0, 256), "\" is not absolute")}}));
  }
  std::function<void()> add = [this, request, respond] {
    // Gone while it waited for its turn.
    if (respond.over()) return;
    respond(AddPathNow(request, [respond] { return respond.over(); }));
  };
  if (!TakeTurn(add)) {
    return respond(OverloadedError(
        absl::StrCat("overloaded: ", kAddPathsWaitingMax, " paths wait to be added"),
        absl::Seconds(1)));
  }
  // Whoever has the turn also adds what came to wait meanwhile: the others gave their worker back.
  for (; add != nullptr; add = NextAdd()) add();
}

absl::StatusOr<v1::AddPathResponse> FileServant::AddPathNow(const v1::AddPathRequest& request,
                                                            std::function<bool()> cancelled) {
  PANAL_ASSIGN_OR_RETURN(
      const AddedFile added,
      files_.AddPath(request.path(), request.name(), AttributesOf(request.attributes()),
                     request.in_place(), roots_, cancelled));
  mesh_.SpreadChanges();
  v1::AddPathResponse response;
  response.set_id(added.id.ToText());
  response.set_name(added.name);
  response.set_size_bytes(static_cast<int64_t>(added.size_bytes));
  response.set_files(static_cast<int64_t>(added.files));
  for (const std::string& skipped : added.skipped) response.add_skipped(skipped);
  return response;
}

bool FileServant::TakeTurn(std::function<void()>& add) {
  MutexLock lock(&mutex_);
  if (!adding_) {
    adding_ = true;
    return true;
  }
  if (waiting_.size() >= kAddPathsWaitingMax) return false;
  waiting_.push_back(std::move(add));
  add = nullptr;
  return true;
}

std::function<void()> FileServant::NextAdd() {
  MutexLock lock(&mutex_);
  if (waiting_.empty()) {
    adding_ = false;
    return nullptr;
  }
  std::function<void()> next = std::move(waiting_.front());
  waiting_.pop_front();
  return next;
}

absl::StatusOr<std::unique_ptr<FileServant::UploadParts>> FileServant::UploadFile(
    const CallHead& head) {
  if (++*uploads_ > kUploadsMax) {
    --*uploads_;
    return OverloadedError(absl::StrCat("overloaded: ", kUploadsMax, " uploads are open"),
                           absl::Seconds(1));
  }
  return std::make_unique<UploadSink>(files_, mesh_, uploads_);
}

absl::StatusOr<v1::ListFilesResponse> FileServant::ListFiles(const CallHead& head,
                                                             const v1::ListFilesRequest& request) {
  const std::string context = absl::StrCat("ListFiles recursive=", request.recursive());
  PANAL_ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  PANAL_ASSIGN_OR_RETURN(const std::string after, DecodePageToken(context, request.page_token()));
  // One more than the page: whether there is a next one.
  PANAL_ASSIGN_OR_RETURN(const std::vector<PublishedFile> published,
                         catalog_.ListPublished(after, page_size + 1, request.recursive()));
  v1::ListFilesResponse response;
  for (const PublishedFile& file : published) {
    if (response.files_size() == page_size) {
      const PublishedFile& last = published[static_cast<size_t>(page_size) - 1];
      response.set_next_page_token(EncodePageToken(context, PositionAfter(last)));
      break;
    }
    v1::FileInfo* info = response.add_files();
    // Removed since it was listed: what the catalog said stays true for this answer.
    absl::StatusOr<FileDetails> details = files_.Find(file.id);
    if (details.ok()) *info = InfoOf(*details);
    FillPublished(file, info);
  }
  return response;
}

absl::StatusOr<v1::GetFileResponse> FileServant::GetFile(const CallHead& head,
                                                         const v1::GetFileRequest& request) {
  PANAL_ASSIGN_OR_RETURN(const FileId id, files_.Resolve(request.id()));
  PANAL_ASSIGN_OR_RETURN(const FileDetails details, files_.Find(id));
  v1::GetFileResponse response;
  *response.mutable_file() = InfoOf(details);
  return response;
}

absl::StatusOr<std::shared_ptr<const FileServant::Listing>> FileServant::ListingOf(
    const FileId& id) {
  {
    MutexLock lock(&mutex_);
    if (kept_listing_ != nullptr && kept_id_ == id) return kept_listing_;
  }
  PANAL_ASSIGN_OR_RETURN(Listing entries, files_.ReadListing(id));
  auto listing = std::make_shared<const Listing>(std::move(entries));
  if (listing->size() <= kListingKeptEntriesMax) {
    MutexLock lock(&mutex_);
    kept_id_ = id;
    kept_listing_ = listing;
  }
  return listing;
}

absl::StatusOr<v1::ListDirectoryResponse> FileServant::ListDirectory(
    const CallHead& head, const v1::ListDirectoryRequest& request) {
  PANAL_ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  PANAL_ASSIGN_OR_RETURN(const FileId id, files_.Resolve(request.id()));
  const std::string context = absl::StrCat("ListDirectory ", id.ToText());
  PANAL_ASSIGN_OR_RETURN(const std::string cursor, DecodePageToken(context, request.page_token()));
  size_t begin = 0;
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &begin)) begin = 0;
  PANAL_ASSIGN_OR_RETURN(const std::shared_ptr<const Listing> listing, ListingOf(id));
  const size_t end = std::min(listing->size(), begin + static_cast<size_t>(page_size));
  v1::ListDirectoryResponse response;
  for (size_t i = begin; i < end; ++i) {
    const ListingEntry& entry = (*listing)[i];
    v1::DirectoryEntry* added = response.add_entries();
    added->set_name(entry.name);
    added->set_kind(std::string(TypeName(entry.type)));
    added->set_executable(entry.executable);
    added->set_size_bytes(static_cast<int64_t>(entry.size_bytes));
    added->set_id(entry.id.ToText());
    if (entry.type != FileType::kDirectory) continue;
    PANAL_ASSIGN_OR_RETURN(const auto published, catalog_.FirstPublished(entry.id));
    if (published) added->set_total_bytes(static_cast<int64_t>(published->total_bytes));
  }
  if (end < listing->size()) {
    response.set_next_page_token(EncodePageToken(context, absl::StrCat(end)));
  }
  return response;
}

absl::StatusOr<std::unique_ptr<MessageSource<v1::ReadFileResponse>>> FileServant::ReadFile(
    const CallHead& head, const v1::ReadFileRequest& request) {
  std::vector<FieldViolation> violations;
  if (request.offset() < 0) {
    violations.push_back({"offset", absl::StrCat(request.offset(), " is negative")});
  }
  if (request.length() < 0) {
    violations.push_back({"length", absl::StrCat(request.length(), " is negative")});
  }
  if (!violations.empty()) return BadRequestError(violations);
  PANAL_ASSIGN_OR_RETURN(const FileId id, files_.Resolve(request.id()));
  PANAL_ASSIGN_OR_RETURN(const FileDetails details, files_.Find(id));
  const uint64_t size = details.manifest.size_bytes;
  // What is published was whole once: reading mends it.
  if (!details.complete && details.name.empty()) {
    return Error(ErrorReason::kFileIncomplete,
                 absl::StrCat(details.held_bytes, " of ", size, " bytes are held; fetch it first"),
                 {{"id", id.ToText()}});
  }
  const uint64_t begin = static_cast<uint64_t>(request.offset());
  if (begin > size) {
    return Error(ErrorReason::kRangeInvalid,
                 absl::StrCat("offset ", begin, " is beyond the size of ", size),
                 {{"id", id.ToText()}, {"size", absl::StrCat(size)}});
  }
  uint64_t length = static_cast<uint64_t>(request.length());
  if (length == 0 || length > size - begin) length = size - begin;
  return std::make_unique<RangeSource>(files_, mesh_, id, begin, begin + length);
}

void FileServant::FetchFile(const CallHead& head, const v1::FetchFileRequest& request,
                            StreamWriter<v1::FetchFileResponse> writer) {
  absl::StatusOr<FetchRequest> fetch = FetchRequestOf(request, files_);
  if (!fetch.ok()) return writer.Finish(fetch.status());
  auto progress = std::make_shared<ProgressWriter>(writer);
  const uint64_t number = mesh_.StartFetch(
      *std::move(fetch),
      {.on_progress = [progress](const FetchProgress& now) { progress->OnProgress(now); },
       .on_done = [progress](const absl::Status& status,
                             const FetchProgress& now) { progress->OnDone(status, now); }});
  writer.OnCancel([&mesh = mesh_, number] { mesh.CancelFetch(number); });
}

absl::StatusOr<v1::RemoveFileResponse> FileServant::RemoveFile(
    const CallHead& head, const v1::RemoveFileRequest& request) {
  PANAL_ASSIGN_OR_RETURN(const FileId id, files_.Resolve(request.id()));
  PANAL_ASSIGN_OR_RETURN(const FileStore::Removed removed, files_.Remove(id));
  mesh_.SpreadChanges();
  v1::RemoveFileResponse response;
  response.set_id(removed.id.ToText());
  response.set_files(static_cast<int64_t>(removed.files));
  response.set_freed_bytes(removed.freed_bytes);
  return response;
}

}  // namespace panal
