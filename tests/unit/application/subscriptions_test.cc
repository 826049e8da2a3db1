#include "server/application/subscriptions.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/application/search_servant.h"
#include "tests/unit/application/servant_world.h"

namespace panal {
namespace {

constexpr char kSubscribe[] = "/panal.v1.SearchObject/Subscribe";
constexpr char kUnsubscribe[] = "/panal.v1.SearchObject/Unsubscribe";

Hit FileHit(const std::string& name) {
  Hit hit;
  hit.record.kind = RecordKind::kFile;
  hit.record.name = name;
  hit.record.size_bytes = 100;
  hit.publisher = {TestPeer(2), {"10.0.0.1:7401"}};
  return hit;
}

v1::SubscribeRequest Query(const std::string& text) {
  v1::SubscribeRequest request;
  request.set_query(text);
  return request;
}

v1::SubscribeRequest Resumed(const std::string& name, uint64_t after) {
  v1::SubscribeRequest request;
  request.set_subscription(name);
  request.set_after_sequence(after);
  return request;
}

class SubscribeTest : public ServantWorld {
 protected:
  SubscribeTest() {
    EXPECT_TRUE(router.Add(std::make_shared<SearchServant>(dispatcher, mesh)).ok());
  }

  // A subscription that has begun, and its stream.
  std::shared_ptr<FakeCall> Begun(bool hold_writes = false) {
    auto call = Begin(kSubscribe, Query("report"), hold_writes);
    mesh.subscriptions.back().on_begun(false);
    return call;
  }

  void Come(const std::vector<std::string>& names) {
    std::vector<Hit> hits;
    for (const std::string& name : names) hits.push_back(FileHit(name));
    mesh.subscriptions.back().on_hits(hits);
  }

  // `first` to `last`, each a hit.
  void ComeNumbered(size_t first, size_t last) {
    for (size_t i = first; i <= last; ++i) Come({absl::StrCat(i)});
  }

  static std::string NameOf(const FakeCall& call) {
    return call.Messages<v1::SubscribeResponse>().at(0).start().subscription();
  }

  // `1 a`, `2 b` …
  static std::vector<std::string> HitsOf(const FakeCall& call) {
    std::vector<std::string> hits;
    for (const auto& message : call.Messages<v1::SubscribeResponse>()) {
      if (!message.has_hit()) continue;
      hits.push_back(absl::StrCat(message.hit().sequence(), " ", message.hit().hit().name()));
    }
    return hits;
  }

  using Strings = std::vector<std::string>;
};

TEST_F(SubscribeTest, FillsInWhatTheRequestLeavesEmptyAndPassesWhatItSays) {
  auto call = Begin(kSubscribe, Query("report"));
  EXPECT_EQ(mesh.subscription_query, "report");
  EXPECT_EQ(mesh.subscription_recall, 0.99);
  EXPECT_EQ(mesh.subscription_timeout, absl::InfiniteDuration());
  EXPECT_TRUE(call->written.empty());

  v1::SubscribeRequest request = Query("report");
  request.set_recall(0.5);
  request.set_timeout("168h");
  Begin(kSubscribe, request);
  EXPECT_EQ(mesh.subscription_recall, 0.5);
  EXPECT_EQ(mesh.subscription_timeout, absl::Hours(168));
}

TEST_F(SubscribeTest, StreamsTheStartThenHitsAndSummariesAsTheyCome) {
  auto call = Begun();
  Come({"a", "b"});
  mesh.subscriptions.back().on_round(
      {.peers_reached = 5, .mesh_size = 7, .recall = 0.9, .cut_short = CutShort::kPeersLost});
  Come({"c"});

  const auto messages = call->Messages<v1::SubscribeResponse>();
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_FALSE(messages[0].start().subscription().empty());
  EXPECT_EQ(messages[0].start().retention_s(), 600);
  EXPECT_EQ(messages[0].start().missed(), 0);
  EXPECT_EQ(messages[1].hit().hit().name(), "a");
  EXPECT_EQ(messages[1].hit().hit().publisher_addresses(0), "10.0.0.1:7401");
  EXPECT_EQ(messages[1].hit().hit().sources(), 1);
  EXPECT_EQ(messages[3].summary().peers_reached(), 5);
  EXPECT_EQ(messages[3].summary().cut_short(), "peers lost");
  EXPECT_FALSE(messages[3].summary().complete());
  EXPECT_EQ(messages[3].summary().hits(), 2);
  EXPECT_EQ(HitsOf(*call), (Strings{"1 a", "2 b", "3 c"}));
}

TEST_F(SubscribeTest, WhatComesWithoutAStreamIsSentOnResumingAndNothingTwice) {
  auto lost = Begun();
  Come({"a", "b"});
  lost->CallerCancels();
  Come({"c"});
  EXPECT_TRUE(mesh.cancelled_subscriptions.empty());

  auto call = Begin(kSubscribe, Resumed(NameOf(*lost), 1));
  Come({"d"});

  EXPECT_EQ(NameOf(*call), NameOf(*lost));
  EXPECT_EQ(HitsOf(*call), (Strings{"2 b", "3 c", "4 d"}));
  EXPECT_EQ(HitsOf(*lost), (Strings{"1 a", "2 b"}));
  EXPECT_EQ(mesh.subscriptions.size(), 1u);
}

TEST_F(SubscribeTest, AResumingStreamReplacesTheOneThatIsStillThere) {
  auto old = Begun();
  auto call = Begin(kSubscribe, Resumed(NameOf(*old), 0));

  EXPECT_EQ(ReasonOf(old->status()), ErrorReason::kCancelled);
  Come({"a"});
  EXPECT_EQ(HitsOf(*call), Strings{"1 a"});
}

TEST_F(SubscribeTest, KeepsTheNewestHitsAndSaysHowManyAreGone) {
  auto lost = Begun();
  lost->CallerCancels();
  ComeNumbered(1, kSubscriptionHitsMax);
  auto whole = Begin(kSubscribe, Resumed(NameOf(*lost), 0));
  EXPECT_EQ(whole->Messages<v1::SubscribeResponse>()[0].start().missed(), 0);
  EXPECT_EQ(HitsOf(*whole).size(), kSubscriptionHitsMax);
  whole->CallerCancels();

  Come({"one more"});

  auto cut = Begin(kSubscribe, Resumed(NameOf(*lost), 0));
  EXPECT_EQ(cut->Messages<v1::SubscribeResponse>()[0].start().missed(), 1);
  EXPECT_EQ(HitsOf(*cut).size(), kSubscriptionHitsMax);
  EXPECT_EQ(HitsOf(*cut).front(), "2 2");
}

TEST_F(SubscribeTest, KeepsNoMoreThanItsBytesOfHits) {
  auto lost = Begun();
  lost->CallerCancels();
  const std::string big(1024, 'x');
  for (size_t i = 0; i < 2 * kSubscriptionBytesMax / big.size(); ++i) Come({big});

  auto call = Begin(kSubscribe, Resumed(NameOf(*lost), 0));

  size_t bytes = 0;
  for (const auto& message : call->Messages<v1::SubscribeResponse>()) {
    if (message.has_hit()) bytes += message.hit().ByteSizeLong();
  }
  EXPECT_LE(bytes, kSubscriptionBytesMax);
  EXPECT_GT(bytes, kSubscriptionBytesMax - 2 * big.size());
}

// The reader takes the start and nothing after the first hit.
TEST_F(SubscribeTest, AStreamThatIsNotReadEndsAndTheSubscriptionGoesOn) {
  auto slow = Begun(/*hold_writes=*/true);
  slow->CompleteWrite();
  ComeNumbered(1, kSubscriptionHitsMax + 1);  // The first is with the transport.
  EXPECT_FALSE(slow->result.has_value());
  EXPECT_EQ(slow->written.size(), 2u);

  ComeNumbered(kSubscriptionHitsMax + 2, kSubscriptionHitsMax + 2);

  slow->CompleteWrite(false);
  EXPECT_EQ(ReasonOf(slow->status()), ErrorReason::kSubscriberSlow);
  auto call = Begin(kSubscribe, Resumed(NameOf(*slow), 1));
  EXPECT_EQ(call->Messages<v1::SubscribeResponse>()[0].start().missed(), 1);
  EXPECT_EQ(HitsOf(*call).size(), kSubscriptionHitsMax);
}

TEST_F(SubscribeTest, WritesWhenTheReaderHasTakenWhatWasWritten) {
  auto call = Begun(/*hold_writes=*/true);
  Come({"a", "b"});
  EXPECT_EQ(call->written.size(), 1u);
  call->CompleteWrite();
  EXPECT_EQ(HitsOf(*call), Strings{"1 a"});
  call->CompleteWrite();
  EXPECT_EQ(HitsOf(*call), (Strings{"1 a", "2 b"}));
  call->CompleteWrite();
}

TEST_F(SubscribeTest, EndsAsTheMeshSays) {
  auto timed_out = Begun();
  mesh.subscriptions.back().on_ended(SubscriptionEnd::kTimeout);
  EXPECT_TRUE(timed_out->status().ok());

  auto full = Begun();
  mesh.subscriptions.back().on_ended(SubscriptionEnd::kRecordsFull);
  EXPECT_EQ(ReasonOf(full->status()), ErrorReason::kSubscriptionFull);
  EXPECT_EQ(Refusal(kSubscribe, Resumed(NameOf(*full), 0)), "SUBSCRIPTION_UNKNOWN");

  auto refused = Begin(kSubscribe, Query("report"));
  mesh.subscriptions.back().on_ended(SubscriptionEnd::kOverloaded);
  EXPECT_EQ(ReasonOf(refused->status()), ErrorReason::kOverloaded);

  mesh.subscription_number = 0;
  EXPECT_EQ(Refusal(kSubscribe, Query("report")), "OVERLOADED");
}

TEST_F(SubscribeTest, UnsubscribeEndsTheStreamAndTheSearchOfTheMesh) {
  auto call = Begun();
  v1::UnsubscribeRequest request;
  request.set_subscription(NameOf(*call));

  Ask<v1::UnsubscribeResponse>(kUnsubscribe, request);

  EXPECT_TRUE(call->status().ok());
  EXPECT_EQ(mesh.cancelled_subscriptions, std::vector<uint64_t>{70});
  EXPECT_EQ(Refusal(kUnsubscribe, request), "SUBSCRIPTION_UNKNOWN");
}

TEST_F(SubscribeTest, RefusesWhatIsNotInRange) {
  EXPECT_EQ(Refusal(kSubscribe, Query("(")), "QUERY_INVALID");
  EXPECT_EQ(Refusal(kSubscribe, Query("")), "QUERY_INVALID");
  EXPECT_EQ(Refusal(kSubscribe, Resumed("nosuch", 0)), "SUBSCRIPTION_UNKNOWN");
  v1::SubscribeRequest request = Query("report");
  request.set_recall(1.1);
  EXPECT_EQ(Refusal(kSubscribe, request), "ARGUMENT_INVALID");
  request = Query("report");
  request.set_timeout("169h");
  EXPECT_EQ(Refusal(kSubscribe, request), "ARGUMENT_INVALID");
  request = Query("report");
  request.set_after_sequence(1);
  EXPECT_EQ(Refusal(kSubscribe, request), "ARGUMENT_INVALID");
  request.set_subscription("both");
  EXPECT_EQ(Refusal(kSubscribe, request), "ARGUMENT_INVALID");
  auto call = Begun();
  Come({"a"});
  EXPECT_EQ(Refusal(kSubscribe, Resumed(NameOf(*call), 2)), "ARGUMENT_INVALID");
}

// Over a clock of its own.
class SubscriptionsTest : public SubscribeTest {
 protected:
  class Object final : public Servant {
   public:
    Object(Dispatcher& dispatcher, std::shared_ptr<Subscriptions> subscriptions)
        : Servant("test.Object", dispatcher), subscriptions_(std::move(subscriptions)) {
      PushStream("Subscribe", WorkClass::kSearch, &Object::Subscribe);
    }

   private:
    void Subscribe(const CallHead&, const v1::SubscribeRequest& request,
                   Subscriptions::Writer writer) {
      if (request.subscription().empty()) {
        subscriptions_->Begin(request.query(), 0.99, absl::InfiniteDuration(), writer);
      } else {
        subscriptions_->Resume(request.subscription(), request.after_sequence(), writer);
      }
    }

    const std::shared_ptr<Subscriptions> subscriptions_;
  };

  SubscriptionsTest() {
    auto clock = [this] { return now_; };
    EXPECT_TRUE(router
                    .Add(std::make_shared<Object>(dispatcher,
                                                  std::make_shared<Subscriptions>(mesh, 1, clock)))
                    .ok());
  }

  std::shared_ptr<FakeCall> BegunHere() {
    auto call = Begin("/test.Object/Subscribe", Query("report"));
    if (!call->result.has_value()) mesh.subscriptions.back().on_begun(false);
    return call;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

TEST_F(SubscriptionsTest, WithoutAStreamOneEndsAfterItsRetention) {
  auto lost = BegunHere();
  const std::string name = NameOf(*lost);
  lost->CallerCancels();

  now_ += kSubscriptionRetention - absl::Seconds(1);
  mesh.subscriptions.back().on_round({});
  EXPECT_TRUE(mesh.cancelled_subscriptions.empty());
  now_ += absl::Seconds(1);
  mesh.subscriptions.back().on_round({});

  EXPECT_EQ(mesh.cancelled_subscriptions.size(), 1u);
  EXPECT_EQ(Refusal("/test.Object/Subscribe", Resumed(name, 0)), "SUBSCRIPTION_UNKNOWN");
}

TEST_F(SubscriptionsTest, ANewOneEndsTheOneThatIsWithoutAStreamLongest) {
  std::vector<std::shared_ptr<FakeCall>> calls;
  for (size_t i = 0; i < kSubscriptionsMax; ++i) calls.push_back(BegunHere());
  for (const auto& call : calls) EXPECT_FALSE(call->result.has_value());
  EXPECT_EQ(ReasonOf(BegunHere()->status()), ErrorReason::kOverloaded);

  calls[7]->CallerCancels();
  now_ += absl::Seconds(1);
  calls[3]->CallerCancels();
  EXPECT_FALSE(BegunHere()->result.has_value());

  EXPECT_EQ(mesh.cancelled_subscriptions, std::vector<uint64_t>{77});
}

}  // namespace
}  // namespace panal
