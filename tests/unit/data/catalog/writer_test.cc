#include "server/data/catalog/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "server/data/catalog/schema.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class WriterTest : public ::testing::Test {
 protected:
  explicit WriterTest(size_t queue_max = kWriteQueueMax)
      : writer_(*OpenDatabase(dir_.path() + "/catalog.db", 1024), queue_max) {}

  // Runs `count` writers while another one holds the transaction, so that they queue up.
  template <typename Write>
  void WriteTogether(int count, const Write& write) {
    absl::Notification queued;
    std::vector<std::thread> threads;
    absl::Notification leading;
    threads.emplace_back([&] {
      EXPECT_TRUE(writer_
                      .Write([&](Connection&) {
                        leading.Notify();
                        queued.WaitForNotification();
                        return absl::OkStatus();
                      })
                      .ok());
    });
    leading.WaitForNotification();
    for (int i = 0; i < count; ++i) threads.emplace_back([&, i] { write(i); });
    while (writer_.waiting() < static_cast<size_t>(count)) std::this_thread::yield();
    queued.Notify();
    for (std::thread& thread : threads) thread.join();
  }

  absl::Status Set(const std::string& key, absl::Status result = absl::OkStatus()) {
    return writer_.Write([&](Connection& db) -> absl::Status {
      PANAL_RETURN_IF_ERROR(
          db.Run("INSERT INTO setting(key, value) VALUES(?, x'')", absl::string_view(key)));
      return result;
    });
  }

  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    EXPECT_TRUE(writer_
                    .Write([&](Connection& db) -> absl::Status {
                      PANAL_ASSIGN_OR_RETURN(Statement row,
                                             db.Query("SELECT key FROM setting ORDER BY key"));
                      while (true) {
                        PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
                        if (!found) return absl::OkStatus();
                        keys.emplace_back(row.Bytes(0));
                      }
                    })
                    .ok());
    return keys;
  }

  catalog_test::TempDir dir_;
  Writer writer_;
};

class ShortQueueTest : public WriterTest {
 protected:
  ShortQueueTest() : WriterTest(/*queue_max=*/3) {}
};

TEST_F(WriterTest, CommitsWhatQueuedUpTogether) {
  WriteTogether(20, [&](int i) { EXPECT_TRUE(Set(absl::StrCat(i)).ok()); });

  EXPECT_EQ(writer_.counters().jobs, 21);
  EXPECT_EQ(writer_.counters().commits, 2);
  EXPECT_THAT(Keys(), SizeIs(20));
}

TEST_F(WriterTest, RollsBackAFailingJobAlone) {
  WriteTogether(6, [&](int i) {
    absl::Status wanted = i % 2 == 0 ? absl::OkStatus() : Error(ErrorReason::kInternal, "no");
    EXPECT_EQ(Set(absl::StrCat(i), wanted), wanted);
  });

  EXPECT_EQ(writer_.counters().commits, 2);
  EXPECT_THAT(Keys(), ElementsAre("0", "2", "4"));
}

TEST_F(WriterTest, RollsTheIndexBackWithTheJob) {
  auto write = [&](int64_t key, absl::Status result) {
    return writer_.Write([&](Connection& db) -> absl::Status {
      PANAL_RETURN_IF_ERROR(
          db.Run("INSERT INTO record_words(rowid, text) VALUES(?, 'some word')", key));
      return result;
    });
  };
  WriteTogether(9, [&](int i) {
    write(i + 1, i % 3 == 1 ? Error(ErrorReason::kInternal, "no") : absl::OkStatus()).IgnoreError();
  });

  int64_t found = 0;
  ASSERT_TRUE(writer_
                  .Write([&](Connection& db) -> absl::Status {
                    PANAL_ASSIGN_OR_RETURN(
                        found, db.QueryInt(0,
                                           "SELECT count(*) FROM record_words WHERE record_words "
                                           "MATCH 'word'"));
                    return CheckIndex(db);
                  })
                  .ok());
  EXPECT_EQ(found, 6);
}

TEST_F(WriterTest, RunsJobsAgainAloneWhenTheTransactionIsLost) {
  WriteTogether(3, [&](int i) {
    absl::Status status = writer_.Write([&](Connection& db) -> absl::Status {
      // As SQLite does on some errors.
      if (i == 1) {
        PANAL_RETURN_IF_ERROR(db.Run("ROLLBACK"));
        return Error(ErrorReason::kStorageFull, "disk full");
      }
      return db.Run("INSERT INTO setting(key, value) VALUES(?, x'')",
                    absl::string_view(absl::StrCat(i)));
    });
    EXPECT_EQ(status.ok(), i != 1) << status;
  });
  EXPECT_THAT(Keys(), ElementsAre("0", "2"));
}

TEST_F(ShortQueueTest, ShedsWritersBeyondItsLimit) {
  absl::Status beyond;
  absl::Notification queued;
  absl::Notification leading;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    writer_
        .Write([&](Connection&) {
          leading.Notify();
          queued.WaitForNotification();
          return absl::OkStatus();
        })
        .IgnoreError();
  });
  leading.WaitForNotification();
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] { EXPECT_TRUE(Set(absl::StrCat(i)).ok()); });
  }
  while (writer_.waiting() < 3) std::this_thread::yield();

  beyond = Set("beyond");

  queued.Notify();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ReasonOf(beyond), ErrorReason::kOverloaded);
  EXPECT_TRUE(RetryAfterOf(beyond).has_value());
  EXPECT_THAT(Keys(), ElementsAre("0", "1", "2"));
}

}  // namespace
}  // namespace panal::catalog
