// The built-in servants over fakes, and a way to call them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "gtest/gtest.h"
#include "server/application/router.h"
#include "tests/unit/application/fake_call.h"
#include "tests/unit/application/fake_parts.h"

namespace panal {

inline PeerId TestPeer(uint8_t number) {
  PeerId id;
  id.bytes[0] = number;
  return id;
}

class ServantWorld : public CallTest {
 protected:
  // Begins a call with its one request.
  std::shared_ptr<FakeCall> Begin(absl::string_view method,
                                  const google::protobuf::MessageLite& request,
                                  bool hold_writes = false) {
    auto call = MakeCall(method);
    call->hold_writes = hold_writes;
    router.Route(call);
    call->CallerSends(request);
    return call;
  }

  // The answer of a unary call that succeeds.
  template <typename Response>
  Response Ask(absl::string_view method, const google::protobuf::MessageLite& request) {
    auto call = Begin(method, request);
    EXPECT_TRUE(call->status().ok()) << call->status();
    std::vector<Response> responses = call->Messages<Response>();
    EXPECT_EQ(responses.size(), 1u);
    return responses.empty() ? Response() : responses[0];
  }

  // The reason of a call that fails.
  std::string Refusal(absl::string_view method, const google::protobuf::MessageLite& request) {
    auto call = Begin(method, request);
    return std::string(ReasonName(ReasonOf(call->status())));
  }

  InlineDispatcher dispatcher;
  FakeMesh mesh;
  FakeFileStore files;
  ::testing::NiceMock<MockCatalog> catalog;
  ::testing::NiceMock<MockBlockStore> blocks;
  Router router{TestPeer(1), nullptr};
};

}  // namespace panal
