#include "server/processing/overlay/measure.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace panal {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

PeerId Id(uint8_t number) {
  PeerId id;
  id.bytes[0] = number;
  return id;
}

template <typename T>
std::vector<T> Frames(const Outputs& outputs) {
  std::vector<T> found;
  for (const Output& output : outputs) {
    const auto* send = std::get_if<SendFrame>(&output);
    if (send == nullptr) continue;
    if (const T* frame = std::get_if<T>(&send->frame)) found.push_back(*frame);
  }
  return found;
}

// The measurement of peer 1.
class MeasurementTest : public testing::Test {
 protected:
  MeasurementTest() { measurement_.OnStart(now_, last_); }

  Outputs Up(std::vector<PeerId> active, bool mesh_changed = true) {
    Outputs outputs;
    measurement_.OnNeighborUp(active, mesh_changed, now_, outputs);
    Note(outputs);
    return outputs;
  }

  // Fires the timer that was set last.
  Outputs Tick() {
    Timer timer;
    for (const Output& output : last_) {
      if (const auto* schedule = std::get_if<ScheduleTimer>(&output)) {
        timer = schedule->timer;
        delay_ = schedule->delay;
      }
    }
    now_ += delay_;
    Outputs outputs;
    measurement_.OnTimer(timer, now_, outputs);
    Note(outputs);
    return outputs;
  }

  Outputs Receive(uint8_t from, const Measure& share) {
    Outputs outputs;
    measurement_.OnMeasure(Id(from), share, now_, outputs);
    Note(outputs);
    return outputs;
  }

  void Note(const Outputs& outputs) {
    for (const Output& output : outputs) {
      if (std::holds_alternative<ScheduleTimer>(output)) last_ = {output};
    }
    measurement_.CheckInvariants();
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  absl::Duration delay_;
  Outputs last_;
  Random random_{1};
  Measurement measurement_{Id(1), MeasureOptions(), random_};
};

TEST_F(MeasurementTest, ProvesTheActiveViewBeforeAnythingIsMeasured) {
  EXPECT_EQ(measurement_.Estimate().peers, 1);
  Up({Id(2), Id(3), Id(4)});

  MeshEstimate estimate = measurement_.Estimate();

  EXPECT_FALSE(estimate.measured);
  EXPECT_EQ(estimate.peers, 4);
  EXPECT_EQ(estimate.degree_sum, 12);
  EXPECT_EQ(estimate.degree_square_sum, 36);
}

TEST_F(MeasurementTest, AChangeOfTheMeshBeginsARoundAfterTheDelay) {
  Up({Id(2)});
  EXPECT_FALSE(measurement_.running());

  Tick();

  EXPECT_EQ(delay_, MeasureOptions().change_delay);
  EXPECT_TRUE(measurement_.running());
  EXPECT_EQ(measurement_.round(), 1u);
}

TEST_F(MeasurementTest, ASwappedLinkBeginsNoRound) {
  Up({Id(2), Id(3), Id(4), Id(5), Id(6)});
  Tick();
  while (measurement_.running()) Tick();

  Outputs outputs;
  std::vector<PeerId> rest = {Id(2), Id(3), Id(4), Id(5)};
  measurement_.OnNeighborDown(Id(6), rest, /*mesh_changed=*/false, now_, outputs);
  rest.push_back(Id(7));
  measurement_.OnNeighborUp(rest, /*mesh_changed=*/false, now_, outputs);

  EXPECT_THAT(outputs, IsEmpty());
}

TEST_F(MeasurementTest, EveryShareIsAcknowledged) {
  Up({Id(2)});

  Outputs outputs =
      Receive(2, {.sequence = 77, .round = 1, .fish_id = 1, .fish = 0.5, .count = 0.5});

  ASSERT_THAT(Frames<MeasureAck>(outputs), SizeIs(1));
  EXPECT_EQ(Frames<MeasureAck>(outputs)[0].sequence, 77u);
}

// What this peer has of the count, by what it gives away as it leaves.
class SequenceTest : public MeasurementTest {
 protected:
  SequenceTest() {
    Up({Id(2), Id(3)});
    Tick();
  }

  Outputs Share(uint8_t from, uint64_t sequence) {
    return Receive(from, {.sequence = sequence, .round = 1, .count = 1});
  }

  double Count() {
    Outputs outputs;
    measurement_.OnLeave(now_, outputs);
    return Frames<Measure>(outputs).front().count;
  }
};

TEST_F(SequenceTest, AShareThatIsSentAgainIsAcknowledgedAndNothingElse) {
  Share(2, 1);
  Share(2, 2);

  Outputs outputs = Share(2, 1);

  ASSERT_THAT(outputs, SizeIs(1));
  EXPECT_THAT(Frames<MeasureAck>(outputs), SizeIs(1));
  EXPECT_THAT(Frames<MeasureAck>(Share(2, 2)), SizeIs(1));
  EXPECT_EQ(Count(), 3);
}

TEST_F(SequenceTest, EveryLinkHasNumbersOfItsOwn) {
  Share(2, 1);
  Share(3, 1);

  EXPECT_EQ(Count(), 3);
}

TEST_F(SequenceTest, AShareThatWasOvertakenCountsUpToTheWindow) {
  Share(2, kSequenceWindow + 1);
  Share(2, 2);  // The last one within.
  EXPECT_THAT(Frames<MeasureAck>(Share(2, 1)), SizeIs(1));

  EXPECT_EQ(Count(), 3);
}

TEST_F(SequenceTest, NumbersFarAheadForgetThoseBefore) {
  Share(2, 1);
  Share(2, kSequenceWindow + 1);
  Share(2, ~uint64_t{0});
  Share(2, 1);
  Share(2, ~uint64_t{0});

  EXPECT_EQ(Count(), 4);
}

TEST_F(SequenceTest, NumberingBeginsAfreshWithANewLink) {
  Share(2, 1);
  Outputs outputs;
  measurement_.OnNeighborDown(Id(2), {Id(3)}, /*mesh_changed=*/false, now_, outputs);
  measurement_.OnNeighborUp({Id(2), Id(3)}, /*mesh_changed=*/false, now_, outputs);

  Share(2, 1);

  EXPECT_EQ(Count(), 3);
}

// A pass takes as long whatever the degree; so do the shares after which a round falls silent.
class PaceTest : public MeasurementTest {
 protected:
  // Shares of a round that everybody acknowledges and nobody adds to.
  size_t SharesOf(size_t degree) {
    std::vector<PeerId> active;
    for (size_t i = 0; i < degree; ++i) active.push_back(Id(static_cast<uint8_t>(i + 2)));
    Up(active);
    Tick();
    size_t shares = 0;
    while (measurement_.running()) {
      shares += Frames<Measure>(Tick()).size();
      for (const PeerId& peer : active) measurement_.OnMeasureAck(peer, {shares});
    }
    return shares;
  }
};

TEST_F(PaceTest, APeerOfFewLinksSendsOneShareAnInterval) {
  EXPECT_EQ(SharesOf(kPassLinks), static_cast<size_t>(kSilentShares));
  EXPECT_EQ(delay_, MeasureOptions().share_interval);
}

TEST_F(PaceTest, APeerOfTwiceAsManySendsTwiceAsOften) {
  EXPECT_EQ(SharesOf(2 * kPassLinks), static_cast<size_t>(2 * kSilentShares));
  EXPECT_EQ(delay_, MeasureOptions().share_interval / 2);
}

// With a neighbor whose shares bring an estimate each, after the count and the fish of this peer.
class SettledTest : public MeasurementTest {
 protected:
  SettledTest() {
    Up({Id(2)});
    Tick();
  }

  // The estimate after a round in which it moved by `change` with each of `receipts`.
  double Settle(int receipts, double change) {
    const double fish = 0.01;
    double count = 100 * fish - 1;  // Beside this peer's own 1.
    for (int i = 0; i < receipts; ++i) {
      Receive(2, {.sequence = ++sequence_,
                  .round = 1,
                  .fish_id = ~uint64_t{0},
                  .fish = i == 0 ? fish : 0,
                  .count = std::max(count, 0.0)});
      count = change * 100 * fish;
    }
    while (measurement_.running()) Tick();
    return measurement_.Estimate().measured ? measurement_.Estimate().peers : 0;
  }

  uint64_t sequence_ = 0;
};

TEST_F(SettledTest, AnEstimateThatStayedInTheBandIsTaken) {
  EXPECT_NEAR(Settle(1 + kStableReceipts, kSettledBand / 20), 100, 1);
}

TEST_F(SettledTest, OneReceiptFewerIsNotEnough) {
  EXPECT_EQ(Settle(kStableReceipts, kSettledBand / 20), 0);
}

TEST_F(SettledTest, AnEstimateThatDriftsOutOfTheBandIsNotTaken) {
  EXPECT_EQ(Settle(1 + kStableReceipts, kSettledBand / 10), 0);
}

TEST_F(MeasurementTest, AHigherRoundTakesThisPeerIntoIt) {
  Up({Id(2)});

  Receive(2, {.sequence = 1, .round = 9, .fish_id = 1, .fish = 0.5, .count = 0.5});

  EXPECT_EQ(measurement_.round(), 9u);
  EXPECT_TRUE(measurement_.running());
}

TEST_F(MeasurementTest, AShareOfAnOlderRoundIsAnsweredWithTheResult) {
  Up({Id(2)});
  Receive(2, {.sequence = 1, .round = 9, .last_count = 40, .last_degree = 640});

  Outputs outputs = Receive(2, {.sequence = 2, .round = 3, .fish = 1, .count = 1});

  ASSERT_THAT(Frames<Measure>(outputs), SizeIs(1));
  EXPECT_EQ(Frames<Measure>(outputs)[0].count, 0);
  EXPECT_EQ(Frames<Measure>(outputs)[0].last_count, 40);
}

TEST_F(MeasurementTest, ANewcomerTakesTheLastResult) {
  Up({Id(2)});

  Receive(2, {.sequence = 1,
              .round = 9,
              .last_count = 40,
              .last_degree = 640,
              .last_degree_squared = 10240});

  EXPECT_TRUE(measurement_.Estimate().measured);
  EXPECT_EQ(measurement_.Estimate().peers, 40);
  EXPECT_EQ(measurement_.Estimate().degree_square_sum, 10240);
}

// Kempe, Dobra, Gehrke (FOCS 2003), push-sum: mass is conserved, here although links are lost.
TEST_F(MeasurementTest, UnacknowledgedMassComesBackWhenTheLinkIsLost) {
  Up({Id(2)});
  Tick();
  std::vector<Measure> shares = Frames<Measure>(Tick());
  ASSERT_THAT(shares, SizeIs(1));
  EXPECT_EQ(shares[0].count, 0.5);

  Outputs outputs;
  measurement_.OnNeighborDown(Id(2), {}, true, now_, outputs);
  measurement_.OnNeighborUp({Id(3)}, true, now_, outputs);
  shares = Frames<Measure>(Tick());

  ASSERT_THAT(shares, SizeIs(1));
  EXPECT_EQ(shares[0].count, 0.5);  // Half of the whole again, not half of a half.
}

TEST_F(MeasurementTest, AcknowledgedMassStaysAway) {
  Up({Id(2)});
  Tick();
  std::vector<Measure> shares = Frames<Measure>(Tick());
  ASSERT_THAT(shares, SizeIs(1));
  measurement_.OnMeasureAck(Id(2), {.sequence = shares[0].sequence});

  Outputs outputs;
  measurement_.OnNeighborDown(Id(2), {}, true, now_, outputs);
  measurement_.OnNeighborUp({Id(3)}, true, now_, outputs);

  EXPECT_EQ(Frames<Measure>(Tick())[0].count, 0.25);
}

TEST_F(MeasurementTest, ASilentNeighborGetsNoMoreThanTheLimit) {
  Up({Id(2)});
  Tick();

  size_t shares = 0;
  while (measurement_.running()) shares += Frames<Measure>(Tick()).size();

  EXPECT_EQ(shares, kUnackedMax);
}

TEST_F(MeasurementTest, WaitsWhileHalfOfTheNeighborsOweAnAcknowledgement) {
  std::vector<PeerId> active;
  for (uint8_t i = 2; i < 18; ++i) active.push_back(Id(i));
  Up(active);
  Tick();  // The round begins.
  int ticks = 0;
  size_t shares = 0;
  for (; shares <= active.size() / 2; ++ticks) shares += Frames<Measure>(Tick()).size();
  EXPECT_EQ(static_cast<size_t>(ticks), shares);  // One each, up to one more than half.

  for (int i = 1; i < kStallsPerShare; ++i) EXPECT_THAT(Frames<Measure>(Tick()), IsEmpty());
  EXPECT_THAT(Frames<Measure>(Tick()), SizeIs(1));  // That counts, so that the round ends.
}

TEST_F(MeasurementTest, GoesOnOnceTheNeighborsHaveAcknowledged) {
  std::vector<PeerId> active;
  for (uint8_t i = 2; i < 18; ++i) active.push_back(Id(i));
  Up(active);
  Tick();
  while (!Frames<Measure>(Tick()).empty()) {
  }
  for (const PeerId& peer : active) measurement_.OnMeasureAck(peer, {.sequence = 1});

  EXPECT_THAT(Frames<Measure>(Tick()), SizeIs(1));
}

TEST_F(MeasurementTest, ImplausibleSharesAreRefused) {
  Up({Id(2)});
  Measure good{.sequence = 1, .round = 1, .fish_id = 1, .fish = 1, .count = kMeshSizeMax};
  std::vector<Measure> bad(6, good);
  bad[0].round = 0;
  bad[1].fish = 1.1;
  bad[2].count = kMeshSizeMax * 1.01;
  bad[3].degree = std::numeric_limits<double>::infinity();
  bad[4].last_count = -1;
  bad[5].degree_squared = std::nan("");

  for (const Measure& share : bad) {
    Outputs outputs = Receive(2, share);
    ASSERT_THAT(outputs, SizeIs(1));
    EXPECT_TRUE(std::get<FrameRefused>(outputs[0]).close);
  }
  EXPECT_EQ(measurement_.round(), 0u);
  EXPECT_THAT(Frames<MeasureAck>(Receive(2, good)), SizeIs(1));
}

// Whatever round somebody makes up, there is a later one, and who is there is not left behind.
TEST_F(MeasurementTest, RoundsGoOnBeyondTheHighestNumber) {
  constexpr uint64_t kLast = ~uint64_t{0};
  Up({Id(2)});
  Receive(2, {.sequence = 1, .round = kLast});
  ASSERT_EQ(measurement_.round(), kLast);
  while (measurement_.running()) Tick();

  Tick();
  EXPECT_EQ(measurement_.round(), 1u);  // 0 is none.

  Receive(2, {.sequence = 2, .round = kLast});  // Earlier now.
  EXPECT_EQ(measurement_.round(), 1u);
}

TEST_F(MeasurementTest, ALaterRoundIsLessThanHalfOfTheNumbersAhead) {
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  Up({Id(2), Id(3)});
  Receive(2, {.sequence = 1, .round = 10});

  Receive(2, {.sequence = 2, .round = 10 + kHalf});
  EXPECT_EQ(measurement_.round(), 10u);

  Receive(3, {.sequence = 1, .round = 10 + kHalf - 1});
  EXPECT_EQ(measurement_.round(), 10 + kHalf - 1);
}

TEST_F(MeasurementTest, DegreesAreTakenAsFarAsThePeersCountedCanHaveThem) {
  struct Case {
    double degree, squared, degree_taken, squared_taken;
  };

  uint64_t round = 0;
  for (const Case& c : std::vector<Case>{
           {kPeerDegreeMax, kPeerDegreeMax * kPeerDegreeMax, kPeerDegreeMax,
            kPeerDegreeMax * kPeerDegreeMax},
           {kPeerDegreeMax + 1, 1e9, kPeerDegreeMax, kPeerDegreeMax * kPeerDegreeMax},
           {10, 1e9, 10, 10 * kPeerDegreeMax},
           {10, 100, 10, 100},
           {10, 99, 10, 100},  // Cauchy-Schwarz.
           {0.5, 1, 1, 1},
       }) {
    SCOPED_TRACE(c.degree);
    Up({Id(2)});
    // 1 of its own, with one neighbor, and what was sent; half of that goes out.
    Receive(2, {.sequence = ++round,
                .round = round,
                .count = 1,
                .degree = c.degree,
                .degree_squared = c.squared,
                .last_count = 40,
                .last_degree = 40 * c.degree,
                .last_degree_squared = 40 * c.squared});
    std::vector<Measure> shares = Frames<Measure>(Tick());

    ASSERT_THAT(shares, SizeIs(1));
    EXPECT_DOUBLE_EQ(shares[0].degree, (1 + c.degree_taken) / 2);
    EXPECT_DOUBLE_EQ(shares[0].degree_squared, (1 + c.squared_taken) / 2);
    EXPECT_DOUBLE_EQ(measurement_.Estimate().degree_sum, 40 * c.degree_taken);
    EXPECT_DOUBLE_EQ(measurement_.Estimate().degree_square_sum, 40 * c.squared_taken);
  }
}

TEST_F(MeasurementTest, ALeavingPeerGivesAllItsMassAway) {
  Up({Id(2), Id(3)});
  Tick();

  Outputs outputs;
  measurement_.OnLeave(now_, outputs);

  ASSERT_THAT(Frames<Measure>(outputs), SizeIs(1));
  EXPECT_EQ(Frames<Measure>(outputs)[0].count, 1);
  EXPECT_EQ(Frames<Measure>(outputs)[0].fish, 1);
}

TEST_F(MeasurementTest, OneNeighborAddsNoMoreThanTheLimit) {
  Up({Id(2)});
  Tick();

  // 1 of its own and kNeighborMassMax; half of that goes out.
  Receive(2, {.sequence = 1, .round = 1, .fish_id = 1, .fish = 0.5, .count = kNeighborMassMax});
  Receive(2, {.sequence = 2, .round = 1, .fish_id = 1, .fish = 0.5, .count = 1e7});
  std::vector<Measure> shares = Frames<Measure>(Tick());

  ASSERT_THAT(shares, SizeIs(1));
  EXPECT_DOUBLE_EQ(shares[0].count, (1 + kNeighborMassMax) / 2);
}

// Round by round, each told by another share of a higher round.
class ToldTest : public MeasurementTest {
 protected:
  ToldTest() {
    Up({Id(2), Id(3), Id(4)});
    Tell(2, 1000);
  }

  double Tell(uint8_t from, double count) {
    Receive(from, {.sequence = ++sequence_, .round = ++round_, .last_count = count});
    return measurement_.Estimate().peers;
  }

  uint64_t sequence_ = 0;
  uint64_t round_ = 0;
};

TEST_F(ToldTest, AResultUpToTheJumpIsTakenAtOnce) {
  EXPECT_EQ(Tell(3, kJump * 1000), kJump * 1000);
  EXPECT_EQ(Tell(2, 1000), 1000);
}

TEST_F(ToldTest, AResultBeyondTheJumpNeedsASecondNeighbor) {
  EXPECT_EQ(Tell(3, 5000), 1000);
  EXPECT_EQ(Tell(3, 5000), 1000);
  EXPECT_EQ(Tell(4, 5100), 5100);
}

TEST_F(ToldTest, TwoNeighborsThatDisagreeAreNotBelieved) {
  EXPECT_EQ(Tell(3, 5000), 1000);
  EXPECT_EQ(Tell(4, 50'000), 1000);
  EXPECT_EQ(Tell(2, 100), 1000);
}

TEST_F(ToldTest, ASmallMeshMayGrowAtOnce) {
  Tell(3, 500);
  Tell(3, 250);
  Tell(3, 120);
  Tell(3, kUnconfirmedMax);

  EXPECT_EQ(Tell(2, 8), 8);
  EXPECT_EQ(Tell(2, kUnconfirmedMax), kUnconfirmedMax);
}

TEST_F(MeasurementTest, LosingAQuarterOfTheNeighborsBeginsARoundSoon) {
  std::vector<PeerId> active;
  for (uint8_t i = 2; i < 18; ++i) active.push_back(Id(i));
  Up(active);
  // A round that settles at 100,000: whatever goes out comes back.
  uint64_t sequence = 1;
  Receive(2, {.sequence = 1, .round = 1, .fish_id = ~uint64_t{0}, .fish = 1.5e-5, .count = 0.5});
  while (measurement_.running()) {
    for (Measure share : Frames<Measure>(Tick())) {
      share.sequence = ++sequence;
      Receive(2, share);
    }
  }
  ASSERT_NEAR(measurement_.Estimate().peers, 100'000, 1);
  now_ += absl::Seconds(kUrgentGapsMax);

  std::vector<absl::Duration> delays;
  for (int lost = 0; lost < 4; ++lost) {
    PeerId peer = active.back();
    active.pop_back();
    Outputs outputs;
    measurement_.OnNeighborDown(peer, active, /*mesh_changed=*/true, now_, outputs);
    Note(outputs);
    for (const Output& output : outputs) {
      if (const auto* set = std::get_if<ScheduleTimer>(&output)) delays.push_back(set->delay);
    }
  }

  // The first is planned as any change of a large mesh, the fourth of sixteen at once.
  ASSERT_THAT(delays, SizeIs(2));
  EXPECT_GT(delays[0], absl::Seconds(60));
  EXPECT_EQ(delays[1], MeasureOptions().change_delay);
}

TEST_F(MeasurementTest, APeerAloneCountsItself) {
  Tick();

  EXPECT_TRUE(measurement_.Estimate().measured);
  EXPECT_EQ(measurement_.Estimate().peers, 1);

  Up({Id(2)});
  EXPECT_TRUE(measurement_.Estimate().measured);
  Up({Id(2), Id(3)});  // Three where one was measured: only proven.
  EXPECT_FALSE(measurement_.Estimate().measured);
}

}  // namespace
}  // namespace panal
