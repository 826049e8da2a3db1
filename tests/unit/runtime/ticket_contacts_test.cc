#include "server/runtime/ticket_contacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TicketContactsTest : public testing::Test {
 protected:
  // A neighbor that showed its credential.
  void Meet(char peer, Role role, std::vector<std::string> addresses) {
    const std::string credential = EncodeChain(MakeChain({{'a', Role::kAdmin}, {peer, role}}));
    ASSERT_TRUE(admission_.Check(credential, TestPeer(peer)).ok());
    neighbors_.push_back({.contact = {TestPeer(peer), std::move(addresses)}});
  }

  std::vector<std::string> ContactsFor(Role role) const {
    std::vector<std::string> addresses;
    for (const JoinAddress& contact : TicketContactsOf(self_, neighbors_, admission_, role)) {
      addresses.push_back(contact.address);
    }
    return addresses;
  }

  PeerContact self_{TestPeer('a'), {"a:1", "a:2"}};
  std::vector<NeighborInfo> neighbors_;
  MeshAdmission admission_{{.policy = MeshPolicy::kInvite,
                            .mesh = TestMesh(),
                            .credential = EncodeChain(MakeChain({{'a', Role::kAdmin}})),
                            .now = [] { return kTestNow; }}};
};

TEST_F(TicketContactsTest, NamesThisPeerAndNeighborsThatMayGiveTheRole) {
  Meet('b', Role::kInviter, {"b:1", "b:2"});
  Meet('c', Role::kMember, {"c:1"});
  Meet('d', Role::kAdmin, {"d:1"});
  Meet('e', Role::kInviter, {});

  EXPECT_THAT(ContactsFor(Role::kMember), ElementsAre("a:1", "b:1", "d:1", "a:2"));
  EXPECT_THAT(ContactsFor(Role::kAdmin), ElementsAre("a:1", "d:1", "a:2"));
}

TEST_F(TicketContactsTest, NamesNoMoreThanATicketHolds) {
  for (char peer : {'b', 'c', 'd', 'e'}) Meet(peer, Role::kInviter, {std::string(1, peer) + ":1"});

  EXPECT_THAT(ContactsFor(Role::kReader), ElementsAre("a:1", "b:1", "c:1", "d:1"));
}

TEST_F(TicketContactsTest, NamesNobodyWhoWasRevokedOrCannotBeReached) {
  Meet('b', Role::kInviter, {"b:1"});
  auto fact = std::make_shared<VerifiedFact>();
  fact->body = Revocation{.target = TestPeer('b')};
  admission_.SetRevocations(std::make_shared<const Revocations>(std::vector<FactPtr>{fact}));
  self_.addresses.clear();

  EXPECT_THAT(ContactsFor(Role::kMember), IsEmpty());
}

}  // namespace
}  // namespace panal
