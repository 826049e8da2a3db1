#include "server/runtime/core_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "tests/support/catalog_support.h"
#include "tests/support/eventually.h"
#include "tests/unit/application/fake_parts.h"

namespace panal {
namespace {

using testing::_;
using testing::HasSubstr;
using testing::NiceMock;
using testing::Return;
using testing::SizeIs;

// Notes what is sent.
class FakeLinks final : public Links {
 public:
  void Dial(const PeerContact&) override {}

  void DialAddress(absl::string_view, std::optional<PeerId>,
                   std::function<void(absl::StatusOr<PeerId>)>) override {}

  void Send(const PeerId& peer, const Frame& frame) override {
    MutexLock lock(&mutex_);
    sent_.push_back({peer, frame});
  }

  void Close(const PeerId&) override {}

  void SetHello(Hello) override {}

  void Shutdown() override {}

  // Whether a MeasureAck of `sequence` was sent to `peer`.
  bool Acknowledged(const PeerId& peer, uint64_t sequence) {
    MutexLock lock(&mutex_);
    return std::any_of(sent_.begin(), sent_.end(), [&](const auto& sent) {
      const auto* ack = std::get_if<MeasureAck>(&sent.second);
      return sent.first == peer && ack != nullptr && ack->sequence == sequence;
    });
  }

  // Final answers sent to `peer`.
  int AnswersTo(const PeerId& peer) {
    MutexLock lock(&mutex_);
    return static_cast<int>(std::count_if(sent_.begin(), sent_.end(), [&](const auto& sent) {
      const auto* answer = std::get_if<Answer>(&sent.second);
      return sent.first == peer && answer != nullptr && answer->final;
    }));
  }

  std::vector<Hit> StandingHitsTo(const PeerId& peer) {
    MutexLock lock(&mutex_);
    std::vector<Hit> hits;
    for (const auto& [to, frame] : sent_) {
      const auto* standing = std::get_if<StandingHits>(&frame);
      if (to != peer || standing == nullptr) continue;
      hits.insert(hits.end(), standing->hits.begin(), standing->hits.end());
    }
    return hits;
  }

 private:
  Mutex mutex_;
  std::vector<std::pair<PeerId, Frame>> sent_ ABSL_GUARDED_BY(mutex_);
};

DispatcherOptions OneWorkerEach() {
  DispatcherOptions options;
  for (WorkClassOptions& work_class : options.classes) work_class.threads = 1;
  return options;
}

// A peer with two neighbors, whose catalog notes the limits of the queries it is asked.
class CoreDriverTest : public testing::Test {
 protected:
  explicit CoreDriverTest(size_t mailbox_max = kMailboxMax)
      : loop_(mailbox_max),
        driver_(identity_.peer_id(), {}, 1, loop_, *dispatcher_, catalog_, signer_, metrics_),
        events_(driver_.MakeLinkEvents()) {
    SetLogLevel(LogLevel::kError);
    driver_.SetLinks(&links_);
    ON_CALL(catalog_, Search(_, _, _, _))
        .WillByDefault([this](const Query&, int limit, absl::Duration, absl::Time) {
          MutexLock lock(&mutex_);
          asked_.push_back(limit);
          return SearchResult();
        });
  }

  ~CoreDriverTest() override {
    Release();
    dispatcher_->Stop();
    loop_.Stop();
  }

  void Link(const PeerId& peer) {
    events_.on_up({peer, {"127.0.0.1:1"}}, /*outbound=*/false, Hello());
    events_.on_frame(peer, Join());
  }

  void Begin() {
    loop_.Start();
    driver_.Post(Start{{identity_.peer_id(), {"127.0.0.1:2"}}, {}});
    Link(a_);
    Link(b_);
    ASSERT_TRUE(Eventually([&] { return driver_.Neighbors().size() == 2; }));
  }

  // Holds the one worker of a class until Release.
  void Hold(WorkClass work_class) {
    auto held = std::make_shared<absl::Notification>();
    ASSERT_TRUE(dispatcher_
                    ->Submit(work_class, "holder",
                             [this, held] {
                               held->Notify();
                               release_.WaitForNotification();
                             })
                    .ok());
    held->WaitForNotification();
  }

  void Release() {
    if (!release_.HasBeenNotified()) release_.Notify();
  }

  Cast QueryCast(const PeerId& origin, uint8_t bubble, uint32_t limit) {
    Cast cast;
    cast.bubble.bytes[0] = bubble;
    cast.bubble.bytes[1] = origin.bytes[0];
    cast.origin = origin;
    cast.begin = 10;
    cast.end = 11;
    cast.budget_ms = kBudgetMsMax;
    cast.payload = QueryPayload{"q", limit};
    return cast;
  }

  // A cast of a page that nobody signed.
  Cast PageCast(const PeerId& origin) {
    Cast cast = QueryCast(origin, 99, 1);
    auto page = std::make_shared<Page>();
    page->header.key = {origin, 1};
    page->header.public_key = std::string(32, 'k');
    page->header.signature = std::string(64, 's');
    cast.payload = PagePayload{page, true, nullptr};
    return cast;
  }

  std::vector<int> asked() {
    MutexLock lock(&mutex_);
    return asked_;
  }

  const PeerId a_ = catalog_test::Peer("a");
  const PeerId b_ = catalog_test::Peer("b");
  const Identity identity_ = Identity::Generate();
  NiceMock<MockCatalog> catalog_;
  std::unique_ptr<Dispatcher> dispatcher_ = Dispatcher::Create(OneWorkerEach());
  Metrics metrics_{"test"};
  NodeLoop loop_;
  PageSigner signer_{identity_, MeshId(), catalog_};
  FakeLinks links_;
  CoreDriver driver_;
  LinkEvents events_;
  absl::Notification release_;
  Mutex mutex_;
  std::vector<int> asked_ ABSL_GUARDED_BY(mutex_);
};

// Limits tell the callers apart: 1000 and above of a, 2000 of b, 3000 of this peer's own program.
TEST_F(CoreDriverTest, ANoisyNeighborDelaysNeitherOthersNorThisPeersPrograms) {
  Begin();
  Hold(WorkClass::kSearch);
  for (uint8_t i = 0; i < 50; ++i) events_.on_frame(a_, QueryCast(a_, i, 1000 + i));
  ASSERT_TRUE(Eventually([&] { return dispatcher_->QueueLength(WorkClass::kSearch) == 50; }));
  events_.on_frame(b_, QueryCast(b_, 1, 2000));
  ASSERT_NE(driver_.StartSearch(
                "q", 0.99, 3000, 0, absl::Minutes(1),
                {.on_hits = [](std::vector<Hit>) {}, .on_done = [](const SearchSummary&) {}}),
            0u);
  ASSERT_TRUE(Eventually([&] { return dispatcher_->QueueLength(WorkClass::kSearch) == 52; }));

  Release();

  ASSERT_TRUE(Eventually([&] { return asked().size() == 52; }));
  const std::vector<int> order = asked();
  auto turn = [&](int limit) {
    return std::find(order.begin(), order.end(), limit) - order.begin();
  };
  EXPECT_LT(turn(2000), 4);
  EXPECT_LT(turn(3000), 4);
  EXPECT_GT(turn(1049), 48);
}

TEST_F(CoreDriverTest, FramesOfALinkKeepTheirOrderWhilePagesAreVerified) {
  Begin();
  Hold(WorkClass::kControl);

  events_.on_frame(a_, PageCast(a_));
  events_.on_frame(a_, Measure{.sequence = 7, .round = 5, .fish_id = 1, .fish = 0.5, .count = 1});
  events_.on_frame(b_, Measure{.sequence = 8, .round = 5, .fish_id = 1, .fish = 0.5, .count = 1});

  EXPECT_TRUE(Eventually([&] { return links_.Acknowledged(b_, 8); }));
  EXPECT_FALSE(links_.Acknowledged(a_, 7));
  Release();
  EXPECT_TRUE(Eventually([&] { return links_.Acknowledged(a_, 7); }));
  EXPECT_THAT(metrics_.Text(), HasSubstr("panal_page_refused_total 1"));
}

TEST_F(CoreDriverTest, TellsTheNeighborThatBroughtAStandingQueryWhatComes) {
  Begin();
  Cast cast = QueryCast(a_, 1, 100);
  QueryPayload query{"report", 100, StandingTerms{{}, 90'000, 1000}};
  cast.payload = query;
  EXPECT_CALL(catalog_, SearchArrivals(_, 100, _, _, absl::Seconds(1)))
      .WillOnce(Return(SearchResult()));
  EXPECT_CALL(catalog_, AddAddresses(SizeIs(1))).WillOnce([](std::vector<Hit>& hits) {
    hits[0].publisher.addresses = {"10.0.0.1:7401"};
    return absl::OkStatus();
  });
  events_.on_frame(a_, cast);
  ASSERT_TRUE(Eventually([&] { return links_.AnswersTo(a_) == 1; }));

  auto page = std::make_shared<Page>();
  page->header.key = {identity_.peer_id(), 1};
  page->header.version = 5;
  page->records = {{.name = "a report", .version = 5}, {.name = "else", .version = 5}};
  driver_.Post(OwnPagesSigned{{page}, /*spread_now=*/false});

  ASSERT_TRUE(Eventually([&] { return links_.StandingHitsTo(a_).size() == 1; }));
  const Hit hit = links_.StandingHitsTo(a_)[0];
  EXPECT_EQ(hit.record.name, "a report");
  EXPECT_EQ(hit.publisher.addresses, std::vector<std::string>{"10.0.0.1:7401"});
}

TEST_F(CoreDriverTest, CountsFramesByWhatIsWrongWithThem) {
  events_.on_fault(a_, FrameFault::kUndecodable);
  events_.on_fault(a_, FrameFault::kUnknown);
  events_.on_fault(a_, FrameFault::kUnknown);

  EXPECT_THAT(metrics_.Text(), HasSubstr("panal_link_frames_undecodable_total 1"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("panal_link_frames_unknown_total 2"));
}

TEST_F(CoreDriverTest, FramesThatNoWorkerCanVerifyAreShedAndCounted) {
  Begin();
  dispatcher_->Stop();

  events_.on_frame(a_, PageCast(a_));
  events_.on_frame(a_, Measure{.sequence = 7, .round = 5, .fish_id = 1, .fish = 0.5, .count = 1});

  // What comes behind is not held up.
  EXPECT_TRUE(Eventually([&] { return links_.Acknowledged(a_, 7); }));
  EXPECT_THAT(metrics_.Text(), HasSubstr("panal_link_frames_shed_total 1"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("panal_node_mailbox_refused_total 0"));
}

class SmallMailbox : public CoreDriverTest {
 protected:
  SmallMailbox() : CoreDriverTest(/*mailbox_max=*/2) {}
};

// The loop does not run yet: what is posted waits.
TEST_F(SmallMailbox, RefusesFramesAndSearchesFromOutsideWhenItIsFull) {
  SearchHandlers handlers{.on_hits = [](std::vector<Hit>) {},
                          .on_done = [](const SearchSummary&) { FAIL() << "it was refused"; }};
  events_.on_frame(a_, Join());
  events_.on_frame(a_, Join());
  EXPECT_EQ(loop_.waiting(), 2u);

  events_.on_frame(a_, Join());
  EXPECT_EQ(driver_.StartSearch("q", 0.99, 10, 0, absl::Seconds(1), handlers), 0u);

  EXPECT_EQ(loop_.waiting(), 2u);
  EXPECT_THAT(metrics_.Text(), HasSubstr("panal_node_mailbox_refused_total 1"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("panal_search_refused_total 1"));
}

}  // namespace
}  // namespace panal
