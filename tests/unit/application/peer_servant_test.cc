#include "server/application/peer_servant.h"

#include <string>
#include <vector>

#include "common/wire/status_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/application/servant_world.h"

namespace panal {
namespace {

using ::testing::ElementsAre;
using ::testing::Return;
using ::testing::SizeIs;

// Of a peer that lets nobody in.
class NoAdmission final : public Admission {
 public:
  absl::StatusOr<Ticket> CreateTicket(Role, uint32_t, absl::Duration) override { return Refusal(); }

  absl::StatusOr<std::string> Renew(absl::string_view, const PeerId&) override { return Refusal(); }

  void JoinMesh(absl::string_view, std::function<void(absl::Status)> done) override {
    done(Refusal());
  }

  std::vector<KnownMember> Members() override { return members; }

  void Revoke(const RevocationOrder& order,
              std::function<void(absl::StatusOr<RevocationResult>)> done) override {
    ordered = order;
    if (revoked.fact == nullptr) return done(Refusal());
    done(revoked);
  }

  void MoveTo(absl::string_view public_key,
              std::function<void(absl::StatusOr<RevocationResult>)> done) override {
    moved_to = std::string(public_key);
    if (revoked.fact == nullptr) return done(Refusal());
    done(revoked);
  }

  std::string moved_to;
  std::vector<KnownMember> members;
  RevocationOrder ordered;
  RevocationResult revoked;

 private:
  static absl::Status Refusal() { return Error(ErrorReason::kNotPermitted, "this mesh is open"); }
};

class PeerServantTest : public ServantWorld {
 protected:
  NoAdmission admission;

  PeerServantTest() {
    ON_CALL(catalog, CountPublished()).WillByDefault(Return(12));
    ON_CALL(blocks, stored_bytes()).WillByDefault(Return(4096));
    EXPECT_TRUE(router
                    .Add(std::make_shared<PeerServant>(dispatcher, router, mesh, admission, catalog,
                                                       blocks))
                    .ok());
  }
};

TEST_F(PeerServantTest, DescribesThePeer) {
  mesh.status = {.id = TestPeer(1),
                 .mesh_name = "home",
                 .version = "0.1.0",
                 .neighbors = 3,
                 .mesh_size = 5,
                 .uptime = absl::Seconds(61),
                 .addresses = {"10.0.0.1:7401"},
                 .capacity = 2,
                 .fetches = 1};

  const auto response =
      Ask<v1::GetPeerResponse>("/panal.v1.PeerObject/GetPeer", v1::GetPeerRequest());

  EXPECT_EQ(response.peer_id(), TestPeer(1).ToText());
  EXPECT_EQ(response.mesh(), "home");
  EXPECT_EQ(response.version(), "0.1.0");
  EXPECT_EQ(response.neighbors(), 3);
  EXPECT_EQ(response.mesh_size(), 5);
  EXPECT_EQ(response.files(), 12);
  EXPECT_EQ(response.uptime_s(), 61);
  EXPECT_THAT(response.addresses(), ElementsAre("10.0.0.1:7401"));
  EXPECT_EQ(response.capacity(), 2);
  EXPECT_EQ(response.stored_bytes(), 4096);
  EXPECT_EQ(response.fetches(), 1);
}

TEST_F(PeerServantTest, PassesTheErrorOfTheCatalogOn) {
  ON_CALL(catalog, CountPublished())
      .WillByDefault(Return(Error(ErrorReason::kStorageFailed, "disk")));

  EXPECT_EQ(Refusal("/panal.v1.PeerObject/GetPeer", v1::GetPeerRequest()), "STORAGE_FAILED");
}

TEST_F(PeerServantTest, ListsNeighborsInPages) {
  for (uint8_t i = 0; i < 5; ++i) {
    mesh.neighbors.push_back({.contact = {TestPeer(i), {"10.0.0.1:1"}},
                              .outbound = i % 2 == 0,
                              .connected = absl::Seconds(i),
                              .version = "0.1.0"});
  }
  v1::ListNeighborsRequest request;
  request.set_page_size(2);
  std::vector<std::string> seen;
  std::vector<int> sizes;

  do {
    const auto page = Ask<v1::ListNeighborsResponse>("/panal.v1.PeerObject/ListNeighbors", request);
    for (const auto& neighbor : page.neighbors()) seen.push_back(neighbor.peer_id());
    sizes.push_back(page.neighbors_size());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());

  EXPECT_THAT(sizes, ElementsAre(2, 2, 1));
  EXPECT_THAT(seen, ElementsAre(TestPeer(0).ToText(), TestPeer(1).ToText(), TestPeer(2).ToText(),
                                TestPeer(3).ToText(), TestPeer(4).ToText()));
}

TEST_F(PeerServantTest, EndsAListExactlyAtItsLastPage) {
  for (uint8_t i = 0; i < 2; ++i) mesh.neighbors.push_back({.contact = {TestPeer(i), {}}});
  v1::ListNeighborsRequest request;
  request.set_page_size(2);

  const auto page = Ask<v1::ListNeighborsResponse>("/panal.v1.PeerObject/ListNeighbors", request);

  EXPECT_THAT(page.neighbors(), SizeIs(2));
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(PeerServantTest, RefusesPageSizesAndTokensThatAreWrong) {
  v1::ListNeighborsRequest negative;
  negative.set_page_size(-1);
  v1::ListNeighborsRequest forged;
  forged.set_page_token("abcd");

  auto call = Begin("/panal.v1.PeerObject/ListNeighbors", negative);
  EXPECT_THAT(FieldViolationsOf(call->status()),
              ElementsAre(FieldViolation{"page_size", "-1 is negative"}));
  EXPECT_EQ(Refusal("/panal.v1.PeerObject/ListNeighbors", forged), "PAGE_TOKEN_INVALID");
}

TEST_F(PeerServantTest, ListsItsObjectsInPages) {
  v1::ListObjectsRequest request;
  request.set_page_size(1);

  const auto page = Ask<v1::ListObjectsResponse>("/panal.v1.PeerObject/ListObjects", request);

  ASSERT_THAT(page.objects(), SizeIs(1));
  EXPECT_EQ(page.objects(0).service(), "panal.v1.PeerObject");
  EXPECT_EQ(page.objects(0).reference(),
            "panal://" + TestPeer(1).ToText() + "/panal.v1.PeerObject/");
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(PeerServantTest, ResolvesAPrefixOnceTheMeshAnswers) {
  v1::ResolvePeerRequest request;
  request.set_prefix("abcd");
  auto call = Begin("/panal.v1.PeerObject/ResolvePeer", request);
  ASSERT_FALSE(call->result.has_value());

  mesh.resolve(PeerContact{TestPeer(9), {"10.0.0.9:7401"}});

  EXPECT_EQ(mesh.resolve_prefix, "abcd");
  const auto responses = call->Messages<v1::ResolvePeerResponse>();
  ASSERT_THAT(responses, SizeIs(1));
  EXPECT_EQ(responses[0].peer_id(), TestPeer(9).ToText());
  EXPECT_THAT(responses[0].addresses(), ElementsAre("10.0.0.9:7401"));
}

TEST_F(PeerServantTest, PassesTheMeshsRefusalOfAPrefixOn) {
  v1::ResolvePeerRequest request;
  request.set_prefix("abcd");
  auto call = Begin("/panal.v1.PeerObject/ResolvePeer", request);

  mesh.resolve(Error(ErrorReason::kPeerAmbiguous, "two peers"));

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kPeerAmbiguous);
}

TEST_F(PeerServantTest, ReportsTheWorstFindingFirst) {
  mesh.findings = {{Finding::Severity::kOk, "catalog", "fine", ""},
                   {Finding::Severity::kError, "disk", "full", "free some"},
                   {Finding::Severity::kWarning, "links", "few", "wait"}};

  const auto response =
      Ask<v1::DiagnoseResponse>("/panal.v1.PeerObject/Diagnose", v1::DiagnoseRequest());

  ASSERT_THAT(response.findings(), SizeIs(3));
  EXPECT_EQ(response.findings(0).severity(), "error");
  EXPECT_EQ(response.findings(0).advice(), "free some");
  EXPECT_EQ(response.findings(1).severity(), "warning");
  EXPECT_EQ(response.findings(2).severity(), "ok");
}

FactPtr RevocationBy(const std::optional<PeerId>& signer, const FactBody& body) {
  auto fact = std::make_shared<VerifiedFact>();
  fact->body = body;
  fact->time = absl::FromUnixSeconds(1000);
  if (signer) fact->signer = {{.subject = *signer}};
  return fact;
}

TEST_F(PeerServantTest, RevokesAndSaysWhatIsInEffect) {
  v1::RevokeRequest request;
  request.set_target("abc");
  request.set_reason("gone");
  request.set_spare(true);
  request.set_fact("signed");
  EXPECT_EQ(Refusal("/panal.v1.PeerObject/Revoke", request), "NOT_PERMITTED");
  EXPECT_EQ(admission.ordered.target, "abc");
  EXPECT_EQ(admission.ordered.reason, "gone");
  EXPECT_FALSE(admission.ordered.cascade);
  EXPECT_EQ(admission.ordered.fact, "signed");

  admission.revoked = {RevocationBy(TestPeer(2), Revocation{TestPeer(3), true, "why"}), true};
  const auto response = Ask<v1::RevokeResponse>("/panal.v1.PeerObject/Revoke", request);

  EXPECT_TRUE(response.already());
  EXPECT_EQ(response.revocation().peer_id(), TestPeer(3).ToText());
  EXPECT_EQ(response.revocation().by(), TestPeer(2).ToText());
  EXPECT_EQ(response.revocation().time_s(), 1000);
  EXPECT_EQ(response.revocation().reason(), "why");
  EXPECT_TRUE(response.revocation().cascade());
}

TEST_F(PeerServantTest, MovesToAnotherKey) {
  v1::MoveToRequest request;
  request.set_public_key("key");
  EXPECT_EQ(Refusal("/panal.v1.PeerObject/MoveTo", request), "NOT_PERMITTED");
  EXPECT_EQ(admission.moved_to, "key");

  const std::string key(kPublicKeySize, 'k');
  admission.revoked = {RevocationBy(TestPeer(1), MovedTo{TestPeer(1), key})};
  const auto response = Ask<v1::MoveToResponse>("/panal.v1.PeerObject/MoveTo", request);

  EXPECT_EQ(response.revocation().peer_id(), TestPeer(1).ToText());
  EXPECT_EQ(response.revocation().moved_to(), PeerIdOfPublicKey(key)->ToText());
}

TEST_F(PeerServantTest, ListsMembersAndWhoIsOutInPages) {
  const Serial serial(kSerialSize, 's');
  auto credential = std::make_shared<VerifiedCredential>();
  credential->peer = TestPeer(1);
  credential->role = Role::kMember;
  credential->chain = {{.subject = TestPeer(1)}};
  credential->not_after = absl::FromUnixSeconds(2000);
  admission.members = {
      {.peer = TestPeer(1), .serial = serial, .credential = credential},
      {.peer = TestPeer(2), .out = RevocationBy({}, Revocation{TestPeer(2), false, "gone"})},
      {.serial = serial, .out = RevocationBy(TestPeer(1), Revocation{serial})}};
  v1::ListMembersRequest request;
  request.set_page_size(1);
  std::vector<v1::Member> members;
  do {
    const auto page = Ask<v1::ListMembersResponse>("/panal.v1.PeerObject/ListMembers", request);
    ASSERT_THAT(page.members(), SizeIs(1));
    members.push_back(page.members(0));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());

  ASSERT_THAT(members, SizeIs(3));
  EXPECT_EQ(members[0].role(), "member");
  EXPECT_EQ(members[0].issuer(), "root");
  EXPECT_EQ(members[0].expires_s(), 2000);
  EXPECT_FALSE(members[0].has_revocation());
  EXPECT_EQ(members[1].role(), "");
  EXPECT_EQ(members[1].revocation().by(), "root");
  EXPECT_FALSE(members[1].revocation().cascade());
  EXPECT_EQ(members[2].peer_id(), "");
  EXPECT_EQ(members[2].serial(), members[2].revocation().serial());
}

TEST_F(PeerServantTest, LeavesTheStreamsBetweenPeersOut) {
  EXPECT_EQ(Refusal("/panal.v1.PeerObject/Link", v1::GetPeerRequest()), "METHOD_NOT_FOUND");
}

}  // namespace
}  // namespace panal
