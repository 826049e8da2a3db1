// A method that is added to an object must be given the role that its callers need.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/application/api_gate.h"
#include "tests/unit/proto/descriptors.h"

namespace panal {
namespace {

// Of all services, as gRPC calls them.
std::set<std::string> MethodsOfPanal() {
  std::set<std::string> methods;
  for (const google::protobuf::ServiceDescriptor* service : PanalServices()) {
    for (int i = 0; i < service->method_count(); ++i) {
      methods.insert(absl::StrCat("/", service->full_name(), "/", service->method(i)->name()));
    }
  }
  return methods;
}

TEST(ApiRolesTest, EveryMethodOfEveryServiceIsInTheTable) {
  std::set<std::string> listed;
  for (const auto& [method, role] : ApiRoles()) listed.emplace(method);

  EXPECT_GE(MethodsOfPanal().size(), 20u);
  for (const std::string& method : MethodsOfPanal()) EXPECT_TRUE(listed.contains(method)) << method;
}

TEST(ApiRolesTest, TheTableHasNoMethodThatThereIsNot) {
  const std::set<std::string> methods = MethodsOfPanal();
  std::set<std::string> seen;
  for (const auto& [method, role] : ApiRoles()) {
    EXPECT_TRUE(seen.emplace(method).second) << method << " is there twice";
    if (!absl::StartsWith(method, "/panal.")) continue;
    EXPECT_TRUE(methods.contains(std::string(method))) << method;
  }
}

}  // namespace
}  // namespace panal
