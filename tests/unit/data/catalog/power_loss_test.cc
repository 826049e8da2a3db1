// Lost power. A file layer below SQLite logs every write, truncation and sync; a run is then cut at
// many random places: of what was not synced by then a random part is lost, the rest is there. From
// what is left the catalog must open, sound, with everything that was acknowledged before the cut.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstring>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "common/base/random.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

struct Operation {
  enum Kind { kWrite, kTruncate, kSync, kDelete } kind;

  std::string file;  // Last component of its path.
  int64_t offset = 0;
  std::string bytes;
};

// Every operation in order. The test uses one thread.
std::vector<Operation>& Log() {
  static auto* const log = new std::vector<Operation>();
  return *log;
}

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
          Log().push_back({Operation::kWrite, *Logged(file)->name, at,
                           std::string(static_cast<const char*>(from), static_cast<size_t>(size))});
          return Real(file)->pMethods->xWrite(Real(file), from, size, at);
        },
    .xTruncate =
        [](sqlite3_file* file, sqlite3_int64 size) {
          Log().push_back({Operation::kTruncate, *Logged(file)->name, size, ""});
          return Real(file)->pMethods->xTruncate(Real(file), size);
        },
    .xSync =
        [](sqlite3_file* file, int flags) {
          Log().push_back({Operation::kSync, *Logged(file)->name, 0, ""});
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
  int code = real_vfs->xDelete(real_vfs, name, sync_directory);
  if (code == SQLITE_OK) Log().push_back({Operation::kDelete, LastComponent(name), 0, ""});
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

// Puts the logging layer below every connection opened while it lives.
class LoggingLayer {
 public:
  LoggingLayer() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
    Log().clear();
    vfs_.zName = "logged";
    vfs_.pNext = nullptr;
    vfs_.pAppData = real_;
    vfs_.szOsFile = sizeof(LoggedFile);
    vfs_.xOpen = OpenLogged;
    vfs_.xDelete = DeleteLogged;
    PANAL_CHECK(sqlite3_vfs_register(&vfs_, /*makeDflt=*/1) == SQLITE_OK);
  }

  LoggingLayer(const LoggingLayer&) = delete;
  LoggingLayer& operator=(const LoggingLayer&) = delete;

  ~LoggingLayer() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, /*makeDflt=*/1);
  }

 private:
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_;
};

void Apply(const Operation& operation, std::string& image) {
  if (operation.kind == Operation::kTruncate) {
    image.resize(static_cast<size_t>(operation.offset));
    return;
  }
  size_t end = static_cast<size_t>(operation.offset) + operation.bytes.size();
  if (image.size() < end) image.resize(end);
  image.replace(static_cast<size_t>(operation.offset), operation.bytes.size(), operation.bytes);
}

// What the files hold when power is lost before operation `cut`.
std::map<std::string, std::string> FilesAfterCut(const std::vector<Operation>& log, size_t cut,
                                                 Random& random) {
  std::map<std::string, size_t> synced;  // Per file, the position of its last sync.
  for (size_t i = 0; i < cut; ++i) {
    if (log[i].kind == Operation::kSync) synced[log[i].file] = i;
  }
  uint64_t kept_of_eight = random.Below(9);
  std::map<std::string, std::string> files;
  for (size_t i = 0; i < cut; ++i) {
    auto sync = synced.find(log[i].file);
    bool durable = sync != synced.end() && i < sync->second;
    // SQLite syncs the directory with it.
    if (log[i].kind == Operation::kDelete) files.erase(log[i].file);
    bool changes = log[i].kind == Operation::kWrite || log[i].kind == Operation::kTruncate;
    if (changes && (durable || random.Below(8) < kept_of_eight)) Apply(log[i], files[log[i].file]);
  }
  return files;
}

TEST(Catalog, KeepsWhatItAcknowledgedWhenPowerIsLost) {
  std::vector<size_t> acknowledged;  // Position in the log at which file number i was acknowledged.
  std::vector<Operation> log;
  {
    LoggingLayer layer;
    TempDir dir;
    auto catalog = OpenOrDie(OptionsIn(dir));
    for (int i = 0; i < 250; ++i) {
      ASSERT_TRUE(catalog->Publish({MakeFile(absl::StrCat("file ", i), absl::StrCat(i))}).ok());
      acknowledged.push_back(Log().size());
      if (i % 10 == 0) SignDirtyPages(*catalog, Peer("self"));
    }
    log = Log();
  }
  // The log was moved into the database at least once.
  EXPECT_TRUE(std::any_of(log.begin() + 20, log.end(), [](const Operation& operation) {
    return operation.file == "catalog.db" && operation.kind == Operation::kSync;
  }));

  Random random(7);
  for (int round = 0; round < 150; ++round) {
    // From the first acknowledgement on: before it there need not be a database.
    size_t cut = acknowledged.front() + random.Below(log.size() - acknowledged.front());
    TempDir dir;
    for (const auto& [name, bytes] : FilesAfterCut(log, cut, random)) {
      std::ofstream(dir.path() + "/" + name, std::ios::binary) << bytes;
    }

    auto catalog = Catalog::Open(OptionsIn(dir));

    ASSERT_TRUE(catalog.ok()) << "round " << round << ": " << catalog.status();
    ASSERT_TRUE((*catalog)->CheckIntegrity().ok()) << (*catalog)->CheckIntegrity();
    for (size_t i = 0; i < acknowledged.size() && acknowledged[i] <= cut; ++i) {
      ASSERT_TRUE(*(*catalog)->IsPublished(File(absl::StrCat(i))))
          << "round " << round << " file " << i;
    }
  }
}

// Every acknowledgement comes after a sync that covers all that was written.
TEST(Catalog, SyncsBeforeItAcknowledges) {
  LoggingLayer layer;
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  for (int i = 0; i < 20; ++i) {
    size_t before = Log().size();
    ASSERT_TRUE(catalog->Publish({MakeFile(absl::StrCat(i), absl::StrCat(i))}).ok());
    ASSERT_GT(Log().size(), before);
    EXPECT_EQ(Log().back().kind, Operation::kSync);
    EXPECT_EQ(Log().back().file, "catalog.db-wal");
  }
}

}  // namespace
}  // namespace panal::catalog_test
