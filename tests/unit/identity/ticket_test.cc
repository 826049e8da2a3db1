#include "common/identity/ticket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kDay = absl::Hours(24);

// Made by another program.
constexpr char kGoldenText[] =
    "panal1-aecgq33nmuaqew3erhe4p7inz5ifixt4czein32ajepma3d7dmjdaqlzp2arou26akxqni7dfelrj"
    "zhtk3azzgyvzumvd3domzrku556a5kh6ketqm2b2baaaaaaa22j2iaaaaaaabvuwi4aaeaqcaibaeaqcaiba"
    "eaqcaibaenlmsldsxvpw2hufyw7jluuue54hmzaqkc5iro4i32oosjeeahktr6coodgtc3br3qnhc4fs3rrz"
    "g2unwb35t5lqmsughakakvv2zyikvpunhbcdchjaak33wc3rclhrvcz7bv57d332nexdmiltm4fqyeyeaaaa"
    "aagwsosaaaaaaaannfshaacaibaeaqcaibaeaqcaibaeaabzwrbfdjvv4oqujt6zwn3ooivrefmvp57es6an"
    "7z24c6ytobslllvn33mbhhl4zgm2k7qhetnq5yo2wjo5brw7ml6i2emzqkqdyjocctuor2hi5duor2hi5duo"
    "r2hi5duor2hi5duor2hi5duor2hi5duoqbk7edtgyagmjj5du6h6yvbilxp6jouxnygfc3akykf7sdzbbfcm"
    "vioge4telrqfyzc4mj2g42damlh5auppparej3fg4ucxcfzm2pg32mpoom6mepjd2ci2f6covmjdqjfwmrqg"
    "aytuzdcha5dumk5hi3timbrsmomzya";

Ticket TestTicket() {
  return {.mesh_name = "home",
          .chain = MakeChain({{'a', Role::kAdmin}, {.subject = 't', .ticket_uses = 1}}),
          .seed = std::string(kKeySeedSize, 't'),
          .contacts = {{"192.0.2.1:7401", TestPeer('a')}, {"[2001:db8::1]:7401", TestPeer('b')}}};
}

// The text of a ticket with these bytes and the right checksum.
std::string TextOf(const std::string& bytes) {
  return absl::StrCat("panal1-", Base32Encode(bytes + Sha256(bytes).ToBytes().substr(0, 4)));
}

// The bytes of a ticket before its checksum.
std::string BytesOf(const Ticket& ticket) {
  const std::string bytes = *Base32Decode(PrintTicket(ticket).substr(7));
  return bytes.substr(0, bytes.size() - 4);
}

void ExpectError(const absl::Status& status, ErrorReason reason, const std::string& message) {
  EXPECT_EQ(ReasonOf(status), reason) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

void ExpectNoTicket(absl::string_view text, const std::string& message) {
  ExpectError(ParseTicket(text).status(), ErrorReason::kTicketInvalid, message);
}

TEST(Ticket, IsOneLineOfTheDocumentedLayout) { EXPECT_EQ(PrintTicket(TestTicket()), kGoldenText); }

TEST(Ticket, ParsesToWhatWasPrinted) {
  absl::StatusOr<Ticket> ticket = ParseTicket(kGoldenText);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(*ticket, TestTicket());
  EXPECT_EQ(*ParseTicket(absl::StrCat(" \t", kGoldenText, "\r\n")), TestTicket());
}

TEST(Ticket, MayHaveNoAddressesAndHasAtMostFour) {
  Ticket ticket = TestTicket();
  ticket.contacts = {};
  EXPECT_EQ(*ParseTicket(PrintTicket(ticket)), ticket);
  ticket.contacts.resize(kTicketContactsMax, {"localhost:7401", TestPeer('a')});
  EXPECT_EQ(*ParseTicket(PrintTicket(ticket)), ticket);
  std::string five = BytesOf(ticket);
  const std::string last = five.substr(five.size() - 47);
  five[five.size() - 4 * 47 - 1] = 5;
  ExpectNoTicket(TextOf(five + last), "5 addresses exceed the limit of 4");
}

TEST(Ticket, SaysWhichPartOfALineIsWrong) {
  const std::string text = kGoldenText;
  ExpectNoTicket("", "does not begin with panal1-");
  ExpectNoTicket("192.0.2.1:7401", "does not begin with panal1-; copy the whole line");
  ExpectNoTicket("panal2-" + text.substr(7), "update this peer");
  ExpectNoTicket("panal1-", "is cut or mistyped");
  ExpectNoTicket(text.substr(0, 20) + "0" + text.substr(21), "`0`, at place 21; copy the line");
  ExpectNoTicket(text.substr(0, 20) + "\xff" + text.substr(21), "`\\xff`, at place 21");
  ExpectNoTicket("panal1-A" + text.substr(8), "`A`, at place 8");
  ExpectNoTicket(text + "\n" + text, "`\\n`, at place 703");
}

TEST(Ticket, IsRefusedUnreadBeyondTheLimit) {
  std::string longest = kGoldenText;
  longest.resize(kTicketTextSizeMax, 'a');
  ExpectNoTicket(longest, "checksum is wrong");
  ExpectNoTicket(longest + "a", "4097 characters, which exceeds the limit of 4096");
}

TEST(Ticket, IsRefusedWhenCutAnywhereOrLonger) {
  const std::string text = kGoldenText;
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ReasonOf(ParseTicket(text.substr(0, size)).status()), ErrorReason::kTicketInvalid)
        << size;
  }
  ExpectNoTicket(text + "a", "is cut or mistyped");
}

TEST(Ticket, IsRefusedWithAnyCharacterMistyped) {
  const std::string text = kGoldenText;
  for (size_t at = 0; at < text.size(); ++at) {
    std::string mistyped = text;
    mistyped[at] = text[at] == 'b' ? 'c' : 'b';
    EXPECT_EQ(ReasonOf(ParseTicket(mistyped).status()), ErrorReason::kTicketInvalid) << at;
  }
}

// Below, the checksum is right: what another program could print.

TEST(Ticket, IsRefusedWhenItsBytesEndAnywhereOrGoOn) {
  const std::string bytes = BytesOf(TestTicket());
  EXPECT_TRUE(ParseTicket(TextOf(bytes)).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ReasonOf(ParseTicket(TextOf(bytes.substr(0, size))).status()),
              ErrorReason::kTicketInvalid)
        << size;
  }
  ExpectNoTicket(TextOf(bytes + "x"), "bytes left over");
}

TEST(Ticket, IsOfVersionOne) {
  std::string bytes = BytesOf(TestTicket());
  bytes[0] = 2;
  ExpectNoTicket(TextOf(bytes), "has version 2, this peer reads version 1; update it");
}

TEST(Ticket, NamesItsMeshInOneTo64BytesOfUtf8) {
  Ticket ticket = TestTicket();
  ticket.mesh_name = std::string(64, 'n');
  EXPECT_EQ(ParseTicket(PrintTicket(ticket))->mesh_name, ticket.mesh_name);
  const std::string rest = BytesOf(TestTicket()).substr(6);
  for (const std::string& name :
       {std::string(), std::string(65, 'n'), std::string("\xff"), std::string("\xc3")}) {
    const std::string bytes =
        absl::StrCat("\x01", std::string(1, static_cast<char>(name.size())), name, rest);
    ExpectNoTicket(TextOf(bytes), "names a mesh that is not 1 to 64 bytes of UTF-8");
  }
}

TEST(Ticket, LeadsFromTheRootThroughAPeerToATicket) {
  const TestGrant admin = {'a', Role::kAdmin};
  for (const std::vector<TestGrant>& grants :
       {std::vector<TestGrant>{}, {{.subject = 't', .ticket_uses = 1}}, {admin, {'t'}}}) {
    std::string bytes = BytesOf(TestTicket());
    bytes.replace(6, kChainSizeMin + 2 * kGrantSize, EncodeChain(MakeChain(grants)));
    ExpectNoTicket(TextOf(bytes), "do not lead to a peer that issued it");
  }
}

TEST(Ticket, HasTheKeyOfItsGrant) {
  std::string bytes = BytesOf(TestTicket());
  bytes[6 + kChainSizeMin + 2 * kGrantSize] ^= 1;
  ExpectNoTicket(TextOf(bytes), "its key is not that of its grant; ask for a new one");
}

TEST(Ticket, HasAddressesThatAreOnes) {
  const std::string bytes = BytesOf(TestTicket());
  const size_t port = bytes.size() - 5;
  ASSERT_EQ(bytes.substr(port), ":7401");
  ExpectNoTicket(TextOf(bytes.substr(0, port) + "\n7401"), "\\n7401` is not HOST:PORT");
  ExpectNoTicket(TextOf(bytes.substr(0, port) + ":0000"), "is not HOST:PORT");
}

TEST(CheckTicket, GivesWhatItsGrantGives) {
  const Ticket ticket = TestTicket();
  absl::StatusOr<VerifiedTicket> verified =
      CheckTicket(EncodeChain(ticket.chain), TestMesh(), kTestNow);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->key, TestKey('t').public_key());
  EXPECT_EQ(verified->role, Role::kMember);
  EXPECT_EQ(verified->uses, 1);
  EXPECT_EQ(verified->issuer, TestPeer('a'));
  EXPECT_EQ(verified->not_after, kTestNow + kDay);
  EXPECT_EQ(verified->serial(), ticket.chain.grants.back().serial);
  EXPECT_EQ(verified->chain.size(), 2u);
}

TEST(CheckTicket, TellsExpiredFromInvalid) {
  const std::string chain = EncodeChain(TestTicket().chain);
  EXPECT_TRUE(CheckTicket(chain, TestMesh(), kTestNow + kDay - absl::Seconds(1)).ok());
  ExpectError(CheckTicket(chain, TestMesh(), kTestNow + kDay).status(), ErrorReason::kTicketExpired,
              "expired at 2027-01-16 08:00:00 UTC");
  ExpectError(CheckTicket(chain, TestMesh(), kTestNow - kClockSkewMax - absl::Seconds(1)).status(),
              ErrorReason::kTicketInvalid, "compare the clocks");
}

TEST(CheckTicket, RefusesWhatIsNoTicketOfTheMesh) {
  const std::string chain = EncodeChain(TestTicket().chain);
  ExpectError(CheckTicket(chain, InviteMeshId(TestKey('o').public_key()), kTestNow).status(),
              ErrorReason::kTicketInvalid, "another mesh");
  const TestGrant admin = {'a', Role::kAdmin};
  const TestGrant ticket = {.subject = 't', .ticket_uses = 1};
  ExpectError(CheckTicket(EncodeChain(MakeChain({admin, {'b'}})), TestMesh(), kTestNow).status(),
              ErrorReason::kTicketInvalid, "does not end in a ticket");
  ExpectError(CheckTicket(EncodeChain(MakeChain({ticket})), TestMesh(), kTestNow).status(),
              ErrorReason::kTicketInvalid, "no peer issued it");
  ExpectError(CheckTicket(EncodeChain(MakeChain({})), TestMesh(), kTestNow).status(),
              ErrorReason::kTicketInvalid, "does not end in a ticket");
  ExpectError(
      CheckTicket(EncodeChain(MakeChain({{'a', Role::kMember}, ticket})), TestMesh(), kTestNow)
          .status(),
      ErrorReason::kTicketInvalid, "may not let others in");
}

TEST(CheckTicket, RefusesAnyFlippedByteCutOrAddition) {
  const std::string chain = EncodeChain(TestTicket().chain);
  for (size_t at = 0; at < chain.size(); ++at) {
    std::string forged = chain;
    forged[at] ^= 1;
    for (const std::string& bytes : {forged, chain.substr(0, at)}) {
      EXPECT_EQ(ReasonOf(CheckTicket(bytes, TestMesh(), kTestNow).status()),
                ErrorReason::kTicketInvalid)
          << at;
    }
  }
  ExpectError(CheckTicket(chain + "x", TestMesh(), kTestNow).status(), ErrorReason::kTicketInvalid,
              "left over");
}

class JoinProof : public testing::Test {
 protected:
  absl::Status Check(char joiner, char acceptor, absl::string_view proof) const {
    return CheckJoinProof(verified_, TestMesh(), TestPeer(joiner), TestPeer(acceptor), proof);
  }

  const Ticket ticket_ = TestTicket();
  const VerifiedTicket verified_ = *CheckTicket(EncodeChain(ticket_.chain), TestMesh(), kTestNow);
  const std::string proof_ = MakeJoinProof(ticket_, TestPeer('j'), TestPeer('b'));
};

// The bytes were made by another program.
TEST_F(JoinProof, IsTheDocumentedSignature) {
  EXPECT_EQ(absl::BytesToHexString(proof_),
            "1d832e3ae03b3a02daa2dae39dbb22a0ae26bac35712ded4bff826f93f2bf28d"
            "a41c5438ff9c69fa4e580cb6f50f68ec70619c10851dcc1f0ccd736670253f06");
  EXPECT_TRUE(Check('j', 'b', proof_).ok());
}

TEST_F(JoinProof, IsOfOneJoinerAtOneAcceptorWithOneTicketInOneMesh) {
  ExpectError(Check('k', 'b', proof_), ErrorReason::kTicketInvalid, TestPeer('k').ToText());
  ExpectError(Check('j', 'c', proof_), ErrorReason::kTicketInvalid, TestPeer('c').ToText());
  ExpectError(Check('b', 'j', proof_), ErrorReason::kTicketInvalid, "is not proven");
  EXPECT_FALSE(CheckJoinProof(verified_, InviteMeshId(TestKey('o').public_key()), TestPeer('j'),
                              TestPeer('b'), proof_)
                   .ok());
  VerifiedTicket other = verified_;
  other.key = TestKey('u').public_key();
  EXPECT_FALSE(CheckJoinProof(other, TestMesh(), TestPeer('j'), TestPeer('b'), proof_).ok());
}

TEST_F(JoinProof, IsRefusedWithAnyFlippedBitOrAnotherSize) {
  for (size_t bit = 0; bit < proof_.size() * 8; ++bit) {
    std::string forged = proof_;
    forged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_FALSE(Check('j', 'b', forged).ok()) << bit;
  }
  for (const std::string& proof : {std::string(), proof_.substr(0, 63), proof_ + "x"}) {
    EXPECT_EQ(ReasonOf(Check('j', 'b', proof)), ErrorReason::kTicketInvalid);
  }
}

class IssueTicketTest : public testing::Test {
 protected:
  absl::StatusOr<Ticket> Issue() const { return IssueTicket(issuer_, terms_, kTestNow); }

  void ExpectRefused(const std::string& message) const {
    ExpectError(Issue().status(), ErrorReason::kArgumentInvalid, message);
  }

  Issuer issuer_ = TestIssuer({{.subject = 'a', .role = Role::kInviter, .ends = 365 * kDay}});
  TicketTerms terms_ = {.mesh_name = "home", .contacts = {{"host:7401", TestPeer('a')}}};
};

TEST_F(IssueTicketTest, LetsOnePeerInForADayAsMember) {
  absl::StatusOr<Ticket> ticket = Issue();
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(*ParseTicket(PrintTicket(*ticket)), *ticket);
  absl::StatusOr<VerifiedTicket> verified =
      CheckTicket(EncodeChain(ticket->chain), TestMesh(), kTestNow);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->role, Role::kMember);
  EXPECT_EQ(verified->uses, 1);
  EXPECT_EQ(verified->not_after, kTestNow + kDay);
  EXPECT_TRUE(CheckJoinProof(*verified, TestMesh(), TestPeer('j'), TestPeer('a'),
                             MakeJoinProof(*ticket, TestPeer('j'), TestPeer('a')))
                  .ok());
}

TEST_F(IssueTicketTest, MakesAnotherSecretEveryTime) {
  EXPECT_NE(Issue()->seed, Issue()->seed);
  EXPECT_NE(Issue()->chain.grants.back().serial, Issue()->chain.grants.back().serial);
}

TEST_F(IssueTicketTest, TakesOneToAThousandUses) {
  for (uint32_t uses : {1u, 1000u}) {
    terms_.uses = uses;
    EXPECT_EQ(UsesOf(Issue()->chain.grants.back().serial), uses);
  }
  for (uint32_t uses : {0u, 1001u, 65537u}) {
    terms_.uses = uses;
    ExpectRefused("uses are not of 1 to 1000");
  }
}

TEST_F(IssueTicketTest, TakesUpToThirtyDays) {
  terms_.lifetime = kTicketLifetimeMax;
  EXPECT_TRUE(CheckTicket(EncodeChain(Issue()->chain), TestMesh(), kTestNow).ok());
  for (absl::Duration lifetime :
       {kTicketLifetimeMax + absl::Seconds(1), absl::ZeroDuration(), -absl::Seconds(1)}) {
    terms_.lifetime = lifetime;
    ExpectRefused("is not above 0 and at most 720h");
  }
}

TEST_F(IssueTicketTest, TakesAddressesWithPeersAndANameOfAMesh) {
  terms_.mesh_name = "";
  ExpectRefused("mesh's name");
  terms_.mesh_name = "home";
  terms_.contacts = {{"host:7401", std::nullopt}};
  ExpectRefused("host:7401 is without peer id");
  terms_.contacts = {{"host", TestPeer('a')}};
  ExpectRefused("`host` is not HOST:PORT");
  terms_.contacts.assign(5, {"host:7401", TestPeer('a')});
  ExpectRefused("5 addresses exceed the limit of 4");
}

TEST_F(IssueTicketTest, TakesAddressesOfUpTo255Bytes) {
  const std::string host = std::string(249, 'h');
  terms_.contacts = {{host + ":65535", TestPeer('a')}};
  absl::StatusOr<Ticket> ticket = Issue();
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(*ParseTicket(PrintTicket(*ticket)), *ticket);
  terms_.contacts = {{"h" + host + ":65535", TestPeer('a')}};
  ExpectRefused("at most 255 bytes");
}

TEST_F(IssueTicketTest, IsForInvitersAlone) {
  terms_.role = Role::kAdmin;
  ExpectError(Issue().status(), ErrorReason::kNotPermitted, "the role inviter");
  terms_.role = Role::kInviter;
  EXPECT_TRUE(Issue().ok());
  issuer_ = TestIssuer({});
  ExpectError(Issue().status(), ErrorReason::kNotPermitted, "the root key issues no tickets");
}

}  // namespace
}  // namespace panal
