// How much is done for how many files: counted, not timed.
#include <cmath>

#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

class Work : public FileStoreTest {
 protected:
  void WriteFiles(const std::string& top, int count) {
    std::filesystem::create_directory(Path(top));
    for (int i = 0; i < count; ++i) {
      std::ofstream(Path(top + "/" + std::to_string(i))) << top << i;
    }
  }
};

TEST_F(Work, GrowsLinearlyWithTheFilesThatAreAdded) {
  std::map<int, int64_t> calls;
  for (int count : {1'000, 10'000}) {
    WriteFiles("top" + std::to_string(count), count);
    int64_t before = source_.calls;
    absl::StatusOr<AddedFile> added = Add(Path("top" + std::to_string(count)));
    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_EQ(added->files, static_cast<uint64_t>(count));
    calls[count] = source_.calls - before;
  }

  double slope = std::log10(static_cast<double>(calls[10'000]) / static_cast<double>(calls[1'000]));
  EXPECT_LE(slope, 1.15);
  // Open, two stats before and after, one read: no more for a small file.
  EXPECT_LE(calls[10'000], 5 * 10'000 + 100);
}

TEST_F(Work, TakesADirectoryOfAHundredThousandEntries) {
  std::filesystem::create_directory(Path("top"));
  Write("top/0", "the same");
  for (int i = 1; i < 100'000; ++i) {
    // A file may have some 65,000 names on ext4: use two.
    std::string name = "top/" + std::to_string(i);
    if (i == 50'000) {
      Write(name, "the same");
    } else {
      std::filesystem::create_hard_link(Path(i < 50'000 ? "top/0" : "top/50000"), Path(name));
    }
  }

  absl::StatusOr<AddedFile> added = Add(Path("top"));

  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->files, 100'000u);
  EXPECT_EQ(store_->Find(added->id)->storage, StorageKind::kStored);
  EXPECT_EQ(store_->ReadListing(added->id)->size(), 100'000u);
}

}  // namespace
}  // namespace panal
