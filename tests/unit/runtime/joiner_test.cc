#include "server/runtime/joiner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/base/log.h"
#include "common/base/sync.h"
#include "tests/support/catalog_support.h"

namespace panal {
namespace {

// Notes what is dialled and answers as told.
class FakeLinks final : public Links {
 public:
  struct Dialled {
    std::string address;
    std::optional<PeerId> expected;
  };

  // Answers by address; what is missing fails.
  std::map<std::string, PeerId> peers;

  void DialAddress(absl::string_view address, std::optional<PeerId> expected,
                   std::function<void(absl::StatusOr<PeerId>)> done) override {
    {
      MutexLock lock(&mutex_);
      dialled_.push_back({std::string(address), expected});
      changed_.SignalAll();
    }
    auto it = peers.find(std::string(address));
    if (it == peers.end()) return done(absl::UnavailableError("connection refused"));
    done(it->second);
  }

  std::vector<Dialled> WaitForDials(size_t count) {
    MutexLock lock(&mutex_);
    absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (dialled_.size() < count && absl::Now() < deadline) {
      changed_.WaitFor(&mutex_, deadline - absl::Now());
    }
    EXPECT_GE(dialled_.size(), count);
    return dialled_;
  }

  size_t dials() {
    MutexLock lock(&mutex_);
    return dialled_.size();
  }

  void Dial(const PeerContact&) override {}

  void Send(const PeerId&, const Frame&) override {}

  void Close(const PeerId&) override {}

  void SetHello(Hello) override {}

  void Shutdown() override {}

 private:
  Mutex mutex_;
  Condition changed_;
  std::vector<Dialled> dialled_ ABSL_GUARDED_BY(mutex_);
};

class JoinerTest : public testing::Test {
 protected:
  JoinerTest() {
    SetLogLevel(LogLevel::kError);
    loop_.Start();
  }

  ~JoinerTest() override { loop_.Stop(); }

  // Lives until the loop has stopped: a dial may be answered after the test has seen it.
  Joiner* Make(std::vector<JoinAddress> addresses) {
    joiner_ = std::make_unique<Joiner>(
        catalog_test::Peer("self"), std::move(addresses), loop_, links_,
        [this] { return has_neighbor_.load(); },
        [this](PeerContact contact) {
          MutexLock lock(&mutex_);
          learned_.push_back(std::move(contact));
        });
    return joiner_.get();
  }

  // Runs what the loop has now.
  void Drain() {
    absl::Notification done;
    loop_.Post([&] { done.Notify(); });
    done.WaitForNotification();
  }

  FakeLinks links_;
  NodeLoop loop_;
  std::atomic<bool> has_neighbor_{false};
  Mutex mutex_;
  std::vector<PeerContact> learned_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Joiner> joiner_;
};

TEST_F(JoinerTest, DialsEveryAddressAndReportsThoseThatAnswer) {
  PeerId peer = catalog_test::Peer("p");
  links_.peers["b:2"] = peer;
  auto joiner = Make({{"a:1", std::nullopt}, {"b:2", peer}});

  joiner->Start();
  auto dialled = links_.WaitForDials(2);
  Drain();

  EXPECT_EQ(dialled[0].address, "a:1");
  EXPECT_FALSE(dialled[0].expected.has_value());
  EXPECT_EQ(dialled[1].expected, peer);
  MutexLock lock(&mutex_);
  ASSERT_GE(learned_.size(), 1u);
  EXPECT_EQ(learned_[0], (PeerContact{peer, {"b:2"}}));
}

TEST_F(JoinerTest, TellsWhyEachAddressFailedLast) {
  links_.peers["b:2"] = catalog_test::Peer("p");
  auto joiner = Make({{"a:1", std::nullopt}, {"b:2", std::nullopt}});
  EXPECT_TRUE(joiner->Failures().empty());

  joiner->Start();
  links_.WaitForDials(2);
  Drain();

  auto failures = joiner->Failures();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures["a:1"].message(), "connection refused");
}

TEST_F(JoinerTest, DialsAgainUntilThereIsANeighbor) {
  auto joiner = Make({{"a:1", std::nullopt}});
  absl::Time begun = absl::Now();

  joiner->Start();
  links_.WaitForDials(3);

  // It waits longer each time: 0.5 s, then 1 s.
  EXPECT_GE(absl::Now() - begun, 3 * kJoinRetryMin);
}

TEST_F(JoinerTest, ItsOwnAddressIsDialledOnce) {
  links_.peers["own:1"] = catalog_test::Peer("self");
  auto joiner = Make({{"own:1", std::nullopt}, {"b:2", std::nullopt}});

  joiner->Start();
  auto dialled = links_.WaitForDials(4);

  EXPECT_EQ(dialled[0].address, "own:1");
  for (size_t i = 1; i < dialled.size(); ++i) EXPECT_EQ(dialled[i].address, "b:2");
  MutexLock lock(&mutex_);
  EXPECT_TRUE(learned_.empty());
}

TEST_F(JoinerTest, OneWithNothingButItsOwnAddressIsDone) {
  links_.peers["own:1"] = catalog_test::Peer("self");
  auto joiner = Make({{"own:1", std::nullopt}});

  joiner->Start();
  links_.WaitForDials(1);
  absl::Notification later;
  loop_.PostAfter(3 * kJoinRetryMin, [&] { later.Notify(); });
  later.WaitForNotification();

  EXPECT_EQ(links_.dials(), 1u);
}

TEST_F(JoinerTest, DialsNobodyWhileThereIsANeighbor) {
  has_neighbor_ = true;
  auto joiner = Make({{"a:1", std::nullopt}});

  joiner->Start();
  Drain();

  EXPECT_EQ(links_.dials(), 0u);
}

TEST_F(JoinerTest, DoesNothingWithoutAddresses) {
  auto joiner = Make({});

  joiner->Start();
  Drain();

  EXPECT_EQ(links_.dials(), 0u);
}

}  // namespace
}  // namespace panal
