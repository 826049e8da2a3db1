// The rules of docs/protocol/digests.md about keeping and sending digests.

#include "server/processing/search/digests.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/processing/search/search_mesh.h"

namespace panal {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

DigestQuery Asked(absl::string_view text) { return DigestQuery(*Query::Parse(text)); }

DigestFrame WholeOf(uint64_t version, const std::vector<std::string>& terms) {
  std::vector<uint32_t> hashes;
  for (const std::string& term : terms) hashes.push_back(DigestHash(term));
  return {version, std::make_shared<const TermDigest>(TermDigest::Of(hashes))};
}

class NeighborDigestsTest : public testing::Test {
 protected:
  NeighborDigestsTest() : digests_(neighbors_) {
    std::vector<PeerId> ids = {peer_, PeerIdOf(2)};
    std::sort(ids.begin(), ids.end());
    neighbors_.Set(ids);
  }

  ~NeighborDigestsTest() override { digests_.CheckInvariants(); }

  void Take(const DigestFrame& frame) { digests_.OnDigest(peer_, frame, now_, outputs_); }

  void Take(const DigestDelta& delta) { digests_.OnDelta(peer_, delta, now_, outputs_); }

  std::optional<bool> May(absl::string_view query) const {
    return digests_.MayMatch(peer_, Asked(query));
  }

  bool Refused() {
    const bool refused = !outputs_.empty() && std::holds_alternative<FrameRefused>(outputs_.back());
    outputs_.clear();
    return refused;
  }

  const PeerId peer_ = PeerIdOf(1);
  absl::Time now_ = kNow;
  Neighbors neighbors_;
  NeighborDigests digests_;
  Outputs outputs_;
};

TEST_F(NeighborDigestsTest, KnowsNothingOfANeighborThatSentNone) {
  EXPECT_EQ(May("a"), std::nullopt);
  EXPECT_EQ(digests_.Share(), 0);
}

TEST_F(NeighborDigestsTest, AnswersByTheWholeAndWhatWasAdded) {
  Take(WholeOf(4, {"a"}));
  Take(DigestDelta{5, {DigestHash("b"), DigestHash("c")}});

  EXPECT_EQ(May("a"), true);
  EXPECT_EQ(May("a b c"), true);
  EXPECT_EQ(May("a x"), false);
  EXPECT_EQ(May("x*"), true);
  EXPECT_EQ(digests_.Share(), 0.5);
  EXPECT_TRUE(outputs_.empty());
}

TEST_F(NeighborDigestsTest, AGapOrARepetitionVoidsIt) {
  for (uint64_t version : {4u, 6u}) {
    Take(WholeOf(4, {"a"}));
    Take(DigestDelta{version, {1}});
    EXPECT_TRUE(Refused());
    EXPECT_EQ(May("a"), std::nullopt);
    Take(DigestDelta{5, {1}});
    EXPECT_EQ(May("a"), std::nullopt);
  }
}

TEST_F(NeighborDigestsTest, AWithdrawnOneIsNone) {
  Take(WholeOf(4, {"a"}));
  Take(DigestFrame{5, nullptr});

  EXPECT_EQ(May("a"), std::nullopt);
  EXPECT_FALSE(Refused());
}

TEST_F(NeighborDigestsTest, IsForgottenWithTheNeighbor) {
  Take(WholeOf(4, {"a"}));
  digests_.OnNeighborDown(peer_);

  EXPECT_EQ(May("a"), std::nullopt);
}

TEST_F(NeighborDigestsTest, TakesAsMuchMoreAsTheWholeAndNotOneMore) {
  const size_t most = DigestAddedMax(kDigestSizeMin);
  for (size_t more : {0, 1}) {
    Take(WholeOf(1, {"a"}));
    Take(DigestDelta{2, std::vector<uint32_t>(most)});
    EXPECT_FALSE(Refused());
    if (more > 0) Take(DigestDelta{3, {7}});
    EXPECT_EQ(Refused(), more > 0);
    EXPECT_EQ(May("a").has_value(), more == 0);
  }
}

TEST_F(NeighborDigestsTest, RefusesWholesThatComeTooOften) {
  const auto most = static_cast<uint64_t>(kDigestFramesMax / kDigestWholeCost);
  for (uint64_t i = 1; i <= most; ++i) Take(WholeOf(i, {"a"}));
  EXPECT_FALSE(Refused());
  Take(WholeOf(most + 1, {"a"}));
  EXPECT_TRUE(Refused());
  EXPECT_EQ(May("a"), std::nullopt);

  now_ += absl::Seconds(kDigestWholeCost / kDigestFramesPerSecond);
  Take(WholeOf(most + 2, {"a"}));
  EXPECT_FALSE(Refused());
  EXPECT_EQ(May("a"), true);
}

TEST_F(NeighborDigestsTest, RefusesDeltasThatComeTooOften) {
  Take(WholeOf(0, {"a"}));
  const auto most = static_cast<uint64_t>(kDigestFramesMax - kDigestWholeCost);
  for (uint64_t i = 1; i <= most; ++i) Take(DigestDelta{i, {7}});
  EXPECT_FALSE(Refused());
  Take(DigestDelta{most + 1, {7}});
  EXPECT_TRUE(Refused());
}

// The own digest, its timers and a neighbor that takes what is sent.
class OwnDigestTest : public testing::Test {
 protected:
  OwnDigestTest()
      : options_({.digests = true}),
        sizes_(options_),
        own_(options_, neighbors_, sizes_, tokens_),
        at_(neighbors_) {
    sizes_.SetEstimate({1000, 16'000, 256'000, true});
    neighbors_.Set({peer_});
    own_.OnStart(now_, outputs_);
  }

  ~OwnDigestTest() override {
    own_.CheckInvariants();
    at_.CheckInvariants();
  }

  // Fires timers, answers builds from `catalog_` and delivers frames for `duration`.
  void Pass(absl::Duration duration) {
    const absl::Time end = now_ + duration;
    Perform();
    while (!timers_.empty() && *timers_.begin() <= end) {
      now_ = *timers_.begin();
      timers_.erase(timers_.begin());
      own_.OnTimer(now_, outputs_);
      Perform();
    }
    now_ = end;
  }

  void Perform() {
    const Outputs outputs = std::exchange(outputs_, {});
    for (const Output& output : outputs) {
      if (const auto* timer = std::get_if<ScheduleTimer>(&output)) {
        timers_.insert(now_ + timer->delay);
      } else if (const auto* build = std::get_if<BuildDigest>(&output)) {
        ++builds_;
        if (!answers_) continue;
        own_.OnBuilt({build->token, catalog_, failing_}, now_, outputs_);
      } else if (const auto* send = std::get_if<SendFrame>(&output)) {
        Outputs refused;
        if (const auto* whole = std::get_if<DigestFrame>(&send->frame)) {
          ++wholes_;
          at_.OnDigest(peer_, *whole, now_, refused);
        } else {
          ++deltas_;
          at_.OnDelta(peer_, std::get<DigestDelta>(send->frame), now_, refused);
        }
        EXPECT_TRUE(refused.empty());
      }
    }
    if (!outputs_.empty()) Perform();
  }

  void Keep(const std::vector<std::string>& names) {
    const PagePtr page = MakePage(PeerIdOf(9), 1, 1, names);
    for (const Record& record : page->records) {
      ForEachDigestHash(record, [this](uint32_t hash) { catalog_.push_back(hash); });
    }
    own_.OnPageKept(*page, now_, outputs_);
  }

  std::optional<bool> May(absl::string_view query) const {
    return at_.MayMatch(peer_, Asked(query));
  }

  const PeerId peer_ = PeerIdOf(1);
  absl::Time now_ = kNow;
  SearchOptions options_;
  Neighbors neighbors_;
  Tokens tokens_;
  BubbleSizes sizes_;
  OwnDigest own_;
  NeighborDigests at_;
  Outputs outputs_;
  std::multiset<absl::Time> timers_;
  std::vector<uint32_t> catalog_;
  bool answers_ = true;
  bool failing_ = false;
  int builds_ = 0, wholes_ = 0, deltas_ = 0;
};

TEST_F(OwnDigestTest, IsBuiltAtStartAndSentToNeighborsThatTakeDigests) {
  Keep({"report"});
  own_.OnNeighborUp(peer_, true, outputs_);
  own_.OnNeighborUp(PeerIdOf(2), false, outputs_);
  EXPECT_EQ(May("report"), std::nullopt);

  Pass(kDigestTick);

  EXPECT_EQ(May("report"), true);
  EXPECT_EQ(May("other"), false);
  EXPECT_EQ(wholes_, 1);
}

TEST_F(OwnDigestTest, IsSentWholeToANewNeighbor) {
  Keep({"report"});
  Pass(kDigestTick);
  EXPECT_EQ(wholes_, 0);

  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(absl::ZeroDuration());

  EXPECT_EQ(May("report"), true);
}

TEST_F(OwnDigestTest, TellsWhatIsAddedInBatches) {
  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(kDigestTick + kDigestDeltaInterval);
  Keep({"first"});
  Keep({"second"});
  EXPECT_EQ(May("first"), false);

  Pass(kDigestDelay);
  EXPECT_EQ(May("first second"), true);
  Keep({"third"});
  Pass(kDigestDelay);
  EXPECT_EQ(May("third"), false);
  Pass(kDigestDeltaInterval);

  EXPECT_EQ(May("third"), true);
  EXPECT_EQ(deltas_, 2);
  EXPECT_EQ(wholes_, 1);
}

TEST_F(OwnDigestTest, SaysNothingOfWhatItHasAlready) {
  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(kDigestTick + kDigestDeltaInterval);
  Keep({"report"});
  Pass(kDigestDeltaInterval);
  Keep({"report"});
  Pass(kDigestDeltaInterval);

  EXPECT_EQ(deltas_, 1);
}

TEST_F(OwnDigestTest, IsSentWholeWhenMuchWasAdded) {
  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(kDigestTick);
  const size_t most = DigestAddedMax(kDigestSizeMin);
  for (size_t i = 0; i < most; ++i) {
    Keep({absl::StrCat("w", i)});  // A term and an id.
  }
  Pass(kDigestWholeInterval);

  EXPECT_EQ(wholes_, 2);
  for (size_t i = 0; i < most; ++i) EXPECT_EQ(May(absl::StrCat("w", i)), true);
}

TEST_F(OwnDigestTest, ForgetsWhatWasDroppedWhenItIsBuiltAnew) {
  Keep({"kept"});
  Keep({"dropped"});
  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(kDigestTick);
  catalog_.resize(catalog_.size() / 2);

  Pass(options_.page_refresh_interval + kDigestWholeInterval);

  EXPECT_EQ(builds_, 2);
  EXPECT_EQ(May("kept"), true);
  EXPECT_EQ(May("dropped"), false);
}

TEST_F(OwnDigestTest, LosesNothingThatComesWhileItIsBuilt) {
  own_.OnNeighborUp(peer_, true, outputs_);
  answers_ = false;
  Pass(kDigestTick);
  EXPECT_EQ(builds_, 1);
  Keep({"meanwhile"});
  own_.OnBuilt({1, {DigestHash("before")}}, now_, outputs_);
  Pass(absl::ZeroDuration());

  EXPECT_EQ(May("meanwhile before"), true);

  // And where there was a digest before.
  Keep({"before"});
  Pass(options_.page_refresh_interval);
  EXPECT_EQ(builds_, 2);
  Keep({"meanwhile"});
  own_.OnBuilt({2, {}}, now_, outputs_);
  Pass(kDigestWholeInterval);
  EXPECT_EQ(May("meanwhile"), true);
  EXPECT_EQ(May("before"), false);
}

TEST_F(OwnDigestTest, ABuildThatFailsIsTriedAgain) {
  failing_ = true;
  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(kDigestTick);
  EXPECT_EQ(May("a"), std::nullopt);
  failing_ = false;
  Pass(kDigestRetry);

  EXPECT_EQ(May("a"), false);
}

TEST_F(OwnDigestTest, HasTheMostTermsAndWithdrawsBeyond) {
  for (uint32_t i = 0; i < kDigestTermsMax; ++i) catalog_.push_back(i);
  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(kDigestTick);
  EXPECT_TRUE(own_.built());
  EXPECT_TRUE(May("a").has_value());

  Keep({"more"});
  Pass(kDigestWholeInterval);
  EXPECT_FALSE(own_.built());
  EXPECT_EQ(May("more"), std::nullopt);

  catalog_.resize(10);
  Pass(options_.page_refresh_interval);
  EXPECT_TRUE(own_.built());
  EXPECT_EQ(May("more"), false);
}

TEST_F(OwnDigestTest, IsNoneInASaturatedMesh) {
  sizes_.SetEstimate({36, 36 * 16, 36 * 256, true});
  own_.OnNeighborUp(peer_, true, outputs_);
  Pass(absl::Minutes(1));
  EXPECT_EQ(builds_, 0);

  sizes_.SetEstimate({37, 37 * 16, 37 * 256, true});
  Pass(kDigestTick);
  EXPECT_EQ(builds_, 1);
  EXPECT_EQ(May("a"), false);
}

}  // namespace
}  // namespace panal
