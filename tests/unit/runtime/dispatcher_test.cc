#include "server/application/dispatcher.h"

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/sync.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace panal {
namespace {

using ::testing::ElementsAre;

DispatcherOptions OneThread(int queue_max) {
  DispatcherOptions options;
  options.classes.fill({.threads = 1, .queue_max = queue_max});
  return options;
}

// Holds a worker until it is opened. Declared before the dispatcher whose worker it holds, which may
// still leave the gate while it is destroyed.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }

  // Waits for Open; tells WaitUntilReached first.
  void Pass() {
    MutexLock lock(&mutex_);
    reached_ = true;
    changed_.SignalAll();
    while (!open_) changed_.Wait(&mutex_);
  }

  void WaitUntilReached() {
    MutexLock lock(&mutex_);
    while (!reached_) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  Condition changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  bool reached_ ABSL_GUARDED_BY(mutex_) = false;
};

// Occupies the only worker of a class so that a test can fill the queue behind it.
void Occupy(Dispatcher& dispatcher, WorkClass work_class, Gate& gate) {
  ASSERT_TRUE(dispatcher.Submit(work_class, "gate", [&gate] { gate.Pass(); }).ok());
  gate.WaitUntilReached();
}

// The order in which tasks ran; written by one worker, read after Stop.
class Order {
 public:
  std::function<void()> Note(std::string name) {
    return [this, name = std::move(name)] {
      MutexLock lock(&mutex_);
      names_.push_back(name);
    };
  }

  std::vector<std::string> names() const {
    MutexLock lock(&mutex_);
    return names_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> names_ ABSL_GUARDED_BY(mutex_);
};

TEST(Dispatcher, RunsWhatWasSubmittedInOrderOfOneCaller) {
  auto dispatcher = Dispatcher::Create(OneThread(16));
  Order order;

  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "caller", order.Note(name)).ok());
  }
  dispatcher->Stop();

  EXPECT_THAT(order.names(), ElementsAre("a", "b", "c"));
}

TEST(Dispatcher, TakesTurnsBetweenCallers) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(64));
  Occupy(*dispatcher, WorkClass::kCalls, gate);
  Order order;

  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "a", order.Note("a")).ok());
  }
  ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "b", order.Note("b")).ok());
  ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "c", order.Note("c")).ok());
  gate.Open();
  dispatcher->Stop();

  EXPECT_THAT(order.names(), ElementsAre("a", "b", "c", "a", "a"));
}

// One caller brings 90 % of the work. The fair ideal serves the k-th task of each of the ten others
// after at most k rounds of eleven callers, plus the task that began before.
TEST(Dispatcher, BoundsTheWaitOfOthersWhenOneCallerBringsMostOfTheWork) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(2000));
  Occupy(*dispatcher, WorkClass::kCalls, gate);
  Order order;
  constexpr int kOthers = 10;
  constexpr int kTasksOfOther = 10;

  for (int i = 0; i < 900; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "greedy", order.Note("greedy")).ok());
  }
  for (int i = 0; i < kOthers * kTasksOfOther; ++i) {
    const std::string caller = absl::StrCat("other", i % kOthers);
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, caller, order.Note(caller)).ok());
  }
  gate.Open();
  dispatcher->Stop();

  const std::vector<std::string> names = order.names();
  ASSERT_EQ(names.size(), 1000u);
  std::map<std::string, int> served;
  for (size_t at = 0; at < names.size(); ++at) {
    if (names[at] == "greedy") continue;
    const int nth = ++served[names[at]];
    EXPECT_LE(at, static_cast<size_t>(nth * (kOthers + 1))) << names[at] << " task " << nth;
  }
}

TEST(Dispatcher, ChargesACallerTheCostOfItsTasks) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(64));
  Occupy(*dispatcher, WorkClass::kCalls, gate);
  Order order;

  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "big", order.Note("big"), 3).ok());
  }
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "small", order.Note("small")).ok());
  }
  gate.Open();
  dispatcher->Stop();

  EXPECT_THAT(order.names(),
              ElementsAre("small", "small", "big", "small", "small", "small", "big", "small"));
}

TEST(Dispatcher, AcceptsAFullQueueAndRefusesOneTaskMore) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(4));
  Occupy(*dispatcher, WorkClass::kCalls, gate);

  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, absl::StrCat("caller", i), [] {}).ok());
  }
  const absl::Status refused = dispatcher->Submit(WorkClass::kCalls, "late", [] {});

  EXPECT_EQ(ReasonOf(refused), ErrorReason::kOverloaded);
  ASSERT_TRUE(RetryAfterOf(refused).has_value());
  EXPECT_GE(*RetryAfterOf(refused), absl::Milliseconds(10));
  EXPECT_LE(*RetryAfterOf(refused), absl::Seconds(30));
  EXPECT_EQ(dispatcher->QueueLength(WorkClass::kCalls), 4);
  gate.Open();
}

TEST(Dispatcher, LeavesHalfOfTheQueueToOtherCallers) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(8));
  Occupy(*dispatcher, WorkClass::kCalls, gate);

  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "greedy", [] {}).ok());
  }
  const absl::Status refused = dispatcher->Submit(WorkClass::kCalls, "greedy", [] {});
  const absl::Status other = dispatcher->Submit(WorkClass::kCalls, "other", [] {});

  EXPECT_EQ(ReasonOf(refused), ErrorReason::kOverloaded);
  EXPECT_TRUE(other.ok());
  gate.Open();
}

TEST(Dispatcher, AcceptsOneTaskWhereTheQueueHoldsOne) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(1));
  Occupy(*dispatcher, WorkClass::kCalls, gate);

  EXPECT_TRUE(dispatcher->Submit(WorkClass::kCalls, "caller", [] {}).ok());
  EXPECT_FALSE(dispatcher->Submit(WorkClass::kCalls, "caller", [] {}).ok());
  gate.Open();
}

TEST(Dispatcher, RunsOneClassWhileAnotherIsSaturated) {
  Gate control;
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(4));
  Occupy(*dispatcher, WorkClass::kBulk, gate);
  while (dispatcher->Submit(WorkClass::kBulk, "a", [] {}).ok()) {
  }

  ASSERT_TRUE(dispatcher->Submit(WorkClass::kControl, "a", [&] { control.Pass(); }).ok());
  control.WaitUntilReached();

  control.Open();
  gate.Open();
}

// Before anything was measured a task is taken to need 1 ms.
TEST(Dispatcher, TellsAWaitInProportionToTheQueue) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(500));
  Occupy(*dispatcher, WorkClass::kCalls, gate);

  absl::Status refused;
  for (int i = 0; refused.ok(); ++i) {
    refused = dispatcher->Submit(WorkClass::kCalls, absl::StrCat(i), [] {});
  }

  EXPECT_EQ(RetryAfterOf(refused), absl::Milliseconds(500));
  gate.Open();
}

TEST(Dispatcher, RunsWhatWasAcceptedBeforeStopAndNothingAfter) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(16));
  Occupy(*dispatcher, WorkClass::kCalls, gate);
  std::atomic<int> ran = 0;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kCalls, "a", [&] { ++ran; }).ok());
  }

  std::thread stopper([&] { dispatcher->Stop(); });
  absl::Status refused;
  while (ReasonOf(refused) != ErrorReason::kShuttingDown) {
    refused = dispatcher->Submit(WorkClass::kControl, "b", [] {});
  }
  gate.Open();
  stopper.join();

  EXPECT_EQ(ran, 8);
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kShuttingDown);
}

TEST(Dispatcher, MayBeStoppedTwice) {
  auto dispatcher = Dispatcher::Create(OneThread(16));

  dispatcher->Stop();
  dispatcher->Stop();

  EXPECT_FALSE(dispatcher->Submit(WorkClass::kCalls, "a", [] {}).ok());
}

TEST(Dispatcher, RefusesWhatATaskSubmitsWhileItStops) {
  Gate gate;
  auto dispatcher = Dispatcher::Create(OneThread(16));
  absl::Status submitted;
  ASSERT_TRUE(dispatcher
                  ->Submit(WorkClass::kCalls, "a",
                           [&] {
                             gate.Pass();
                             submitted = dispatcher->Submit(WorkClass::kCalls, "a", [] {});
                           })
                  .ok());
  gate.WaitUntilReached();

  std::thread stopper([&] { dispatcher->Stop(); });
  // The classes are closed in their order: with the last one, all are.
  while (ReasonOf(dispatcher->Submit(WorkClass::kBulk, "b", [] {})) != ErrorReason::kShuttingDown) {
  }
  gate.Open();
  stopper.join();

  EXPECT_EQ(ReasonOf(submitted), ErrorReason::kShuttingDown);
}

TEST(Dispatcher, ReportsTheTimeInTheQueueOfEveryTask) {
  Mutex mutex;
  std::vector<std::pair<WorkClass, absl::Duration>> times;
  DispatcherOptions options = OneThread(16);
  options.on_queue_time = [&](WorkClass work_class, absl::Duration time) {
    MutexLock lock(&mutex);
    times.emplace_back(work_class, time);
  };
  auto dispatcher = Dispatcher::Create(options);

  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(dispatcher->Submit(WorkClass::kSearch, "a", [] {}).ok());
  }
  dispatcher->Stop();

  MutexLock lock(&mutex);
  EXPECT_EQ(times.size(), 3u);
  for (const auto& [work_class, time] : times) {
    EXPECT_EQ(work_class, WorkClass::kSearch);
    EXPECT_GE(time, absl::ZeroDuration());
  }
}

TEST(Dispatcher, RunsEveryAcceptedTaskOnceUnderConcurrentCallers) {
  DispatcherOptions options;
  options.classes.fill({.threads = 3, .queue_max = 64});
  auto dispatcher = Dispatcher::Create(options);
  std::atomic<int> accepted = 0;
  std::atomic<int> ran = 0;

  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 2000; ++i) {
        const auto work_class = static_cast<WorkClass>(i % kWorkClasses);
        if (dispatcher
                ->Submit(
                    work_class, absl::StrCat(caller), [&] { ++ran; }, 1 + i % 3)
                .ok()) {
          ++accepted;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  dispatcher->Stop();

  EXPECT_EQ(ran, accepted);
  EXPECT_GT(ran, 0);
}

TEST(DispatcherOptions, RefusesWhatIsOutOfRange) {
  DispatcherOptions no_threads;
  no_threads.classes[0].threads = 0;
  DispatcherOptions no_queue;
  no_queue.classes[3].queue_max = 0;

  EXPECT_TRUE(DispatcherOptions().Validate().ok());
  EXPECT_EQ(ReasonOf(no_threads.Validate()), ErrorReason::kConfigInvalid);
  EXPECT_EQ(ReasonOf(no_queue.Validate()), ErrorReason::kConfigInvalid);
}

}  // namespace
}  // namespace panal
