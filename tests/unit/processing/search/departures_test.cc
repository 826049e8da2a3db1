#include "server/processing/search/departures.h"

#include <cmath>

#include "gtest/gtest.h"

namespace panal {
namespace {

constexpr absl::Duration kInterval = absl::Minutes(10);

// One peer's neighbors under a clock of its own.
class DeparturesTest : public testing::Test {
 protected:
  DeparturesTest() { departures_.SetNeighbors(16, now_); }

  // One departs every `gap`, and another takes its place.
  void Depart(int count, absl::Duration gap) {
    for (int i = 0; i < count; ++i) {
      now_ += gap;
      departures_.OnDeparture(now_);
      departures_.SetNeighbors(16, now_);
    }
  }

  double Oversize() { return departures_.Oversize(now_); }

  absl::Time now_ = absl::UnixEpoch();
  Departures departures_{kInterval};
};

TEST_F(DeparturesTest, AQuietMeshPaysNothing) {
  EXPECT_EQ(Oversize(), 1);

  now_ += absl::Hours(100);

  EXPECT_EQ(Oversize(), 1);
}

TEST_F(DeparturesTest, SwappedNeighborsAreNoDepartures) {
  for (int i = 0; i < 1000; ++i) {
    now_ += absl::Seconds(10);
    departures_.SetNeighbors(15 + i % 2, now_);
  }

  EXPECT_EQ(Oversize(), 1);
}

// overlay.md 10.8: a mean residual life of an hour and a refresh every ten minutes want 1.18.
TEST_F(DeparturesTest, NeighborsThatStayForAnHourWantASixthMore) {
  Depart(16 * 10, absl::Hours(1) / 16);

  EXPECT_NEAR(Oversize(), std::exp(1.0 / 6), kOversizeStep);
  EXPECT_GE(Oversize(), 1.15);
}

TEST_F(DeparturesTest, FollowsAMeshThatBecameQuiet) {
  Depart(16 * 10, absl::Hours(1) / 16);

  now_ += absl::Hours(12);

  EXPECT_EQ(Oversize(), 1);
}

TEST_F(DeparturesTest, AYoungMeshTakesTheFirstForAnAccident) {
  Depart(1, absl::Seconds(30));

  EXPECT_LE(Oversize(), 1.05);
}

// Half of the neighbors at once, as in a cut: no more than two departures, however many there are.
TEST_F(DeparturesTest, ManyAtOnceAreOneEvent) {
  now_ += absl::Hours(1);
  for (int i = 0; i < 8; ++i) departures_.OnDeparture(now_);
  departures_.SetNeighbors(8, now_);

  EXPECT_EQ(Oversize(), 1);
}

TEST_F(DeparturesTest, IsBounded) {
  Depart(100'000, absl::Seconds(1));

  EXPECT_LE(Oversize(), kOversizeMax);
  EXPECT_GE(Oversize(), 1.8);  // The prior takes a tenth of it.
}

// More departures than the bound stands for change nothing any more.
TEST_F(DeparturesTest, CountsNoFasterThanTheBoundStandsFor) {
  const absl::Duration at_bound = kInterval / (16 * std::log(kOversizeMax));
  Depart(2000, at_bound);
  const double at = Oversize();

  Depart(20'000, at_bound / 10);

  EXPECT_NEAR(Oversize(), at, kOversizeStep / 2);
}

TEST_F(DeparturesTest, TimeThatGoesBackIsNone) {
  Depart(16, absl::Hours(1) / 16);
  const double before = Oversize();

  now_ -= absl::Hours(1);

  EXPECT_EQ(Oversize(), before);
}

}  // namespace
}  // namespace panal
