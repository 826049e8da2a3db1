#include "server/runtime/revoker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/base32.h"
#include "common/base/status.h"
#include "common/identity/fact.h"
#include "tests/support/catalog_support.h"
#include "tests/unit/application/fake_parts.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

using testing::_;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::NiceMock;
using testing::Return;
using testing::SizeIs;

// Peer `a`, let in by admin `b`, which the root let in.
class RevokerTest : public testing::Test {
 protected:
  explicit RevokerTest(Role role = Role::kAdmin)
      : admission_({.policy = MeshPolicy::kInvite,
                    .mesh = TestMesh(),
                    .credential = EncodeChain(MakeChain(
                        {{'b', Role::kAdmin, -absl::Hours(1)}, {'a', role, -absl::Hours(1)}})),
                    .now = [] { return kTestNow; }}) {}

  absl::StatusOr<RevocationResult> Revoke(const RevocationOrder& order) {
    std::optional<absl::StatusOr<RevocationResult>> result;
    revoker_.Revoke(order, [&](absl::StatusOr<RevocationResult> one) { result = std::move(one); });
    return *std::move(result);
  }

  ErrorReason Refusal(const RevocationOrder& order) { return ReasonOf(Revoke(order).status()); }

  // As the mesh logic does.
  void Tell(const FactPtr& fact, const std::function<void(FactOutcome)>& done) {
    kept_when_told_ = catalog_->KeptFacts()->size();
    if (outcome_ == FactOutcome::kAdded) {
      told_.push_back(fact);
      admission_.SetRevocations(std::make_shared<const Revocations>(told_));
    }
    done(outcome_);
  }

  static std::string SignedByRoot(const FactBody& body) {
    return EncodeFact(*MakeFact(TestIssuer({}), body, kTestNow));
  }

  MeshAdmission admission_;
  catalog_test::TempDir dir_;
  std::unique_ptr<Catalog> catalog_ = catalog_test::OpenOrDie(catalog_test::OptionsIn(dir_));
  FactKeeper keeper_{TestMesh(), *catalog_};
  std::vector<FactPtr> told_;
  size_t kept_when_told_ = 0;
  FactOutcome outcome_ = FactOutcome::kAdded;
  Revoker revoker_{TestKey('a'), admission_, keeper_,
                   [this](const FactPtr& fact, auto done) { Tell(fact, done); },
                   [] { return kTestNow; }};
};

TEST_F(RevokerTest, KeepsARevocationBeforeTheMeshIsToldAndAnswersThen) {
  const auto revoked = Revoke({.target = TestPeer('x').ToText(), .reason = "gone"});

  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_FALSE(revoked->already);
  EXPECT_EQ(std::get<Revocation>(revoked->fact->body),
            (Revocation{.target = TestPeer('x'), .cascade = true, .reason = "gone"}));
  EXPECT_EQ(revoked->fact->signer.back().subject, TestPeer('a'));
  EXPECT_EQ(kept_when_told_, 1u);
  EXPECT_THAT(*keeper_.Load(), SizeIs(1));
}

TEST_F(RevokerTest, TakesPeersGrantsAndTicketsAndNothingElse) {
  const Ticket ticket =
      *IssueTicket(TestIssuer({{'b', Role::kAdmin}}), {.mesh_name = "lab"}, kTestNow);
  const Serial serial(kSerialSize, 's');

  const auto grant = Revoke({.target = Base32Encode(serial)});
  const auto of_ticket = Revoke({.target = PrintTicket(ticket)});

  ASSERT_TRUE(grant.ok() && of_ticket.ok());
  EXPECT_EQ(std::get<Serial>(std::get<Revocation>(grant->fact->body).target), serial);
  EXPECT_EQ(std::get<Serial>(std::get<Revocation>(of_ticket->fact->body).target),
            ticket.chain.grants.back().serial);
  for (const std::string& text : {std::string(), std::string("abcd"), std::string("panal1-abc"),
                                  TestPeer('x').ToText().substr(1), std::string(52, '1')}) {
    EXPECT_FALSE(Revoke({.target = text}).ok()) << text;
  }
  EXPECT_THAT(told_, SizeIs(2));
}

TEST_F(RevokerTest, SaysWhatIsRevokedAlreadyUnlessMoreIsAsked) {
  const std::string target = TestPeer('x').ToText();
  ASSERT_TRUE(Revoke({.target = target, .reason = "one", .cascade = false}).ok());

  const auto again = Revoke({.target = target, .reason = "other", .cascade = false});
  const auto more = Revoke({.target = target, .reason = "more"});
  const auto less = Revoke({.target = target, .cascade = false});

  ASSERT_TRUE(again.ok() && more.ok() && less.ok());
  EXPECT_TRUE(again->already);
  EXPECT_EQ(std::get<Revocation>(again->fact->body).reason, "one");
  EXPECT_FALSE(more->already);
  EXPECT_TRUE(less->already);
  EXPECT_THAT(told_, SizeIs(2));
}

TEST_F(RevokerTest, RefusesWhatWouldThrowThisPeerOut) {
  EXPECT_EQ(Refusal({.target = TestPeer('a').ToText()}), ErrorReason::kArgumentInvalid);
  const absl::Status parent = Revoke({.target = TestPeer('b').ToText()}).status();
  EXPECT_EQ(ReasonOf(parent), ErrorReason::kArgumentInvalid);
  EXPECT_THAT(std::string(parent.message()), HasSubstr(TestPeer('b').ToText()));
  EXPECT_THAT(told_, IsEmpty());

  EXPECT_TRUE(Revoke({.target = TestPeer('b').ToText(), .cascade = false}).ok());
}

TEST_F(RevokerTest, RefusesAReasonThatIsTooLong) {
  const std::string target = TestPeer('x').ToText();
  EXPECT_EQ(Refusal({.target = target, .reason = std::string(kRevocationReasonSizeMax + 1, 'x')}),
            ErrorReason::kArgumentInvalid);
  EXPECT_TRUE(
      Revoke({.target = target, .reason = std::string(kRevocationReasonSizeMax, 'x')}).ok());
}

TEST_F(RevokerTest, TakesWhatTheRootSignedAndOnlyRevocations) {
  const auto revoked = Revoke({.fact = SignedByRoot(Revocation{.target = TestPeer('a')})});
  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_THAT(revoked->fact->signer, IsEmpty());
  // This peer is out now, and has no say; the root has.
  EXPECT_EQ(Refusal({.target = TestPeer('x').ToText()}), ErrorReason::kCredentialRevoked);
  EXPECT_TRUE(Revoke({.fact = SignedByRoot(Revocation{.target = TestPeer('x')})}).ok());

  std::string forged = SignedByRoot(Revocation{.target = TestPeer('y')});
  forged.back() ^= 1;
  EXPECT_EQ(Refusal({.fact = forged}), ErrorReason::kFactInvalid);
  Serial ticket(kSerialSize, 0);
  ticket.back() = 1;
  const uint64_t end = SecondsOf(kTestNow + absl::Hours(1));
  EXPECT_EQ(Refusal({.fact = SignedByRoot(Redemption{ticket, TestPeer('x'), end})}),
            ErrorReason::kFactInvalid);
  EXPECT_THAT(told_, SizeIs(2));
}

TEST_F(RevokerTest, SaysThatAQuotaIsFull) {
  outcome_ = FactOutcome::kFull;

  const absl::Status full = Revoke({.target = TestPeer('x').ToText()}).status();

  EXPECT_EQ(ReasonOf(full), ErrorReason::kFactsFull);
  EXPECT_THAT(std::string(full.message()),
              HasSubstr("4096 facts of this kind, 1024 of one signer"));
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(RevokerTest, TellsNobodyWhatTheDiskDoesNotTake) {
  NiceMock<MockCatalog> full;
  ON_CALL(full, KeepFacts(_)).WillByDefault(Return(Error(ErrorReason::kStorageFull, "full")));
  FactKeeper keeper(TestMesh(), full);
  bool told = false;
  Revoker revoker(
      TestKey('a'), admission_, keeper, [&](auto, auto) { told = true; }, [] { return kTestNow; });
  absl::Status why;

  revoker.Revoke({.target = TestPeer('x').ToText()},
                 [&](const absl::StatusOr<RevocationResult>& result) { why = result.status(); });

  EXPECT_EQ(ReasonOf(why), ErrorReason::kStorageFull);
  EXPECT_FALSE(told);
}

TEST_F(RevokerTest, SaysOnceThatThisPeerHasMoved) {
  std::optional<absl::StatusOr<RevocationResult>> result;
  const auto done = [&](absl::StatusOr<RevocationResult> one) { result = std::move(one); };

  revoker_.MoveTo(TestKey('n').public_key(), done);

  ASSERT_TRUE(result->ok()) << result->status();
  EXPECT_FALSE((*result)->already);
  EXPECT_EQ(std::get<MovedTo>((*result)->fact->body),
            (MovedTo{TestPeer('a'), TestKey('n').public_key()}));
  EXPECT_EQ(kept_when_told_, 1u);
  revoker_.MoveTo(TestKey('n').public_key(), done);
  EXPECT_TRUE((*result)->already);
  revoker_.MoveTo(TestKey('m').public_key(), done);
  EXPECT_EQ(ReasonOf(result->status()), ErrorReason::kCredentialRevoked);
  EXPECT_EQ(Refusal({.target = TestPeer('x').ToText()}), ErrorReason::kCredentialRevoked);
  EXPECT_THAT(told_, SizeIs(1));
}

TEST_F(RevokerTest, MovesToNoKeyButAnother) {
  absl::Status why;
  for (const std::string& key : {std::string(TestKey('a').public_key()), std::string(31, 'k')}) {
    revoker_.MoveTo(key, [&](const absl::StatusOr<RevocationResult>& r) { why = r.status(); });
    EXPECT_EQ(ReasonOf(why), ErrorReason::kArgumentInvalid);
  }
  EXPECT_THAT(told_, IsEmpty());
}

class InviterRevokes : public RevokerTest {
 protected:
  InviterRevokes() : RevokerTest(Role::kInviter) {}
};

TEST_F(InviterRevokes, MayMoveItself) {
  absl::Status why;
  revoker_.MoveTo(TestKey('n').public_key(),
                  [&](const absl::StatusOr<RevocationResult>& r) { why = r.status(); });
  EXPECT_TRUE(why.ok()) << why;
}

TEST_F(InviterRevokes, NobodyButPassesOnWhatTheRootSigned) {
  EXPECT_EQ(Refusal({.target = TestPeer('x').ToText()}), ErrorReason::kNotPermitted);
  EXPECT_TRUE(Revoke({.fact = SignedByRoot(Revocation{.target = TestPeer('x')})}).ok());
}

TEST(FactKeeper, LeavesOutAndForgetsWhatIsOfAnotherMesh) {
  catalog_test::TempDir dir;
  auto catalog = catalog_test::OpenOrDie(catalog_test::OptionsIn(dir));
  FactKeeper keeper(TestMesh(), *catalog);
  const std::string bytes =
      EncodeFact(*MakeFact(TestIssuer({}), Revocation{.target = TestPeer('x')}, kTestNow));
  const std::vector<FactPtr> verified = keeper.Verify({bytes, "forged"}, kTestNow);
  ASSERT_NE(verified[0], nullptr);
  EXPECT_EQ(verified[1], nullptr);
  ASSERT_TRUE(keeper.Keep({verified[0]}).ok());
  const auto loaded = keeper.Load();
  ASSERT_THAT(*loaded, SizeIs(1));
  EXPECT_EQ((*loaded)[0]->id, verified[0]->id);
  EXPECT_EQ((*loaded)[0]->expires, verified[0]->expires);
  EXPECT_EQ((*loaded)[0]->signer, verified[0]->signer);

  EXPECT_THAT(*FactKeeper(OpenMeshId("other"), *catalog).Load(), IsEmpty());

  EXPECT_THAT(*keeper.Load(), IsEmpty());
}

}  // namespace
}  // namespace panal
