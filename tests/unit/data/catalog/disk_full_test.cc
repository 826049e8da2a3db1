#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

// Publishes until there is no room. Returns how many were acknowledged.
int FillUp(Catalog& catalog, absl::Status& status) {
  for (int i = 0;; ++i) {
    std::string name = absl::StrCat("file ", i);
    status = catalog.Publish({MakeFile(name, name, {{"padding", std::string(256, 'x')}})});
    if (!status.ok() || i > 100'000) return i;
  }
}

void ExpectUsable(Catalog& catalog, int published) {
  EXPECT_EQ(*catalog.CountPublished(), published);
  EXPECT_TRUE(*catalog.IsPublished(File("file 0")));
  EXPECT_TRUE(catalog.ListPublished("", 10, true).ok());
  auto removed = catalog.Unpublish(File("file 0"));
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(*catalog.CountPublished(), published - 1);
  EXPECT_TRUE(catalog.CheckIntegrity().ok());
}

TEST(Catalog, SaysStorageFullAtItsLimitAndStaysUsable) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(
      catalog->writer()
          .Write([](catalog::Connection& db) { return db.Run("PRAGMA max_page_count = 200"); })
          .ok());

  absl::Status status;
  int published = FillUp(*catalog, status);

  EXPECT_EQ(ReasonOf(status), ErrorReason::kStorageFull) << status;
  EXPECT_GT(published, 100);
  ExpectUsable(*catalog, published);
}

class SmallDisk {
 public:
  SmallDisk() : mounted_(mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, "size=16m") == 0) {}

  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  ~SmallDisk() {
    if (mounted_) umount2(dir_.path().c_str(), MNT_DETACH);
  }

  bool mounted() const { return mounted_; }

  const TempDir& dir() const { return dir_; }

 private:
  TempDir dir_;
  const bool mounted_;
};

TEST(Catalog, SaysStorageFullOnAFullDiskAndStaysUsable) {
  SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  int published = 0;
  {
    auto catalog = OpenOrDie(OptionsIn(disk.dir()));
    absl::Status status;
    published = FillUp(*catalog, status);
    EXPECT_EQ(ReasonOf(status), ErrorReason::kStorageFull) << status;
    EXPECT_GT(published, 100);
    ExpectUsable(*catalog, published);
  }
  auto catalog = OpenOrDie(OptionsIn(disk.dir()));
  EXPECT_EQ(*catalog->CountPublished(), published - 1);
}

}  // namespace
}  // namespace panal::catalog_test
