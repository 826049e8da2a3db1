#include "common/identity/grant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kSecond = absl::Seconds(1);
constexpr absl::Duration kDay = absl::Hours(24);

absl::Status Verify(const GrantChain& chain, absl::Time now = kTestNow,
                    ChainEnd end = ChainEnd::kPeer) {
  return VerifyChain(chain, TestMesh(), end, now).status();
}

absl::Status VerifyGrants(const std::vector<TestGrant>& grants, ChainEnd end = ChainEnd::kPeer) {
  return Verify(MakeChain(grants), kTestNow, end);
}

void ExpectInvalid(const absl::Status& status, absl::string_view message) {
  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(message)));
}

TEST(Role, HasAName) {
  for (Role role : {Role::kReader, Role::kMember, Role::kInviter, Role::kAdmin}) {
    EXPECT_EQ(RoleFromName(RoleName(role)), role);
  }
  EXPECT_EQ(RoleName(Role::kInviter), "inviter");
  EXPECT_EQ(RoleFromName("Reader"), std::nullopt);
  EXPECT_EQ(RoleFromName(""), std::nullopt);
  EXPECT_EQ(RoleName(static_cast<Role>(0)), "unknown");
  EXPECT_EQ(RoleName(static_cast<Role>(5)), "unknown");
}

// The bytes of both were made by another program.
TEST(GrantChain, HasTheDocumentedLayout) {
  EXPECT_EQ(absl::BytesToHexString(TestMesh().view()),
            "2522c4a8c59f08aae0410083b96f9dd79867f99f99f6207a0ee8d83b07301540");
  EXPECT_EQ(absl::BytesToHexString(EncodeChain(MakeChain({{'a', Role::kAdmin}}))),
            "01025b6489c9c7fd0dcf50545e7c164886ef40491ec06c7f1b123041797e8117535e01"
            "af06a3e3291714e4f356c19c9b15cd1951ec6e6662aa77be07547f289383341d"
            "04000000006b49d200000000006b4b238001010101010101010101010101010101"
            "1ab6496395eafb68f42e2df4ae94a13bc3b3208285d445dc46f4e74924200ea9"
            "c7c27386698b618ee0d38b8596e31c9b546d83becfab8325431c0a02ab5d6708");
  std::string two = EncodeChain(MakeChain({{'a', Role::kAdmin}, {'b', Role::kMember}}));
  EXPECT_EQ(absl::BytesToHexString(Sha256(two).view()),
            "ee6a5b3f614fa539cf309d44c79b723bc374fcebe01736bf44f55cc181dca991");
}

TEST(GrantChain, DecodesToWhatWasEncoded) {
  const GrantChain chain =
      MakeChain({{'a', Role::kAdmin}, {'b', Role::kInviter}, {.subject = 't', .ticket_uses = 7}});
  absl::StatusOr<GrantChain> decoded = DecodeChain(EncodeChain(chain));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, chain);
  EXPECT_TRUE(decoded->grants[2].ticket);
  EXPECT_EQ(decoded->grants[2].role, Role::kMember);
  EXPECT_EQ(UsesOf(decoded->grants[2].serial), 7);
}

TEST(GrantChain, IsRefusedWhenCutAnywhereOrLonger) {
  const std::string bytes = EncodeChain(MakeChain({{'a', Role::kAdmin}, {'b'}}));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ReasonOf(DecodeChain(bytes.substr(0, size)).status()),
              ErrorReason::kCredentialInvalid)
        << size;
  }
  ExpectInvalid(DecodeChain(bytes + "x").status(), "left over");
}

TEST(GrantChain, IsRefusedWithAnyFlippedBit) {
  const std::string bytes = EncodeChain(MakeChain({{'a', Role::kAdmin}, {'b'}}));
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string forged = bytes;
    forged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    absl::StatusOr<GrantChain> chain = DecodeChain(forged);
    const absl::Status status = chain.ok() ? Verify(*chain) : chain.status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid) << bit;
  }
}

TEST(GrantChain, IsReadUpToFourGrants) {
  const std::string four = EncodeChain(MakeChain(
      {{'a', Role::kAdmin}, {'b', Role::kAdmin}, {'c', Role::kAdmin}, {'d', Role::kAdmin}}));
  EXPECT_EQ(four.size(), kChainSizeMax);
  EXPECT_TRUE(DecodeChain(four).ok());
  std::string five = four + std::string(kGrantSize, 'x');
  five[kChainSizeMin - 1] = 5;
  ExpectInvalid(DecodeChain(five).status(), "5 grants exceed the limit of 4");
}

TEST(GrantChain, IsReadWithKnownRolesOnly) {
  std::string bytes = EncodeChain(MakeChain({{'a', Role::kAdmin}}));
  for (int role : {0x00, 0x05, 0x7f, 0x80, 0x85, 0xff}) {
    bytes[kChainSizeMin + kPublicKeySize] = static_cast<char>(role);
    ExpectInvalid(DecodeChain(bytes).status(), "role is not known");
  }
}

TEST(GrantChain, GivesWhatItGrants) {
  const GrantChain chain =
      MakeChain({{'a', Role::kAdmin}, {'b', Role::kReader, -kSecond, absl::Hours(2)}});
  absl::StatusOr<std::vector<VerifiedGrant>> grants =
      VerifyChain(chain, TestMesh(), ChainEnd::kPeer, kTestNow);
  ASSERT_TRUE(grants.ok()) << grants.status();
  ASSERT_EQ(grants->size(), 2u);
  EXPECT_EQ((*grants)[0].subject, TestPeer('a'));
  EXPECT_EQ((*grants)[0].role, Role::kAdmin);
  const VerifiedGrant expected = {TestPeer('b'), Role::kReader, kTestNow - kSecond,
                                  kTestNow + absl::Hours(2), std::string(kSerialSize, 2)};
  EXPECT_EQ((*grants)[1], expected);
}

TEST(GrantChain, WithoutGrantsIsTheRoot) {
  absl::StatusOr<std::vector<VerifiedGrant>> grants =
      VerifyChain(MakeChain({}), TestMesh(), ChainEnd::kPeer, kTestNow);
  ASSERT_TRUE(grants.ok()) << grants.status();
  EXPECT_TRUE(grants->empty());
}

TEST(GrantChain, IsValidWithFourGrantsAndNotWithFive) {
  std::vector<TestGrant> grants = {
      {'a', Role::kAdmin}, {'b', Role::kAdmin}, {'c', Role::kAdmin}, {'d', Role::kAdmin}};
  EXPECT_TRUE(VerifyGrants(grants).ok());
  grants.push_back({'e', Role::kAdmin});
  ExpectInvalid(VerifyGrants(grants), "5 grants exceed the limit of 4");
}

TEST(GrantChain, IsOfOneMesh) {
  const GrantChain chain = MakeChain({{'a', Role::kAdmin}});
  const MeshId other = InviteMeshId(TestKey('o').public_key());
  ExpectInvalid(VerifyChain(chain, other, ChainEnd::kPeer, kTestNow).status(), "another mesh");
  GrantChain moved = chain;
  moved.root = TestKey('o').public_key();
  ExpectInvalid(VerifyChain(moved, other, ChainEnd::kPeer, kTestNow).status(), "signature");
  // The right root's signature for another mesh.
  GrantChain signed_for_other = chain;
  signed_for_other.grants[0] = SignGrant(chain.grants[0], TestKey('r'), other);
  ExpectInvalid(Verify(signed_for_other), "signature");
}

TEST(GrantChain, IsSignedByTheSubjectBefore) {
  ExpectInvalid(VerifyGrants({{.subject = 'a', .role = Role::kAdmin, .signer = 'a'}}),
                "grant 1 of 1: its signature does not hold");
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin}, {.subject = 'b', .signer = 'r'}}),
                "grant 2 of 2: its signature does not hold");
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin}, {.subject = 'b', .signer = 'b'}}),
                "grant 2 of 2: its signature does not hold");
  GrantChain shortened = MakeChain({{'a', Role::kAdmin}, {'b', Role::kAdmin}, {'c'}});
  shortened.grants.erase(shortened.grants.begin() + 1);
  ExpectInvalid(Verify(shortened), "grant 2 of 2: its signature does not hold");
}

TEST(GrantChain, NeverRaisesARole) {
  const Role roles[] = {Role::kReader, Role::kMember, Role::kInviter, Role::kAdmin};
  for (Role issuer : roles) {
    for (Role subject : roles) {
      const absl::Status status = VerifyGrants({{'a', issuer}, {'b', subject}});
      const bool may = issuer >= Role::kInviter && subject <= issuer;
      EXPECT_EQ(status.ok(), may) << RoleName(issuer) << " to " << RoleName(subject);
      if (!may) EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialInvalid);
    }
  }
  ExpectInvalid(VerifyGrants({{'a', Role::kMember}, {'b', Role::kReader}}),
                "grant 2 of 2 is signed by a member, who may not let others in");
  ExpectInvalid(VerifyGrants({{'a', Role::kInviter}, {'b', Role::kAdmin}}),
                "makes its subject admin, its issuer is only inviter");
}

TEST(GrantChain, BeginsUpToFiveMinutesAhead) {
  EXPECT_TRUE(VerifyGrants({{'a', Role::kMember, kClockSkewMax, kDay}}).ok());
  ExpectInvalid(VerifyGrants({{'a', Role::kMember, kClockSkewMax + kSecond, kDay}}),
                "compare the clocks");
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin, kClockSkewMax + kSecond, kDay}, {'b'}}),
                "grant 1 of 2 begins at 2027-01-15 08:05:01 UTC, here it is 2027-01-15 08:00:00");
}

TEST(GrantChain, ExpiresAtItsEnd) {
  const GrantChain chain = MakeChain({{'a', Role::kAdmin}, {'b'}});
  EXPECT_TRUE(Verify(chain, kTestNow + kDay - absl::Nanoseconds(1)).ok());
  const absl::Status status = Verify(chain, kTestNow + kDay);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kCredentialExpired);
  EXPECT_THAT(std::string(status.message()), HasSubstr("expired at 2027-01-16 08:00:00 UTC"));
  EXPECT_EQ(ReasonOf(Verify(chain, absl::InfiniteFuture())), ErrorReason::kCredentialExpired);
}

TEST(GrantChain, IsNotValidBeforeThereWasTime) {
  const GrantChain chain = MakeChain({{'a', Role::kAdmin}});
  ExpectInvalid(Verify(chain, absl::InfinitePast()), "compare the clocks");
}

TEST(GrantChain, IsForgedBeforeItIsExpired) {
  GrantChain chain = MakeChain({{'a', Role::kAdmin, -2 * kDay, -kDay}});
  EXPECT_EQ(ReasonOf(Verify(chain)), ErrorReason::kCredentialExpired);
  chain.grants[0].signature[0] ^= 1;
  ExpectInvalid(Verify(chain), "signature");
}

TEST(GrantChain, EndsWithItsIssuerAtTheLatest) {
  const TestGrant issuer = {'a', Role::kAdmin, absl::ZeroDuration(), kDay};
  EXPECT_TRUE(VerifyGrants({issuer, {'b', Role::kMember, kSecond, kDay}}).ok());
  ExpectInvalid(VerifyGrants({issuer, {'b', Role::kMember, kSecond, kDay + kSecond}}),
                "grant 2 of 2 ends after its issuer's own");
}

TEST(GrantChain, LastsFiveYearsAtMost) {
  EXPECT_TRUE(VerifyGrants({{'a', Role::kAdmin, -kDay, kGrantLifetimeMax - kDay}}).ok());
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin, -kDay, kGrantLifetimeMax - kDay + kSecond}}),
                "lasts longer than 1825 days");
}

TEST(GrantChain, EndsAfterItBegins) {
  EXPECT_TRUE(VerifyGrants({{'a', Role::kAdmin, absl::ZeroDuration(), kSecond}}).ok());
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin, kSecond, kSecond}}), "ends before it begins");
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin, 2 * kSecond, kSecond}}), "ends before it begins");
}

TEST(GrantChain, SurvivesTheLargestTimes) {
  GrantChain chain = MakeChain({{'a', Role::kAdmin}});
  Grant& grant = chain.grants[0];
  grant.not_before_s = UINT64_MAX - 1;
  grant.not_after_s = UINT64_MAX;
  grant = SignGrant(grant, TestKey('r'), TestMesh());
  ExpectInvalid(Verify(chain), "begins at 9999-12-31 23:59:59 UTC");
  grant.not_before_s = 0;
  grant = SignGrant(grant, TestKey('r'), TestMesh());
  ExpectInvalid(Verify(chain), "lasts longer");
}

TEST(TicketGrant, EndsAChainThatEndsInATicket) {
  const TestGrant admin = {'a', Role::kAdmin};
  const TestGrant ticket = {.subject = 't', .ticket_uses = 1};
  EXPECT_TRUE(VerifyGrants({admin, ticket}, ChainEnd::kTicket).ok());
  ExpectInvalid(VerifyGrants({admin, ticket}), "chain ends in a ticket");
  ExpectInvalid(VerifyGrants({admin, {'b'}}, ChainEnd::kTicket), "does not end in a ticket");
  ExpectInvalid(VerifyGrants({}, ChainEnd::kTicket), "does not end in a ticket");
}

TEST(TicketGrant, GrantsNothingFurther) {
  const TestGrant ticket = {.subject = 't', .role = Role::kAdmin, .ticket_uses = 1};
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin}, ticket, {'b'}}), "signed by a ticket");
  ExpectInvalid(VerifyGrants({{'a', Role::kAdmin}, ticket, ticket}, ChainEnd::kTicket),
                "signed by a ticket");
}

TEST(TicketGrant, HasOneToAThousandUses) {
  for (uint16_t uses : {0, 1, 1000, 1001, 65535}) {
    const absl::Status status = VerifyGrants(
        {{'a', Role::kAdmin}, {.subject = 't', .ticket_uses = uses}}, ChainEnd::kTicket);
    EXPECT_EQ(status.ok(), uses >= 1 && uses <= 1000) << uses;
    if (!status.ok()) ExpectInvalid(status, "not of 1 to 1000");
  }
}

TEST(TicketGrant, LastsThirtyDaysAtMost) {
  TestGrant admin = {'a', Role::kAdmin, absl::ZeroDuration(), 365 * kDay};
  TestGrant ticket = {.subject = 't', .ends = kTicketLifetimeMax, .ticket_uses = 1};
  EXPECT_TRUE(VerifyGrants({admin, ticket}, ChainEnd::kTicket).ok());
  ticket.ends += kSecond;
  ExpectInvalid(VerifyGrants({admin, ticket}, ChainEnd::kTicket), "lasts longer than 30 days");
}

GrantTerms TermsFor(char subject, Role role) {
  return {.subject = TestKey(subject).public_key(), .role = role};
}

absl::Duration LifetimeOf(const absl::StatusOr<GrantChain>& chain) {
  EXPECT_TRUE(chain.ok()) << chain.status();
  if (!chain.ok()) return absl::ZeroDuration();
  const Grant& grant = chain->grants.back();
  EXPECT_EQ(grant.not_before_s, SecondsOf(kTestNow));
  return absl::Seconds(grant.not_after_s - grant.not_before_s);
}

TEST(IssueGrant, GivesAChainThatIsValid) {
  absl::StatusOr<GrantChain> first =
      IssueGrant(TestIssuer({}), TermsFor('a', Role::kAdmin), kTestNow);
  ASSERT_TRUE(first.ok()) << first.status();
  absl::StatusOr<GrantChain> second =
      IssueGrant({TestKey('a'), *first}, TermsFor('b', Role::kMember), kTestNow);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(Verify(*second).ok()) << Verify(*second);
  EXPECT_EQ(second->grants[0], first->grants[0]);
  EXPECT_EQ(second->grants[1].subject, TestKey('b').public_key());
  EXPECT_EQ(second->grants[1].role, Role::kMember);
}

TEST(IssueGrant, NamesEveryGrantAnew) {
  const Issuer root = TestIssuer({});
  EXPECT_NE(IssueGrant(root, TermsFor('a', Role::kAdmin), kTestNow)->grants[0].serial,
            IssueGrant(root, TermsFor('a', Role::kAdmin), kTestNow)->grants[0].serial);
}

TEST(IssueGrant, LastsByRoleAndIssuer) {
  const Issuer root = TestIssuer({});
  const Issuer admin = TestIssuer({{'a', Role::kAdmin, absl::ZeroDuration(), kGrantLifetimeMax}});
  EXPECT_EQ(LifetimeOf(IssueGrant(root, TermsFor('b', Role::kReader), kTestNow)),
            kGrantLifetimeMax);
  for (Role role : {Role::kInviter, Role::kAdmin}) {
    EXPECT_EQ(LifetimeOf(IssueGrant(admin, TermsFor('b', role), kTestNow)), kGrantLifetimeMax);
  }
  for (Role role : {Role::kReader, Role::kMember}) {
    EXPECT_EQ(LifetimeOf(IssueGrant(admin, TermsFor('b', role), kTestNow)), kMemberLifetime);
  }
  GrantTerms ticket = TermsFor('t', Role::kAdmin);
  ticket.ticket_uses = 3;
  EXPECT_EQ(LifetimeOf(IssueGrant(admin, ticket, kTestNow)), kTicketLifetimeMax);
  EXPECT_EQ(UsesOf(IssueGrant(admin, ticket, kTestNow)->grants.back().serial), 3);
}

TEST(IssueGrant, LastsShorterWhereAskedAndNeverBeyondItsIssuer) {
  const Issuer admin = TestIssuer({{'a', Role::kAdmin, absl::ZeroDuration(), kDay}});
  GrantTerms terms = TermsFor('b', Role::kMember);
  EXPECT_EQ(LifetimeOf(IssueGrant(admin, terms, kTestNow)), kDay);
  terms.lifetime = absl::Hours(1);
  EXPECT_EQ(LifetimeOf(IssueGrant(admin, terms, kTestNow)), absl::Hours(1));
  terms.lifetime = absl::Milliseconds(1);
  EXPECT_EQ(LifetimeOf(IssueGrant(admin, terms, kTestNow)), kSecond);
}

TEST(IssueGrant, IsRefusedToRolesBelowInviterAndAboveTheirOwn) {
  for (auto [own, granted] :
       {std::pair(Role::kReader, Role::kReader), std::pair(Role::kMember, Role::kReader),
        std::pair(Role::kInviter, Role::kAdmin)}) {
    const absl::Status status =
        IssueGrant(TestIssuer({{'a', own}}), TermsFor('b', granted), kTestNow).status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kNotPermitted) << status;
  }
  EXPECT_TRUE(
      IssueGrant(TestIssuer({{'a', Role::kInviter}}), TermsFor('b', Role::kInviter), kTestNow)
          .ok());
}

TEST(IssueGrant, IsRefusedToTheFourthInAChain) {
  std::vector<TestGrant> grants = {{'a', Role::kAdmin}, {'b', Role::kAdmin}, {'c', Role::kAdmin}};
  EXPECT_TRUE(IssueGrant(TestIssuer(grants), TermsFor('e', Role::kReader), kTestNow).ok());
  grants.push_back({'d', Role::kAdmin});
  const absl::Status status =
      IssueGrant(TestIssuer(grants), TermsFor('e', Role::kReader), kTestNow).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNotPermitted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nearer to the root"));
}

TEST(IssueGrant, IsRefusedToTheExpired) {
  const Issuer admin = TestIssuer({{'a', Role::kAdmin}});
  const GrantTerms terms = TermsFor('b', Role::kReader);
  EXPECT_TRUE(IssueGrant(admin, terms, kTestNow + kDay - kSecond).ok());
  EXPECT_EQ(ReasonOf(IssueGrant(admin, terms, kTestNow + kDay).status()),
            ErrorReason::kCredentialExpired);
}

}  // namespace
}  // namespace panal
