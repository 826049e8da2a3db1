#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace panal {
namespace {

absl::Status Failed(absl::string_view what) { return Error(ErrorReason::kStorageFailed, what); }

absl::Status Missing(absl::string_view path) {
  return Error(ErrorReason::kPathNotFound, absl::StrCat("there is no ", path));
}

std::string FolderOf(absl::string_view path) {
  size_t slash = path.rfind('/');
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

void Put(std::string& file, uint64_t offset, absl::string_view bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

class FaultyOpenFile final : public OpenFile {
 public:
  FaultyOpenFile(FaultyFileSystem& fs, FaultyFileSystem::InodePtr inode, int64_t era)
      : fs_(fs), inode_(std::move(inode)), era_(era) {}

  absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) override {
    MutexLock lock(&fs_.mutex_);
    PANAL_RETURN_IF_ERROR(fs_.Alive(era_));
    if (offset >= inode_->bytes.size()) return std::string();
    return inode_->bytes.substr(offset, size);
  }

  absl::Status WriteAt(uint64_t offset, absl::string_view bytes) override {
    MutexLock lock(&fs_.mutex_);
    PANAL_RETURN_IF_ERROR(fs_.Alive(era_));
    return fs_.Write(*inode_, offset, bytes);
  }

  absl::Status Sync() override {
    MutexLock lock(&fs_.mutex_);
    PANAL_RETURN_IF_ERROR(fs_.Alive(era_));
    return fs_.SyncInode(*inode_);
  }

  absl::StatusOr<uint64_t> Size() override {
    MutexLock lock(&fs_.mutex_);
    PANAL_RETURN_IF_ERROR(fs_.Alive(era_));
    return inode_->bytes.size();
  }

  absl::Status Truncate(uint64_t size) override {
    MutexLock lock(&fs_.mutex_);
    PANAL_RETURN_IF_ERROR(fs_.Alive(era_));
    inode_->bytes.resize(size);
    inode_->changes.push_back({.truncate = true, .offset = size});
    return absl::OkStatus();
  }

 private:
  FaultyFileSystem& fs_;
  const FaultyFileSystem::InodePtr inode_;
  const int64_t era_;
};

absl::Status FaultyFileSystem::Step() {
  ++operations_;
  if (stop_after_ >= 0 && operations_ > stop_after_) return Failed("the power is gone");
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::Alive(int64_t era) {
  if (era != era_) return Failed("the process that opened the file is gone");
  return Step();
}

absl::StatusOr<std::unique_ptr<OpenFile>> FaultyFileSystem::OpenForRead(absl::string_view path) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  auto at = files_.find(std::string(path));
  if (at == files_.end()) return Missing(path);
  return std::make_unique<FaultyOpenFile>(*this, at->second, era_);
}

absl::StatusOr<std::unique_ptr<OpenFile>> FaultyFileSystem::OpenForWrite(absl::string_view path) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  if (!folders_.contains(FolderOf(path))) return Missing(path);
  InodePtr& inode = files_[std::string(path)];
  if (inode == nullptr) {
    inode = std::make_shared<Inode>();
    name_changes_.push_back({.added = std::string(path), .inode = inode});
  }
  return std::make_unique<FaultyOpenFile>(*this, inode, era_);
}

absl::Status FaultyFileSystem::Rename(absl::string_view from, absl::string_view to) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  auto at = files_.find(std::string(from));
  if (at == files_.end()) return Missing(from);
  NameChange change{.removed = std::string(from), .added = std::string(to), .inode = at->second};
  ApplyName(change, files_, folders_);
  name_changes_.push_back(std::move(change));
  DropOrphans();
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::Remove(absl::string_view path) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  auto at = files_.find(std::string(path));
  if (at == files_.end()) return Missing(path);
  name_changes_.push_back({.removed = at->first, .inode = at->second});
  files_.erase(at);
  DropOrphans();
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::MakeDirs(absl::string_view path) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part(path.substr(0, slash));
    if (folders_.insert(part).second) name_changes_.push_back({.added = part, .folder = true});
    if (slash == absl::string_view::npos) return absl::OkStatus();
  }
}

absl::Status FaultyFileSystem::SyncDir(absl::string_view path) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  if (!folders_.contains(std::string(path))) return Missing(path);
  ++syncs_;
  std::vector<NameChange> rest;
  for (NameChange& change : name_changes_) {
    const std::string& name = change.added.empty() ? change.removed : change.added;
    if (FolderOf(name) == path) {
      ApplyName(change, synced_files_, synced_folders_);
    } else {
      rest.push_back(std::move(change));
    }
  }
  name_changes_ = std::move(rest);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FaultyFileSystem::ListDir(absl::string_view path) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  std::set<std::string> names;
  auto add = [&](const std::string& name) {
    if (name != "/" && FolderOf(name) == path) names.insert(name.substr(name.rfind('/') + 1));
  };
  for (const auto& [name, inode] : files_) add(name);
  for (const std::string& name : folders_) add(name);
  return std::vector<std::string>(names.begin(), names.end());
}

bool FaultyFileSystem::Exists(absl::string_view path) {
  MutexLock lock(&mutex_);
  return files_.contains(std::string(path)) || folders_.contains(std::string(path));
}

absl::StatusOr<int64_t> FaultyFileSystem::FreeBytes(absl::string_view) {
  MutexLock lock(&mutex_);
  PANAL_RETURN_IF_ERROR(Step());
  return capacity_ < 0 ? int64_t{1} << 50 : std::max<int64_t>(0, capacity_ - used_);
}

absl::Status FaultyFileSystem::Write(Inode& inode, uint64_t offset, absl::string_view bytes) {
  int64_t grown = std::min(static_cast<int64_t>(bytes.size()),
                           static_cast<int64_t>(offset + bytes.size()) - inode.allocated);
  grown = std::max<int64_t>(0, grown);
  if (capacity_ >= 0 && used_ + grown > capacity_) {
    return Error(ErrorReason::kStorageFull, "the disk is full");
  }
  used_ += grown;
  inode.allocated += grown;
  Put(inode.bytes, offset, bytes);
  inode.changes.push_back({.offset = offset, .bytes = std::string(bytes)});
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::SyncInode(Inode& inode) {
  ++syncs_;
  if (std::exchange(fail_next_sync_, false)) {
    inode.changes.clear();
    return Failed("the disk does not take the bytes");
  }
  for (const Change& change : inode.changes) {
    if (change.truncate) {
      inode.synced.resize(change.offset);
    } else {
      Put(inode.synced, change.offset, change.bytes);
    }
  }
  inode.changes.clear();
  return absl::OkStatus();
}

void FaultyFileSystem::ApplyName(const NameChange& change, std::map<std::string, InodePtr>& files,
                                 std::set<std::string>& folders) {
  if (change.folder) {
    folders.insert(change.added);
    return;
  }
  auto at = files.find(change.removed);
  if (at != files.end() && at->second == change.inode) files.erase(at);
  if (!change.added.empty()) files[change.added] = change.inode;
}

void FaultyFileSystem::DropOrphans() {
  std::set<const Inode*> named;
  used_ = 0;
  for (const auto& [name, inode] : files_) {
    if (named.insert(inode.get()).second) used_ += inode->allocated;
  }
}

void FaultyFileSystem::StopAfter(int64_t operations) {
  MutexLock lock(&mutex_);
  stop_after_ = operations < 0 ? -1 : operations_ + operations;
}

void FaultyFileSystem::PowerCut(Random& random, double survival) {
  MutexLock lock(&mutex_);
  for (const NameChange& change : name_changes_) {
    if (random.Unit() < survival) ApplyName(change, synced_files_, synced_folders_);
  }
  name_changes_.clear();
  std::set<Inode*> done;
  std::map<std::string, InodePtr> left;
  for (auto& [name, inode] : synced_files_) {
    bool reachable = true;
    for (std::string folder = FolderOf(name); reachable && folder != "/";
         folder = FolderOf(folder)) {
      reachable = synced_folders_.contains(folder);
    }
    if (!reachable) continue;
    left[name] = inode;
    if (!done.insert(inode.get()).second) continue;
    for (const Change& change : inode->changes) {
      if (random.Unit() >= survival) continue;
      if (change.truncate) {
        inode->synced.resize(change.offset);
        continue;
      }
      bool torn = change.bytes.size() > 1 && random.Below(4) == 0;
      size_t size = torn ? random.Below(change.bytes.size()) : change.bytes.size();
      Put(inode->synced, change.offset, absl::string_view(change.bytes).substr(0, size));
    }
    inode->changes.clear();
    inode->bytes = inode->synced;
  }
  files_ = synced_files_ = std::move(left);
  folders_ = synced_folders_;
  ++era_;
  stop_after_ = -1;
  DropOrphans();
}

void FaultyFileSystem::Killed() {
  MutexLock lock(&mutex_);
  ++era_;
  stop_after_ = -1;
}

void FaultyFileSystem::SetCapacity(int64_t bytes) {
  MutexLock lock(&mutex_);
  capacity_ = bytes;
}

void FaultyFileSystem::FailNextSync() {
  MutexLock lock(&mutex_);
  fail_next_sync_ = true;
}

void FaultyFileSystem::CorruptByte(absl::string_view path, uint64_t offset) {
  MutexLock lock(&mutex_);
  Inode& inode = *files_.at(std::string(path));
  PANAL_CHECK(offset < inode.bytes.size());
  inode.bytes[offset] = static_cast<char>(inode.bytes[offset] ^ 1);
  if (offset < inode.synced.size()) inode.synced[offset] = inode.bytes[offset];
}

bool FaultyFileSystem::stopped() const {
  MutexLock lock(&mutex_);
  return stop_after_ >= 0 && operations_ >= stop_after_;
}

int64_t FaultyFileSystem::operations() const {
  MutexLock lock(&mutex_);
  return operations_;
}

int64_t FaultyFileSystem::syncs() const {
  MutexLock lock(&mutex_);
  return syncs_;
}

}  // namespace panal
