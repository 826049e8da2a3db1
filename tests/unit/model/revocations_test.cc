// The rules R1 and R2 of common/model/revocations.h, and that the look-up says what going through all
// facts would.

#include "common/model/revocations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>

#include "common/base/random.h"
#include "common/base/sha256.h"

namespace panal {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

PeerId Peer(char name) { return *PeerId::FromBytes(std::string(PeerId::kSize, name)); }

Serial GrantOf(char name) { return Serial(kSerialSize, name); }

// The chain of peers called by the letters, granted at `time`.
std::vector<VerifiedGrant> Chain(const std::string& names, absl::Time time = kNow) {
  std::vector<VerifiedGrant> chain;
  for (char name : names)
    chain.push_back({.subject = Peer(name), .not_before = time, .serial = GrantOf(name)});
  return chain;
}

// A fact that the end of `signer` says so many seconds after kNow.
FactPtr Say(const std::string& signer, const FactBody& body, int seconds) {
  static int made = 0;
  auto fact = std::make_shared<VerifiedFact>();
  fact->id = Sha256(std::to_string(++made));
  fact->body = body;
  fact->time = kNow + absl::Seconds(seconds);
  fact->signer = Chain(signer);
  return fact;
}

Revocation Of(char name, bool cascade = true) { return {.target = Peer(name), .cascade = cascade}; }

bool IsVoid(const Revocations& revocations, const std::string& names, int granted_s = 0) {
  return revocations.Check(Chain(names, kNow + absl::Seconds(granted_s))).has_value();
}

TEST(Revocations, VoidNothingWithoutFacts) {
  EXPECT_FALSE(IsVoid(Revocations(), "ab"));
  EXPECT_TRUE(Revocations().RedeemersOf(GrantOf('t')).empty());
}

TEST(Revocations, NameTheFactAndThePlace) {
  const FactPtr fact = Say("a", Of('c'), 1);
  const auto cause = Revocations({Say("a", Of('x'), 1), fact}).Check(Chain("abcd"));

  ASSERT_TRUE(cause.has_value());
  EXPECT_EQ(cause->fact, fact);
  EXPECT_EQ(cause->place, 2u);
}

TEST(Revocations, FindPeersAndSerials) {
  const Revocations revocations({Say("a", Revocation{.target = GrantOf('b')}, 1)});

  EXPECT_TRUE(IsVoid(revocations, "ab"));
  EXPECT_TRUE(IsVoid(revocations, "abc"));
  EXPECT_FALSE(IsVoid(revocations, "ac"));
  EXPECT_FALSE(IsVoid(revocations, ""));
}

TEST(Revocations, TheFirstWithoutCascadeIsTheStrictest) {
  const Revocations revocations({Say("a", Of('b', false), 20), Say("a", Of('b', false), 10)});

  EXPECT_TRUE(IsVoid(revocations, "ab", 0));
  EXPECT_FALSE(IsVoid(revocations, "abc", 10));
  EXPECT_TRUE(IsVoid(revocations, "abc", 11));
}

TEST(Revocations, OneWithCascadeVoidsWhatOneWithoutSpares) {
  const Revocations revocations({Say("a", Of('b', false), 1), Say("a", Of('b'), 2)});

  EXPECT_TRUE(IsVoid(revocations, "abc", 0));
}

TEST(Revocations, TheRevokedHaveNoSayFromThenOnAndWhatTheySaidBeforeStands) {
  for (bool reversed : {false, true}) {
    std::vector<FactPtr> facts = {Say("a", Of('x'), 1), Say("b", Of('a'), 2), Say("a", Of('y'), 3)};
    if (reversed) std::reverse(facts.begin(), facts.end());
    const Revocations revocations(facts);

    EXPECT_TRUE(IsVoid(revocations, "bx"));
    EXPECT_TRUE(IsVoid(revocations, "a"));
    EXPECT_FALSE(IsVoid(revocations, "by"));
  }
}

TEST(Revocations, OfTwoThatRevokeEachOtherTheEarlierCounts) {
  const Revocations revocations({Say("a", Of('b'), 2), Say("b", Of('a'), 1)});

  EXPECT_TRUE(IsVoid(revocations, "a"));
  EXPECT_FALSE(IsVoid(revocations, "b"));
}

TEST(Revocations, AtTheSameTimeTheLowerIdCounts) {
  const FactPtr one = Say("a", Of('b'), 1);
  const FactPtr other = Say("b", Of('a'), 1);
  const Revocations revocations({one, other});

  EXPECT_EQ(IsVoid(revocations, "b"), one->id < other->id);
  EXPECT_EQ(IsVoid(revocations, "a"), other->id < one->id);
}

TEST(Revocations, WhatDoesNotCountVoidsNoFurtherFact) {
  // c would void b, but is void by a.
  const Revocations revocations({Say("a", Of('c'), 1), Say("c", Of('b'), 2), Say("b", Of('x'), 3)});

  EXPECT_FALSE(IsVoid(revocations, "b"));
  EXPECT_TRUE(IsVoid(revocations, "x"));
}

TEST(Revocations, NothingVoidsTheRootWhichMayDateBack) {
  const FactPtr lie = Say("a", Of('b'), 5);
  EXPECT_TRUE(IsVoid(Revocations({lie, Say("", Of('a'), 6)}), "b"));
  EXPECT_FALSE(IsVoid(Revocations({lie, Say("", Of('a'), 4)}), "b"));
}

TEST(Revocations, APeerThatMovedHasNoSayFromThenOn) {
  const MovedTo move{.from = Peer('a'), .to = std::string(32, 'k')};
  const Revocations revocations({Say("a", Of('x'), 1), Say("a", move, 2), Say("a", Of('y'), 3)});

  EXPECT_TRUE(IsVoid(revocations, "x"));
  EXPECT_FALSE(IsVoid(revocations, "y"));
  EXPECT_TRUE(IsVoid(revocations, "a"));
  EXPECT_FALSE(IsVoid(revocations, "ab", 2));
  EXPECT_TRUE(IsVoid(revocations, "ab", 3));
}

TEST(Revocations, CountTheRedemptionsThatCount) {
  const Redemption one{.ticket = GrantOf('t'), .peer = Peer('p')};
  const Redemption same = one;
  const Redemption other{.ticket = GrantOf('t'), .peer = Peer('o')};
  const Revocations revocations(
      {Say("a", one, 1), Say("b", same, 2), Say("", Of('b'), 3), Say("b", other, 4)});

  EXPECT_EQ(revocations.RedeemersOf(GrantOf('t')), std::vector<PeerId>{Peer('p')});
  EXPECT_TRUE(revocations.RedeemersOf(GrantOf('s')).empty());
}

TEST(Revocations, SayOfAFactThatIsNotAmongThemWhetherItWouldCount) {
  const Revocations revocations({Say("a", Of('b'), 5)});

  EXPECT_TRUE(revocations.Counts(*Say("b", Of('x'), 4)));
  EXPECT_FALSE(revocations.Counts(*Say("b", Of('x'), 6)));
}

// R1 as it is written: everything that counts is held against the chain, one after the other.
bool VoidsByTheRule(const VerifiedFact& fact, const std::vector<VerifiedGrant>& chain) {
  const auto* revocation = std::get_if<Revocation>(&fact.body);
  const auto* moved = std::get_if<MovedTo>(&fact.body);
  if (revocation == nullptr && moved == nullptr) return false;
  for (size_t i = 0; i < chain.size(); ++i) {
    const bool named = moved != nullptr ? moved->from == chain[i].subject
                       : std::holds_alternative<PeerId>(revocation->target)
                           ? std::get<PeerId>(revocation->target) == chain[i].subject
                           : std::get<Serial>(revocation->target) == chain[i].serial;
    const bool cascade = revocation != nullptr && revocation->cascade;
    const bool last = i + 1 == chain.size();
    if (named && (cascade || last || chain[i + 1].not_before > fact.time)) return true;
  }
  return false;
}

std::vector<VerifiedGrant> RandomChain(Random& random) {
  std::string names;
  for (uint64_t i = random.Below(4); i > 0; --i)
    names.push_back(static_cast<char>('a' + random.Below(6)));
  std::vector<VerifiedGrant> chain = Chain(names);
  for (VerifiedGrant& grant : chain) grant.not_before = kNow + absl::Seconds(random.Below(8));
  return chain;
}

FactPtr RandomFact(Random& random) {
  const char name = static_cast<char>('a' + random.Below(6));
  FactBody body = Revocation{.target = GrantOf(name), .cascade = random.Below(2) == 0};
  if (random.Below(2) == 0) body = Of(name, random.Below(2) == 0);
  if (random.Below(5) == 0) body = MovedTo{.from = Peer(name)};
  auto fact = std::make_shared<VerifiedFact>(*Say("", body, static_cast<int>(random.Below(8))));
  fact->signer = RandomChain(random);
  return fact;
}

TEST(Revocations, SayWhatGoingThroughAllFactsWould) {
  int voided = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    std::vector<FactPtr> facts(random.Below(10));
    for (FactPtr& fact : facts) fact = RandomFact(random);
    const Revocations revocations(facts);

    std::sort(facts.begin(), facts.end(), [](const FactPtr& one, const FactPtr& other) {
      return std::tie(one->time, one->id) < std::tie(other->time, other->id);
    });
    std::vector<FactPtr> counting;
    auto is_void = [&](const std::vector<VerifiedGrant>& chain) {
      return std::any_of(counting.begin(), counting.end(),
                         [&](const FactPtr& fact) { return VoidsByTheRule(*fact, chain); });
    };
    for (const FactPtr& fact : facts) {
      const bool counts = !is_void(fact->signer);
      ASSERT_EQ(revocations.Counts(*fact), counts) << seed;
      if (counts) counting.push_back(fact);
    }
    const std::vector<VerifiedGrant> chain = RandomChain(random);
    ASSERT_EQ(revocations.Check(chain).has_value(), is_void(chain)) << seed;
    voided += is_void(chain) ? 1 : 0;
  }
  EXPECT_GT(voided, 100);
  EXPECT_LT(voided, 1900);
}

}  // namespace
}  // namespace panal
