#include "server/runtime/api_callers.h"

#include <gtest/gtest.h>

namespace panal {
namespace {

TEST(ApiCallers, NameConnectionsByHostAndPort) {
  ApiCallers callers;

  EXPECT_EQ(callers.Begin("ipv4:127.0.0.1:5000").name, "127.0.0.1:5000");
  EXPECT_EQ(callers.Begin("ipv4:127.0.0.1:5001").name, "127.0.0.1:5001");
  EXPECT_EQ(callers.Begin("ipv6:%5B::1%5D:5000").name, "[::1]:5000");
  EXPECT_EQ(callers.Begin("unix:").name, "unix");
}

TEST(ApiCallers, NameAsManyConnectionsOfAHostAsTheLimitAndNotOneMore) {
  ApiCallers callers(/*per_host_max=*/2);
  const ApiCaller first = callers.Begin("ipv4:10.0.0.1:1");
  EXPECT_EQ(callers.Begin("ipv4:10.0.0.1:2").name, "10.0.0.1:2");

  const ApiCaller beyond = callers.Begin("ipv4:10.0.0.1:3");

  EXPECT_EQ(beyond.name, "10.0.0.1");
  EXPECT_EQ(callers.Begin("ipv4:10.0.0.1:1").name, "10.0.0.1:1");  // Known already.
  EXPECT_EQ(callers.Begin("ipv4:10.0.0.2:3").name, "10.0.0.2:3");  // Of another host.
  callers.End(beyond);
  callers.End(first);
  EXPECT_EQ(callers.Begin("ipv4:10.0.0.1:3").name, "10.0.0.1");  // The other call of :1 is left.
}

TEST(ApiCallers, ForgetAConnectionWithItsLastCall) {
  ApiCallers callers(/*per_host_max=*/1);
  const ApiCaller first = callers.Begin("ipv4:10.0.0.1:1");
  const ApiCaller again = callers.Begin("ipv4:10.0.0.1:1");
  callers.End(first);
  EXPECT_EQ(callers.named(), 1u);

  callers.End(again);

  EXPECT_EQ(callers.named(), 0u);
  EXPECT_EQ(callers.Begin("ipv4:10.0.0.1:2").name, "10.0.0.1:2");
}

}  // namespace
}  // namespace panal
