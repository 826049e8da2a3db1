#include "server/data/block_store/block_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "server/data/block_store/block_store_impl.h"

namespace panal {
namespace {

// Contents whose bitmaps stay in memory even when no file may stay open. Guess: more than the
// contents that are received at once, so that none is hashed again because another one took its
// place.
constexpr int kRecentMin = 64;
constexpr absl::string_view kTemporaryFolder = "/tmp";
constexpr absl::string_view kMapSuffix = ".map";

std::string Parent(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string FileName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

absl::Status NotFound(const FileId& id) {
  return Error(ErrorReason::kFileNotFound,
               absl::StrCat("the block store does not hold ", id.ToText()), {{"id", id.ToText()}});
}

absl::Status Full(uint64_t size_bytes, absl::string_view what, int64_t limit) {
  return Error(ErrorReason::kStorageFull,
               absl::StrCat("no room for ", size_bytes, " bytes: ", what, " ", limit, " bytes"),
               {{"size_bytes", absl::StrCat(size_bytes)}, {"limit_bytes", absl::StrCat(limit)}});
}

void RemoveQuietly(FileSystem& fs, const std::string& path) {
  if (absl::Status status = fs.Remove(path); !status.ok()) {
    Log(LogLevel::kWarning, "leftover_kept", {{"error", std::string(status.message())}});
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlockStore>> BlockStore::Open(const BlockStoreOptions& options,
                                                             FileSystem& fs) {
  auto store = std::make_unique<BlockStoreImpl>(options, fs);
  PANAL_RETURN_IF_ERROR(store->Scan());
  return store;
}

BlockStoreImpl::BlockStoreImpl(const BlockStoreOptions& options, FileSystem& fs)
    : options_(options), fs_(fs) {}

absl::Status BlockStoreImpl::Scan() {
  std::string temporary = absl::StrCat(options_.dir, kTemporaryFolder);
  std::vector<std::string> parents;
  for (std::string at = options_.dir; !fs_.Exists(at); at = Parent(at))
    parents.push_back(Parent(at));
  PANAL_RETURN_IF_ERROR(fs_.MakeDirs(temporary));
  for (const std::string& parent : parents) PANAL_RETURN_IF_ERROR(fs_.SyncDir(parent));
  PANAL_ASSIGN_OR_RETURN(std::vector<std::string> leftovers, fs_.ListDir(temporary));
  for (const std::string& name : leftovers) RemoveQuietly(fs_, absl::StrCat(temporary, "/", name));

  PANAL_ASSIGN_OR_RETURN(std::vector<std::string> folders, fs_.ListDir(options_.dir));
  for (const std::string& folder : folders) {
    if (folder.size() == 2 && IsBase32(folder)) {
      PANAL_RETURN_IF_ERROR(ScanFolder(absl::StrCat(options_.dir, "/", folder)));
    }
  }
  return absl::OkStatus();
}

absl::Status BlockStoreImpl::ScanFolder(absl::string_view folder) {
  PANAL_ASSIGN_OR_RETURN(std::vector<std::string> names, fs_.ListDir(folder));
  absl::flat_hash_set<std::string> used;
  for (const std::string& name : names) {
    absl::string_view text = name;
    if (!absl::ConsumeSuffix(&text, kMapSuffix)) continue;
    std::optional<FileId> id = FileId::FromText(text);
    if (!id) continue;
    PANAL_ASSIGN_OR_RETURN(std::string data, ScanMap(*id, names));
    used.insert(std::move(data));
    used.insert(name);
  }
  for (const std::string& name : names) {
    if (!used.contains(name)) RemoveQuietly(fs_, absl::StrCat(folder, "/", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> BlockStoreImpl::ScanMap(const FileId& id,
                                                    const std::vector<std::string>& names) {
  ContentPaths paths = ContentPaths::Of(options_.dir, id);
  absl::StatusOr<BlockMap> map = ReadBlockMap(fs_, paths, id);
  if (!map.ok() && ReasonOf(map.status()) == ErrorReason::kDataDirTooNew) return map.status();
  std::string data = map.ok() ? FileName(paths.Data(map->data_number)) : "";
  if (!map.ok() || !std::binary_search(names.begin(), names.end(), data)) {
    Log(LogLevel::kWarning, "block_map_dropped",
        {{"id", id.ToText()},
         {"error",
          map.ok() ? std::string("its data is missing") : std::string(map.status().message())}});
    PANAL_RETURN_IF_ERROR(fs_.Remove(paths.map));
    return map.ok() ? std::string() : KeepDamaged(id, names);
  }
  Entry entry{.ledger = std::make_shared<HeldLedger>(), .size_bytes = map->manifest.size_bytes};
  entry.ledger->all = &stored_;
  for (uint32_t i = 0; i < map->held.size(); ++i) {
    if (map->held[i]) entry.ledger->Add(map->manifest.BlockSize(i));
  }
  MutexLock lock(&mutex_);
  reserved_ += entry.size_bytes;
  index_.emplace(id, std::move(entry));
  return data;
}

std::string BlockStoreImpl::KeepDamaged(const FileId& id, const std::vector<std::string>& names) {
  std::string prefix = absl::StrCat(id.ToText(), ".");
  for (const std::string& name : names) {
    uint64_t number;
    if (absl::StartsWith(name, prefix) &&
        absl::SimpleHexAtoi(absl::StripPrefix(name, prefix), &number)) {
      // Where the same content is asked for again its blocks are hashed.
      MutexLock lock(&mutex_);
      damaged_[id] = number;
      return name;
    }
  }
  return "";
}

absl::Status BlockStoreImpl::Create(const Manifest& manifest) {
  FileId id = manifest.Id();
  NewContent content{.manifest = manifest, .data_number = NewDataNumber()};
  {
    MutexLock lock(&mutex_);
    if (index_.contains(id)) return absl::OkStatus();
    auto damaged = damaged_.find(id);
    content.recovered = damaged != damaged_.end();
    if (content.recovered) content.data_number = damaged->second;
  }
  PANAL_RETURN_IF_ERROR(Reserve(manifest.size_bytes));
  absl::StatusOr<std::shared_ptr<ContentFile>> file = AddNew(id, std::move(content));
  if (!file.ok() || *file == nullptr) Release(manifest.size_bytes);
  return file.status();
}

absl::Status BlockStoreImpl::Adopt(const Manifest& manifest, const std::string& finished_path) {
  FileId id = manifest.Id();
  uint64_t number = NewDataNumber();
  PANAL_ASSIGN_OR_RETURN(
      std::shared_ptr<ContentFile> file,
      AddNew(id, {.manifest = manifest, .data_number = number, .finished_path = finished_path}));
  if (file != nullptr) return absl::OkStatus();
  PANAL_ASSIGN_OR_RETURN(file, Acquire(id));
  if (file->complete()) {
    PANAL_RETURN_IF_ERROR(file->Checkpoint());
    RemoveQuietly(fs_, finished_path);
  } else {
    PANAL_RETURN_IF_ERROR(file->Adopt(finished_path, number));
  }
  Release(manifest.size_bytes);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ContentFile>> BlockStoreImpl::AddNew(const FileId& id,
                                                                    NewContent content) {
  std::shared_ptr<ContentFile> file;
  std::shared_ptr<HeldLedger> ledger = std::make_shared<HeldLedger>();
  ledger->all = &stored_;
  std::vector<std::shared_ptr<ContentFile>> evicted;
  {
    MutexLock lock(&mutex_);
    auto [at, is_new] = index_.try_emplace(id);
    if (!is_new) return file;
    damaged_.erase(id);
    at->second = {.ledger = ledger, .size_bytes = content.manifest.size_bytes};
    file = NewContentFile(id, at->second);
    file->BeNew(std::move(content));
    at->second.open = file;
    evicted = Touch(file);
  }
  for (const std::shared_ptr<ContentFile>& old : evicted) (void)old->Settle();
  absl::Status status = file->Load();
  if (!status.ok()) {
    DropEntry(id, ledger);
    return status;
  }
  return file;
}

absl::StatusOr<std::shared_ptr<ContentFile>> BlockStoreImpl::Acquire(const FileId& id) {
  std::shared_ptr<ContentFile> file;
  std::vector<std::shared_ptr<ContentFile>> evicted;
  {
    MutexLock lock(&mutex_);
    auto at = index_.find(id);
    if (at == index_.end()) return NotFound(id);
    file = at->second.open.lock();
    if (file == nullptr) {
      file = NewContentFile(id, at->second);
      at->second.open = file;
    }
    evicted = Touch(file);
  }
  for (const std::shared_ptr<ContentFile>& old : evicted) (void)old->Settle();
  PANAL_RETURN_IF_ERROR(file->Load());
  return file;
}

std::shared_ptr<ContentFile> BlockStoreImpl::NewContentFile(const FileId& id, const Entry& entry) {
  // Shared by the calls that are using it and by `recent_`; closed when the last lets go.
  return std::make_shared<ContentFile>(fs_, ContentPaths::Of(options_.dir, id), id, entry.ledger,
                                       options_.open_files_max > 0);
}

std::vector<std::shared_ptr<ContentFile>> BlockStoreImpl::Touch(
    const std::shared_ptr<ContentFile>& file) {
  std::vector<std::shared_ptr<ContentFile>> evicted;
  auto at = places_.find(file.get());
  if (at != places_.end()) {
    recent_.splice(recent_.begin(), recent_, at->second);
    return evicted;
  }
  recent_.push_front(file);
  places_[file.get()] = recent_.begin();
  int limit = options_.open_files_max > 0 ? options_.open_files_max : kRecentMin;
  while (recent_.size() > static_cast<size_t>(limit)) {
    evicted.push_back(recent_.back());
    DropRecent(recent_.back().get());
  }
  return evicted;
}

void BlockStoreImpl::DropRecent(const ContentFile* file) {
  auto at = places_.find(file);
  if (at == places_.end()) return;
  recent_.erase(at->second);
  places_.erase(at);
}

bool BlockStoreImpl::DropEntry(const FileId& id, const std::shared_ptr<HeldLedger>& ledger) {
  MutexLock lock(&mutex_);
  auto at = index_.find(id);
  if (at == index_.end() || at->second.ledger != ledger) return false;
  ledger->Set(0);
  if (std::shared_ptr<ContentFile> open = at->second.open.lock()) DropRecent(open.get());
  index_.erase(at);
  return true;
}

absl::StatusOr<HeldBlocks> BlockStoreImpl::Find(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(std::shared_ptr<ContentFile> file, Acquire(id));
  return file->Snapshot();
}

absl::Status BlockStoreImpl::WriteBlock(const FileId& id, uint32_t index, absl::string_view bytes) {
  PANAL_ASSIGN_OR_RETURN(std::shared_ptr<ContentFile> file, Acquire(id));
  return file->Write(index, bytes);
}

absl::Status BlockStoreImpl::Checkpoint(const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(std::shared_ptr<ContentFile> file, Acquire(id));
  return file->Checkpoint();
}

absl::StatusOr<std::string> BlockStoreImpl::ReadBlock(const FileId& id, uint32_t index,
                                                      bool verify) {
  PANAL_ASSIGN_OR_RETURN(std::shared_ptr<ContentFile> file, Acquire(id));
  return file->Read(index, verify);
}

absl::StatusOr<int64_t> BlockStoreImpl::Remove(const FileId& id) {
  std::shared_ptr<ContentFile> file;
  std::shared_ptr<HeldLedger> ledger;
  uint64_t size_bytes = 0;
  {
    MutexLock lock(&mutex_);
    auto at = index_.find(id);
    if (at == index_.end()) return NotFound(id);
    ledger = at->second.ledger;
    size_bytes = at->second.size_bytes;
    file = at->second.open.lock();
    if (file == nullptr) {
      file = NewContentFile(id, at->second);
      at->second.open = file;
    }
  }
  int64_t freed = ledger->here;
  if (absl::Status status = file->Remove(); !status.ok()) {
    // The next call finds out from the disk what is left.
    MutexLock lock(&mutex_);
    DropRecent(file.get());
    if (auto at = index_.find(id); at != index_.end()) at->second.open.reset();
    return status;
  }
  if (!DropEntry(id, ledger)) return NotFound(id);
  Release(size_bytes);
  return freed;
}

absl::StatusOr<std::unique_ptr<BlockStore::Writer>> BlockStoreImpl::NewWriter(FileType type,
                                                                              uint64_t size_bytes) {
  if (size_bytes > kFileSizeMax) {
    return Error(ErrorReason::kContentTooLarge,
                 absl::StrCat("a content of ", size_bytes, " bytes exceeds ", kFileSizeMax),
                 {{"size_bytes", absl::StrCat(size_bytes)}});
  }
  return NewBlockWriter(*this, fs_,
                        absl::StrCat(options_.dir, kTemporaryFolder, "/", next_temporary_++), type,
                        size_bytes);
}

absl::Status BlockStoreImpl::Reserve(uint64_t size_bytes) {
  PANAL_ASSIGN_OR_RETURN(int64_t free, fs_.FreeBytes(options_.dir));
  if (size_bytes > static_cast<uint64_t>(free)) return Full(size_bytes, "the disk has", free);
  MutexLock lock(&mutex_);
  int64_t limit = options_.size_bytes_max;
  if (limit > 0 && reserved_ + size_bytes > static_cast<uint64_t>(limit)) {
    return Full(size_bytes, absl::StrCat(reserved_, " bytes are taken of"), limit);
  }
  reserved_ += size_bytes;
  return absl::OkStatus();
}

void BlockStoreImpl::Release(uint64_t size_bytes) {
  MutexLock lock(&mutex_);
  PANAL_CHECK(reserved_ >= size_bytes);
  reserved_ -= size_bytes;
}

int64_t BlockStoreImpl::stored_bytes() const { return stored_; }

std::vector<FileId> BlockStoreImpl::List() {
  std::vector<FileId> ids;
  MutexLock lock(&mutex_);
  ids.reserve(index_.size());
  for (const auto& [id, entry] : index_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace panal
