#include "common/model/join_address.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace panal {
namespace {

TEST(MeshName, IsOneTo64BytesOfUtf8) {
  for (const std::string& name : {std::string("a"), std::string(kMeshNameSizeMax, 'a')}) {
    EXPECT_TRUE(ValidateMeshName(name).ok()) << name;
  }
  for (const std::string& name :
       {std::string(), std::string(kMeshNameSizeMax + 1, 'a'), std::string("\xff")}) {
    EXPECT_EQ(ReasonOf(ValidateMeshName(name)), ErrorReason::kConfigInvalid) << name;
  }
}

TEST(JoinAddress, HasAPeerIdOrNone) {
  PeerId peer = PeerId{Sha256("p").bytes};
  auto with = ParseJoinAddress(absl::StrCat(peer.ToText(), "@[2001:db8::1]:7401"));
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_EQ(with->address, "[2001:db8::1]:7401");
  EXPECT_EQ(with->peer, peer);
  auto without = ParseJoinAddress("example.org:7401");
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_FALSE(without->peer.has_value());
}

TEST(JoinAddress, RefusesEverythingElse) {
  for (const char* text : {"", "host", "host:", "host:0", "@host:1", "short@host:1", ":7401"}) {
    EXPECT_EQ(ReasonOf(ParseJoinAddress(text).status()), ErrorReason::kConfigInvalid) << text;
  }
}

}  // namespace
}  // namespace panal
