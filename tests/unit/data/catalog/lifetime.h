// What a catalog does for a number of files from their publication to their removal, counted.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/catalog_support.h"

namespace panal::catalog_test {

// Files of one transaction.
inline constexpr int kBatch = 500;

inline std::vector<PublishedFile> Batch(int first, int count) {
  std::vector<PublishedFile> files;
  for (int i = first; i < first + count; ++i) {
    files.push_back(MakeFile(absl::StrCat("dir ", i % 97, "/file ", i, ".txt"), absl::StrCat(i),
                             {{"lang", i % 2 == 0 ? "en" : "es"}}, "dir"));
  }
  return files;
}

struct Work {
  double rows = 0;
  double steps = 0;
  double pages = 0;  // Of 4 KiB, written to the log.
};

inline Work Since(SqliteCatalog& catalog, const catalog::WorkCounters& before) {
  catalog::WorkCounters now = catalog.writer().counters().work;
  return {static_cast<double>(now.rows_changed - before.rows_changed),
          static_cast<double>(now.vm_steps - before.vm_steps),
          static_cast<double>(now.pages_written - before.pages_written)};
}

struct Lifetime {
  Work publish, sign, again, add_one_batch, remove;
  double database_pages = 0;
};

inline Lifetime LiveThrough(int count) {
  const PeerId self = Peer("self");
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Lifetime result;
  auto work = [&] { return catalog->writer().counters().work; };

  catalog::WorkCounters before = work();
  for (int i = 0; i < count; i += kBatch) EXPECT_TRUE(catalog->Publish(Batch(i, kBatch)).ok());
  EXPECT_TRUE(catalog->Publish({MakeDirectory("dir", "dir", static_cast<uint64_t>(count))}).ok());
  result.publish = Since(*catalog, before);

  before = work();
  EXPECT_GE(SignDirtyPages(*catalog, self), count / static_cast<int>(kPageRecordsMax));
  result.sign = Since(*catalog, before);

  before = work();
  EXPECT_TRUE(catalog->Publish(Batch(0, kBatch)).ok());
  result.again = Since(*catalog, before);

  before = work();
  EXPECT_TRUE(catalog->Publish(Batch(count, kBatch)).ok());
  result.add_one_batch = Since(*catalog, before);
  result.database_pages = static_cast<double>(
      *catalog->readers().Acquire()->connection().QueryInt(0, "PRAGMA page_count"));

  before = work();
  EXPECT_EQ(catalog->Unpublish(File("dir"))->size(), static_cast<size_t>(count + kBatch + 1));
  SignDirtyPages(*catalog, self);
  result.remove = Since(*catalog, before);
  return result;
}

// Of the line through two counts in the log-log plane: 1 is linear, 2 quadratic.
inline double Slope(double few, double many, double factor = 10) {
  return std::log(many / few) / std::log(factor);
}

}  // namespace panal::catalog_test
