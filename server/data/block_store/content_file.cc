#include "server/data/block_store/content_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace panal {
namespace {

int64_t BytesOf(const Manifest& manifest, const std::vector<bool>& held) {
  int64_t bytes = 0;
  for (uint32_t i = 0; i < held.size(); ++i) {
    if (held[i]) bytes += manifest.BlockSize(i);
  }
  return bytes;
}

bool All(const std::vector<bool>& bits) {
  return std::find(bits.begin(), bits.end(), false) == bits.end();
}

std::vector<bool> And(std::vector<bool> a, const std::vector<bool>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = a[i] && b[i];
  return a;
}

std::vector<bool> Or(std::vector<bool> a, const std::vector<bool>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = a[i] || b[i];
  return a;
}

absl::Status WriteWhole(FileSystem& fs, const std::string& path, absl::string_view bytes,
                        bool sync) {
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<OpenFile> file, fs.OpenForWrite(path));
  PANAL_RETURN_IF_ERROR(file->Truncate(bytes.size()));
  PANAL_RETURN_IF_ERROR(file->WriteAt(0, bytes));
  return sync ? file->Sync() : absl::OkStatus();
}

}  // namespace

ContentPaths ContentPaths::Of(absl::string_view root, const FileId& id) {
  std::string text = id.ToText();
  ContentPaths paths{.root = std::string(root),
                     .folder = absl::StrCat(root, "/", text.substr(0, 2))};
  paths.map = absl::StrCat(paths.folder, "/", text, ".map");
  paths.data_prefix = absl::StrCat(paths.folder, "/", text, ".");
  return paths;
}

std::string ContentPaths::Data(uint64_t number) const {
  return absl::StrCat(data_prefix, absl::Hex(number, absl::kZeroPad16));
}

absl::StatusOr<BlockMap> ReadBlockMap(FileSystem& fs, const ContentPaths& paths, const FileId& id) {
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<OpenFile> file, fs.OpenForRead(paths.map));
  PANAL_ASSIGN_OR_RETURN(uint64_t size, file->Size());
  PANAL_ASSIGN_OR_RETURN(std::string bytes,
                         file->ReadAt(0, std::min<uint64_t>(size, kBlockMapSizeMax + 1)));
  return DecodeBlockMap(bytes, id);
}

ContentFile::ContentFile(FileSystem& fs, ContentPaths paths, const FileId& id,
                         std::shared_ptr<HeldLedger> ledger, bool keep_open)
    : fs_(fs),
      paths_(std::move(paths)),
      id_(id),
      ledger_(std::move(ledger)),
      keep_open_(keep_open) {}

void ContentFile::BeNew(NewContent content) {
  MutexLock lock(&map_mutex_);
  new_ = std::move(content);
}

absl::Status ContentFile::Load() {
  MutexLock lock(&map_mutex_);
  if (loaded_) return absl::OkStatus();
  PANAL_RETURN_IF_ERROR(new_ ? MakeNew() : LoadMap());
  new_.reset();
  loaded_ = true;
  return absl::OkStatus();
}

absl::Status ContentFile::LoadMap() {
  PANAL_ASSIGN_OR_RETURN(BlockMap map, ReadBlockMap(fs_, paths_, id_));
  manifest_ = std::move(map.manifest);
  {
    MutexLock lock(&mutex_);
    data_number_ = map.data_number;
    claimed_ = map.held;
    map_dirty_ = map.dirty;
    // It may have been written by a process that was killed before it synced: sync once more.
    map_durable_ = false;
    SetHeld(std::move(map.held));
  }
  return map.dirty ? Rehash() : absl::OkStatus();
}

absl::Status ContentFile::MakeFolder() {
  if (fs_.Exists(paths_.folder)) return absl::OkStatus();
  PANAL_RETURN_IF_ERROR(fs_.MakeDirs(paths_.folder));
  return fs_.SyncDir(paths_.root);
}

absl::Status ContentFile::MakeNew() {
  manifest_ = new_->manifest;
  PANAL_RETURN_IF_ERROR(MakeFolder());
  {
    MutexLock lock(&mutex_);
    data_number_ = new_->data_number;
    claimed_.assign(manifest_.blocks.size(), false);
    SetHeld(claimed_);
  }
  if (!new_->finished_path.empty()) return AdoptLocked(new_->finished_path, new_->data_number);
  absl::Status status = MakeEmpty();
  if (status.ok() && new_->recovered) return Rehash();
  if (!status.ok() && !new_->recovered) (void)fs_.Remove(paths_.Data(new_->data_number));
  return status;
}

absl::Status ContentFile::MakeEmpty() {
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<OpenFile> data,
                         fs_.OpenForWrite(paths_.Data(new_->data_number)));
  PANAL_RETURN_IF_ERROR(data->Truncate(manifest_.size_bytes));
  BlockMap map{.manifest = manifest_,
               .data_number = new_->data_number,
               .held = std::vector<bool>(manifest_.blocks.size()),
               .dirty = new_->recovered};
  PANAL_RETURN_IF_ERROR(WriteMap(map, /*durable=*/false));
  MutexLock lock(&mutex_);
  map_dirty_ = map.dirty;
  return absl::OkStatus();
}

absl::Status ContentFile::Rehash() {
  std::vector<bool> held;
  std::shared_ptr<OpenFile> data;
  {
    MutexLock lock(&mutex_);
    PANAL_ASSIGN_OR_RETURN(data, Data());
    held = held_;
  }
  for (uint32_t i = 0; i < held.size(); ++i) {
    if (held[i]) continue;
    absl::StatusOr<std::string> bytes =
        data->ReadAt(uint64_t{i} * manifest_.block_size_bytes, manifest_.BlockSize(i));
    held[i] = bytes.ok() && Sha256(*bytes) == manifest_.blocks[i];
  }
  MutexLock lock(&mutex_);
  SetHeld(std::move(held));
  return absl::OkStatus();
}

HeldBlocks ContentFile::Snapshot() {
  MutexLock lock(&mutex_);
  return {.manifest = manifest_,
          .held = held_,
          .held_bytes = static_cast<uint64_t>(ledger_->here.load()),
          .complete = All(held_)};
}

bool ContentFile::complete() {
  MutexLock lock(&mutex_);
  return All(held_);
}

absl::Status ContentFile::Write(uint32_t index, absl::string_view bytes) {
  PANAL_RETURN_IF_ERROR(CheckIndex(index, ErrorReason::kBlockCorrupt));
  if (bytes.size() != manifest_.BlockSize(index) || Sha256(bytes) != manifest_.blocks[index]) {
    return Corrupt(index);
  }
  bool claimed_wrongly;
  {
    MutexLock lock(&mutex_);
    claimed_wrongly = claimed_[index] && !held_[index];
  }
  if (claimed_wrongly) PANAL_RETURN_IF_ERROR(Checkpoint());

  PANAL_ASSIGN_OR_RETURN(std::shared_ptr<OpenFile> data, BeginWrite(index));
  if (data == nullptr) return absl::OkStatus();
  absl::Status status = data->WriteAt(uint64_t{index} * manifest_.block_size_bytes, bytes);
  EndWrite(index, status.ok());
  return status;
}

absl::StatusOr<std::shared_ptr<OpenFile>> ContentFile::BeginWrite(uint32_t index) {
  MutexLock lock(&mutex_);
  if (removed_) return NotFound();
  if (held_[index]) return std::shared_ptr<OpenFile>();
  PANAL_ASSIGN_OR_RETURN(std::shared_ptr<OpenFile> data, Data());
  if (!map_dirty_) PANAL_RETURN_IF_ERROR(SetDirty(true));
  ++writes_;
  ++writes_under_way_;
  return data;
}

void ContentFile::EndWrite(uint32_t index, bool written) {
  MutexLock lock(&mutex_);
  --writes_under_way_;
  if (!written || held_[index] || removed_) return;
  held_[index] = true;
  ledger_->Add(manifest_.BlockSize(index));
}

absl::StatusOr<std::string> ContentFile::Read(uint32_t index, bool verify) {
  PANAL_RETURN_IF_ERROR(CheckIndex(index, ErrorReason::kRangeInvalid));
  std::shared_ptr<OpenFile> data;
  {
    MutexLock lock(&mutex_);
    if (removed_) return NotFound();
    if (!held_[index]) {
      return Error(ErrorReason::kFileIncomplete,
                   absl::StrCat("block ", index, " of ", id_.ToText(), " is not held here"),
                   {{"id", id_.ToText()}, {"block", absl::StrCat(index)}});
    }
    PANAL_ASSIGN_OR_RETURN(data, Data());
  }
  uint32_t size = manifest_.BlockSize(index);
  PANAL_ASSIGN_OR_RETURN(std::string bytes,
                         data->ReadAt(uint64_t{index} * manifest_.block_size_bytes, size));
  if (bytes.size() == size && (!verify || Sha256(bytes) == manifest_.blocks[index])) return bytes;

  Forget(index);
  return Corrupt(index);
}

void ContentFile::Forget(uint32_t index) {
  {
    MutexLock lock(&mutex_);
    if (held_[index]) {
      held_[index] = false;
      ledger_->Add(-int64_t{manifest_.BlockSize(index)});
    }
  }
  LogLimited(LogLevel::kWarning, "block_corrupt",
             {{"id", id_.ToText()}, {"block", absl::StrCat(index)}});
  // Not fatal where it fails: no block is overwritten before such a checkpoint succeeded (K2).
  if (absl::Status status = Checkpoint(); !status.ok()) {
    LogLimited(LogLevel::kWarning, "checkpoint_failed", {{"error", std::string(status.message())}});
  }
}

absl::Status ContentFile::Checkpoint() {
  MutexLock map_lock(&map_mutex_);
  BlockMap map{.manifest = manifest_};
  std::shared_ptr<OpenFile> data;
  std::vector<bool> claimed;
  uint64_t writes;
  bool quiet;
  {
    MutexLock lock(&mutex_);
    if (removed_) return NotFound();
    if (map_durable_ && !map_dirty_ && held_ == claimed_) return absl::OkStatus();
    PANAL_ASSIGN_OR_RETURN(data, Data());
    map.held = held_;
    map.data_number = data_number_;
    // A content that is whole is not written to any more.
    map.dirty = !All(held_);
    claimed = claimed_;
    claimed_ = Or(claimed, map.held);
    writes = writes_;
    quiet = writes_under_way_ == 0;
  }
  if (absl::Status status = data->Sync(); !status.ok()) {
    MutexLock lock(&mutex_);
    SetHeld(And(held_, claimed));
    claimed_ = std::move(claimed);
    return status;
  }
  PANAL_RETURN_IF_ERROR(WriteMap(map, /*durable=*/true));
  MutexLock lock(&mutex_);
  map_durable_ = true;
  claimed_ = std::move(map.held);
  map_dirty_ = map.dirty;
  if (map_dirty_ && quiet && writes_ == writes) return SetDirty(false);
  return absl::OkStatus();
}

absl::Status ContentFile::Settle() {
  {
    MutexLock lock(&mutex_);
    if (removed_ || !map_dirty_) return absl::OkStatus();
  }
  return Checkpoint();
}

absl::Status ContentFile::Adopt(const std::string& finished_path, uint64_t number) {
  MutexLock map_lock(&map_mutex_);
  uint64_t old_number;
  {
    MutexLock lock(&mutex_);
    if (removed_) return NotFound();
    old_number = data_number_;
  }
  PANAL_RETURN_IF_ERROR(AdoptLocked(finished_path, number));
  (void)fs_.Remove(paths_.Data(old_number));
  return absl::OkStatus();
}

absl::Status ContentFile::AdoptLocked(const std::string& finished_path, uint64_t number) {
  BlockMap map{.manifest = manifest_,
               .data_number = number,
               .held = std::vector<bool>(manifest_.blocks.size(), true)};
  PANAL_RETURN_IF_ERROR(fs_.Rename(finished_path, paths_.Data(number)));
  // Where this fails the old data and what is known of it stay as they are. The new data stays too:
  // which of the two maps is on disk is not known.
  PANAL_RETURN_IF_ERROR(WriteMap(map, /*durable=*/true));
  MutexLock lock(&mutex_);
  data_ = nullptr;
  data_number_ = number;
  claimed_ = map.held;
  SetHeld(std::move(map.held));
  map_durable_ = true;
  map_dirty_ = false;
  return absl::OkStatus();
}

absl::Status ContentFile::Remove() {
  MutexLock map_lock(&map_mutex_);
  {
    MutexLock lock(&mutex_);
    removed_ = true;
    data_ = nullptr;
  }
  // Not synced: after lost power both may be back, or the map alone, which then counts for nothing.
  absl::StatusOr<BlockMap> map = ReadBlockMap(fs_, paths_, id_);
  absl::Status status = fs_.Remove(paths_.map);
  if (!status.ok() && ReasonOf(status) != ErrorReason::kPathNotFound) return status;
  if (map.ok()) status = fs_.Remove(paths_.Data(map->data_number));
  if (!status.ok() && ReasonOf(status) != ErrorReason::kPathNotFound) return status;
  ledger_->Set(0);
  return absl::OkStatus();
}

absl::Status ContentFile::WriteMap(const BlockMap& map, bool durable) {
  std::string temporary = absl::StrCat(paths_.map, ".new");
  absl::Status status = WriteWhole(fs_, temporary, EncodeBlockMap(map), durable);
  if (status.ok()) status = fs_.Rename(temporary, paths_.map);
  if (!status.ok()) {
    // A full disk needs the room.
    (void)fs_.Remove(temporary);
    return status;
  }
  return durable ? fs_.SyncDir(paths_.folder) : absl::OkStatus();
}

absl::Status ContentFile::SetDirty(bool dirty) {
  // Not synced: lost power may take the byte, but then it took the blocks that it warns of as well.
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<OpenFile> file, fs_.OpenForWrite(paths_.map));
  PANAL_RETURN_IF_ERROR(file->WriteAt(
      kBlockMapDirtyOffset, dirty ? absl::string_view("\1", 1) : absl::string_view("\0", 1)));
  map_dirty_ = dirty;
  return absl::OkStatus();
}

void ContentFile::SetHeld(std::vector<bool> held) {
  held_ = std::move(held);
  ledger_->Set(BytesOf(manifest_, held_));
}

absl::StatusOr<std::shared_ptr<OpenFile>> ContentFile::Data() {
  if (data_ != nullptr) return data_;
  PANAL_ASSIGN_OR_RETURN(std::shared_ptr<OpenFile> data,
                         fs_.OpenForWrite(paths_.Data(data_number_)));
  if (keep_open_) data_ = data;
  return data;
}

absl::Status ContentFile::CheckIndex(uint32_t index, ErrorReason reason) const {
  if (index < manifest_.blocks.size()) return absl::OkStatus();
  return Error(reason,
               absl::StrCat("block ", index, " is beyond the ", manifest_.blocks.size(),
                            " blocks of ", id_.ToText()),
               {{"id", id_.ToText()}, {"block", absl::StrCat(index)}});
}

absl::Status ContentFile::NotFound() const {
  return Error(ErrorReason::kFileNotFound,
               absl::StrCat("the block store does not hold ", id_.ToText()),
               {{"id", id_.ToText()}});
}

absl::Status ContentFile::Corrupt(uint32_t index) const {
  return Error(ErrorReason::kBlockCorrupt,
               absl::StrCat("block ", index, " of ", id_.ToText(), " does not hash to ",
                            manifest_.blocks[index].ToText()),
               {{"id", id_.ToText()}, {"block", absl::StrCat(index)}});
}

}  // namespace panal
