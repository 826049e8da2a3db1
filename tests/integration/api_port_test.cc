#include "server/runtime/api_port.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/initialize.h"
#include "common/rpc/status_convert.h"
#include "tests/integration/raw_stream.h"

namespace panal {
namespace {

// Sends back every message, then ends: OK, or what the metadata `fail` asks for.
void Echo(const CallPtr& call) {
  call->Read([call](std::optional<std::string> message) {
    if (message) {
      call->Write(std::move(*message), [call](bool ok) {
        if (ok) return Echo(call);
        call->Finish({});
      });
      return;
    }
    CallResult result;
    if (call->head().metadata.contains("fail")) {
      result = ResultOf(Error(ErrorReason::kFileNotFound, "no file x", {{"id", "x"}}));
    }
    result.trailing_metadata = {{"last", "word"},
                                {"raw-bin", std::string("\0\1", 2)},
                                {"BAD key", "x"},
                                {"grpc-status", "3"}};
    call->Finish(std::move(result));
  });
}

// An API port whose calls are echoed, or kept when their method ends in `/Hang`.
class ApiPortTest : public testing::Test {
 protected:
  explicit ApiPortTest(const std::vector<ApiToken>& tokens = {})
      : gate_(std::make_unique<ApiGate>(tokens)) {
    InitializeRpc();
    auto port =
        ApiPort::Open({.listen = "127.0.0.1:0"}, *gate_, [this](CallPtr call) { Route(call); });
    port_ = std::move(port).value();
    channel_ = Channel();
  }

  ~ApiPortTest() override { port_->Shutdown(absl::ZeroDuration()); }

  std::shared_ptr<grpc::Channel> Channel() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(port_->address(), grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  void Route(const CallPtr& call) {
    {
      MutexLock lock(&mutex_);
      heads_.push_back(call->head());
    }
    if (!absl::EndsWith(call->head().method, "/Hang")) {
      call->SendInitialMetadata({{"first", "word"}, {"Bad Key", "x"}});
      return Echo(call);
    }
    call->OnCancel([this, call] {
      {
        MutexLock lock(&mutex_);
        ++cancelled_;
        changed_.SignalAll();
      }
      call->Finish(ResultOf(Error(ErrorReason::kCancelled, "gone")));
    });
  }

  bool WaitForCancelled(int count) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    MutexLock lock(&mutex_);
    while (cancelled_ < count && absl::Now() < deadline) {
      changed_.WaitFor(&mutex_, deadline - absl::Now());
    }
    return cancelled_ >= count;
  }

  CallHead LastHead() {
    MutexLock lock(&mutex_);
    return heads_.back();
  }

  size_t Routed() {
    MutexLock lock(&mutex_);
    return heads_.size();
  }

  const std::unique_ptr<ApiGate> gate_;
  std::unique_ptr<ApiPort> port_;
  std::shared_ptr<grpc::Channel> channel_;
  Mutex mutex_;
  Condition changed_;
  std::vector<CallHead> heads_ ABSL_GUARDED_BY(mutex_);
  int cancelled_ ABSL_GUARDED_BY(mutex_) = 0;
};

std::string MetadataValue(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                          const std::string& key) {
  auto found = metadata.find(key);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

TEST_F(ApiPortTest, ServesAUnaryCall) {
  grpc::ClientContext context;
  grpc::GenericStub stub(channel_);
  const grpc::ByteBuffer request = ToByteBuffer("hello");
  grpc::ByteBuffer response;
  Mutex mutex;
  Condition done;
  std::optional<grpc::Status> status;

  stub.UnaryCall(&context, "/test.Echo/Unary", {}, &request, &response, [&](grpc::Status result) {
    MutexLock lock(&mutex);
    status = std::move(result);
    done.SignalAll();
  });

  MutexLock lock(&mutex);
  while (!status) done.Wait(&mutex);
  EXPECT_TRUE(status->ok()) << status->error_message();
  EXPECT_EQ(ToString(response), "hello");
}

TEST_F(ApiPortTest, ServesAServerStream) {
  RawStream call(channel_, "/test.Echo/ServerStream");
  call.Write("request");
  call.WritesDone();

  EXPECT_EQ(call.Read(), "request");
  EXPECT_EQ(call.Read(), std::nullopt);
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(ApiPortTest, ServesAClientStream) {
  RawStream call(channel_, "/test.Echo/ClientStream");
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(call.Write(absl::StrCat(i)));
  call.WritesDone();

  for (int i = 0; i < 10; ++i) EXPECT_EQ(call.Read(), absl::StrCat(i));
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(ApiPortTest, ServesABidiStreamWithEmptyAndLargeMessages) {
  RawStream call(channel_, "/test.Echo/Bidi");

  for (size_t size : {size_t{0}, size_t{1}, size_t{70'000}, size_t{4} << 20}) {
    ASSERT_TRUE(call.Write(std::string(size, 'x')));
    EXPECT_EQ(call.Read()->size(), size);
  }
  call.WritesDone();
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(ApiPortTest, CarriesMetadataBothWaysAndDropsWhatIsIllegal) {
  RawStream call(channel_, "/test.Echo/Bidi",
                 {{"panal-object", "panal://x"}, {"bytes-bin", std::string("\0\xff", 2)}});
  call.WritesDone();
  EXPECT_EQ(call.Read(), std::nullopt);
  ASSERT_TRUE(call.Finish().ok());

  const CallHead head = LastHead();
  EXPECT_EQ(head.method, "/test.Echo/Bidi");
  EXPECT_EQ(head.origin, CallOrigin::kApi);
  EXPECT_TRUE(absl::StartsWith(head.caller, "127.0.0.1:")) << head.caller;
  EXPECT_EQ(head.metadata.find("panal-object")->second, "panal://x");
  EXPECT_EQ(head.metadata.find("bytes-bin")->second, std::string("\0\xff", 2));
  const auto& trailing = call.context().GetServerTrailingMetadata();
  EXPECT_EQ(MetadataValue(call.context().GetServerInitialMetadata(), "first"), "word");
  EXPECT_EQ(MetadataValue(trailing, "last"), "word");
  EXPECT_EQ(MetadataValue(trailing, "raw-bin"), std::string("\0\1", 2));
}

TEST_F(ApiPortTest, CarriesStatusAndDetails) {
  RawStream call(channel_, "/test.Echo/Bidi", {{"fail", "1"}});
  call.WritesDone();

  const absl::Status status = FromGrpcStatus(call.Finish());

  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no file x");
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileNotFound);
  EXPECT_EQ(MetadataOf(status), (ErrorMetadata{{"id", "x"}}));
}

TEST_F(ApiPortTest, TellsTheServantWhenTheCallerCancels) {
  RawStream call(channel_, "/test.Echo/Hang");
  call.Write("x");

  call.Cancel();

  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(WaitForCancelled(1));
}

TEST_F(ApiPortTest, TellsTheServantWhenTheDeadlinePasses) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(300)));
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer request = ToByteBuffer("x");
  grpc::ByteBuffer response;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, "/test.Echo/Hang", request, &queue);
  call->StartCall();
  call->Finish(&response, &status, this);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(WaitForCancelled(1));
  EXPECT_LT(LastHead().deadline, absl::Now() + absl::Seconds(1));
}

TEST_F(ApiPortTest, HasNoDeadlineWhenTheCallerHasNone) {
  grpc::ClientContext context;
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer request = ToByteBuffer("x");
  grpc::ByteBuffer response;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, "/test.Echo/Unary", request, &queue);
  call->StartCall();
  call->Finish(&response, &status, this);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);

  EXPECT_EQ(LastHead().deadline, absl::InfiniteFuture());
}

TEST_F(ApiPortTest, RefusesAMessageOneByteTooLarge) {
  RawStream call(channel_, "/test.Echo/Bidi");
  call.Write(std::string((size_t{4} << 20) + 1, 'x'));

  EXPECT_EQ(call.Read(), std::nullopt);
  const absl::Status status = FromGrpcStatus(call.Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kMessageTooLarge);
}

TEST_F(ApiPortTest, RefusesAMessageBeyondGrpcsLimit) {
  RawStream call(channel_, "/test.Echo/Bidi");
  call.Write(std::string(size_t{9} << 20, 'x'));

  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ApiPortTest, TakesConnectionsOfOneHostForCallersOfTheirOwnUpToTheLimit) {
  port_->Shutdown(absl::ZeroDuration());
  port_ = ApiPort::Open({.listen = "127.0.0.1:0", .callers_per_host_max = 2}, *gate_,
                        [this](CallPtr call) { Route(call); })
              .value();
  std::vector<std::unique_ptr<RawStream>> calls;
  std::vector<std::string> callers;
  for (int i = 0; i < 3; ++i) {
    calls.push_back(std::make_unique<RawStream>(Channel(), "/test.Echo/Bidi"));
    ASSERT_TRUE(calls.back()->Write("hello"));
    ASSERT_TRUE(calls.back()->Read().has_value());
    callers.push_back(LastHead().caller);
  }

  EXPECT_NE(callers[0], callers[1]);
  EXPECT_TRUE(absl::StartsWith(callers[0], "127.0.0.1:")) << callers[0];
  EXPECT_TRUE(absl::StartsWith(callers[1], "127.0.0.1:")) << callers[1];
  EXPECT_EQ(callers[2], "127.0.0.1");
}

TEST_F(ApiPortTest, LeavesTheAuthorizationOfACallAloneWhereNoTokenIsNeeded) {
  RawStream call(channel_, "/test.Echo/Bidi", {{"authorization", "Bearer of-the-object"}});
  call.WritesDone();

  ASSERT_TRUE(call.Finish().ok());
  EXPECT_EQ(LastHead().metadata.find("authorization")->second, "Bearer of-the-object");
}

// Its tokens: of each role the role's letter.
class GatedApiPortTest : public ApiPortTest {
 protected:
  GatedApiPortTest()
      : ApiPortTest({{ApiRole::kRead, Token('r'), ""},
                     {ApiRole::kWrite, Token('w'), ""},
                     {ApiRole::kAdmin, Token('a'), ""}}) {}

  static std::string Token(char letter) { return std::string(kApiTokenSizeMin, letter); }

  absl::Status Call(const std::string& method, const RawStream::Metadata& metadata) {
    RawStream call(channel_, method, metadata);
    call.WritesDone();
    return FromGrpcStatus(call.Finish());
  }

  absl::Status CallWith(char letter, const std::string& method) {
    return Call(method, {{"authorization", "Bearer " + Token(letter)}});
  }
};

TEST_F(GatedApiPortTest, RefusesWhoHasNoTokenBeforeAnybodySeesTheCall) {
  for (const char* method : {"/panal.v1.PeerObject/GetPeer", "/panal.v1.PeerObject/Revoke",
                             "/panal.v1.PeerObject/Nothing", "/no.Such/Method"}) {
    const absl::Status without = Call(method, {});
    EXPECT_EQ(ReasonOf(without), ErrorReason::kTokenInvalid) << method;
    EXPECT_EQ(without, Call("/another.Service/M", {})) << method;
    EXPECT_EQ(ReasonOf(CallWith('x', method)), ErrorReason::kTokenInvalid) << method;
  }
  EXPECT_EQ(Routed(), 0u);
}

TEST_F(GatedApiPortTest, RefusesARoleThatIsTooLowWithoutTellingWhetherThereIsSuchAMethod) {
  const absl::Status refused = CallWith('r', "/panal.v1.PeerObject/Revoke");

  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kTokenRoleTooLow);
  for (const char* method :
       {"/panal.v1.FileObject/PutFile", "/panal.v1.PeerObject/Nothing", "/no.Such/Method"}) {
    EXPECT_EQ(CallWith('r', method), refused) << method;
  }
  EXPECT_EQ(Routed(), 0u);
}

TEST_F(GatedApiPortTest, RoutesWhatTheRoleAllowsAndKeepsTheTokenFromTheObject) {
  EXPECT_TRUE(CallWith('r', "/panal.v1.PeerObject/GetPeer").ok());
  EXPECT_TRUE(CallWith('w', "/acme.v1.Thumbnailer/Make").ok());
  EXPECT_TRUE(CallWith('a', "/panal.v1.PeerObject/Revoke").ok());

  EXPECT_EQ(Routed(), 3u);
  EXPECT_FALSE(LastHead().metadata.contains("authorization"));
}

TEST_F(ApiPortTest, SaysThatThePortIsTaken) {
  const absl::StatusOr<std::unique_ptr<ApiPort>> second =
      ApiPort::Open({.listen = port_->address()}, *gate_, [](CallPtr) {});

  EXPECT_EQ(ReasonOf(second.status()), ErrorReason::kPortTaken);
  EXPECT_TRUE(absl::StrContains(second.status().message(), port_->address()));
}

TEST_F(ApiPortTest, CancelsCallsThatOutliveTheGraceOfAShutdown) {
  RawStream call(channel_, "/test.Echo/Hang");
  call.Write("x");
  while (true) {
    MutexLock lock(&mutex_);
    if (!heads_.empty()) break;
  }

  port_->Shutdown(absl::Milliseconds(100));

  EXPECT_FALSE(call.Finish().ok());
  EXPECT_TRUE(WaitForCancelled(1));
}

// --- Idle connections ----------------------------------------------------------------------------

int Threads() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    int threads = 0;
    if (absl::StartsWith(line, "Threads:") && absl::SimpleAtoi(line.substr(8), &threads)) {
      return threads;
    }
  }
  return -1;
}

// A connection on which HTTP/2 was agreed, and nothing more.
int OpenIdleConnection(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return -1;
  constexpr absl::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  if (send(socket_fd, kPreface.data(), kPreface.size(), MSG_NOSIGNAL) < 0) return -1;
  char settings[9];
  return recv(socket_fd, settings, sizeof(settings), MSG_WAITALL) == 9 ? socket_fd : -1;
}

// tests/bench/idle_connections_bench.cc does this with 10,000.
TEST_F(ApiPortTest, NeedsNoThreadForAnIdleConnection) {
  constexpr int kConnections = 2'000;
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(port_->address().substr(port_->address().rfind(':') + 1), &port));
  std::vector<int> sockets;
  for (int i = 0; i < 20; ++i) sockets.push_back(OpenIdleConnection(port));
  const int before = Threads();

  while (sockets.size() < kConnections) sockets.push_back(OpenIdleConnection(port));
  RawStream call(channel_, "/test.Echo/Bidi");
  call.Write("still here");

  EXPECT_EQ(call.Read(), "still here");
  EXPECT_LE(Threads(), before + 4);
  EXPECT_EQ(std::count(sockets.begin(), sockets.end(), -1), 0);
  for (int socket_fd : sockets) close(socket_fd);
}

}  // namespace
}  // namespace panal
