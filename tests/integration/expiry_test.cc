// Whole peers of an invite mesh whose credentials end within seconds: real ports, real TLS.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/log.h"
#include "common/identity/membership.h"
#include "common/identity/mesh_root.h"
#include "common/rpc/initialize.h"
#include "server/runtime/node.h"
#include "tests/support/catalog_support.h"
#include "tests/support/eventually.h"

namespace panal {
namespace {

class ExpiryTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    InitializeRpc();
    EXPECT_TRUE(SetLogLevel("error").ok());
  }

  // A peer that the root let in, for so long from now on; it knows `contact`.
  std::unique_ptr<Node> Start(const std::string& name, Role role, absl::Duration lifetime,
                              Node* contact = nullptr) {
    NodeOptions options;
    options.data_dir = absl::StrCat(dir_.path(), "/", name);
    options.mesh_listen = options.api_listen = "127.0.0.1:0";
    options.http_listen = "off";
    options.stop_grace = absl::Seconds(1);
    std::filesystem::create_directory(options.data_dir);
    const Identity identity = *Identity::LoadOrCreate(options.data_dir);
    MeshMembership membership;
    membership.mesh_name = "secret";
    membership.chain = *IssueGrant(
        root_.issuer(), {.subject = identity.public_key(), .role = role, .lifetime = lifetime},
        absl::Now());
    if (contact != nullptr) {
      membership.contacts = {{contact->addresses().mesh, contact->addresses().peer_id}};
    }
    EXPECT_TRUE(SaveMembership(options.data_dir, membership).ok());
    absl::StatusOr<std::unique_ptr<Node>> node = Node::Start(std::move(options));
    EXPECT_TRUE(node.ok()) << node.status();
    return node.ok() ? *std::move(node) : nullptr;
  }

  absl::Time KeptUntil(const std::string& name) {
    const auto kept = LoadMembership(absl::StrCat(dir_.path(), "/", name));
    EXPECT_TRUE(kept.ok() && kept->has_value()) << kept.status();
    return absl::FromUnixSeconds(static_cast<int64_t>((*kept)->chain.grants.back().not_after_s));
  }

  static bool AreNeighbors(Node& one, Node& other) {
    return !one.mesh().Neighbors().empty() && !other.mesh().Neighbors().empty();
  }

  const catalog_test::TempDir dir_;
  const MeshRoot root_ = MeshRoot::Generate();
};

TEST_F(ExpiryTest, APeerRenewsItsCredentialWithNobodysHelpWhileTheRootIsAway) {
  auto admin = Start("admin", Role::kAdmin, absl::Hours(1));
  const absl::Time begun = absl::Now();
  auto member = Start("member", Role::kMember, absl::Seconds(20), admin.get());
  ASSERT_TRUE(admin != nullptr && member != nullptr);
  ASSERT_TRUE(Eventually([&] { return AreNeighbors(*admin, *member); }));

  EXPECT_TRUE(Eventually(
      [&] { return member->mesh().Status().credential_expires > begun + absl::Minutes(30); }));

  EXPECT_TRUE(Eventually([&] { return KeptUntil("member") > begun + absl::Minutes(30); }));
  EXPECT_EQ(member->mesh().Status().role, Role::kMember);
  // What was opened with the old one ends with it, and is opened again with the new one.
  EXPECT_TRUE(Eventually(
      [&] { return absl::Now() > begun + absl::Seconds(25) && AreNeighbors(*admin, *member); }));
  member->Stop();
  admin->Stop();
}

TEST_F(ExpiryTest, StreamsEndWithTheCredentialThatNobodyRenews) {
  auto one = Start("one", Role::kMember, absl::Hours(1));
  auto other = Start("other", Role::kMember, absl::Seconds(15), one.get());
  ASSERT_TRUE(one != nullptr && other != nullptr);
  ASSERT_TRUE(Eventually([&] { return AreNeighbors(*one, *other); }));
  const absl::Time expires = other->mesh().Status().credential_expires;

  EXPECT_TRUE(Eventually([&] { return one->mesh().Neighbors().empty(); }));

  EXPECT_GE(absl::Now(), expires);
  EXPECT_TRUE(Eventually([&] { return other->mesh().Neighbors().empty(); }));
  other->Stop();
  one->Stop();
}

}  // namespace
}  // namespace panal
