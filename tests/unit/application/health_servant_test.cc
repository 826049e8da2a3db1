#include "server/application/health_servant.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/application/search_servant.h"
#include "tests/unit/application/servant_world.h"

namespace panal {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::ElementsAre;

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";

HealthCheckRequest Of(const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  return request;
}

class HealthServantTest : public ServantWorld {
 protected:
  HealthServantTest() {
    EXPECT_TRUE(router.Add(health).ok());
    health->SetServing(true);
  }

  static std::vector<int> Told(const FakeCall& call) {
    std::vector<int> told;
    for (const auto& response : call.Messages<HealthCheckResponse>()) {
      told.push_back(response.status());
    }
    return told;
  }

  void AddSearch() {
    ASSERT_TRUE(router.Add(std::make_shared<SearchServant>(dispatcher, mesh)).ok());
    health->TellWatchers();
  }

  std::shared_ptr<HealthServant> health = std::make_shared<HealthServant>(dispatcher, router);
};

TEST_F(HealthServantTest, ServesThePeerAndEachOfItsServices) {
  EXPECT_EQ(Ask<HealthCheckResponse>(kCheck, Of("")).status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(Ask<HealthCheckResponse>(kCheck, Of("grpc.health.v1.Health")).status(),
            HealthCheckResponse::SERVING);
}

TEST_F(HealthServantTest, SaysNotFoundOfAServiceThatIsNotThere) {
  auto call = Begin(kCheck, Of("no.Such"));

  EXPECT_EQ(call->result->code, 5);
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kObjectNotFound);
}

TEST_F(HealthServantTest, SaysNotServingWhileThePeerStops) {
  health->SetServing(false);

  EXPECT_EQ(Ask<HealthCheckResponse>(kCheck, Of("")).status(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthServantTest, TellsAWatcherAtOnceAndOfEveryChange) {
  auto call = Begin(kWatch, Of(""));
  EXPECT_THAT(Told(*call), ElementsAre(HealthCheckResponse::SERVING));

  health->SetServing(false);
  health->SetServing(false);

  EXPECT_THAT(Told(*call),
              ElementsAre(HealthCheckResponse::SERVING, HealthCheckResponse::NOT_SERVING));
  EXPECT_FALSE(call->result.has_value());
  call->CallerCancels();
}

TEST_F(HealthServantTest, TellsAWatcherOfAServiceThatComesLater) {
  auto call = Begin(kWatch, Of("panal.v1.SearchObject"));

  AddSearch();

  EXPECT_THAT(Told(*call),
              ElementsAre(HealthCheckResponse::SERVICE_UNKNOWN, HealthCheckResponse::SERVING));
  call->CallerCancels();
}

TEST_F(HealthServantTest, ForgetsAWatcherThatCancels) {
  auto call = Begin(kWatch, Of(""));

  call->CallerCancels();
  health->SetServing(false);

  EXPECT_THAT(Told(*call), ElementsAre(HealthCheckResponse::SERVING));
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(HealthServantTest, TakesAsManyWatchersAsItsLimitAndRefusesOneMore) {
  std::vector<std::shared_ptr<FakeCall>> calls;
  for (size_t i = 0; i < kHealthWatchersMax; ++i) calls.push_back(Begin(kWatch, Of("")));
  EXPECT_FALSE(calls.back()->result.has_value());

  EXPECT_EQ(Refusal(kWatch, Of("")), "OVERLOADED");

  for (auto& call : calls) call->CallerCancels();
  auto again = Begin(kWatch, Of(""));
  EXPECT_FALSE(again->result.has_value());
  again->CallerCancels();
}

}  // namespace
}  // namespace panal
