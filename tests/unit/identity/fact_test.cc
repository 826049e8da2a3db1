#include "common/identity/fact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/escaping.h"
#include "common/base/bytes.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kSecond = absl::Seconds(1);
constexpr absl::Duration kDay = absl::Hours(24);
const TestGrant kAdmin = {'a', Role::kAdmin};

// Serial of the second grant that MakeChain makes, and of a ticket there.
Serial GrantSerial() { return std::string(kSerialSize, 2); }

Serial TicketSerial() { return std::string(kSerialSize - 2, 2) + std::string("\0\1", 2); }

FactBody PeerRevocation() {
  return Revocation{.target = TestPeer('b'), .cascade = true, .reason = "lost"};
}

FactBody TicketRedemption() {
  return Redemption{.ticket = TicketSerial(),
                    .peer = TestPeer('j'),
                    .ticket_not_after_s = SecondsOf(kTestNow + kDay)};
}

FactBody Move() { return MovedTo{.from = TestPeer('b'), .to = TestKey('c').public_key()}; }

// A fact that the end of the chain says, allowed or not.
std::string BytesOf(const std::vector<TestGrant>& grants, const FactBody& body,
                    absl::Time time = kTestNow) {
  const Issuer signer = TestIssuer(grants);
  return EncodeFact(
      SignFact({.signer = signer.chain, .time_s = SecondsOf(time), .body = body}, signer.key));
}

absl::StatusOr<VerifiedFact> Check(absl::string_view bytes, absl::Time now = kTestNow) {
  return CheckFact(bytes, TestMesh(), now);
}

void ExpectError(const absl::Status& status, ErrorReason reason, const std::string& message) {
  EXPECT_EQ(ReasonOf(status), reason) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

void ExpectInvalid(absl::string_view bytes, const std::string& message, absl::Time now = kTestNow) {
  ExpectError(Check(bytes, now).status(), ErrorReason::kFactInvalid, message);
}

struct Example {
  std::string bytes;
  FactBody body;
  std::string id;  // Of the same fact, made by another program.
};

std::vector<Example> Examples() {
  const FactBody grant = Revocation{.target = GrantSerial(), .cascade = false};
  return {{BytesOf({kAdmin}, PeerRevocation()), PeerRevocation(),
           "19a8b8ecfb06393c2b563c3a0b666a51f5e0af8cff857d90320ae167adc6dfe5"},
          {BytesOf({}, grant), grant,
           "074eb9639f63edbba7abc29cf394ce55439fa306fac9e12435b4a8c8ffdcc651"},
          {BytesOf({kAdmin}, TicketRedemption()), TicketRedemption(),
           "b48241e480966383e9983686f46e3d5016b66f7b38a756f6efa2f5143036c3a6"},
          {BytesOf({kAdmin, {'b'}}, Move()), Move(),
           "b08356146504ef47f12bfa64daa685bc2d8d27d76781bda34fcade76242e4b0b"}};
}

TEST(Fact, HasTheDocumentedLayout) {
  for (const Example& example : Examples()) {
    EXPECT_EQ(absl::BytesToHexString(Sha256(example.bytes).view()), example.id);
  }
  EXPECT_EQ(absl::BytesToHexString(Examples()[1].bytes),
            "010101025b6489c9c7fd0dcf50545e7c164886ef40491ec06c7f1b123041797e8117535e00000000"
            "006b49d2000202020202020202020202020202020202000000af551770b08b3f22cc7baae59f4228"
            "0af9da5c7d1245c6c5435d271b38a75cd1970a1d3eda55d9bc743bb1e2dec2bf1e8ad46481e56ee8"
            "2529dee78c90553c0f");
}

TEST(Fact, SaysWhatWasSigned) {
  for (const Example& example : Examples()) {
    absl::StatusOr<VerifiedFact> fact = Check(example.bytes);
    ASSERT_TRUE(fact.ok()) << fact.status();
    EXPECT_EQ(fact->body, example.body);
    EXPECT_EQ(fact->id, Sha256(example.bytes));
    EXPECT_EQ(fact->time, kTestNow);
    EXPECT_EQ(EncodeFact(*DecodeFact(example.bytes)), example.bytes);
  }
  EXPECT_EQ(Check(Examples()[0].bytes)->signer.back().subject, TestPeer('a'));
  EXPECT_TRUE(Check(Examples()[1].bytes)->signer.empty());
}

TEST(Fact, IsRefusedWithAnyFlippedBit) {
  for (const Example& example : Examples()) {
    for (size_t bit = 0; bit < example.bytes.size() * 8; ++bit) {
      std::string forged = example.bytes;
      forged[bit / 8] ^= static_cast<char>(1 << bit % 8);
      EXPECT_EQ(ReasonOf(Check(forged).status()), ErrorReason::kFactInvalid) << bit;
    }
  }
}

TEST(Fact, IsRefusedWhenCutAnywhereOrLonger) {
  for (const Example& example : Examples()) {
    for (size_t size = 0; size < example.bytes.size(); ++size) {
      EXPECT_EQ(ReasonOf(Check(example.bytes.substr(0, size)).status()), ErrorReason::kFactInvalid)
          << size;
    }
    ExpectInvalid(example.bytes + "x", "left over");
  }
}

TEST(Fact, IsRefusedUnreadBeyondTheLimit) {
  std::string longest = Examples()[0].bytes;
  longest.resize(kFactSizeMax);
  ExpectInvalid(longest, "left over");
  ExpectInvalid(longest + "x", "1025 bytes, which exceeds the limit of 1024");
}

TEST(Fact, HasAtMost917Bytes) {
  const std::string largest =
      BytesOf({kAdmin, {'b', Role::kAdmin}, {'c', Role::kAdmin}, {'d', Role::kAdmin}},
              Revocation{.target = TestPeer('e'), .reason = std::string(256, 'r')});
  EXPECT_EQ(largest.size(), 917u);
  EXPECT_TRUE(Check(largest).ok());
}

TEST(Fact, IsOfAKnownVersionKindTargetAndFlags) {
  const std::string bytes = Examples()[0].bytes;
  const size_t body = 2 + kChainSizeMin + kGrantSize + 8;
  for (auto [at, value, message] :
       {std::tuple(0, 2, "has version 2, this peer takes version 1"),
        std::tuple(1, 0, "is of kind 0, which is not known"),
        std::tuple(1, 4, "is of kind 4, which is not known"),
        std::tuple(static_cast<int>(body), 0, "target of kind 0"),
        std::tuple(static_cast<int>(body), 3, "target of kind 3"),
        std::tuple(static_cast<int>(body) + 33, 2, "has the flags 2"),
        std::tuple(static_cast<int>(body) + 33, 0x81, "has the flags 129")}) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(value);
    ExpectInvalid(changed, message);
  }
}

TEST(Fact, IsOfOneMesh) {
  ExpectError(
      CheckFact(Examples()[0].bytes, InviteMeshId(TestKey('o').public_key()), kTestNow).status(),
      ErrorReason::kFactInvalid, "another mesh");
}

TEST(Fact, IsSignedByTheEndOfItsChain) {
  const Issuer signer = TestIssuer({kAdmin});
  const Fact fact = {
      .signer = signer.chain, .time_s = SecondsOf(kTestNow), .body = PeerRevocation()};
  for (char other : {'r', 'b'}) {
    ExpectInvalid(EncodeFact(SignFact(fact, TestKey(other))), "signature that does not hold");
  }
  const Fact of_root = {.signer = {.root = TestKey('r').public_key()},
                        .time_s = SecondsOf(kTestNow),
                        .body = PeerRevocation()};
  EXPECT_TRUE(Check(EncodeFact(SignFact(of_root, TestKey('r')))).ok());
  ExpectInvalid(EncodeFact(SignFact(of_root, TestKey('a'))), "signature that does not hold");
}

TEST(Fact, TakesARole) {
  for (Role role : {Role::kReader, Role::kMember, Role::kInviter, Role::kAdmin}) {
    const TestGrant signer = {'b', role};
    EXPECT_EQ(Check(BytesOf({signer}, PeerRevocation())).ok(), role >= Role::kAdmin);
    EXPECT_EQ(Check(BytesOf({signer}, TicketRedemption())).ok(), role >= Role::kInviter);
    EXPECT_TRUE(Check(BytesOf({signer}, Move())).ok());
  }
  ExpectInvalid(BytesOf({{'b', Role::kInviter}}, PeerRevocation()),
                "a revocation takes the role admin; the signer has the role inviter");
  ExpectInvalid(BytesOf({{'b', Role::kMember}}, TicketRedemption()),
                "a redemption takes the role inviter; the signer has the role member");
  EXPECT_TRUE(Check(BytesOf({}, TicketRedemption())).ok());
}

TEST(Fact, IsNotSaidByATicket) {
  ExpectInvalid(
      BytesOf({kAdmin, {.subject = 't', .role = Role::kAdmin, .ticket_uses = 1}}, PeerRevocation()),
      "chain ends in a ticket");
}

TEST(Fact, IsAtMostFiveMinutesAhead) {
  EXPECT_TRUE(Check(BytesOf({kAdmin}, PeerRevocation(), kTestNow + kClockSkewMax)).ok());
  ExpectInvalid(BytesOf({kAdmin}, PeerRevocation(), kTestNow + kClockSkewMax + kSecond),
                "is of 2027-01-15 08:05:01 UTC, here it is 2027-01-15 08:00:00 UTC");
  ExpectInvalid(BytesOf({kAdmin}, PeerRevocation(), absl::InfiniteFuture()), "compare the clocks");
}

TEST(Fact, OutlivesWhoSaidItAndWasSaidInTime) {
  EXPECT_TRUE(
      Check(BytesOf({kAdmin}, PeerRevocation(), kTestNow + kDay - kSecond), kTestNow + 99 * kDay)
          .ok());
  ExpectInvalid(BytesOf({kAdmin}, PeerRevocation(), kTestNow + kDay), "expired at",
                kTestNow + 99 * kDay);
  EXPECT_TRUE(Check(BytesOf({kAdmin}, PeerRevocation(), kTestNow - kClockSkewMax)).ok());
  ExpectInvalid(BytesOf({kAdmin}, PeerRevocation(), kTestNow - kClockSkewMax - kSecond),
                "who could not say it then");
}

TEST(Fact, ExpiresWithWhatItIsAbout) {
  for (const FactBody& body : {PeerRevocation(), Move()}) {
    EXPECT_EQ(Check(BytesOf({{'b', Role::kAdmin}}, body))->expires,
              kTestNow + kGrantLifetimeMax + kClockSkewMax);
  }
  EXPECT_EQ(Check(BytesOf({kAdmin}, TicketRedemption()))->expires, kTestNow + kDay + kClockSkewMax);
}

TEST(Revocation, HasAReasonOfAtMost256BytesOfUtf8) {
  Revocation revocation{.target = TestPeer('b'), .reason = std::string(256, 'r')};
  EXPECT_TRUE(Check(BytesOf({kAdmin}, revocation)).ok());
  revocation.reason += 'r';
  ExpectInvalid(BytesOf({kAdmin}, revocation), "not at most 256 bytes of UTF-8");
  revocation.reason = "\xff";
  ExpectInvalid(BytesOf({kAdmin}, revocation), "not at most 256 bytes of UTF-8");
}

TEST(Redemption, NamesATicketThatCouldBeValid) {
  Redemption redemption = std::get<Redemption>(TicketRedemption());
  const uint64_t now_s = SecondsOf(kTestNow);
  const uint64_t most_s = 30 * 86'400 + 300;
  for (auto [not_after_s, valid] :
       {std::pair(now_s + 1, true), std::pair(now_s, false), std::pair(uint64_t{0}, false),
        std::pair(now_s + most_s, true), std::pair(now_s + most_s + 1, false),
        std::pair(UINT64_MAX, false)}) {
    redemption.ticket_not_after_s = not_after_s;
    EXPECT_EQ(Check(BytesOf({kAdmin}, redemption)).ok(), valid) << not_after_s;
  }
  redemption = std::get<Redemption>(TicketRedemption());
  for (uint16_t uses : {0, 1, 1000, 1001}) {
    ByteWriter writer;
    writer.U16(uses);
    redemption.ticket.replace(kSerialSize - 2, 2, writer.bytes());
    EXPECT_EQ(Check(BytesOf({kAdmin}, redemption)).ok(), uses >= 1 && uses <= 1000) << uses;
  }
}

TEST(MovedTo, IsSaidByThePeerItselfOfAnotherKey) {
  EXPECT_TRUE(Check(BytesOf({kAdmin, {'b'}}, Move())).ok());
  ExpectInvalid(BytesOf({kAdmin}, Move()), "a peer that moves says so itself");
  ExpectInvalid(BytesOf({}, MovedTo{TestPeer('r'), TestKey('c').public_key()}),
                "a peer that moves says so itself");
  ExpectInvalid(BytesOf({{'b'}}, MovedTo{TestPeer('b'), TestKey('b').public_key()}),
                "to no other key");
}

TEST(MakeFact, SaysWhatIsValid) {
  for (const FactBody& body : {PeerRevocation(), TicketRedemption(), Move()}) {
    absl::StatusOr<Fact> fact = MakeFact(TestIssuer({{'b', Role::kAdmin}}), body, kTestNow);
    ASSERT_TRUE(fact.ok()) << fact.status();
    EXPECT_TRUE(Check(EncodeFact(*fact)).ok());
  }
  EXPECT_TRUE(MakeFact(TestIssuer({}), PeerRevocation(), kTestNow).ok());
}

TEST(MakeFact, RefusesWhatNobodyWouldBelieve) {
  const Issuer inviter = TestIssuer({{'b', Role::kInviter}});
  const Issuer admin = TestIssuer({kAdmin});
  ExpectError(MakeFact(inviter, PeerRevocation(), kTestNow).status(), ErrorReason::kNotPermitted,
              "takes the role admin");
  ExpectError(MakeFact(admin, Move(), kTestNow).status(), ErrorReason::kNotPermitted,
              "says so itself");
  ExpectError(MakeFact(admin, PeerRevocation(), kTestNow + kDay).status(),
              ErrorReason::kCredentialExpired, "expired at");
  for (const FactBody& body :
       {FactBody(Revocation{.target = TestPeer('b'), .reason = std::string(257, 'r')}),
        FactBody(Revocation{.target = Serial("short")}),
        FactBody(Redemption{.ticket = "short", .peer = TestPeer('j')}),
        FactBody(MovedTo{.from = TestPeer('a'), .to = "short"})}) {
    EXPECT_EQ(ReasonOf(MakeFact(admin, body, kTestNow).status()), ErrorReason::kArgumentInvalid);
  }
}

// Chains root → a → b → d, whose last grant begins at the given time.
std::vector<VerifiedGrant> ChainBegunAt(absl::Time time) {
  return *VerifyChain(
      MakeChain(
          {kAdmin, {'b', Role::kAdmin}, {.subject = 'd', .begins = time - kTestNow, .ends = kDay}}),
      TestMesh(), ChainEnd::kPeer, kTestNow);
}

absl::Status After(const FactBody& body, const std::vector<VerifiedGrant>& chain) {
  const std::vector<TestGrant> signer = std::holds_alternative<MovedTo>(body)
                                            ? std::vector<TestGrant>{kAdmin, {'b'}}
                                            : std::vector<TestGrant>{kAdmin};
  absl::StatusOr<VerifiedFact> fact = Check(BytesOf(signer, body));
  EXPECT_TRUE(fact.ok()) << fact.status();
  return CheckNotRevoked(Revocations({std::make_shared<VerifiedFact>(*fact)}), chain);
}

TEST(CheckNotRevoked, RefusesThePeerItself) {
  for (bool cascade : {true, false}) {
    for (const auto& target : {std::variant<PeerId, Serial>(TestPeer('d')),
                               std::variant<PeerId, Serial>(std::string(kSerialSize, 3))}) {
      const absl::Status status =
          After(Revocation{.target = target, .cascade = cascade, .reason = "stolen"},
                ChainBegunAt(kTestNow - kDay));
      ExpectError(status, ErrorReason::kCredentialRevoked,
                  TestPeer('d').ToText() + " was revoked at 2027-01-15 08:00:00 UTC: stolen");
    }
  }
}

TEST(CheckNotRevoked, RefusesWhatTheTargetLetInByCascade) {
  for (const auto& target :
       {std::variant<PeerId, Serial>(TestPeer('b')), std::variant<PeerId, Serial>(GrantSerial())}) {
    ExpectError(After(Revocation{.target = target}, ChainBegunAt(kTestNow - kDay)),
                ErrorReason::kCredentialRevoked, "an issuer of the credential, peer ");
  }
}

TEST(CheckNotRevoked, SparesWithoutCascadeWhatWasGrantedBefore) {
  for (const auto& target :
       {std::variant<PeerId, Serial>(TestPeer('b')), std::variant<PeerId, Serial>(GrantSerial())}) {
    const Revocation revocation{.target = target, .cascade = false};
    EXPECT_TRUE(After(revocation, ChainBegunAt(kTestNow)).ok());
    ExpectError(After(revocation, ChainBegunAt(kTestNow + kSecond)),
                ErrorReason::kCredentialRevoked, "an issuer");
  }
}

TEST(CheckNotRevoked, TakesAMoveForARevocationWithoutCascade) {
  EXPECT_TRUE(After(Move(), ChainBegunAt(kTestNow)).ok());
  EXPECT_FALSE(After(Move(), ChainBegunAt(kTestNow + kSecond)).ok());
  std::vector<VerifiedGrant> own = ChainBegunAt(kTestNow - kDay);
  own.pop_back();
  ExpectError(After(Move(), own), ErrorReason::kCredentialRevoked, "moved to another key");
}

TEST(CheckNotRevoked, LeavesOthersAlone) {
  const std::vector<VerifiedGrant> chain = ChainBegunAt(kTestNow);
  EXPECT_TRUE(After(TicketRedemption(), chain).ok());
  EXPECT_TRUE(After(Revocation{.target = TestPeer('x')}, chain).ok());
  EXPECT_TRUE(After(Revocation{.target = std::string(kSerialSize, 9)}, chain).ok());
  EXPECT_TRUE(After(PeerRevocation(), {}).ok());
}

}  // namespace
}  // namespace panal
