#include "server/data/catalog/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string PathIn(const TempDir& dir) { return OptionsIn(dir).path; }

void Overwrite(const std::string& path, int64_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(offset);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.good());
}

void Fill(Catalog& catalog) {
  std::vector<PublishedFile> files;
  for (int i = 0; i < 2000; ++i) {
    files.push_back(MakeFile(absl::StrCat("file number ", i), absl::StrCat(i), {{"key", "value"}}));
  }
  ASSERT_TRUE(catalog.Publish(files).ok());
  SignDirtyPages(catalog, Peer("self"));
}

void Execute(const std::string& path, const char* sql) {
  auto connection = catalog::Connection::Open(path, catalog::Connection::Mode::kReadWrite);
  ASSERT_TRUE(connection.ok());
  ASSERT_TRUE((*connection)->RunScript(sql).ok());
}

TEST(Open, RefusesADatabaseOfANewerVersion) {
  TempDir dir;
  OpenOrDie(OptionsIn(dir));
  Execute(PathIn(dir), "PRAGMA user_version = 6");

  absl::Status status = Catalog::Open(OptionsIn(dir)).status();

  EXPECT_EQ(ReasonOf(status), ErrorReason::kDataDirTooNew);
  EXPECT_THAT(status.message(), HasSubstr("schema version 6"));
  EXPECT_EQ(MetadataOf(status)["supported"], "5");
}

TEST(Open, BringsADatabaseOfVersionOneUpToDate) {
  TempDir dir;
  Manifest published = ManifestOf(FileType::kFile, "published");
  Manifest unpublished = ManifestOf(FileType::kFile, "unpublished");
  {
    auto catalog = OpenOrDie(OptionsIn(dir));
    for (const Manifest& manifest : {published, unpublished}) {
      ASSERT_TRUE(catalog->PutContent({.id = manifest.Id(), .manifest = manifest}).ok());
    }
    PublishedFile file = MakeFile("published");
    file.id = published.Id();
    ASSERT_TRUE(catalog->Publish({file}).ok());
  }
  Execute(PathIn(dir),
          "DROP INDEX record_arrived; ALTER TABLE record DROP COLUMN arrived_ms; "
          "DROP TABLE kept_content; DROP TABLE redemption; DROP TABLE fact; "
          "PRAGMA user_version = 1");

  auto catalog = OpenOrDie(OptionsIn(dir));

  EXPECT_THAT(*catalog->KeptContents(), ElementsAre(unpublished.Id()));
  EXPECT_TRUE(catalog->GetValue(kContentsAdoptedKey)->has_value());
  EXPECT_TRUE(catalog->CheckIntegrity().ok());
  catalog.reset();
  EXPECT_THAT(*OpenOrDie(OptionsIn(dir))->KeptContents(), ElementsAre(unpublished.Id()));
}

// What was here before records had a time of arrival came long ago.
TEST(Open, BringsADatabaseOfVersionTwoUpToDate) {
  TempDir dir;
  {
    auto catalog = OpenOrDie(OptionsIn(dir));
    ASSERT_TRUE(catalog->Publish({MakeFile("one"), MakeFile("two")}).ok());
    SignDirtyPages(*catalog, Peer("self"));
  }
  Execute(PathIn(dir),
          "DROP INDEX record_arrived; ALTER TABLE record DROP COLUMN arrived_ms; "
          "DROP TABLE redemption; DROP TABLE fact; PRAGMA user_version = 2");

  auto catalog = OpenOrDie(OptionsIn(dir));

  Query all = ParseOrDie("*");
  auto found = catalog->Search(all, 100, absl::Minutes(1), kNow);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->hits.size(), 2u);
  auto arrived = catalog->SearchArrivals(all, 100, absl::Minutes(1), kNow, absl::Hours(1));
  ASSERT_TRUE(arrived.ok());
  EXPECT_TRUE(arrived->hits.empty());
  EXPECT_TRUE(catalog->CheckIntegrity().ok());
}

TEST(Open, BringsADatabaseOfVersionThreeUpToDate) {
  TempDir dir;
  OpenOrDie(OptionsIn(dir));
  Execute(PathIn(dir), "DROP TABLE redemption; DROP TABLE fact; PRAGMA user_version = 3");

  auto catalog = OpenOrDie(OptionsIn(dir));

  EXPECT_TRUE(*catalog->RedeemTicket(
      {.ticket = "0123456789abcdef", .peer = Peer("one"), .forget_at = kNow + absl::Hours(1)},
      kNow));
}

TEST(Open, BringsADatabaseOfVersionFourUpToDate) {
  TempDir dir;
  OpenOrDie(OptionsIn(dir));
  Execute(PathIn(dir), "DROP TABLE fact; PRAGMA user_version = 4");

  auto catalog = OpenOrDie(OptionsIn(dir));

  EXPECT_TRUE(catalog->KeptFacts()->empty());
}

TEST(Open, RefusesAnotherProgramsDatabase) {
  TempDir dir;
  Execute(PathIn(dir), "CREATE TABLE theirs(x)");
  EXPECT_EQ(ReasonOf(Catalog::Open(OptionsIn(dir)).status()), ErrorReason::kCatalogCorrupt);
}

TEST(Open, RefusesWhatIsNoDatabaseAndSaysWhatToDo) {
  TempDir dir;
  std::ofstream(PathIn(dir)) << std::string(10'000, 'x');

  absl::Status status = Catalog::Open(OptionsIn(dir)).status();

  EXPECT_EQ(ReasonOf(status), ErrorReason::kCatalogCorrupt);
  EXPECT_THAT(status.message(), HasSubstr(PathIn(dir)));
  EXPECT_THAT(MetadataOf(status)["advice"], HasSubstr("move"));
}

TEST(Open, FailsWhereTheDirectoryIsMissing) {
  EXPECT_EQ(ReasonOf(Catalog::Open({.path = "/nonexistent/catalog.db"}).status()),
            ErrorReason::kStorageFailed);
}

TEST(Open, NoticesATruncatedDatabase) {
  TempDir dir;
  { Fill(*OpenOrDie(OptionsIn(dir))); }
  ASSERT_EQ(truncate(PathIn(dir).c_str(), 50'000), 0);
  EXPECT_EQ(ReasonOf(Catalog::Open(OptionsIn(dir)).status()), ErrorReason::kCatalogCorrupt);
}

TEST(Open, NoticesOverwrittenBytesInTheMiddle) {
  TempDir dir;
  { Fill(*OpenOrDie(OptionsIn(dir))); }
  struct stat info;
  ASSERT_EQ(stat(PathIn(dir).c_str(), &info), 0);
  Overwrite(PathIn(dir), info.st_size / 3,
            std::string(static_cast<size_t>(info.st_size / 3), '\xa5'));

  EXPECT_EQ(ReasonOf(Catalog::Open(OptionsIn(dir)).status()), ErrorReason::kCatalogCorrupt);
}

// Wherever a page of the database is overwritten: a clear error or the truth, no crash.
TEST(Open, SurvivesDamageAnywhere) {
  TempDir dir;
  { Fill(*OpenOrDie(OptionsIn(dir))); }
  TempDir damaged_dir;
  std::string damaged = PathIn(damaged_dir);
  auto size = static_cast<int64_t>(std::filesystem::file_size(PathIn(dir)));
  int noticed = 0;
  for (int64_t offset = 0; offset < size; offset += size / 40) {
    std::filesystem::copy_file(PathIn(dir), damaged,
                               std::filesystem::copy_options::overwrite_existing);
    Overwrite(damaged, offset / 4096 * 4096, std::string(4096, '\x5a'));
    auto catalog = Catalog::Open({.path = damaged});
    absl::Status status = catalog.status();
    if (status.ok()) {
      auto found = (*catalog)->Search(ParseOrDie("number"), 10'000, absl::Minutes(1), kNow);
      status = found.status();
      for (int64_t page = 0; status.ok() && page < 10; ++page) {
        status = (*catalog)->OwnPages(Peer("self"), page, 1).status();
      }
      if (status.ok()) status = (*catalog)->CheckIntegrity();
    }
    noticed += status.ok() ? 0 : 1;
    EXPECT_TRUE(status.ok() || ReasonOf(status) == ErrorReason::kCatalogCorrupt) << status;
  }
  EXPECT_GT(noticed, 30);
}

TEST(CheckIntegrity, FindsASoundCatalogSound) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Fill(*catalog);
  EXPECT_TRUE(catalog->CheckIntegrity().ok()) << catalog->CheckIntegrity();
}

TEST(CheckIntegrity, ReadsTheTablesOutsideTheWriter) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Fill(*catalog);
  int64_t read = catalog->readers().Acquire()->connection().work().vm_steps;
  int64_t written = catalog->writer().counters().work.vm_steps;

  ASSERT_TRUE(catalog->CheckIntegrity().ok());

  // Each of 2,000 files is looked at in several indexes; the writer runs a statement or two.
  EXPECT_GT(catalog->readers().Acquire()->connection().work().vm_steps - read, 10'000);
  EXPECT_LT(catalog->writer().counters().work.vm_steps - written, 200);
}

TEST(CheckIntegrity, LetsCallersWaitForOneAnother) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Fill(*catalog);
  std::vector<std::thread> threads;
  std::atomic<int> sound = 0;
  // More than there are readers.
  for (int i = 0; i < 2 * catalog::kReadersMax; ++i) {
    threads.emplace_back([&] { sound += catalog->CheckIntegrity().ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sound, 2 * catalog::kReadersMax);
}

TEST(CheckIntegrity, NoticesWrongCounts) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Fill(*catalog);
  ASSERT_TRUE(catalog->writer()
                  .Write([](catalog::Connection& db) {
                    return db.Run("UPDATE own_page SET records = records + 1 WHERE number = 2");
                  })
                  .ok());
  EXPECT_EQ(ReasonOf(catalog->CheckIntegrity()), ErrorReason::kCatalogCorrupt);
}

}  // namespace
}  // namespace panal::catalog_test
