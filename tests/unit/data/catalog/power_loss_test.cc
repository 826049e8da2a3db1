// Lost power, at many random places of a run: from what is left the catalog must open, sound, with
// everything that was acknowledged before the cut (tests/support/logged_disk.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "common/base/random.h"
#include "tests/support/catalog_support.h"
#include "tests/support/logged_disk.h"

namespace panal::catalog_test {
namespace {

TEST(Catalog, KeepsWhatItAcknowledgedWhenPowerIsLost) {
  std::vector<size_t> acknowledged;  // Position in the log at which file number i was acknowledged.
  std::vector<DiskOperation> log;
  {
    LoggedDisk disk;
    TempDir dir;
    auto catalog = OpenOrDie(OptionsIn(dir));
    for (int i = 0; i < 250; ++i) {
      ASSERT_TRUE(catalog->Publish({MakeFile(absl::StrCat("file ", i), absl::StrCat(i))}).ok());
      acknowledged.push_back(disk.log().size());
      if (i % 10 == 0) SignDirtyPages(*catalog, Peer("self"));
    }
    log = disk.log();
  }
  // The log was moved into the database at least once.
  EXPECT_TRUE(std::any_of(log.begin() + 20, log.end(), [](const DiskOperation& operation) {
    return operation.file == "catalog.db" && operation.kind == DiskOperation::kSync;
  }));

  Random random(7);
  for (int round = 0; round < 150; ++round) {
    // From the first acknowledgement on: before it there need not be a database.
    size_t cut = acknowledged.front() + random.Below(log.size() - acknowledged.front());
    TempDir dir;
    for (const auto& [name, bytes] : FilesAfterCut({}, log, cut, random)) {
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
  LoggedDisk disk;
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  for (int i = 0; i < 20; ++i) {
    size_t before = disk.log().size();
    ASSERT_TRUE(catalog->Publish({MakeFile(absl::StrCat(i), absl::StrCat(i))}).ok());
    ASSERT_GT(disk.log().size(), before);
    EXPECT_EQ(disk.log().back().kind, DiskOperation::kSync);
    EXPECT_EQ(disk.log().back().file, "catalog.db-wal");
  }
}

}  // namespace
}  // namespace panal::catalog_test
