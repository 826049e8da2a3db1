#include "server/runtime/node_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace panal {
namespace {

TEST(NodeLoop, RunsTasksOfOneThreadInTheirOrder) {
  NodeLoop loop;
  std::vector<int> order;  // Owned by the loop.
  for (int i = 0; i < 100; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.Start();
  for (int i = 100; i < 1000; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.Stop();

  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(NodeLoop, RunsTasksOfManyThreadsOneAtATime) {
  NodeLoop loop;
  loop.Start();
  int64_t sum = 0;  // Owned by the loop: the thread sanitizer would tell.
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        if (i % 2 == 0) {
          loop.Post([&sum] { ++sum; });
        } else {
          EXPECT_TRUE(loop.TryPost([&sum] { ++sum; }));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  loop.Stop();

  EXPECT_EQ(sum, 4000);
}

TEST(NodeLoop, RefusesWhatComesFromOutsideAtTheLimitAndTakesItsOwnBeyond) {
  NodeLoop loop(/*mailbox_max=*/3);
  int run = 0;
  EXPECT_TRUE(loop.TryPost([&run] { ++run; }));
  EXPECT_TRUE(loop.TryPost([&run] { ++run; }));
  EXPECT_TRUE(loop.TryPost([&run] { ++run; }));
  EXPECT_EQ(loop.waiting(), 3u);
  EXPECT_FALSE(loop.TryPost([&run] { ++run; }));
  loop.Post([&run] { ++run; });
  EXPECT_EQ(loop.waiting(), 4u);
  EXPECT_FALSE(loop.TryPost([&run] { ++run; }));

  loop.Start();
  loop.Stop();
  EXPECT_EQ(run, 4);
  EXPECT_EQ(loop.waiting(), 0u);
}

TEST(NodeLoop, ItsTimeNeverGoesBackAndATimerComesNotBeforeIt) {
  NodeLoop loop;
  absl::Time last = loop.Now();
  EXPECT_LT(absl::AbsDuration(last - absl::Now()), absl::Seconds(60));
  loop.Start();
  absl::Notification come;
  absl::Time begun = loop.Now();
  absl::Time ended;
  loop.PostAfter(absl::Milliseconds(40), [&] {
    ended = loop.Now();
    come.Notify();
  });
  while (!come.HasBeenNotified()) {
    absl::Time now = loop.Now();
    ASSERT_GE(now, last);
    last = now;
  }
  loop.Stop();

  EXPECT_GE(ended - begun, absl::Milliseconds(40));
}

TEST(NodeLoop, TakesATimerThatNeverComes) {
  NodeLoop loop;
  loop.PostAfter(absl::InfiniteDuration(), [] { FAIL(); });
  loop.Start();
  absl::Notification come;
  loop.PostAfter(absl::ZeroDuration(), [&] { come.Notify(); });
  come.WaitForNotification();
  loop.Stop();
}

TEST(NodeLoop, RunsTimersInTheOrderOfTheirTimesAndNotBefore) {
  NodeLoop loop;
  loop.Start();
  std::vector<int> order;
  absl::Notification all;
  absl::Time begun = absl::Now();
  absl::Time last;
  loop.PostAfter(absl::Milliseconds(60), [&] {
    order.push_back(3);
    last = absl::Now();
    all.Notify();
  });
  loop.PostAfter(absl::Milliseconds(30), [&order] { order.push_back(2); });
  loop.PostAfter(absl::ZeroDuration(), [&order] { order.push_back(1); });
  all.WaitForNotification();
  loop.Stop();

  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(last - begun, absl::Milliseconds(60));
}

TEST(NodeLoop, RunsATimerAlthoughTasksNeverEnd) {
  NodeLoop loop;
  std::atomic<bool> fired{false};
  std::function<void()> again = [&] {
    if (!fired) loop.Post(again);
  };
  loop.Post(again);
  loop.PostAfter(absl::Milliseconds(1), [&] { fired = true; });
  loop.Start();
  absl::Notification posted;
  loop.PostAfter(absl::Milliseconds(2), [&] { posted.Notify(); });
  posted.WaitForNotification();
  loop.Stop();

  EXPECT_TRUE(fired);
}

TEST(NodeLoop, RunsWhatWaitsWhenItStopsAndDropsTheRest) {
  NodeLoop loop;
  bool waited = false;
  bool timer = false;
  bool posted_while_stopping = false;
  absl::Notification running;
  absl::Notification go_on;
  loop.Post([&] {
    running.Notify();
    go_on.WaitForNotification();
  });
  loop.Post([&] { waited = true; });
  loop.PostAfter(absl::Hours(1), [&] { timer = true; });
  loop.Start();
  running.WaitForNotification();
  std::thread stop([&] { loop.Stop(); });
  // Stop has been seen once a post is refused.
  while (loop.TryPost([] {})) std::this_thread::yield();
  loop.Post([&] { posted_while_stopping = true; });
  loop.PostAfter(absl::ZeroDuration(), [&] { timer = true; });
  go_on.Notify();
  stop.join();

  EXPECT_TRUE(waited);
  EXPECT_FALSE(posted_while_stopping);
  EXPECT_FALSE(timer);
  loop.Post([&] { posted_while_stopping = true; });
  EXPECT_FALSE(loop.TryPost([&] { posted_while_stopping = true; }));
  EXPECT_FALSE(posted_while_stopping);
}

TEST(NodeLoop, StopsTwiceAndWithoutAStart) {
  NodeLoop never_started;
  never_started.Post([] { FAIL(); });
  never_started.Stop();
  never_started.Stop();

  NodeLoop loop;
  loop.Start();
  loop.Stop();
  loop.Stop();
}

}  // namespace
}  // namespace panal
