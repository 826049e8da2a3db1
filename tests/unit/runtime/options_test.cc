#include "server/runtime/options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/record.h"
#include "tests/support/catalog_support.h"

namespace panal {
namespace {

NodeOptions Valid() {
  NodeOptions options;
  options.data_dir = "/data";
  return options;
}

// What Validate says after `change`.
absl::Status Check(const std::function<void(NodeOptions&)>& change) {
  NodeOptions options = Valid();
  change(options);
  return options.Validate();
}

#define EXPECT_VALID(change) EXPECT_TRUE(Check([](NodeOptions& o) { change; }).ok())
// Refused, and the message names the setting.
#define EXPECT_INVALID(setting, change)                                                \
  do {                                                                                 \
    absl::Status status = Check([](NodeOptions& o) { change; });                       \
    EXPECT_EQ(ReasonOf(status), ErrorReason::kConfigInvalid) << #change;               \
    EXPECT_NE(status.message().find(setting), std::string::npos) << status << #change; \
  } while (false)

TEST(NodeOptions, DefaultsAreValidOnceThereIsADataDirectory) {
  EXPECT_TRUE(Valid().Validate().ok());
  EXPECT_INVALID("--data-dir", o.data_dir = "");
}

TEST(NodeOptions, TheMeshHasAShortNameAndAKnownPolicy) {
  EXPECT_VALID(o.mesh_name = std::string(64, 'x'));
  EXPECT_VALID(o.mesh_name = "Bienenstöcke");
  EXPECT_INVALID("--mesh", o.mesh_name = "");
  EXPECT_INVALID("--mesh", o.mesh_name = std::string(65, 'x'));
  EXPECT_INVALID("--mesh", o.mesh_name = "\xff");
  EXPECT_INVALID("--policy", o.policy = "closed");
}

TEST(NodeOptions, ListenersAreAddressesWithAPortThatMayBeZero) {
  EXPECT_VALID(o.mesh_listen = "[::]:0");
  EXPECT_VALID(o.api_listen = "localhost:65535");
  EXPECT_INVALID("--mesh-listen", o.mesh_listen = "7401");
  EXPECT_INVALID("--mesh-listen", o.mesh_listen = ":0");
  EXPECT_INVALID("--mesh-listen", o.mesh_listen = "0.0.0.0:65536");
  EXPECT_INVALID("--api-listen", o.api_listen = "127.0.0.1");
  EXPECT_INVALID("--api-listen", o.api_listen = "off");
  EXPECT_INVALID("--http-listen", o.http_listen = "127.0.0.1:x");
  EXPECT_VALID(o.http_listen = "off");
}

TEST(NodeOptions, ListenersForOtherMachinesNeedATokenFile) {
  EXPECT_INVALID("--api-token-file", o.api_listen = "0.0.0.0:7400");
  EXPECT_INVALID("--api-token-file", o.http_listen = "192.0.2.1:7402");
  EXPECT_VALID((o.api_listen = "0.0.0.0:7400", o.http_listen = "[::]:7402",
                o.api_token_file = "/etc/panal/tokens"));
  EXPECT_VALID((o.api_listen = "127.0.0.1:7400", o.api_token_file = "/etc/panal/tokens"));
}

TEST(NodeOptions, OnlyAnAddressOfThisMachineIsLoopback) {
  for (const char* address : {"127.0.0.1:1", "127.255.0.9:0", "[::1]:1", "localhost:1"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"127.example.org:1", "0.0.0.0:1", "128.0.0.1:1", "[::]:1", "127.1:1",
                              "localhost.example.org:1", "[::ffff:192.0.2.1]:1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(NodeOptions, ListenersWithoutTokensStayOnLoopbackUnlessOpenOnPurpose) {
  EXPECT_INVALID("--listen-open", o.api_listen = "0.0.0.0:7400");
  EXPECT_INVALID("--listen-open", o.http_listen = "192.0.2.1:7402");
  EXPECT_INVALID("--listen-open", o.http_listen = "[::]:7402");
  EXPECT_VALID(
      (o.api_listen = "0.0.0.0:7400", o.http_listen = "0.0.0.0:7402", o.listen_open = true));
  EXPECT_VALID((o.api_listen = "127.1.2.3:0", o.http_listen = "[::1]:0"));
}

TEST(NodeOptions, AddressesAreBoundedAndWellFormed) {
  EXPECT_VALID(o.advertise.assign(kContactAddressesMax, "h:1"));
  EXPECT_INVALID("--advertise", o.advertise.assign(kContactAddressesMax + 1, "h:1"));
  EXPECT_INVALID("--advertise", o.advertise = {"h:0"});
  EXPECT_INVALID("--advertise", o.advertise = {"h"});
  EXPECT_VALID(o.join.assign(kJoinAddressesMax, {"h:1", std::nullopt}));
  EXPECT_INVALID("--join", o.join.assign(kJoinAddressesMax + 1, {"h:1", std::nullopt}));
}

TEST(NodeOptions, RootsAreAbsolute) {
  EXPECT_VALID((o.roots = {"/", "/srv/files"}));
  EXPECT_INVALID("--root", o.roots = {"files"});
  EXPECT_INVALID("--root", o.roots = {""});
}

TEST(NodeOptions, NumbersAreWithinTheirRanges) {
  EXPECT_VALID(o.storage_max_bytes = std::numeric_limits<int64_t>::max());
  EXPECT_INVALID("--storage-max", o.storage_max_bytes = -1);
  EXPECT_VALID(o.stop_grace = absl::ZeroDuration());
  EXPECT_VALID(o.stop_grace = kStopGraceMax);
  EXPECT_INVALID("--stop-grace", o.stop_grace = kStopGraceMax + absl::Seconds(1));
  EXPECT_INVALID("--stop-grace", o.stop_grace = -absl::Seconds(1));
  EXPECT_INVALID("--log-level", o.log_level = "verbose");
  EXPECT_INVALID("threads", o.dispatcher.classes[0].threads = 0);
  EXPECT_INVALID("capacity", o.core.capacity = 0);
  EXPECT_INVALID("capacity", o.core.capacity = std::numeric_limits<double>::quiet_NaN());
  EXPECT_INVALID("lambda", o.core.search.lambda = 0);
  EXPECT_INVALID("saturated_factor", o.core.search.saturated_factor = -1);
  EXPECT_VALID(o.core.search.saturated_factor = 0);
}

TEST(ResolveRoots, FollowsLinksAndLeavesOutWhatIsMissing) {
  catalog_test::TempDir dir;
  std::string real = std::filesystem::canonical(dir.path()).string();
  std::filesystem::create_directory(real + "/real");
  std::filesystem::create_symlink(real + "/real", real + "/link");

  EXPECT_EQ(ResolveRoots({real + "/link", real + "/missing"}),
            (std::vector<std::string>{real + "/real"}));
}

TEST(IsLoopback, KnowsNamesAndNumbers) {
  for (const char* address : {"localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"0.0.0.0:1", "[::]:1", "example.org:1", "128.0.0.1:1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(AddressesOf, NamesInterfacesOnlyForAWildcard) {
  EXPECT_EQ(AddressesOf("192.0.2.1:7401"), (std::vector<std::string>{"192.0.2.1:7401"}));
  for (const std::string& bound : {"0.0.0.0:7401", "[::]:7401"}) {
    std::vector<std::string> addresses = AddressesOf(bound);
    EXPECT_GE(addresses.size(), 1u);
    EXPECT_LE(addresses.size(), kContactAddressesMax);
    for (const std::string& address : addresses) {
      EXPECT_TRUE(IsValidAddress(address)) << address;
      EXPECT_EQ(address.find("0.0.0.0"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace panal
