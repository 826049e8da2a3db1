#include "server/processing/overlay/canary.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace panal {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr absl::Duration kInterval = absl::Minutes(1);

class CanaryTest : public testing::Test {
 protected:
  CanaryTest() {
    other_.id.bytes[0] = 7;
    other_.addresses = {"p7:7401"};
  }

  // What is counted for a canary that ended so.
  std::optional<double> Counted(bool hit, double recall, bool complete = true) {
    Outputs outputs;
    std::optional<SearchRequested> search;
    while (!search) search = canary_.OnTimer({other_}, 500, false, outputs);
    outputs.clear();
    outputs.push_back(SearchDone{.request = 3});  // A program's.
    if (hit) {
      Hit found;
      found.publisher.id = other_.id;
      outputs.push_back(SearchHits{search->request, {found}});
    }
    SearchDone done{search->request, {}};
    done.summary.recall = recall;
    done.summary.complete = complete;
    outputs.push_back(done);
    std::optional<double> counted = canary_.Collect(0, outputs);
    EXPECT_THAT(outputs, SizeIs(1));
    EXPECT_FALSE(canary_.pending());
    return counted;
  }

  PeerContact other_;
  Random random_{1};
  Canary canary_{{.interval = kInterval}, random_};
};

TEST_F(CanaryTest, BeginsOnceItsOwnPageIsSpread) {
  Outputs outputs;
  canary_.OnPeerPage(500, outputs);
  canary_.OnPeerPage(500, outputs);

  ASSERT_THAT(outputs, SizeIs(1));
  absl::Duration delay = std::get<ScheduleTimer>(outputs[0]).delay;
  EXPECT_GE(delay, kInterval / 2);
  EXPECT_LE(delay, 1.5 * kInterval);
}

TEST_F(CanaryTest, IsRarerInALargeMeshButNotForEver) {
  for (auto [peers, rarer] : {std::pair(2e3, 2.0), std::pair(1e9, kCanaryRarestMax)}) {
    Outputs outputs;
    canary_.OnTimer({}, peers, false, outputs);
    EXPECT_GE(std::get<ScheduleTimer>(outputs[0]).delay, rarer * kInterval / 2);
    EXPECT_LE(std::get<ScheduleTimer>(outputs[0]).delay, rarer * 1.5 * kInterval);
  }
}

TEST_F(CanaryTest, SearchesForWhomItChoseTheTimeBefore) {
  Outputs outputs;
  EXPECT_FALSE(canary_.OnTimer({other_}, 500, false, outputs).has_value());

  std::optional<SearchRequested> search = canary_.OnTimer({}, 500, false, outputs);

  EXPECT_FALSE(search.has_value());  // Nobody is known any more.
  canary_.OnTimer({other_}, 500, false, outputs);
  search = canary_.OnTimer({other_}, 500, false, outputs);
  ASSERT_TRUE(search.has_value());
  EXPECT_NE(search->query.find(other_.id.ToText()), std::string::npos);
  EXPECT_GE(search->request, kCanaryRequest);
}

TEST_F(CanaryTest, DoesNothingWhereEverybodyIsAsked) {
  Outputs outputs;
  canary_.OnTimer({other_}, 20, true, outputs);
  EXPECT_FALSE(canary_.OnTimer({other_}, 20, true, outputs).has_value());
}

TEST_F(CanaryTest, CountsAHitByTheRecallReached) {
  EXPECT_EQ(Counted(true, kCanaryRecall), 1.0);
  EXPECT_EQ(Counted(true, 2 * kCanaryRecall / 1.5), 0.75);
  EXPECT_EQ(Counted(false, kCanaryRecall), 0.0);
}

TEST_F(CanaryTest, DoesNotCountWhatIsIncompleteOrCertain) {
  EXPECT_EQ(Counted(true, 0.3, /*complete=*/false), std::nullopt);
  EXPECT_EQ(Counted(true, 1), std::nullopt);
}

TEST_F(CanaryTest, AMissBeyondChanceMakesBubblesLarger) {
  // Three standard deviations of 1,000 are 0.0457.
  canary_.OnMeasured(1000, 1000 * (kCanaryRecall - 0.045));
  EXPECT_EQ(canary_.factor(), 1);
}

TEST_F(CanaryTest, TheFactorIsTheRootOfTheExponentsRatio) {
  canary_.OnMeasured(1000, 1000 * -std::expm1(-0.7));

  EXPECT_NEAR(canary_.factor(), std::sqrt(1 / 0.7), 1e-9);
}

TEST_F(CanaryTest, TheRoundAfterStillSpeaksOfTheFactorBefore) {
  canary_.OnMeasured(1000, 400);
  double factor = canary_.factor();

  canary_.OnMeasured(1000, 400);

  EXPECT_EQ(canary_.factor(), factor);
}

TEST_F(CanaryTest, TheFactorHasABoundAndDecays) {
  for (int round = 0; round < 20; ++round) canary_.OnMeasured(10'000, 0);
  EXPECT_EQ(canary_.factor(), kCanaryFactorMax);

  for (int round = 0; round < 200; ++round) canary_.OnMeasured(kEvidenceEnough, kEvidenceEnough);

  EXPECT_NEAR(canary_.factor(), 1, 1e-6);
  canary_.CheckInvariants();
}

}  // namespace
}  // namespace panal
