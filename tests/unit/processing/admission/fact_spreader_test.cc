#include "server/processing/admission/fact_spreader.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/processing/admission/facts_for_tests.h"

namespace panal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const PeerId kAnn = FactPeer(101);
const PeerId kBob = FactPeer(102);
const PeerId kEve = FactPeer(103);

// Everything of one type among the outputs.
template <typename T>
std::vector<T> All(const Outputs& outputs) {
  std::vector<T> all;
  for (const Output& output : outputs) {
    if (const auto* one = std::get_if<T>(&output)) all.push_back(*one);
  }
  return all;
}

// Frames of one type to `to`.
template <typename F>
std::vector<F> Frames(const Outputs& outputs, const PeerId& to) {
  std::vector<F> frames;
  for (const SendFrame& send : All<SendFrame>(outputs)) {
    if (send.to != to) continue;
    if (const auto* frame = std::get_if<F>(&send.frame)) frames.push_back(*frame);
  }
  return frames;
}

FactDigest DigestOf(const std::vector<FactPtr>& facts) {
  FactSet set;
  FactPtr ignored;
  for (const FactPtr& fact : facts) set.Add(fact, kFactsNow, &ignored);
  return set.Digest();
}

FactNames NamesOfAll(const std::vector<FactPtr>& facts) {
  FactNames names;
  for (const FactPtr& fact : facts) names.names.push_back(NameOf(fact->id));
  std::sort(names.names.begin(), names.names.end());
  return names;
}

std::vector<FactPtr> SomeFacts(uint32_t count) {
  std::vector<FactPtr> facts;
  for (uint32_t i = 0; i < count; ++i) facts.push_back(TestRevocation(0, i));
  return facts;
}

constexpr uint64_t kMadeToken = 77;

class FactSpreaderTest : public testing::Test {
 protected:
  FactSpreaderTest() {
    for (const PeerId& peer : {kAnn, kBob, kEve}) {
      Outputs outputs;
      spreader_.OnLinkUp(peer, outputs);
    }
  }

  template <typename F>
  Outputs Receive(const PeerId& from, const F& frame) {
    return Do([&](Outputs& outputs) { spreader_.OnFrame(from, frame, now_, outputs); });
  }

  Outputs ReceiveFacts(const PeerId& from, const std::vector<FactPtr>& facts, bool asked = false) {
    FactBodies bodies{.asked = asked};
    for (const FactPtr& fact : facts) bodies.facts.push_back(fact->bytes);
    return Receive(from, bodies);
  }

  Outputs Verified(const FactsVerified& verified) {
    return Do([&](Outputs& outputs) { spreader_.OnVerified(verified, now_, outputs); });
  }

  Outputs Stored(uint64_t token) {
    return Do([&](Outputs& outputs) { spreader_.OnStored({token}, outputs); });
  }

  Outputs Expire(uint64_t token) {
    return Do([&](Outputs& outputs) { spreader_.OnTimer(token, now_, outputs); });
  }

  Outputs Interval() {
    now_ += kFactInterval;
    return Expire(0);
  }

  Outputs Made(const FactPtr& fact) {
    return Do([&](Outputs& outputs) { spreader_.OnMade({fact, kMadeToken}, now_, outputs); });
  }

  static FactOutcome AnswerIn(const Outputs& outputs) {
    const auto answers = All<FactAnswered>(outputs);
    EXPECT_THAT(answers, SizeIs(1));
    EXPECT_EQ(answers.at(0).token, kMadeToken);
    return answers.at(0).outcome;
  }

  // Verifies and stores what `outputs` ask for, which is all of `facts`.
  Outputs Settle(const Outputs& outputs, const std::vector<FactPtr>& facts) {
    const auto verify = All<VerifyFacts>(outputs);
    EXPECT_THAT(verify, SizeIs(1));
    if (verify.empty()) return {};
    Verified({verify[0].token, facts});
    return Stored(verify[0].token);
  }

  template <typename Step>
  Outputs Do(Step step) {
    Outputs outputs;
    step(outputs);
    spreader_.CheckInvariants();
    return outputs;
  }

  FactSpreader spreader_;
  absl::Time now_ = kFactsNow;
};

TEST_F(FactSpreaderTest, TellsItsDigestFirstOnALink) {
  const Outputs outputs = Do([&](Outputs& out) { spreader_.OnLinkUp(FactPeer(7), out); });

  ASSERT_THAT(outputs, SizeIs(1));
  EXPECT_THAT(Frames<FactDigest>(outputs, FactPeer(7)), ElementsAre(DigestOf({})));
}

TEST_F(FactSpreaderTest, SendsWhatThisPeerMadeToEveryLinkAndSaysWhatCounts) {
  const FactPtr fact = TestRevocation(1, 1);
  const Outputs outputs = Made(fact);

  for (const PeerId& peer : {kAnn, kBob, kEve}) {
    EXPECT_THAT(Frames<FactBodies>(outputs, peer), ElementsAre(FactBodies{false, {fact->bytes}}));
  }
  const auto changed = All<FactsChanged>(outputs);
  ASSERT_THAT(changed, SizeIs(1));
  EXPECT_TRUE(changed[0].revocations->Check({{.subject = FactPeer(1'000'001)}}).has_value());
  EXPECT_EQ(AnswerIn(outputs), FactOutcome::kAdded);
  const Outputs again = Made(fact);
  EXPECT_THAT(again, SizeIs(1));
  EXPECT_EQ(AnswerIn(again), FactOutcome::kKnown);
}

TEST_F(FactSpreaderTest, TellsItsMakerThatAFactFoundItsQuotaFullOrHasExpired) {
  const auto most = static_cast<uint32_t>(kFactQuotas[2].per_signer);
  for (uint32_t i = 0; i < most; ++i) Made(TestFact(1, MovedTo{}, i));

  for (const auto& [fact, outcome] :
       {std::pair(TestFact(1, MovedTo{}, most), FactOutcome::kFull),
        std::pair(TestFact(2, MovedTo{}, 0, absl::ZeroDuration()), FactOutcome::kExpired)}) {
    const Outputs outputs = Made(fact);

    ASSERT_THAT(outputs, SizeIs(2));
    EXPECT_THAT(All<ForgetFacts>(outputs)[0].facts, ElementsAre(fact));
    EXPECT_EQ(AnswerIn(outputs), outcome);
  }
}

TEST_F(FactSpreaderTest, VerifiesThenCountsAndStoresThenSendsOn) {
  const FactPtr fact = TestRevocation(1, 1);
  Outputs outputs = ReceiveFacts(kAnn, {fact});
  ASSERT_THAT(outputs, SizeIs(1));
  const VerifyFacts verify = std::get<VerifyFacts>(outputs[0]);
  EXPECT_THAT(verify.facts, ElementsAre(fact->bytes));

  outputs = Verified({verify.token, {fact}});
  EXPECT_THAT(All<FactsChanged>(outputs), SizeIs(1));
  EXPECT_THAT(All<StoreFacts>(outputs), SizeIs(1));
  EXPECT_THAT(All<SendFrame>(outputs), IsEmpty());

  outputs = Stored(verify.token);
  EXPECT_THAT(Frames<FactBodies>(outputs, kAnn), IsEmpty());
  EXPECT_THAT(Frames<FactBodies>(outputs, kBob), SizeIs(1));
  EXPECT_THAT(Frames<FactBodies>(outputs, kEve), SizeIs(1));
  EXPECT_TRUE(spreader_.idle());
}

TEST_F(FactSpreaderTest, DropsWhatItKnowsOrIsVerifying) {
  const FactPtr fact = TestRevocation(1, 1);
  const Outputs first = ReceiveFacts(kAnn, {fact, fact});
  EXPECT_THAT(All<VerifyFacts>(first)[0].facts, SizeIs(1));
  EXPECT_THAT(ReceiveFacts(kBob, {fact}), IsEmpty());

  Settle(first, {fact});

  EXPECT_THAT(ReceiveFacts(kBob, {fact}), IsEmpty());
}

TEST_F(FactSpreaderTest, RefusesAnInvalidFactAndTakesTheValidOneBesideIt) {
  const FactPtr fact = TestRevocation(1, 1);
  Outputs outputs = ReceiveFacts(kEve, {TestRevocation(1, 2), fact});
  const uint64_t token = All<VerifyFacts>(outputs)[0].token;

  outputs = Verified({token, {nullptr, fact}});

  const auto refused = All<FrameRefused>(outputs);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].from, kEve);
  EXPECT_FALSE(refused[0].close);
  EXPECT_THAT(Frames<FactBodies>(Stored(token), kAnn),
              ElementsAre(FactBodies{false, {fact->bytes}}));
}

TEST_F(FactSpreaderTest, StoresAndSendsNothingOfWhatIsInvalid) {
  const Outputs first = ReceiveFacts(kEve, {TestRevocation(1, 2)});

  const Outputs outputs = Verified({All<VerifyFacts>(first)[0].token, {nullptr}});

  EXPECT_THAT(outputs, SizeIs(1));
  EXPECT_THAT(All<FrameRefused>(outputs), SizeIs(1));
  EXPECT_TRUE(spreader_.idle());
  // It is not remembered either: the same bytes are verified again.
  EXPECT_THAT(All<VerifyFacts>(ReceiveFacts(kAnn, {TestRevocation(1, 2)})), SizeIs(1));
}

TEST_F(FactSpreaderTest, HoldsNothingAgainstASenderWhoseFactCouldNotBeVerified) {
  const FactPtr fact = TestRevocation(1, 1);
  const uint64_t token = All<VerifyFacts>(ReceiveFacts(kAnn, {fact}))[0].token;

  EXPECT_THAT(Verified({.token = token, .failed = true}), IsEmpty());

  EXPECT_THAT(All<VerifyFacts>(ReceiveFacts(kAnn, {fact})), SizeIs(1));
}

TEST_F(FactSpreaderTest, VerifiesSoManyOfANeighborAtOnce) {
  std::vector<FactPtr> facts = SomeFacts(kFactsVerifyingMax + 1);
  const std::vector<FactPtr> half(facts.begin(), facts.begin() + kFactsVerifyingMax / 2);
  const Outputs first = ReceiveFacts(kEve, half);
  const Outputs outputs = ReceiveFacts(kEve, facts);
  EXPECT_THAT(All<VerifyFacts>(outputs)[0].facts, SizeIs(kFactsVerifyingMax / 2));
  EXPECT_THAT(ReceiveFacts(kEve, {facts.back()}), IsEmpty());

  EXPECT_THAT(All<VerifyFacts>(ReceiveFacts(kAnn, {facts.back()})), SizeIs(1));

  Settle(first, half);
  EXPECT_THAT(All<VerifyFacts>(ReceiveFacts(kEve, {TestRevocation(0, 9999)})), SizeIs(1));
}

TEST_F(FactSpreaderTest, VerifiesFactsOfANeighborAtARate) {
  const auto burst = static_cast<uint32_t>(kFactRate.burst);
  for (uint32_t i = 0; i < burst; ++i) {
    const FactPtr fact = TestRevocation(0, i);
    Settle(ReceiveFacts(kEve, {fact}), {fact});
  }
  const FactPtr next = TestRevocation(0, burst);
  EXPECT_THAT(ReceiveFacts(kEve, {next}), IsEmpty());

  now_ += kFactRate.period;

  EXPECT_THAT(All<VerifyFacts>(ReceiveFacts(kEve, {next})), SizeIs(1));
}

TEST_F(FactSpreaderTest, ServesNamesAndFactsAtARate) {
  const FactPtr fact = TestRevocation(1, 1);
  Made(fact);
  const FactWant one{{NameOf(fact->id)}};
  for (int i = 0; i < static_cast<int>(kFactNamesRate.burst); ++i) {
    EXPECT_THAT(Frames<FactNames>(Receive(kEve, FactWant{}), kEve),
                ElementsAre(NamesOfAll({fact})));
  }
  for (int i = 0; i < static_cast<int>(kFactWantRate.burst); ++i) {
    EXPECT_THAT(Frames<FactBodies>(Receive(kEve, one), kEve),
                ElementsAre(FactBodies{true, {fact->bytes}}));
  }

  EXPECT_THAT(All<FrameRefused>(Receive(kEve, FactWant{})), SizeIs(1));
  EXPECT_THAT(All<FrameRefused>(Receive(kEve, one)), SizeIs(1));
  EXPECT_THAT(All<SendFrame>(Receive(kAnn, one)), SizeIs(1));
}

TEST_F(FactSpreaderTest, LeavesOutOfItsAnswerWhatItDoesNotKnow) {
  const Outputs outputs = Receive(kAnn, FactWant{{FactName{1}}});

  EXPECT_THAT(Frames<FactBodies>(outputs, kAnn), ElementsAre(FactBodies{.asked = true}));
}

TEST_F(FactSpreaderTest, AsksNobodyWhoKnowsTheSame) {
  EXPECT_THAT(Receive(kAnn, DigestOf({})), IsEmpty());
}

TEST_F(FactSpreaderTest, AsksForWhatItLacksThenTellsTheOthersItsDigest) {
  const std::vector<FactPtr> facts = SomeFacts(kFactsPerFrameMax + 2);
  Made(facts[0]);
  Outputs outputs = Receive(kAnn, DigestOf(facts));
  EXPECT_THAT(Frames<FactWant>(outputs, kAnn), ElementsAre(FactWant{}));

  outputs = Receive(kAnn, NamesOfAll(facts));
  auto wants = Frames<FactWant>(outputs, kAnn);
  ASSERT_THAT(wants, SizeIs(1));
  EXPECT_THAT(wants[0].names, SizeIs(kFactsPerFrameMax));
  std::vector<FactPtr> answer;
  for (const FactPtr& fact : facts) {
    if (absl::c_binary_search(wants[0].names, NameOf(fact->id))) answer.push_back(fact);
  }
  outputs = Settle(ReceiveFacts(kAnn, answer, /*asked=*/true), answer);
  wants = Frames<FactWant>(outputs, kAnn);
  ASSERT_THAT(wants, SizeIs(1));
  EXPECT_THAT(wants[0].names, SizeIs(1));
  for (const FactPtr& fact : facts) {
    if (NameOf(fact->id) == wants[0].names[0]) answer = {fact};
  }
  outputs = Settle(ReceiveFacts(kAnn, answer, /*asked=*/true), answer);

  EXPECT_TRUE(spreader_.idle());
  EXPECT_EQ(spreader_.facts().size(), facts.size());
  for (const PeerId& peer : {kAnn, kBob, kEve}) {
    EXPECT_THAT(Frames<FactDigest>(outputs, peer), ElementsAre(DigestOf(facts)));
    EXPECT_THAT(Frames<FactBodies>(outputs, peer), IsEmpty());
  }
}

TEST_F(FactSpreaderTest, AsksOneNeighborAtATimeAndNoneThatKnowsNoMoreByThen) {
  const FactPtr fact = TestRevocation(1, 1);
  Receive(kAnn, DigestOf({fact}));
  EXPECT_THAT(Receive(kBob, DigestOf({fact})), IsEmpty());
  EXPECT_THAT(Receive(kBob, DigestOf({fact})), IsEmpty());
  EXPECT_THAT(Receive(kEve, DigestOf({fact, TestRevocation(1, 2)})), IsEmpty());
  Receive(kAnn, NamesOfAll({fact}));

  const Outputs outputs = Settle(ReceiveFacts(kAnn, {fact}, /*asked=*/true), {fact});

  EXPECT_THAT(Frames<FactWant>(outputs, kBob), IsEmpty());
  EXPECT_THAT(Frames<FactWant>(outputs, kEve), ElementsAre(FactWant{}));
}

TEST_F(FactSpreaderTest, GoesOnToTheNextWhenANeighborIsGoneSilentOrAnswersWithAnInvalidFact) {
  const FactDigest more = DigestOf({TestRevocation(1, 1)});
  auto asks_bob = [&](const Outputs& outputs) { return !Frames<FactWant>(outputs, kBob).empty(); };
  Outputs first = Receive(kAnn, more);
  Receive(kBob, more);
  EXPECT_TRUE(asks_bob(Expire(All<ScheduleTimer>(first)[0].timer.token)));

  Receive(kAnn, more);
  EXPECT_THAT(
      Frames<FactWant>(Do([&](Outputs& outputs) { spreader_.OnLinkLost(kBob, outputs); }), kAnn),
      SizeIs(1));

  Do([&](Outputs& outputs) { spreader_.OnLinkUp(kBob, outputs); });
  Receive(kBob, more);
  Receive(kAnn, NamesOfAll({TestRevocation(1, 1)}));
  const Outputs outputs = ReceiveFacts(kAnn, {TestRevocation(1, 1)}, /*asked=*/true);
  EXPECT_TRUE(asks_bob(Verified({All<VerifyFacts>(outputs)[0].token, {nullptr}})));
}

TEST_F(FactSpreaderTest, IsNotEndedByTheTimerOfARoundBefore) {
  const Outputs first = Receive(kAnn, DigestOf({TestRevocation(1, 1)}));
  Receive(kAnn, FactNames{});
  ASSERT_TRUE(spreader_.idle());
  Receive(kAnn, DigestOf({TestRevocation(1, 2)}));

  EXPECT_THAT(Expire(All<ScheduleTimer>(first)[0].timer.token), IsEmpty());
  EXPECT_FALSE(spreader_.idle());
}

TEST_F(FactSpreaderTest, AsksANeighborThatHadNoMoreAgainOnlyWhenItsDigestChanges) {
  Made(TestRevocation(1, 1));
  Receive(kAnn, DigestOf({}));
  Receive(kAnn, FactNames{});

  EXPECT_THAT(Receive(kAnn, DigestOf({})), IsEmpty());
  EXPECT_THAT(Frames<FactWant>(Interval(), kAnn), IsEmpty());
  EXPECT_THAT(Frames<FactWant>(Receive(kAnn, DigestOf({TestRevocation(1, 2)})), kAnn), SizeIs(1));
}

TEST_F(FactSpreaderTest, AsksANeighborThatFailedAgainAfterTheInterval) {
  const Outputs first = Receive(kAnn, DigestOf({TestRevocation(1, 1)}));
  Expire(All<ScheduleTimer>(first)[0].timer.token);
  ASSERT_TRUE(spreader_.idle());

  EXPECT_THAT(Frames<FactWant>(Interval(), kAnn), SizeIs(1));
}

TEST_F(FactSpreaderTest, IgnoresNamesAndAnswersThatNobodyAskedFor) {
  const FactPtr fact = TestRevocation(1, 1);
  EXPECT_THAT(Receive(kEve, NamesOfAll({fact})), IsEmpty());
  EXPECT_THAT(ReceiveFacts(kEve, {fact}, /*asked=*/true), IsEmpty());
  Receive(kAnn, DigestOf({fact}));
  EXPECT_THAT(ReceiveFacts(kAnn, {fact}, /*asked=*/true), IsEmpty());
  Receive(kAnn, NamesOfAll({fact}));
  EXPECT_THAT(Receive(kAnn, NamesOfAll({fact})), IsEmpty());
  EXPECT_THAT(ReceiveFacts(kEve, {fact}, /*asked=*/true), IsEmpty());
}

TEST_F(FactSpreaderTest, TellsItsDigestAnewInTheIntervalWhereItChanged) {
  EXPECT_THAT(All<SendFrame>(Interval()), IsEmpty());
  const FactPtr fact = TestRevocation(1, 1);
  Made(fact);

  const Outputs outputs = Interval();

  EXPECT_THAT(Frames<FactDigest>(outputs, kBob), ElementsAre(DigestOf({fact})));
  EXPECT_THAT(All<ScheduleTimer>(outputs), SizeIs(1));
  EXPECT_THAT(All<SendFrame>(Interval()), IsEmpty());
}

TEST_F(FactSpreaderTest, ForgetsWhatHasExpired) {
  const FactPtr fact = TestRevocation(1, 1, kFactInterval);
  Made(fact);

  const Outputs outputs = Interval();

  ASSERT_THAT(All<ForgetFacts>(outputs), SizeIs(1));
  EXPECT_THAT(All<ForgetFacts>(outputs)[0].facts, ElementsAre(fact));
  ASSERT_THAT(All<FactsChanged>(outputs), SizeIs(1));
  EXPECT_FALSE(All<FactsChanged>(outputs)[0]
                   .revocations->Check({{.subject = FactPeer(1'000'001)}})
                   .has_value());
}

TEST_F(FactSpreaderTest, CountsWhatTheDiskRemembersAndForgetsWhatHasExpiredThere) {
  const FactPtr kept = TestRevocation(1, 1);
  const FactPtr expired = TestRevocation(1, 2, absl::ZeroDuration());

  const Outputs outputs = Do([&](Outputs& out) {
    spreader_.OnLoaded({{kept, expired}}, now_, out);
  });

  EXPECT_THAT(All<ForgetFacts>(outputs)[0].facts, ElementsAre(expired));
  EXPECT_THAT(All<FactsChanged>(outputs), SizeIs(1));
  EXPECT_THAT(All<SendFrame>(outputs), IsEmpty());
  EXPECT_EQ(spreader_.facts().Digest(), DigestOf({kept}));
}

TEST_F(FactSpreaderTest, KeepsNothingBeyondAQuotaAndSendsNoneOfItOn) {
  const auto most = static_cast<uint32_t>(kFactQuotas[2].per_signer);
  for (uint32_t i = 0; i < most; ++i) Made(TestFact(1, MovedTo{}, i));
  const FactPtr more = TestFact(1, MovedTo{}, most);
  const uint64_t token = All<VerifyFacts>(ReceiveFacts(kAnn, {more}))[0].token;

  EXPECT_THAT(Verified({token, {more}}), IsEmpty());
  EXPECT_TRUE(spreader_.idle());
}

TEST_F(FactSpreaderTest, ForgetsWhatHasToMakeRoomAndSendsTheOtherOn) {
  for (uint32_t number : {1, 2, 3, 9}) Made(TestFact(1, MovedTo{}, number));
  const FactPtr earlier = TestFact(1, MovedTo{}, 5);
  const uint64_t token = All<VerifyFacts>(ReceiveFacts(kAnn, {earlier}))[0].token;

  const Outputs outputs = Verified({token, {earlier}});

  EXPECT_EQ(All<ForgetFacts>(outputs).at(0).facts[0]->id, TestFact(1, MovedTo{}, 9)->id);
  EXPECT_THAT(All<StoreFacts>(outputs).at(0).facts, ElementsAre(earlier));
  EXPECT_THAT(Frames<FactBodies>(Stored(token), kBob), SizeIs(1));
}

TEST_F(FactSpreaderTest, StoresNothingThatHadToMakeRoomForAnotherOfTheSameAnswer) {
  for (uint32_t number : {1, 2, 3}) Made(TestFact(1, MovedTo{}, number));
  const FactPtr late = TestFact(1, MovedTo{}, 9);
  const FactPtr early = TestFact(1, MovedTo{}, 5);
  const uint64_t token = All<VerifyFacts>(ReceiveFacts(kAnn, {late, early}))[0].token;

  const Outputs outputs = Verified({token, {late, early}});

  EXPECT_THAT(All<StoreFacts>(outputs).at(0).facts, ElementsAre(early));
  EXPECT_THAT(All<ForgetFacts>(outputs).at(0).facts, ElementsAre(late));
}

TEST_F(FactSpreaderTest, AsksANeighborThatHadNoMoreAgainOnceThereIsRoom) {
  const FactPtr brief = TestFact(1, MovedTo{}, 0, kFactInterval);
  Made(brief);
  for (uint32_t number : {1, 2, 3}) Made(TestFact(1, MovedTo{}, number));
  const FactPtr waiting = TestFact(1, MovedTo{}, 4);
  Receive(kAnn, DigestOf({waiting}));
  Receive(kAnn, NamesOfAll({waiting}));
  const uint64_t token =
      All<VerifyFacts>(ReceiveFacts(kAnn, {waiting}, /*asked=*/true)).at(0).token;
  Verified({token, {waiting}});
  ASSERT_TRUE(spreader_.idle());

  const Outputs outputs = Interval();

  EXPECT_THAT(All<ForgetFacts>(outputs).at(0).facts, ElementsAre(brief));
  EXPECT_THAT(Frames<FactWant>(outputs, kAnn), SizeIs(1));
}

// Two peers with a link, each of which passes on at once what the other says.
class TwoSpreaders {
 public:
  // What either knows at first; each fact was signed by somebody.
  TwoSpreaders(const std::vector<FactPtr>& one, const std::vector<FactPtr>& other) {
    for (const std::vector<FactPtr>& facts : {one, other}) {
      for (const FactPtr& fact : facts) said_[fact->bytes] = fact;
    }
    Outputs ignored;
    at_[0].OnLoaded({one}, kFactsNow, ignored);
    at_[1].OnLoaded({other}, kFactsNow, ignored);
    for (int peer : {0, 1})
      Step(peer, [&](FactSpreader& at, Outputs& out) { at.OnLinkUp(kAnn, out); });
  }

  // Until nothing is on its way. The steps that it took.
  int Run() {
    int steps = 0;
    while (!waiting_.empty()) {
      auto task = std::move(waiting_.front());
      waiting_.pop_front();
      task();
      EXPECT_LT(++steps, 1000);
      if (steps >= 1000) break;
    }
    return steps;
  }

  const FactSet& facts(int peer) const { return at_[peer].facts(); }

 private:
  using Event = std::function<void(FactSpreader&, Outputs&)>;

  void Step(int peer, const Event& step) {
    Outputs outputs;
    step(at_[peer], outputs);
    at_[peer].CheckInvariants();
    for (const Output& output : outputs) {
      if (const auto* send = std::get_if<SendFrame>(&output)) {
        waiting_.push_back([this, peer, frame = send->frame] { Receive(1 - peer, frame); });
      } else if (const auto* verify = std::get_if<VerifyFacts>(&output)) {
        FactsVerified verified{verify->token};
        for (const std::string& bytes : verify->facts) verified.facts.push_back(said_.at(bytes));
        waiting_.push_back([this, peer, verified] {
          Step(peer,
               [&](FactSpreader& at, Outputs& out) { at.OnVerified(verified, kFactsNow, out); });
        });
      } else if (const auto* store = std::get_if<StoreFacts>(&output)) {
        waiting_.push_back([this, peer, token = store->token] {
          Step(peer, [&](FactSpreader& at, Outputs& out) { at.OnStored({token}, out); });
        });
      }
    }
  }

  void Receive(int peer, const Frame& frame) {
    Step(peer, [&](FactSpreader& at, Outputs& out) {
      if (const auto* digest = std::get_if<FactDigest>(&frame))
        at.OnFrame(kAnn, *digest, kFactsNow, out);
      if (const auto* want = std::get_if<FactWant>(&frame)) at.OnFrame(kAnn, *want, kFactsNow, out);
      if (const auto* names = std::get_if<FactNames>(&frame))
        at.OnFrame(kAnn, *names, kFactsNow, out);
      if (const auto* bodies = std::get_if<FactBodies>(&frame))
        at.OnFrame(kAnn, *bodies, kFactsNow, out);
    });
  }

  std::array<FactSpreader, 2> at_;
  std::map<std::string, FactPtr> said_;
  std::deque<std::function<void()>> waiting_;
};

// A signer said more than its share, some of it here and some there.
TEST(FactSpreaders, AtAQuotaComeToKeepTheSame) {
  std::vector<FactPtr> one;
  std::vector<FactPtr> other;
  const auto most = static_cast<uint32_t>(kFactQuotas[2].per_signer);
  for (uint32_t number = 0; number < 2 * most; ++number) {
    (number % 3 == 0 ? one : other).push_back(TestFact(1, MovedTo{}, number));
  }
  one.push_back(TestFact(2, MovedTo{}, 7));
  TwoSpreaders two(one, other);

  two.Run();

  EXPECT_EQ(two.facts(0).Digest(), two.facts(1).Digest());
  EXPECT_EQ(two.facts(0).size(), most + 1);
  for (uint32_t number = 0; number < most; ++number) {
    EXPECT_TRUE(two.facts(0).Has(NameOf(TestFact(1, MovedTo{}, number)->id))) << number;
  }
}

}  // namespace
}  // namespace panal
