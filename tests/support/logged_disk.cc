#include "tests/support/logged_disk.h"

#include <sqlite3.h>

#include <utility>

#include "common/base/check.h"

namespace panal {
namespace {

// Of the LoggedDisk that lives.
struct State {
  std::vector<DiskOperation> log;
  std::function<bool()> power;
};

State& Disk() {
  static auto* const state = new State();
  return *state;
}

bool HasPower() { return !Disk().power || Disk().power(); }

// An open file: the real one lies behind it.
struct LoggedFile {
  sqlite3_file base;
  std::string* name;
  sqlite3_file* real;
};

LoggedFile* Logged(sqlite3_file* file) { return reinterpret_cast<LoggedFile*>(file); }

sqlite3_file* Real(sqlite3_file* file) { return Logged(file)->real; }

const sqlite3_io_methods kLoggedMethods = {
    .iVersion = 2,
    .xClose =
        [](sqlite3_file* file) {
          int code = Real(file)->pMethods->xClose(Real(file));
          sqlite3_free(Real(file));
          delete Logged(file)->name;
          return code;
        },
    .xRead = [](sqlite3_file* file, void* to, int size,
                sqlite3_int64 at) { return Real(file)->pMethods->xRead(Real(file), to, size, at); },
    .xWrite =
        [](sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
          if (!HasPower()) return SQLITE_IOERR_WRITE;
          Disk().log.push_back(
              {DiskOperation::kWrite, *Logged(file)->name, at,
               std::string(static_cast<const char*>(from), static_cast<size_t>(size))});
          return Real(file)->pMethods->xWrite(Real(file), from, size, at);
        },
    .xTruncate =
        [](sqlite3_file* file, sqlite3_int64 size) {
          if (!HasPower()) return SQLITE_IOERR_TRUNCATE;
          Disk().log.push_back({DiskOperation::kTruncate, *Logged(file)->name, size, ""});
          return Real(file)->pMethods->xTruncate(Real(file), size);
        },
    .xSync =
        [](sqlite3_file* file, int flags) {
          if (!HasPower()) return SQLITE_IOERR_FSYNC;
          Disk().log.push_back({DiskOperation::kSync, *Logged(file)->name, 0, ""});
          return Real(file)->pMethods->xSync(Real(file), flags);
        },
    .xFileSize =
        [](sqlite3_file* file, sqlite3_int64* size) {
          return Real(file)->pMethods->xFileSize(Real(file), size);
        },
    .xLock = [](sqlite3_file* file,
                int lock) { return Real(file)->pMethods->xLock(Real(file), lock); },
    .xUnlock = [](sqlite3_file* file,
                  int lock) { return Real(file)->pMethods->xUnlock(Real(file), lock); },
    .xCheckReservedLock =
        [](sqlite3_file* file, int* out) {
          return Real(file)->pMethods->xCheckReservedLock(Real(file), out);
        },
    .xFileControl =
        [](sqlite3_file* file, int op, void* arg) {
          return Real(file)->pMethods->xFileControl(Real(file), op, arg);
        },
    .xSectorSize = [](sqlite3_file* file) { return Real(file)->pMethods->xSectorSize(Real(file)); },
    .xDeviceCharacteristics =
        [](sqlite3_file* file) { return Real(file)->pMethods->xDeviceCharacteristics(Real(file)); },
    .xShmMap =
        [](sqlite3_file* file, int page, int size, int extend, volatile void** out) {
          return Real(file)->pMethods->xShmMap(Real(file), page, size, extend, out);
        },
    .xShmLock =
        [](sqlite3_file* file, int offset, int n, int flags) {
          return Real(file)->pMethods->xShmLock(Real(file), offset, n, flags);
        },
    .xShmBarrier = [](sqlite3_file* file) { Real(file)->pMethods->xShmBarrier(Real(file)); },
    .xShmUnmap = [](sqlite3_file* file,
                    int remove) { return Real(file)->pMethods->xShmUnmap(Real(file), remove); },
};

std::string LastComponent(const char* path) {
  std::string whole = path == nullptr ? "" : path;
  return whole.substr(whole.rfind('/') + 1);
}

int DeleteLogged(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  auto* real_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
  if (!HasPower()) return SQLITE_IOERR_DELETE;
  int code = real_vfs->xDelete(real_vfs, name, sync_directory);
  if (code == SQLITE_OK) Disk().log.push_back({DiskOperation::kDelete, LastComponent(name), 0, ""});
  return code;
}

int OpenLogged(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* real_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
  auto* real = static_cast<sqlite3_file*>(sqlite3_malloc(real_vfs->szOsFile));
  int code = real_vfs->xOpen(real_vfs, name, real, flags, out_flags);
  file->pMethods = nullptr;
  if (code != SQLITE_OK) {
    sqlite3_free(real);
    return code;
  }
  *Logged(file) = {{&kLoggedMethods}, new std::string(LastComponent(name)), real};
  return SQLITE_OK;
}

void Apply(const DiskOperation& operation, std::string& image) {
  if (operation.kind == DiskOperation::kTruncate) {
    image.resize(static_cast<size_t>(operation.offset));
    return;
  }
  size_t end = static_cast<size_t>(operation.offset) + operation.bytes.size();
  if (image.size() < end) image.resize(end);
  image.replace(static_cast<size_t>(operation.offset), operation.bytes.size(), operation.bytes);
}

}  // namespace

LoggedDisk::LoggedDisk() : real_(sqlite3_vfs_find(nullptr)), logged_(new sqlite3_vfs(*real_)) {
  Disk() = {};
  logged_->zName = "logged";
  logged_->pNext = nullptr;
  logged_->pAppData = real_;
  logged_->szOsFile = sizeof(LoggedFile);
  logged_->xOpen = OpenLogged;
  logged_->xDelete = DeleteLogged;
  PANAL_CHECK(sqlite3_vfs_register(logged_, /*makeDflt=*/1) == SQLITE_OK);
}

LoggedDisk::~LoggedDisk() {
  sqlite3_vfs_unregister(logged_);
  sqlite3_vfs_register(real_, /*makeDflt=*/1);
  delete logged_;
}

void LoggedDisk::SetPower(std::function<bool()> power) { Disk().power = std::move(power); }

const std::vector<DiskOperation>& LoggedDisk::log() const { return Disk().log; }

DiskFiles FilesAfterCut(DiskFiles before, const std::vector<DiskOperation>& log, size_t cut,
                        Random& random) {
  std::map<std::string, size_t> synced;  // Per file, the position of its last sync.
  for (size_t i = 0; i < cut; ++i) {
    if (log[i].kind == DiskOperation::kSync) synced[log[i].file] = i;
  }
  uint64_t kept_of_eight = random.Below(9);
  DiskFiles files = std::move(before);
  for (size_t i = 0; i < cut; ++i) {
    auto sync = synced.find(log[i].file);
    bool durable = sync != synced.end() && i < sync->second;
    // SQLite syncs the directory with it.
    if (log[i].kind == DiskOperation::kDelete) files.erase(log[i].file);
    bool changes = log[i].kind == DiskOperation::kWrite || log[i].kind == DiskOperation::kTruncate;
    if (changes && (durable || random.Below(8) < kept_of_eight)) Apply(log[i], files[log[i].file]);
  }
  return files;
}

}  // namespace panal
