#include "common/base/sync.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace panal {
namespace {

// What the thread sanitizer has to see synchronized.
struct Counter {
  Mutex mutex;
  int value ABSL_GUARDED_BY(mutex) = 0;
};

TEST(Mutex, ExcludesThreadsFromEachOther) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        MutexLock lock(&counter.mutex);
        ++counter.value;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  MutexLock lock(&counter.mutex);
  EXPECT_EQ(counter.value, 40'000);
}

// A queue of one place: producer and consumer wait for each other at every item.
struct Slot {
  Mutex mutex;
  Condition changed;
  bool full ABSL_GUARDED_BY(mutex) = false;
  int item ABSL_GUARDED_BY(mutex) = 0;

  void Put(int value) {
    MutexLock lock(&mutex);
    while (full) changed.Wait(&mutex);
    item = value;
    full = true;
    changed.Signal();
  }

  int Take() {
    MutexLock lock(&mutex);
    while (!full) changed.Wait(&mutex);
    full = false;
    changed.Signal();
    return item;
  }
};

TEST(Condition, HandsItemsFromOneThreadToAnother) {
  Slot slot;
  std::thread producer([&] {
    for (int i = 0; i < 2000; ++i) slot.Put(i);
  });

  int next = 0;
  while (next < 2000 && slot.Take() == next) ++next;

  producer.join();
  EXPECT_EQ(next, 2000);
}

// Plain memory that one thread writes before it signals and others read after they woke.
struct Gate {
  Mutex mutex;
  Condition opened;
  bool open ABSL_GUARDED_BY(mutex) = false;

  void Wait() {
    MutexLock lock(&mutex);
    while (!open) opened.WaitFor(&mutex, absl::Hours(1));
  }

  void Open() {
    MutexLock lock(&mutex);
    open = true;
    opened.SignalAll();
  }
};

TEST(Condition, WakesAllThatWaitAndShowsThemWhatWasWritten) {
  Gate gate;
  int written = 0;
  std::vector<int> seen(4, 0);
  std::vector<std::thread> threads;
  for (int& value : seen) {
    threads.emplace_back([&gate, &written, &value] {
      gate.Wait();
      value = written;
    });
  }

  written = 42;
  gate.Open();

  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, std::vector<int>(4, 42));
}

TEST(Condition, SaysWhenTheTimeRanOut) {
  Mutex mutex;
  Condition never;
  MutexLock lock(&mutex);
  EXPECT_TRUE(never.WaitFor(&mutex, absl::ZeroDuration()));
}

}  // namespace
}  // namespace panal
