#include "common/base/file_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace panal {
namespace {

rlimit Current() {
  rlimit limit{};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  return limit;
}

TEST(FileLimit, IsRaisedToTheHardOne) {
  rlimit low = Current();
  ASSERT_GT(low.rlim_max, 64u);
  low.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);

  const absl::StatusOr<FileLimit> raised = RaiseFileLimit();

  ASSERT_TRUE(raised.ok()) << raised.status();
  EXPECT_EQ(raised->before, 64u);
  EXPECT_EQ(raised->now, low.rlim_max);
  EXPECT_EQ(Current().rlim_cur, low.rlim_max);
}

TEST(FileLimit, StaysWhereItIsTheHardOneAlready) {
  ASSERT_TRUE(RaiseFileLimit().ok());

  const absl::StatusOr<FileLimit> again = RaiseFileLimit();

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->before, again->now);
  EXPECT_EQ(Current().rlim_cur, again->now);
}

}  // namespace
}  // namespace panal
