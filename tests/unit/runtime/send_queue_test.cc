#include "server/runtime/send_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace panal {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> All(SendQueue& queue) {
  std::vector<std::string> frames;
  while (!queue.empty()) frames.push_back(queue.Pop());
  return frames;
}

TEST(SendQueue, GivesTheUrgentFirstAndTheOthersInTheirOrder) {
  SendQueue queue;
  queue.Push("goodbye", Urgency::kGoodbye);
  queue.Push("page 1", Urgency::kBulk);
  queue.Push("page 2", Urgency::kBulk);
  queue.Push("cast", Urgency::kCast);
  queue.Push("answer 1", Urgency::kAnswer);
  queue.Push("share", Urgency::kControl);
  queue.Push("answer 2", Urgency::kAnswer);

  EXPECT_THAT(All(queue),
              ElementsAre("share", "answer 1", "answer 2", "cast", "page 1", "page 2", "goodbye"));
}

TEST(SendQueue, IsEmptyOnceCleared) {
  SendQueue queue;
  queue.Push("page", Urgency::kBulk);
  EXPECT_FALSE(queue.empty());

  queue.Clear();

  EXPECT_TRUE(queue.empty());
}

TEST(UrgencyOf, TellsBodiesFromTheRest) {
  Cast refresh;
  refresh.payload = PagePayload{std::make_shared<Page>(), false, nullptr};
  Cast page;
  page.payload = PagePayload{std::make_shared<Page>(), true, nullptr};
  Cast query;
  query.payload = QueryPayload{"bees", 1};

  EXPECT_EQ(UrgencyOf(Measure{}), Urgency::kControl);
  EXPECT_EQ(UrgencyOf(NeighborReply{true}), Urgency::kControl);
  EXPECT_EQ(UrgencyOf(PageWant{}), Urgency::kControl);
  EXPECT_EQ(UrgencyOf(Answer{}), Urgency::kAnswer);
  EXPECT_EQ(UrgencyOf(query), Urgency::kCast);
  EXPECT_EQ(UrgencyOf(refresh), Urgency::kCast);
  EXPECT_EQ(UrgencyOf(page), Urgency::kBulk);
  EXPECT_EQ(UrgencyOf(PageBodyFrame{}), Urgency::kBulk);
  EXPECT_EQ(UrgencyOf(DigestFrame{}), Urgency::kBulk);
  EXPECT_EQ(UrgencyOf(FactNames{}), Urgency::kBulk);
  EXPECT_EQ(UrgencyOf(FactBodies{.asked = true}), Urgency::kBulk);
  EXPECT_EQ(UrgencyOf(FactBodies{.facts = {"new"}}), Urgency::kControl);
  EXPECT_EQ(UrgencyOf(DigestDelta{}), Urgency::kBulk);
  EXPECT_EQ(UrgencyOf(Disconnect{}), Urgency::kGoodbye);
}

}  // namespace
}  // namespace panal
