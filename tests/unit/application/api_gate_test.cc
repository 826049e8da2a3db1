#include "server/application/api_gate.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "gtest/gtest.h"
#include "server/application/health_servant.h"
#include "server/application/reflection_servant.h"
#include "tests/unit/application/servant_world.h"

namespace panal {
namespace {

const std::string kReader(kApiTokenSizeMin, 'r');
const std::string kWriter(kApiTokenSizeMin, 'w');
const std::string kAdmin(kApiTokenSizeMin, 'a');

class ApiGateTest : public testing::Test {
 protected:
  absl::Status Admit(ApiRole needed, const std::vector<std::string>& authorization) {
    return gate.Admit(needed, authorization);
  }

  ErrorReason ReasonFor(const std::vector<std::string>& authorization) {
    return ReasonOf(Admit(ApiRole::kRead, authorization));
  }

  ApiGate gate{{{ApiRole::kRead, kReader, ""},
                {ApiRole::kWrite, kWriter, "ci"},
                {ApiRole::kAdmin, kAdmin, ""}}};
};

TEST_F(ApiGateTest, ARoleMayDoWhatThoseBelowItMay) {
  const std::vector<std::string> tokens = {kReader, kWriter, kAdmin};
  for (int has = 0; has < 3; ++has) {
    for (int needed = 0; needed < 3; ++needed) {
      const absl::Status admitted =
          Admit(static_cast<ApiRole>(needed), {absl::StrCat("Bearer ", tokens[has])});
      EXPECT_EQ(ReasonOf(admitted),
                has >= needed ? ErrorReason::kUnspecified : ErrorReason::kTokenRoleTooLow);
    }
  }
}

TEST_F(ApiGateTest, ATokenIsOneBearerAndNothingElse) {
  EXPECT_TRUE(Admit(ApiRole::kRead, {absl::StrCat("bearer  ", kReader, " ")}).ok());
  EXPECT_EQ(ReasonFor({}), ErrorReason::kTokenInvalid);
  EXPECT_EQ(ReasonFor({kReader}), ErrorReason::kTokenInvalid);
  EXPECT_EQ(ReasonFor({absl::StrCat("Basic ", kReader)}), ErrorReason::kTokenInvalid);
  EXPECT_EQ(ReasonFor({"Bearer "}), ErrorReason::kTokenInvalid);
  EXPECT_EQ(ReasonFor({"Bearer x"}), ErrorReason::kTokenInvalid);
  EXPECT_EQ(ReasonFor({absl::StrCat("Bearer ", kReader), absl::StrCat("Bearer ", kAdmin)}),
            ErrorReason::kTokenInvalid);
}

TEST_F(ApiGateTest, NoAnswerRepeatsATokenOrTellsTheRoleThatIsNeeded) {
  const absl::Status unknown = Admit(ApiRole::kRead, {absl::StrCat("Bearer ", kReader, "x")});
  EXPECT_EQ(unknown.message().find(kReader), std::string::npos);
  EXPECT_EQ(Admit(ApiRole::kWrite, {absl::StrCat("Bearer ", kReader)}),
            Admit(ApiRole::kAdmin, {absl::StrCat("Bearer ", kReader)}));
}

TEST(OpenApiGateTest, AdmitsEveryone) {
  const ApiGate gate;
  EXPECT_TRUE(gate.open());
  EXPECT_TRUE(gate.Admit(ApiRole::kAdmin, {}).ok());
  EXPECT_TRUE(gate.Admit(ApiRole::kAdmin, {"nonsense"}).ok());
}

TEST(ApiRoleForTest, WhatIsNotInTheTableNeedsMoreThanToRead) {
  EXPECT_EQ(ApiRoleFor("/panal.v1.FileObject/ListFiles"), ApiRole::kRead);
  EXPECT_EQ(ApiRoleFor("/panal.v1.FileObject/PutFile"), ApiRole::kWrite);
  EXPECT_EQ(ApiRoleFor("/panal.v1.PeerObject/CreateTicket"), ApiRole::kAdmin);
  EXPECT_EQ(ApiRoleFor("/panal.v1.PeerObject/Nothing"), ApiRole::kAdmin);
  EXPECT_EQ(ApiRoleFor("/panal.v2.PeerObject/GetPeer"), ApiRole::kAdmin);
  EXPECT_EQ(ApiRoleFor("/acme.v1.Thumbnailer/Make"), ApiRole::kWrite);
  EXPECT_EQ(ApiRoleFor(""), ApiRole::kWrite);
}

TEST(ApiRoleForTest, EveryMethodOfHealthAndReflectionIsInTheTable) {
  std::set<std::string> listed;
  for (const auto& [method, role] : ApiRoles()) listed.emplace(method);
  InlineDispatcher dispatcher;
  const Router router(TestPeer(1), nullptr);
  std::vector<std::shared_ptr<Servant>> servants = {
      std::make_shared<HealthServant>(dispatcher, router)};
  for (auto& servant : MakeReflectionServants(dispatcher, router)) servants.push_back(servant);

  for (const std::shared_ptr<Servant>& servant : servants) {
    EXPECT_FALSE(servant->methods().empty());
    for (const std::string& method : servant->methods()) {
      const std::string whole = absl::StrCat("/", servant->service(), "/", method);
      EXPECT_TRUE(listed.contains(whole)) << whole;
      EXPECT_EQ(ApiRoleFor(whole), ApiRole::kRead) << whole;
    }
  }
}

}  // namespace
}  // namespace panal
