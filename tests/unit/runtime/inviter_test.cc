#include "server/runtime/inviter.h"

#include <gtest/gtest.h>

#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/fact.h"
#include "tests/support/catalog_support.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

constexpr char kContact[] = "first:7401";

// Peer `a`, an admin by the root's grant.
class InviterTest : public testing::Test {
 protected:
  static AdmissionRules RulesOf(const std::vector<TestGrant>& grants, const absl::Time& now) {
    return {.policy = MeshPolicy::kInvite,
            .mesh = TestMesh(),
            .credential = EncodeChain(MakeChain(grants)),
            .now = [&now] { return now; }};
  }

  Ticket MakeTicket(TicketTerms terms = {}) {
    terms.mesh_name = "lab";
    terms.contacts = {{kContact, TestPeer('a')}};
    absl::StatusOr<Ticket> ticket = inviter_.IssueTicket(terms);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    return *std::move(ticket);
  }

  JoinAttempt AttemptOf(char joiner, const Ticket& ticket) {
    return {.peer = TestPeer(joiner),
            .ticket = EncodeChain(ticket.chain),
            .public_key = std::string(TestKey(joiner).public_key()),
            .proof = MakeJoinProof(ticket, TestPeer(joiner), TestPeer('a'))};
  }

  ErrorReason Refusal(const JoinAttempt& attempt) {
    return ReasonOf(inviter_.LetIn(attempt).status());
  }

  absl::Time now_ = kTestNow;
  catalog_test::TempDir dir_;
  std::unique_ptr<Catalog> catalog_ = catalog_test::OpenOrDie(catalog_test::OptionsIn(dir_));
  MeshAdmission admission_{RulesOf({{'a', Role::kAdmin, {}, 30 * absl::Hours(24)}}, now_)};
  std::vector<FactPtr> said_;
  Inviter inviter_{TestKey('a'), admission_, *catalog_,
                   [this](const FactPtr& fact) { said_.push_back(fact); }, [this] { return now_; }};
};

TEST_F(InviterTest, GivesWhoHasATicketTheRoleOfIt) {
  const Ticket ticket = MakeTicket({.role = Role::kInviter});

  const absl::StatusOr<std::string> credential = inviter_.LetIn(AttemptOf('j', ticket));

  ASSERT_TRUE(credential.ok()) << credential.status();
  const absl::StatusOr<CredentialPtr> checked = admission_.Check(*credential, TestPeer('j'));
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ((*checked)->role, Role::kInviter);
}

TEST_F(InviterTest, LetsInAsManyAsTheTicketSaysAndTheSamePeerAgain) {
  const Ticket ticket = MakeTicket();
  ASSERT_TRUE(inviter_.LetIn(AttemptOf('j', ticket)).ok());

  EXPECT_EQ(Refusal(AttemptOf('k', ticket)), ErrorReason::kTicketUsedUp);
  EXPECT_TRUE(inviter_.LetIn(AttemptOf('j', ticket)).ok());
}

TEST_F(InviterTest, RefusesATicketThatHasExpired) {
  const Ticket ticket = MakeTicket({.lifetime = absl::Hours(1)});
  now_ += absl::Hours(1);

  EXPECT_EQ(Refusal(AttemptOf('j', ticket)), ErrorReason::kTicketExpired);
}

// Whoever saw somebody join has the ticket's chain and a proof, and nothing to join with.
TEST_F(InviterTest, RefusesAProofOfAnotherPeerOrAnotherKey) {
  const Ticket ticket = MakeTicket({.uses = 2});
  JoinAttempt seen = AttemptOf('j', ticket);

  JoinAttempt replayed = seen;
  replayed.peer = TestPeer('k');
  EXPECT_EQ(Refusal(replayed), ErrorReason::kTicketInvalid);
  replayed.public_key = std::string(TestKey('k').public_key());
  EXPECT_EQ(Refusal(replayed), ErrorReason::kTicketInvalid);
  seen.public_key = std::string(TestKey('k').public_key());
  EXPECT_EQ(Refusal(seen), ErrorReason::kTicketInvalid);
  seen.proof.clear();
  EXPECT_EQ(Refusal(seen), ErrorReason::kTicketInvalid);
  // None of them used it up.
  EXPECT_TRUE(inviter_.LetIn(AttemptOf('j', ticket)).ok());
  EXPECT_TRUE(inviter_.LetIn(AttemptOf('k', ticket)).ok());
}

TEST_F(InviterTest, SaysEveryUseOnce) {
  const Ticket ticket = MakeTicket({.uses = 2});

  for (char joiner : {'j', 'j', 'k'}) {
    ASSERT_TRUE(inviter_.LetIn(AttemptOf(joiner, ticket)).ok());
    admission_.SetRevocations(std::make_shared<const Revocations>(said_));
  }

  ASSERT_EQ(said_.size(), 2u);
  const Grant& grant = ticket.chain.grants.back();
  EXPECT_EQ(std::get<Redemption>(said_[0]->body),
            (Redemption{grant.serial, TestPeer('j'), grant.not_after_s}));
  EXPECT_EQ(said_[0]->signer.back().subject, TestPeer('a'));
  EXPECT_TRUE(CheckFact(said_[0]->bytes, TestMesh(), now_).ok());
  EXPECT_EQ(std::get<Redemption>(said_[1]->body).peer, TestPeer('k'));
}

TEST_F(InviterTest, RedeemsTheTicketOfAnotherAsOftenAsItIsNotUsedUpElsewhere) {
  const Issuer other = TestIssuer({{'a', Role::kAdmin}, {'b', Role::kInviter}});
  const Ticket ticket = *IssueTicket(
      other, {.mesh_name = "lab", .uses = 2, .contacts = {{kContact, TestPeer('a')}}}, now_);
  const FactPtr elsewhere =
      *MakeVerifiedFact(other,
                        Redemption{ticket.chain.grants.back().serial, TestPeer('k'),
                                   ticket.chain.grants.back().not_after_s},
                        now_);
  admission_.SetRevocations(std::make_shared<const Revocations>(std::vector<FactPtr>{elsewhere}));

  EXPECT_TRUE(inviter_.LetIn(AttemptOf('j', ticket)).ok());

  EXPECT_EQ(said_.size(), 1u);
  EXPECT_EQ(Refusal(AttemptOf('l', ticket)), ErrorReason::kTicketUsedUp);
  EXPECT_TRUE(inviter_.LetIn(AttemptOf('k', ticket)).ok());
  EXPECT_EQ(said_.size(), 1u);  // That was said elsewhere.
}

TEST_F(InviterTest, GivesNoRoleOfAnothersTicketAboveItsOwn) {
  MeshAdmission admission(RulesOf({{'a', Role::kAdmin}, {'i', Role::kInviter}}, now_));
  Inviter inviter(
      TestKey('i'), admission, *catalog_, [](const FactPtr&) {}, [this] { return now_; });
  const Ticket ticket = MakeTicket({.role = Role::kAdmin});
  JoinAttempt attempt = AttemptOf('j', ticket);
  attempt.proof = MakeJoinProof(ticket, TestPeer('j'), TestPeer('i'));

  EXPECT_EQ(ReasonOf(inviter.LetIn(attempt).status()), ErrorReason::kNotPermitted);
  EXPECT_TRUE(inviter_.LetIn(AttemptOf('j', ticket)).ok());
}

TEST_F(InviterTest, RenewsWithTheSameRoleForLonger) {
  const Ticket ticket = MakeTicket({.role = Role::kReader});
  const std::string old = *inviter_.LetIn(AttemptOf('j', ticket));
  const absl::Time until = (*admission_.Check(old, TestPeer('j')))->not_after;
  now_ += absl::Hours(1);

  const absl::StatusOr<std::string> renewed = inviter_.Renew(old, TestPeer('j'));

  ASSERT_TRUE(renewed.ok()) << renewed.status();
  const CredentialPtr checked = *admission_.Check(*renewed, TestPeer('j'));
  EXPECT_EQ(checked->role, Role::kReader);
  EXPECT_GE(checked->not_after, until);
  EXPECT_EQ(ReasonOf(inviter_.Renew(old, TestPeer('k')).status()), ErrorReason::kCredentialInvalid);
}

TEST_F(InviterTest, AMemberIssuesNothing) {
  MeshAdmission admission(RulesOf({{'a', Role::kAdmin}, {'b', Role::kMember}}, now_));
  Inviter member(
      TestKey('b'), admission, *catalog_, [](const FactPtr&) {}, [this] { return now_; });

  EXPECT_EQ(ReasonOf(member.IssueTicket({.mesh_name = "lab"}).status()),
            ErrorReason::kNotPermitted);
  EXPECT_EQ(ReasonOf(member.Renew(admission.credential(), TestPeer('b')).status()),
            ErrorReason::kNotPermitted);
}

// What `said`, all by the root at this time, voids from now on.
std::shared_ptr<const Revocations> After(const std::vector<Revocation>& said) {
  std::vector<FactPtr> facts;
  for (const Revocation& revocation : said) {
    auto fact = std::make_shared<VerifiedFact>();
    fact->id = Sha256(std::string(1, static_cast<char>(facts.size())));
    fact->body = revocation;
    fact->time = kTestNow;
    facts.push_back(std::move(fact));
  }
  return std::make_shared<const Revocations>(std::move(facts));
}

TEST_F(InviterTest, LetsNobodyInAndRenewsNothingThatWasRevoked) {
  const Ticket ticket = MakeTicket({.uses = 5});
  const absl::StatusOr<std::string> credential = inviter_.LetIn(AttemptOf('j', ticket));
  ASSERT_TRUE(credential.ok());

  admission_.SetRevocations(After({{.target = TestPeer('j')}}));
  EXPECT_EQ(ReasonOf(inviter_.Renew(*credential, TestPeer('j')).status()),
            ErrorReason::kCredentialRevoked);
  EXPECT_EQ(Refusal(AttemptOf('j', ticket)), ErrorReason::kCredentialRevoked);
  EXPECT_TRUE(inviter_.LetIn(AttemptOf('k', ticket)).ok());

  admission_.SetRevocations(After({{.target = ticket.chain.grants.back().serial}}));
  EXPECT_EQ(Refusal(AttemptOf('k', ticket)), ErrorReason::kCredentialRevoked);
  EXPECT_TRUE(inviter_.Renew(*credential, TestPeer('j')).ok());
}

TEST_F(InviterTest, LetsNobodyInOnceItWasRevokedItself) {
  const Ticket ticket = MakeTicket({.uses = 5});
  const absl::StatusOr<std::string> credential = inviter_.LetIn(AttemptOf('j', ticket));
  ASSERT_TRUE(credential.ok());

  admission_.SetRevocations(After({{.target = TestPeer('a'), .cascade = false}}));

  EXPECT_EQ(ReasonOf(inviter_.IssueTicket({.mesh_name = "lab"}).status()),
            ErrorReason::kCredentialRevoked);
  EXPECT_EQ(Refusal(AttemptOf('k', ticket)), ErrorReason::kCredentialRevoked);
  EXPECT_EQ(ReasonOf(inviter_.Renew(*credential, TestPeer('j')).status()),
            ErrorReason::kCredentialRevoked);
}

}  // namespace
}  // namespace panal
